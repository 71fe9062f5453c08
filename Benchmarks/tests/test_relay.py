"""The relay does the proxies' job, and its rows do not pass for theirs."""

import pathlib
import tempfile
import unittest

import benchmarks  # noqa: F401
from harness import relay
from harness.load import wrk
from harness.peers import Upstream
from harness.processes import Stage
from harness.relay import Relay
from harness.site import PLAIN


def rounds(*figures):
    return [{"cpu": figure} for figure in figures]


class RelayTests(unittest.TestCase):
    def test_it_passes_requests_and_answers(self):
        with tempfile.TemporaryDirectory() as name, Stage() as stage:
            upstream = Upstream(stage)
            running = Relay(pathlib.Path(name)).start(stage, PLAIN, upstream.port)
            load = wrk(running.port, "/100", 8, 1)
        self.assertGreater(load.answers, 0)
        self.assertFalse(load.failed)

    def test_it_stands_beside_the_peers_that_have_a_bound(self):
        samples = {"martlet": rounds(3), "nginx": rounds(4), "haproxy": rounds(8, 10, 10)}
        samples["relay"] = rounds(4, 5, 6)
        (row,) = relay.rows("small-64", "µs", samples, {"haproxy": 0.75})
        self.assertEqual((row.peer, row.figure, row.ratio), ("haproxy", 5, 0.5))
        self.assertIsNone(row.to_reach)
        # Whoever compares Martlet with its peers does not meet it.
        self.assertNotIn("relay", samples)

    def test_a_run_without_that_peer_has_no_row(self):
        samples = {"martlet": rounds(3), "relay": rounds(2)}
        self.assertEqual(relay.rows("small-64", "µs", samples, {"haproxy": 0.75}), [])


if __name__ == "__main__":
    unittest.main()

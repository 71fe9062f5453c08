"""The bare programs do the proxies' job, and their rows do not pass for theirs."""

import pathlib
import tempfile
import unittest

import benchmarks  # noqa: F401
from harness import bare
from harness.load import wrk
from harness.peers import Upstream
from harness.processes import Stage
from harness.bare import Handshakes, Relay
from harness.site import PLAIN, TLS


def rounds(*figures):
    return [{"cpu": figure} for figure in figures]


class BareTests(unittest.TestCase):
    def test_the_relay_passes_requests_and_answers(self):
        with tempfile.TemporaryDirectory() as name, Stage() as stage:
            upstream = Upstream(stage)
            running = Relay(pathlib.Path(name)).start(stage, PLAIN, upstream.port)
            load = wrk(running.port, "/100", 8, 1)
        self.assertGreater(load.answers, 0)
        self.assertFalse(load.failed)

    def test_hands_are_shaken_for_each_request(self):
        with tempfile.TemporaryDirectory() as name, Stage() as stage:
            running = Handshakes(pathlib.Path(name)).start(stage, TLS, 0)
            load = wrk(running.port, "/100", 8, 1, tls=True, closes=True)
        self.assertGreater(load.answers, 0)
        self.assertFalse(load.failed)

    def test_it_stands_beside_the_peers_that_have_a_bound(self):
        samples = {"martlet": rounds(3), "nginx": rounds(4), "haproxy": rounds(8, 10, 10)}
        samples["relay"] = rounds(4, 5, 6)
        (row,) = bare.rows("small-64", "calls", "µs", samples, "relay", {"haproxy": 0.75})
        self.assertEqual((row.peer, row.figure, row.ratio), ("haproxy", 5, 0.5))
        self.assertIsNone(row.to_reach)
        # Whoever compares Martlet with its peers does not meet it.
        self.assertNotIn("relay", samples)

    def test_a_run_without_that_peer_has_no_row(self):
        samples = {"martlet": rounds(3), "relay": rounds(2)}
        self.assertEqual(bare.rows("small-64", "calls", "µs", samples, "relay", {"haproxy": 0.75}), [])


if __name__ == "__main__":
    unittest.main()

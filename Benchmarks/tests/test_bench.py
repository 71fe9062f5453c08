"""Rounds turn, failures are told, and a bound belongs to the right peer."""

import contextlib
import io
import json
import subprocess
import sys
import unittest

from benchmarks import FOLDER
import bench as command
from harness import bench as harness
from harness import machine
from harness.bench import Bench, RoundFailed
from harness.load import Load
from harness.processes import BenchmarkError


class Named:
    def __init__(self, name):
        self.name = name


def quiet(work):
    with contextlib.redirect_stderr(io.StringIO()):
        return work()


def interleave(measure, names=("a", "b", "c"), rounds=3):
    """The samples, and the settings after them."""
    settings = Bench([], None, rounds)
    running = [Named(name) for name in names]
    return quiet(lambda: settings.interleave("claim", running, measure)), settings


class RoundTests(unittest.TestCase):
    def test_each_round_begins_with_another_proxy(self):
        order = []

        def measure(one):
            order.append(one.name)
            return {"cpu": 1.0}

        samples, _ = interleave(measure)
        self.assertEqual("".join(order), "abcbcacab")
        self.assertEqual({name: len(each) for name, each in samples.items()},
                         {"a": 3, "b": 3, "c": 3})

    def test_a_failed_round_is_measured_again_and_named(self):
        failures = [RoundFailed("3 read")]

        def measure(one):
            if failures and one.name == "b":
                raise failures.pop()
            return {"cpu": 1.0}

        samples, settings = interleave(measure)
        self.assertEqual(len(samples["b"]), 3)
        self.assertEqual(settings.failed_rounds, ["b: 3 read"])

    def test_failing_twice_ends_the_claim(self):
        def measure(_):
            raise RoundFailed("3 read")

        with self.assertRaisesRegex(BenchmarkError, "failed twice: 3 read"):
            interleave(measure)

    def test_the_largest_disturbance_is_kept(self):
        _, settings = interleave(lambda one: {"cpu": 1.0, "others": 0.3 if one.name == "b" else 0})
        self.assertEqual(settings.disturbance, 0.3)

    def test_one_failed_request_spoils_a_round(self):
        for load in (Load(100, 1.0, {"read": 1}), Load(0, 1.0)):
            with self.subTest(load), self.assertRaises(RoundFailed):
                harness.ensure_good(load)
        harness.ensure_good(Load(100, 1.0, {"read": 0}))


def samples(**figures):
    return {name: [{"cpu": each} for each in values] for name, values in figures.items()}


class BoundTests(unittest.TestCase):
    def test_a_bound_of_a_named_peer(self):
        rows = harness.compare("c", "time", "µs", samples(nginx=[10], haproxy=[11], martlet=[8.2]),
                               "cpu", {"nginx": 0.8, "haproxy": 0.75})
        self.assertEqual([(row.peer, row.reached) for row in rows],
                         [("nginx", False), ("haproxy", True)])

    def test_the_better_peer_alone_carries_the_bound(self):
        rows = harness.compare("c", "time", "µs", samples(nginx=[10], haproxy=[9], martlet=[7]),
                               "cpu", better=0.8)
        self.assertEqual([(row.peer, row.to_reach, row.reached) for row in rows],
                         [("nginx", None, None), ("haproxy", 0.8, True)])

    def test_a_ratio_is_of_rounds_not_of_medians(self):
        (row,) = harness.compare("c", "time", "µs",
                                 samples(nginx=[10, 30, 31], martlet=[5, 15, 31]), "cpu")
        self.assertEqual((row.ratio, row.figure, row.spread), (0.5, 15, (5, 31)))

    def test_without_martlet_nothing_is_reached(self):
        rows = harness.compare("c", "time", "µs", samples(nginx=[10]), "cpu", {"nginx": 0.8})
        self.assertEqual([(row.figure, row.ratio, row.reached) for row in rows],
                         [(None, None, None)])

    def test_a_bound_on_the_figure_itself(self):
        for figure, reached in ((2560, True), (2561, False)):
            with self.subTest(figure):
                rows = harness.measured_alone(
                    "memory", "memory", "bytes", samples(nginx=[500], martlet=[figure]), "cpu", 2560
                )
                self.assertEqual([row.reached for row in rows], [reached, None])


class CommandTests(unittest.TestCase):
    def parse(self, *words):
        return command.parse_arguments(words)

    def test_only_a_whole_comparison_is_reported(self):
        self.assertTrue(command.is_reported(self.parse()))
        for words in (["--quick"], ["--no-report"], ["--peers", "nginx,martlet"],
                      ["--martlet-as", "proxy"]):
            with self.subTest(words):
                self.assertFalse(command.is_reported(self.parse(*words)))

    def test_quick_is_one_round_of_a_second(self):
        arguments = self.parse("--quick")
        self.assertEqual((arguments.rounds, arguments.seconds), (1, 1.0))

    def test_what_makes_no_sense_is_refused(self):
        for words in (["--claim", "speed"], ["--rounds", "0"], ["--seconds", "0.5"],
                      ["--martlet-as", "ghost"]):
            with self.subTest(words), contextlib.redirect_stderr(io.StringIO()) as said:
                with self.assertRaises(SystemExit) as end:
                    self.parse(*words)
                self.assertEqual(end.exception.code, 2)
                self.assertIn("error:", said.getvalue())

    def test_an_unknown_proxy_and_a_missing_binary_are_named(self):
        for words, what in ((["--peers", "apache"], "no proxy is called apache"),
                            (["--martlet", "/nowhere/martlet"], "make release")):
            with self.subTest(words), self.assertRaisesRegex(BenchmarkError, what):
                command.chosen_peers(self.parse(*words))

    def test_every_claim_is_listed_and_stands_in_the_manual(self):
        listing = run("--list").stdout
        manual = (FOLDER / "README.md").read_text()
        self.assertGreaterEqual(len(command.CLAIMS), 12)
        for name in command.CLAIMS:
            self.assertRegex(listing, rf"(?m)^{name} +\S")
            self.assertIn(f"`{name}`", manual)

    def test_every_claim_says_how_it_is_measured(self):
        for name, claim in command.CLAIMS.items():
            with self.subTest(name):
                text = command.method(name, Bench([], None, 7, 3.0))
                self.assertNotRegex(text, "[{}]")
                self.assertEqual(claim.name, name)


def run(*words):
    return subprocess.run(
        [sys.executable, str(FOLDER / "bench.py"), *words],
        capture_output=True, text=True, timeout=120, check=False,
    )


@unittest.skipUnless(machine.cores_are_enough(), "proxy and load need a core each")
class WholeRunTests(unittest.TestCase):
    def test_a_claim_is_measured_and_leaves_nothing_behind(self):
        reports = [FOLDER.parent / "docs" / f"performance.{end}" for end in ("json", "md")]
        before = [path.read_bytes() if path.exists() else None for path in reports]
        done = run("--quick", "--json", "--peers", "nginx,haproxy", "--claim", "new-connections")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [row for row in json.loads(done.stdout)
                if row["what"] == "processor time per request"]
        self.assertEqual([row["peer"] for row in rows], ["nginx", "haproxy"])
        for row in rows:
            self.assertGreater(row["peer_figure"], 1)
            self.assertLess(row["peer_figure"], 10_000)
        after = [path.read_bytes() if path.exists() else None for path in reports]
        self.assertEqual(after, before)

    def test_a_claim_that_fails_says_why_and_ends_with_a_code(self):
        done = run("--quick", "--peers", "haproxy", "--claim", "latency")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nginx is needed", done.stderr)


if __name__ == "__main__":
    unittest.main()

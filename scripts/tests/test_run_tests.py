"""The test run is honest: what failed or was skipped is told, and the exit code says so."""

import contextlib
import io
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import run_tests  # noqa: E402
from run_tests import Part  # noqa: E402


def outcomes(plan, failing):
    """The outcome of each part when the commands named fail."""
    def call(command, **_):
        return subprocess.CompletedProcess(command, 1 if command[0] in failing else 0)
    with contextlib.redirect_stdout(io.StringIO()):
        return run_tests.run(plan, call)


PLAN = [Part("one", ["a"], needed=True), Part("two", ["b"]), Part("three", ["c"])]


class RunTests(unittest.TestCase):
    def states(self, failing):
        return [how for _, how, _ in outcomes(PLAN, failing)]

    def test_everything_passes(self):
        self.assertEqual(self.states([]), ["passed"] * 3)

    def test_a_failed_test_does_not_hide_the_next(self):
        self.assertEqual(self.states(["b"]), ["passed", "failed", "passed"])

    def test_a_failed_build_skips_the_rest(self):
        self.assertEqual(self.states(["a"]), ["failed", "skipped", "skipped"])

    def test_the_summary_names_what_did_not_pass(self):
        text = run_tests.summary(outcomes(PLAN, ["b"]))
        self.assertIn("make test: FAILED: two", text)
        self.assertNotIn("all parts passed", text)
        self.assertIn("all parts passed", run_tests.summary(outcomes(PLAN, [])))


class PlanTests(unittest.TestCase):
    def plan(self, only, folders=()):
        with tempfile.TemporaryDirectory() as root:
            for folder in folders:
                (pathlib.Path(root) / folder).mkdir(parents=True)
            return run_tests.parts(["-c", "release"], only, root=pathlib.Path(root))

    def test_python_tests_run_where_they_exist(self):
        names = [part.name for part in self.plan("", ["Benchmarks/tests"])]
        self.assertIn("tests in Benchmarks/tests", names)
        self.assertNotIn("tests in scripts/tests", names)

    def test_a_word_runs_the_swift_tests_that_have_it_and_nothing_else(self):
        plan = self.plan("Chunked", ["scripts/tests"])
        self.assertEqual(plan[-1].command[-2:], ["--filter", "Chunked"])
        self.assertEqual(len(plan), 4)

    def test_a_word_that_no_test_has_is_a_failure(self):
        def call(command, **_):
            return subprocess.CompletedProcess(command, 0, "A.B/c()\nA.B/d(e:)\n", "")
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(run_tests.find("B/c", call), 0)
            self.assertEqual(run_tests.find("x", call), 1)

    def test_the_builds_are_needed(self):
        self.assertEqual([part.needed for part in self.plan("")], [True, True, False])


if __name__ == "__main__":
    unittest.main()

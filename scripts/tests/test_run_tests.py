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
    def call(command):
        return (1, [command[0] + " is broken"]) if command[0] in failing else (0, ["no error: 0"])
    with contextlib.redirect_stdout(io.StringIO()):
        return run_tests.run(plan, call)


PLAN = [Part("one", ["a"], needed=True), Part("two", ["b"]), Part("three", ["c"])]


class RunTests(unittest.TestCase):
    def states(self, failing):
        return [result.outcome for result in outcomes(PLAN, failing)]

    def test_everything_passes(self):
        self.assertEqual(self.states([]), ["passed"] * 3)

    def test_a_failed_test_does_not_hide_the_next(self):
        self.assertEqual(self.states(["b"]), ["passed", "failed", "passed"])

    def test_a_failed_build_skips_the_rest(self):
        self.assertEqual(self.states(["a"]), ["failed", "skipped", "skipped"])

    def test_the_summary_names_what_did_not_pass(self):
        text = run_tests.summary(outcomes(PLAN, ["b"]))
        self.assertIn("make test: FAILED: two", text)
        self.assertIn("      b is broken", text)
        self.assertNotIn("no error: 0", text)
        self.assertNotIn("all parts passed", text)
        self.assertIn("all parts passed", run_tests.summary(outcomes(PLAN, [])))


    def test_a_long_list_of_failures_is_cut(self):
        lines = tuple("line {}".format(i) for i in range(run_tests.NAMED + 3))
        text = run_tests.summary([run_tests.Result("tests", "failed", 1.0, lines)])
        self.assertIn("line {}".format(run_tests.NAMED - 1), text)
        self.assertNotIn("line {}".format(run_tests.NAMED), text)
        self.assertIn("… and 3 more", text)


class ShowTests(unittest.TestCase):
    def shown(self, text, code=1):
        script = "import sys; print({!r}); sys.exit({})".format(text, code)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            result = run_tests.show([sys.executable, "-X", "utf8", "-c", script])
        self.assertEqual(printed.getvalue(), text + "\n")
        return result

    def test_lines_about_failures_are_kept(self):
        lines = [
            '✘ Test "a claim" recorded an issue at A.swift:1:2: Expectation failed: x == y',
            '✘ Test "a claim" failed after 0.1 seconds with 1 issue.',
            "/b/A.swift:1:2: error: cannot find 'x' in scope",
            "Main/main.swift:3: Fatal error: Index out of range",
            "error: Exited with unexpected signal code 4",
            "FAIL: test_a (tests.A.test_a)",
        ]
        for line in lines:
            self.assertEqual(self.shown(line), (1, [line]))

    def test_other_lines_are_not(self):
        for line in ['✔ Test "an error: is told" passed after 0.1 seconds.', "AssertionError", "ok"]:
            self.assertEqual(self.shown(line), (1, []))


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

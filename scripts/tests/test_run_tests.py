"""The test run is honest: what failed or was skipped is told, and the exit code says so."""

import contextlib
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import run_tests  # noqa: E402
from run_tests import Part  # noqa: E402


def outcomes(plan, failing, failed=()):
    """The outcome of each part when the commands named fail, with the tests that failed in them."""
    def call(command):
        return (1, [command[0] + " is broken"]) if command[0] in failing else (0, ["no error: 0"])
    with contextlib.redirect_stdout(io.StringIO()):
        return run_tests.run(plan, call, failed=lambda: list(failed))


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


class RepeatTests(unittest.TestCase):
    """What fails beside other tests runs once more alone."""

    PLAN = [Part("tests", ["together"], repeats=True), Part("more", ["b"])]

    def results(self, failing, failed):
        return outcomes(self.PLAN, failing, failed)

    def test_what_passes_alone_is_unsteady_and_no_failure(self):
        results = self.results(["together"], ["A.B/c()"])
        self.assertEqual([result.outcome for result in results], ["unsteady", "passed"])
        text = run_tests.summary(results)
        self.assertIn("      together is broken", text)
        self.assertIn("all parts passed, but unsteady: tests", text)

    def test_what_fails_again_is_a_failure(self):
        results = self.results(["together", "swift"], ["A.B/c()"])
        self.assertEqual(results[0].outcome, "failed")
        self.assertIn("FAILED: tests", run_tests.summary(results))

    def test_many_failures_and_none_that_are_known_are_not_repeated(self):
        many = ["A.B/c{}()".format(i) for i in range(run_tests.REPEATED + 1)]
        for failed in [many, []]:
            self.assertEqual(self.results(["together"], failed)[0].outcome, "failed")

    def test_only_the_tests_themselves_are_repeated(self):
        self.assertEqual(self.results(["b"], ["A.B/c()"])[1].outcome, "failed")

    def test_the_tests_that_failed_are_named_to_the_letter(self):
        commands = []

        def call(command):
            commands.append(command)
            return (0, [])
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertTrue(run_tests.repeat(call, lambda: ["A.B/c(d:)", "A.B/e()"]))
        self.assertEqual(commands[0][-1], r"^A\.B/c\(d:\)|^A\.B/e\(\)")

    def failed(self, *records):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "events"
            path.write_text("".join(json.dumps({"payload": record}) + "\n" for record in records))
            return run_tests.failed_tests(path)

    def test_failures_are_read_of_the_events(self):
        issue = {"kind": "issueRecorded", "testID": "A.B/c(d:)/B.swift:1:2", "issue": {"isKnown": False}}
        known = {"kind": "issueRecorded", "testID": "A.B/k()/B.swift:3:2", "issue": {"isKnown": True}}
        end = {"kind": "runEnded"}
        self.assertEqual(self.failed(issue, known, issue, end), ["A.B/c(d:)"])
        self.assertEqual(self.failed(issue), [], "a run that crashed")
        self.assertEqual(self.failed({"kind": "issueRecorded", "issue": {}}, end), [], "of no test")
        self.assertEqual(run_tests.failed_tests(pathlib.Path("/nowhere")), [])


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

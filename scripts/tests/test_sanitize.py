import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import sanitize


class Sanitize(unittest.TestCase):
    """What `make sanitize` counts as a success."""

    def outcome(self, kind="thread", code=0, report=None, only="", compiles=0):
        self.lines = []
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            self.said = []

            def call(line, cwd, env, stdin):
                self.lines.append(line)
                if line[0] == "clang":
                    return subprocess.CompletedProcess(line, compiles)
                self.line, self.environment = line, env
                if report is not None:
                    (root / (".build-" + kind) / "reports" / "report.1").write_text(report)
                return subprocess.CompletedProcess(line, code)

            return sanitize.run(
                kind, only, root=root, call=call, clock=lambda: 0.0,
                say=lambda text, flush: self.said.append(text),
            )

    def test_tests_that_pass_without_a_report_are_a_success(self):
        self.assertTrue(self.outcome())
        self.assertTrue(self.outcome(report=""))

    def test_a_failing_test_is_none(self):
        self.assertFalse(self.outcome(code=1))

    def test_a_report_of_any_process_is_none_and_is_shown(self):
        self.assertFalse(self.outcome(report="WARNING: ThreadSanitizer: data race"))
        self.assertIn("data race", "".join(self.said))

    def test_without_eyes_for_locks_no_test_is_run(self):
        self.assertFalse(self.outcome(compiles=1))
        self.assertEqual(len(self.lines), 1)

    def test_reports_of_an_earlier_run_do_not_count(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            old = root / ".build-address" / "reports"
            old.mkdir(parents=True)
            (old / "report.1").write_text("old")
            passed = sanitize.run(
                "address", "", root=root, clock=lambda: 0.0, say=lambda text, flush: None,
                call=lambda line, **more: subprocess.CompletedProcess(line, 0),
            )
            self.assertTrue(passed)

    def test_each_sanitizer_has_a_build_folder_and_options_of_its_own(self):
        self.outcome("thread", only="EdgeTests")
        self.assertEqual(self.line[-4:], ["--scratch-path", ".build-thread", "--filter", "EdgeTests"])
        self.assertNotIn("suppressions", self.environment["TSAN_OPTIONS"])
        self.assertIn(self.environment["LD_PRELOAD"], self.lines[0])
        self.outcome("address")
        self.assertNotIn("tsan_mutex.so", self.environment.get("LD_PRELOAD", ""))
        self.assertEqual(self.line[-2:], ["--scratch-path", ".build-address"])
        self.assertIn("detect_leaks=0", self.environment["ASAN_OPTIONS"])


if __name__ == "__main__":
    unittest.main()

"""The fuzz runner runs what was asked for, for a bounded time, and tells what failed."""

import contextlib
import io
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import fuzz  # noqa: E402


class FuzzTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.package = pathlib.Path(folder.name) / "Fuzz"
        self.corpora = pathlib.Path(folder.name) / "Corpora"
        for name in ["Request", "Chunked"]:
            (self.package / "Sources" / name).mkdir(parents=True)

    def run_with(self, seconds, failing=()):
        asked = []

        def call(command):
            asked.append(command)
            name = pathlib.Path(command[0]).name
            return subprocess.CompletedProcess(command, 1 if name in failing else 0)
        with contextlib.redirect_stdout(io.StringIO()):
            failed = fuzz.run(self.package, self.corpora, ["Chunked", "Request"], seconds, call)
        return asked, failed

    def test_all_targets_or_the_one_named(self):
        self.assertEqual(fuzz.targets(self.package, ""), ["Chunked", "Request"])
        self.assertEqual(fuzz.targets(self.package, "Request"), ["Request"])

    def test_an_unknown_target_names_the_known_ones(self):
        with self.assertRaisesRegex(fuzz.FuzzError, "Chunked, Request"):
            fuzz.targets(self.package, "Requests")

    def test_no_target_is_an_error(self):
        with self.assertRaises(fuzz.FuzzError):
            fuzz.targets(self.package / "none", "")

    def test_every_run_has_an_end(self):
        asked, _ = self.run_with(7)
        self.assertEqual(len(asked), 3)
        for command in asked[1:]:
            self.assertIn("-max_total_time=7", command)
        asked, _ = self.run_with(None)
        for command in asked[1:]:
            self.assertIn("-runs=0", command)

    def test_a_failure_does_not_hide_the_next_target(self):
        asked, failed = self.run_with(7, failing=["Chunked"])
        self.assertEqual(failed, ["Chunked"])
        self.assertEqual(len(asked), 3)

    def test_refused_messages_are_seeds_too(self):
        folders = fuzz.seeds(self.corpora, "request")
        self.assertEqual(folders, [str(self.corpora / "request"), str(self.corpora / "smuggling")])
        self.assertEqual(fuzz.replay_command(self.package, self.corpora, "request")[2:], folders)
        self.assertEqual(fuzz.fuzz_command(self.package, self.corpora, "request", 7)[-2:], folders)
        self.assertEqual(fuzz.seeds(self.corpora, "Chunked"), [str(self.corpora / "Chunked")])

    def test_a_build_that_fails_ends_the_run(self):
        with self.assertRaisesRegex(fuzz.FuzzError, "do not build"):
            self.run_with(7, failing=["swift"])


if __name__ == "__main__":
    unittest.main()

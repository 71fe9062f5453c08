"""The table, the endpoint and the peer of `martlet bulk`."""

import pathlib
import tempfile
import unittest
from unittest import mock

import benchmarks  # noqa: F401 (finds the modules)
import bulk


class Bulk(unittest.TestCase):
    def test_the_endpoint_counts_what_the_peer_sends(self):
        def peer(martlet, table, url):
            return {"Python": bulk_commands(martlet, table, url)["Python"]}

        bulk_commands = bulk.commands
        with tempfile.TemporaryDirectory() as name, mock.patch.object(bulk, "commands", peer):
            runs = bulk.rounds(pathlib.Path("martlet"), pathlib.Path(name), 1050, 2)
        self.assertEqual(len(runs["Python"]), 2)
        self.assertTrue(all(run.seconds > 0 and run.megabytes > 1 for run in runs["Python"]))

    def test_the_programs_do_the_same(self):
        programs = bulk.commands(pathlib.Path("martlet"), pathlib.Path("rows.csv"), "http://a/")
        for command in programs.values():
            for word in ("rows.csv", "--batch", "100", "--workers", "8", "http://a/"):
                self.assertIn(word, command)


if __name__ == "__main__":
    unittest.main()

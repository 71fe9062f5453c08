"""The table, the endpoint and the peer of `martlet bulk`; the file, and `socat`, of `martlet send`."""

import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

import benchmarks  # noqa: F401 (finds the modules)
from harness.bench import Bench
from harness.claims import commands
from harness.processes import BenchmarkError

MARTLET = pathlib.Path("martlet")


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)


class Bulk(Folder):
    def posted(self, rows, expected):
        """What the peer takes for a table, of which so many rows are awaited."""
        table = self.folder / "rows.csv"
        commands.write_table(table, rows)
        sink = commands.Sink(self.folder)
        self.addCleanup(sink.stop)
        peer = {"Python": commands.bulk_commands(MARTLET, table, sink.url)["Python"]}
        ways = commands.bulk_ways(peer, table, expected, sink)
        return [way.measure() for way in [*ways, *ways]]

    def test_the_endpoint_counts_what_the_peer_sends(self):
        for sample in self.posted(1050, 1050):
            self.assertGreater(sample["seconds"], 0)
            self.assertGreater(sample["megabytes"], 1)

    def test_memory_is_that_of_the_program(self):
        taken = "x = bytearray(200_000_000); import time; time.sleep(0.2)"
        for text, bounds in (("import time; time.sleep(0.2)", (2, 60)), (taken, (200, 260))):
            sample = commands.spent([sys.executable, "-c", text])
            self.assertTrue(bounds[0] < sample["megabytes"] < bounds[1], sample)

    def test_rows_that_do_not_come_are_noticed(self):
        with self.assertRaisesRegex(BenchmarkError, "Python: 11 batches came"):
            self.posted(1050, 1150)

    def test_the_programs_do_the_same(self):
        programs = commands.bulk_commands(MARTLET, pathlib.Path("rows.csv"), "http://a/")
        for command in programs.values():
            for word in ("rows.csv", "--batch", "100", "--workers", "8", "http://a/"):
                self.assertIn(word, command)
        self.assertIn("--pipeline", programs["martlet"])


class Transfer(Folder):
    def test_socat_carries_a_file(self):
        source, target = self.folder / "source", self.folder / "target"
        commands.write_file(source, 3_000_000)
        self.assertGreater(commands.by_socat(source, target, []), 0)
        self.assertEqual(source.read_bytes(), target.read_bytes())

    def test_no_two_blocks_are_the_same(self):
        commands.write_file(self.folder / "source", 2 * commands.BLOCK + 5)
        bytes_ = (self.folder / "source").read_bytes()
        self.assertEqual(len(bytes_), 2 * commands.BLOCK + 5)
        self.assertNotEqual(bytes_[: commands.BLOCK], bytes_[commands.BLOCK : 2 * commands.BLOCK])


class Shares(unittest.TestCase):
    def test_a_short_round_has_less(self):
        for seconds, share in ((1.0, 200), (5.0, 1000), (30.0, 1000)):
            self.assertEqual(commands.share(Bench([], None, 1, seconds), 1000), share)

    def test_without_martlet_nothing_is_measured(self):
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(commands.bulk(Bench([], None)), [])
            self.assertEqual(commands.transfer(Bench([], None)), [])


if __name__ == "__main__":
    unittest.main()

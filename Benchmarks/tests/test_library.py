"""What the figures of the library are compared with."""

import subprocess
import sys
import unittest

import benchmarks  # noqa: F401 (finds the modules)
from harness import library as package
from harness import processes
from harness.claims import CLAIMS, library
from harness.report import Row


def measured():
    """A figure of each name that rows are made of: peers take four times as long."""
    found = {name: 1.0 for name, *_ in [*library.BOUNDS, *library.BESIDES]}
    found |= {peer: 4.0 for _, peer, *_ in [*library.BOUNDS, *library.BESIDES]}
    return found | dict.fromkeys(library.LIMITS, 100.0)


class Library(unittest.TestCase):
    def test_every_bound_names_figures_that_are_measured(self):
        folder = package.PACKAGE / "figures"
        sources = [path.read_text() for path in folder.iterdir()]
        for name, peer, *_ in [*library.BOUNDS, *library.BESIDES]:
            self.assertTrue(any(f'"{name}"' in text for text in sources), name)
            if not peer.startswith("Python"):
                self.assertTrue(any(f'"{peer}"' in text for text in sources), peer)
        for name in library.LIMITS:
            self.assertTrue(any(f'"{name}"' in text for text in sources), name)

    def test_pythons_pools_and_its_queue_are_measured(self):
        command = [sys.executable, package.PACKAGE / "python_figures.py", "--rounds", "10"]
        found = library.parsed(subprocess.check_output(command, text=True))
        names = {f"Python, {name} at a time" for name in ("one", "many")}
        names |= {f"{name} by processes" for name in names}
        self.assertEqual(set(found), names | {"Python, priority queue, 2 to 2 threads"})
        self.assertTrue(all(figure > 0 for figure in found.values()))

    def test_the_report_has_each_figure_with_its_bound(self):
        rows = library.library_rows(measured() | {"spin lock": 3.0})
        self.assertIn(Row("library", "spin lock", 3.0, "ns"), rows)
        shown = {text for row in rows for text in (row.what, row.peer)}
        self.assertLessEqual(set(measured()), shown)
        ratios = {row.ratio for row in rows if row.peer}
        self.assertLessEqual(ratios, {0.25, 1.0})
        for row in rows:
            self.assertEqual(row.reached is None, row.to_reach is None)
            if row.ratio is not None and row.to_reach is not None:
                self.assertEqual(row.reached, row.ratio <= row.to_reach)

    def test_a_figure_above_its_limit_has_not_reached_it(self):
        over = {name: limit + 1 for name, limit in library.LIMITS.items()}
        rows = library.library_rows(measured() | over)
        self.assertEqual([row.reached for row in rows if row.what in over], [False])

    def test_jobs_are_those_that_are_measured(self):
        text = (package.PACKAGE / "figures/WorkFigures.swift").read_text()
        for work in library.JOBS:
            self.assertIn(f'("{work}", Work(', text)
        self.assertIn(f'"\\(name), {library.JOBS_BASE}"', text)

    def test_jobs_stand_in_milliseconds_beside_coroutines(self):
        figures = {}
        for work in library.JOBS:
            figures |= {f"{work}, by coroutines": 2e6, f"{work}, by 2 threads": 1e6}
        rows = [row for row in library.job_rows(figures) if row.what == "waiting, by 2 threads"]
        self.assertEqual([(row.figure, row.unit, row.ratio) for row in rows], [(1.0, "ms", 0.5)])

    def test_echo_servers_have_a_bound_each(self):
        self.assertEqual(set(library.ECHO_BOUNDS), {"SwiftNIO", "asyncio", "epoll"})
        self.assertIn("echo", CLAIMS)

    def test_programs_may_run_on_both_cores(self):
        command = [sys.executable, "-c", "import os; print(len(os.sched_getaffinity(0)))"]
        self.assertEqual(processes.output_of(command, seconds=20).strip(), "2")

    def test_a_program_that_fails_or_hangs_is_named(self):
        with self.assertRaisesRegex(processes.BenchmarkError, "ended with 3: sorry"):
            processes.output_of(["sh", "-c", "echo sorry >&2; exit 3"], seconds=20)
        with self.assertRaisesRegex(processes.BenchmarkError, "has not ended within"):
            processes.output_of(["sleep", "20"], seconds=0.1)


if __name__ == "__main__":
    unittest.main()

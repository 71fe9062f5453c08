"""What the figures of the library are compared with."""

import unittest

import benchmarks  # noqa: F401 (finds the modules)
import library
from harness import titles
from harness.report import Row


class Library(unittest.TestCase):
    def test_every_bound_names_figures_that_are_measured(self):
        sources = [path.read_text() for path in (library.REPOSITORY / library.PROGRAM).iterdir()]
        for name, peer, bound in library.BOUNDS:
            self.assertTrue(any(f'"{name}"' in text for text in sources), name)
            if not peer.startswith("Python"):
                self.assertTrue(any(f'"{peer}"' in text for text in sources), peer)
            self.assertGreater(bound, 0)

    def test_a_ratio_is_the_figure_by_that_of_the_peer(self):
        measured = {name: 1.0 for name, _, _ in library.BOUNDS}
        measured |= {peer: 4.0 for _, peer, _ in library.BOUNDS}
        self.assertTrue(all(ratio in (0.25, 1.0) for _, _, ratio, _ in library.verdicts(measured)))

    def test_pythons_pools_and_its_queue_are_measured(self):
        found = library.python_figures(rounds=10)
        names = {f"Python, {name} at a time" for name in ("one", "many")}
        names |= {f"{name} by processes" for name in names}
        self.assertEqual(set(found), names | {"Python, priority queue, 2 to 2 threads"})
        self.assertTrue(all(figure > 0 for figure in found.values()))

    def test_the_report_has_each_figure_once_and_jobs_in_milliseconds(self):
        measured = {name: 1.0 for name, _, _ in library.BOUNDS}
        measured |= {peer: 4.0 for _, peer, _ in library.BOUNDS}
        for name, peer in library.BESIDES:
            measured |= {name: 2.0, peer: 4.0}
        measured["spin lock"] = 3.0
        for work in library.JOBS:
            measured |= {f"{work}, by coroutines": 2e6, f"{work}, by 2 threads": 1e6}
        rows = library.rows(measured)
        shown = [text for row in rows for text in (row.what, row.peer)]
        self.assertLessEqual(set(measured), set(shown))
        self.assertIn(Row("library", "spin lock", 3.0, "ns"), rows)
        threads = [row for row in rows if row.what == "waiting, by 2 threads"]
        self.assertEqual([(row.figure, row.unit, row.ratio) for row in threads], [(1.0, "ms", 0.5)])
        for row in rows:
            self.assertIn(row.claim, library.NOTES)
            self.assertIn(row.claim, titles.TITLES)
            self.assertEqual(row.reached is None, row.to_reach is None)

    def test_jobs_are_those_that_are_measured(self):
        text = (library.REPOSITORY / library.PROGRAM / "WorkFigures.swift").read_text()
        for work in library.JOBS:
            self.assertIn(f'("{work}", Work(', text)
        self.assertIn(f'"\\(name), {library.JOBS_BASE}"', text)

    def test_the_package_has_every_module(self):
        text = library.manifest()
        for name in library.MODULES:
            self.assertIn(f'.target(name: "{name}"', text)


if __name__ == "__main__":
    unittest.main()

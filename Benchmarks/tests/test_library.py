"""What the figures of the library are compared with."""

import unittest

import benchmarks  # noqa: F401 (finds the modules)
import library


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

    def test_pythons_pools_are_measured(self):
        found = library.python_figures(rounds=10)
        names = {f"Python, {name} at a time" for name in ("one", "many")}
        self.assertEqual(set(found), names | {f"{name} by processes" for name in names})
        self.assertTrue(all(figure > 0 for figure in found.values()))

    def test_the_package_has_every_module(self):
        text = library.manifest()
        for name in library.MODULES:
            self.assertIn(f'.target(name: "{name}"', text)


if __name__ == "__main__":
    unittest.main()

"""What a benchmark starts ends with it, and what cannot start says why."""

import os
import sys
import unittest

import benchmarks  # noqa: F401
from harness.processes import LOAD_CORE, BenchmarkError, Stage, free_port, wait_until

#: Ignores the request to end, starts a child that does so too, and says when both are there.
STUBBORN = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    print(child, flush=True)
signal.pause()
"""


@unittest.skipUnless(LOAD_CORE in os.sched_getaffinity(0), "processes are bound to core 1")
class StageTests(unittest.TestCase):
    def test_all_end_with_the_stage_even_those_that_do_not_want_to(self):
        with Stage() as stage:
            child = stage.start("stubborn", [sys.executable, "-c", STUBBORN], LOAD_CORE)
            wait_until(lambda: child.log.read_text() != "", 10, "the grandchild is there")
            self.assertEqual(len(child.tree()), 2)
            folder = stage.folder
        self.assertFalse(folder.exists())
        self.assertEqual(child.tree(), set())

    def test_a_child_is_known_after_its_parent_ended(self):
        orphaning = "import os, signal\nif os.fork() == 0: signal.pause()\n"
        with Stage() as stage:
            child = stage.start("parent", [sys.executable, "-c", orphaning], LOAD_CORE)
            wait_until(lambda: child.process.poll() is not None, 10, "the parent ends")
            self.assertEqual(len(child.tree()), 1)
        self.assertEqual(child.tree(), set())

    def test_what_ends_at_once_is_told_with_its_last_words(self):
        failing = "import sys; sys.exit('no such directive')"
        with Stage() as stage:
            child = stage.start("edge", [sys.executable, "-c", failing], LOAD_CORE)
            with self.assertRaisesRegex(BenchmarkError, "(?s)edge ended with 1.*no such directive"):
                child.wait_for_port(free_port())

    def test_a_program_that_is_not_there_is_named(self):
        with Stage() as stage, self.assertRaisesRegex(BenchmarkError, "ghost is not installed"):
            stage.start("ghost", ["ghost"], LOAD_CORE)

    def test_a_wait_in_vain_says_for_what(self):
        with self.assertRaisesRegex(BenchmarkError, "the door opens within 0.05 s"):
            wait_until(lambda: False, 0.05, "the door opens")


if __name__ == "__main__":
    unittest.main()

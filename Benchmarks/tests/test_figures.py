"""Figures mean what they say: medians, ratios, processor time, profiles."""

import os
import subprocess
import sys
import unittest

import benchmarks  # noqa: F401
from harness import accounting, callgrind, statistics
from harness.accounting import CPU


class StatisticsTests(unittest.TestCase):
    def test_the_median_of_an_even_number_is_between_the_middle_two(self):
        self.assertEqual(statistics.median([4, 1, 3, 2]), 2.5)
        self.assertEqual(statistics.median([5, 1, 3]), 3)

    def test_nothing_has_no_median(self):
        with self.assertRaises(ValueError):
            statistics.median([])

    def test_a_ratio_is_taken_inside_each_round(self):
        # Both sides saw a machine three times as slow in the second round.
        self.assertEqual(statistics.paired_ratio([8, 24, 8], [10, 30, 10]), 0.8)

    def test_rounds_that_do_not_pair_are_refused(self):
        with self.assertRaises(ValueError):
            statistics.paired_ratio([1, 2], [1])


class AccountingTests(unittest.TestCase):
    def test_a_name_may_hold_spaces_and_parentheses(self):
        name, fields = accounting.parse_stat("7 (a) b (c) R 1 7 7 0")
        self.assertEqual((name, fields[:2]), ("a) b (c", ["R", "1"]))

    def test_a_tree_reaches_grandchildren_and_no_strangers(self):
        parents = {10: 1, 11: 10, 12: 11, 20: 1}
        self.assertEqual(accounting.descendants(10, parents), {10, 11, 12})

    def test_a_new_process_counts_whole(self):
        before = {1: CPU(1.0, 0.5, 0.5)}
        after = {1: CPU(1.5, 0.7, 0.8), 2: CPU(0.25, 0.25, 0)}
        self.assertAlmostEqual(accounting.difference(before, after).total, 0.75)

    def test_a_process_that_ended_makes_the_figure_void(self):
        with self.assertRaises(accounting.ProcessGone):
            accounting.difference({1: CPU(1, 1, 0)}, {})

    def test_a_core_is_busy_with_everything_but_idling_and_waiting(self):
        text = "cpu 9 9 9 9\ncpu0 100 10 200 5000 700 1 2 3 0 0\n"
        self.assertAlmostEqual(
            accounting.parse_busy(text, 0), 316 / accounting.TICKS_PER_SECOND
        )
        with self.assertRaises(ValueError):
            accounting.parse_busy(text, 1)

    def test_anonymous_memory_is_in_bytes(self):
        self.assertEqual(accounting.parse_anonymous("Rss: 9 kB\nAnonymous:  12 kB\n"), 12_288)

    def test_the_time_of_another_process_is_what_that_process_says_itself(self):
        burn = (
            "import time, sys\n"
            "while time.process_time() < 0.15: pass\n"
            "print(time.process_time(), flush=True)\n"
            "sys.stdin.read()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            said = float(child.stdout.readline())
            counted = accounting.cpu_of(child.pid)
            child.stdin.close()
        self.assertGreaterEqual(counted.total, said)
        self.assertLess(counted.total, said + 0.05)
        self.assertAlmostEqual(counted.user + counted.system, counted.total, delta=0.05)

    def test_a_process_that_is_not_there_has_no_time(self):
        with subprocess.Popen([sys.executable, "-c", ""]) as child:
            pass
        with self.assertRaises(accounting.ProcessGone):
            accounting.cpu_of(child.pid)

    def test_this_process_has_memory(self):
        self.assertGreater(accounting.anonymous_bytes({os.getpid()}), 100_000)


PROFILE = """fn=(1) parse
+3 100
4 20
cfn=(2) copy
calls=7 50
5 700
fn=(2)
* 700
fn=(3) rest
0x10 80
totals: 900
"""


class CallgrindTests(unittest.TestCase):
    def test_a_function_has_its_own_cost_without_what_it_calls(self):
        own = callgrind.functions(PROFILE)
        self.assertEqual(own, {"parse": 120, "copy": 700, "rest": 80})
        self.assertEqual(sum(own.values()), callgrind.total(PROFILE))

    def test_a_profile_that_broke_off_has_no_total(self):
        with self.assertRaises(ValueError):
            callgrind.total("fn=(1) parse\n1 2\n")

    def test_a_request_costs_the_difference_of_two_runs(self):
        costs = callgrind.per_request({"a": 100, "start": 50}, {"a": 500, "b": 20, "start": 50}, 4)
        self.assertEqual(costs, [("a", 100.0), ("b", 5.0), ("start", 0.0)])


if __name__ == "__main__":
    unittest.main()

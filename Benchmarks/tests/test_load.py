"""What the load programs print is read as it is meant, and failures are never lost."""

import unittest

import benchmarks  # noqa: F401
from harness import load
from harness.processes import BenchmarkError

H2LOAD = """finished in 2.50s, 800.00 req/s, 239.65KB/s
requests: 2000 total, 2000 started, 2000 done, 1998 succeeded, 1 failed, 1 errored, 0 timeout
status codes: 1998 2xx, 0 3xx, 2 4xx, 0 5xx
"""

WRK = """Running 5s test @ http://127.0.0.1:1/100
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.52ms  388.09us   9.21ms   87.83%
  211302 requests in 5.10s, 66.70MB read
"""


class H2LoadTests(unittest.TestCase):
    def test_failures_count(self):
        result = load.parse_h2load(H2LOAD)
        self.assertEqual((result.answers, result.seconds), (1998, 2.5))
        self.assertEqual(result.describe_failures(), "1 failed, 1 errored, 1 status")

    def test_a_report_without_total_is_no_result(self):
        with self.assertRaises(BenchmarkError):
            load.parse_h2load("unable to connect")


class WrkTests(unittest.TestCase):
    def test_a_good_run(self):
        result = load.parse_wrk(WRK)
        self.assertEqual((result.answers, result.seconds, result.failed), (211_302, 5.1, 0))
        self.assertAlmostEqual(result.rate, 211_302 / 5.1)

    def test_units_of_time(self):
        for text, seconds in (("900.5ms", 0.9005), ("1.5m", 90.0)):
            with self.subTest(text):
                result = load.parse_wrk(f"8 requests in {text}, 1MB")
                self.assertAlmostEqual(result.seconds, seconds)

    def test_failures_of_every_kind_count(self):
        lines = "  Socket errors: connect 1, read 2, write 0, timeout 4\n"
        lines += "  Non-2xx or 3xx responses: 8\n"
        result = load.parse_wrk(WRK + lines)
        self.assertEqual(result.failed, 15)
        self.assertEqual(
            result.describe_failures(), "1 connect, 2 read, 4 timeout, 8 status"
        )

    def test_a_report_without_total_is_no_result(self):
        with self.assertRaises(BenchmarkError):
            load.parse_wrk("unable to connect")

    def test_the_script_asks_for_every_host_and_path(self):
        hosts, paths = load_site()
        script = load.wrk_script(hosts, paths, {"Accept": 'a "b"'})
        for word in [*hosts, *paths]:
            self.assertIn(f'"{word}"', script)
        self.assertIn('["Accept"] = "a \\"b\\""', script)

    def test_the_stride_reaches_every_request(self):
        for count in (1, 2, 10, 200, 7919, 10_000):
            with self.subTest(count):
                script = load.wrk_script([str(number) for number in range(count)], ["/"], {})
                stride = int(script.split("stride = 0, ")[1].split("\n")[0])
                self.assertEqual(len({step * stride % count for step in range(count)}), count)


def load_site():
    return ["a.example", "b.example"], ["/one", "/two"]


class GeneratorReportTests(unittest.TestCase):
    def test_it_is_read_whole(self):
        text = (
            '{"answers": 90, "warmup_answers": 10, "seconds": 2, "idle_closes": 0,'
            ' "failures": {"read": 1, "status": 0}, "microseconds": {"p99": 12.5}}'
        )
        result = load.parse_generator(text)
        self.assertEqual((result.answers, result.unrecorded, result.failed), (90, 10, 1))
        self.assertEqual((result.rate, result.microseconds["p99"]), (45, 12.5))

    def test_anything_else_is_refused(self):
        for text in ("", "{}", '{"answers": "many"}', "[1]"):
            with self.subTest(text), self.assertRaises(BenchmarkError):
                load.parse_generator(text)


if __name__ == "__main__":
    unittest.main()

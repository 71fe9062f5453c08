"""The load generator counts every answer once, and a stall is seen in all requests it delays."""

import subprocess
import time
import unittest

from benchmarks import REPOSITORY, Stub, answering, read_head
from harness.bench import programs_folder
from harness.load import Generator, parse_generator

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
STALL_SECONDS = 0.3


class GeneratorTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.generator = Generator(programs_folder(REPOSITORY))

    def run_against(self, serve, **options):
        options = {"connections": 2, "seconds": 0.2, **options}
        with Stub(serve) as stub:
            command = self.generator.command(stub.port, **options)
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return parse_generator(done.stdout)

    def test_at_a_rate_it_asks_as_often_as_planned(self):
        result = self.run_against(answering(GOOD), rate=200, seconds=0.5, body_bytes=5)
        self.assertEqual((result.answers, result.failed), (100, 0))

    def test_without_a_rate_it_asks_again_at_once(self):
        result = self.run_against(answering(GOOD), body_bytes=5)
        self.assertGreater(result.answers, 20)
        self.assertEqual(result.failed, 0)

    def test_answers_of_the_warm_up_are_counted_apart(self):
        result = self.run_against(answering(GOOD), rate=100, seconds=0.5, warmup=0.25)
        self.assertEqual(result.answers + result.unrecorded, 50)
        self.assertAlmostEqual(result.unrecorded, 25, delta=5)

    def test_it_opens_a_connection_for_each_request_when_told(self):
        heads = []

        def serve(connection):
            heads.append(read_head(connection))
            connection.sendall(GOOD)

        result = self.run_against(serve, rate=100, close=True)
        self.assertEqual((result.answers, len(heads)), (20, 20))
        self.assertTrue(all(b"Connection: close" in head for head in heads))

    def test_what_is_no_good_answer_fails_by_its_kind(self):
        for kind, answer in (
            ("status", b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
            ("body", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell"),
            ("body", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhello"),
            ("body", b"HTTP/1.1 200 OK\r\n\r\nhello"),
        ):
            with self.subTest(answer):
                result = self.run_against(answering(answer), rate=50, body_bytes=5)
                self.assertEqual(result.answers, 0)
                self.assertEqual(result.failures[kind], 10)

    def test_an_answer_that_breaks_off_fails(self):
        def serve(connection):
            read_head(connection)
            connection.sendall(GOOD[:-1])

        self.assertEqual(self.run_against(serve, rate=50).failures["read"], 10)

    def test_nobody_there_is_a_failure_of_each_request(self):
        with Stub(answering(GOOD)) as stub:
            port = stub.port
        command = self.generator.command(port, 2, 0.2, rate=50, close=True)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual(parse_generator(done.stdout).failures["connect"], 10)

    def test_an_answer_may_come_in_any_pieces(self):
        def serve(connection):
            while read_head(connection):
                for byte in GOOD:
                    connection.send(bytes([byte]))

        result = self.run_against(serve, rate=50, body_bytes=5)
        self.assertEqual((result.answers, result.failed), (10, 0))

    def test_a_stall_is_seen_in_every_request_that_it_delays(self):
        stalled = []

        def serve(connection):
            while read_head(connection):
                if not stalled:
                    stalled.append(True)
                    # The stall itself is what is measured.
                    time.sleep(STALL_SECONDS)
                connection.sendall(GOOD)

        result = self.run_against(serve, connections=1, rate=100, seconds=0.6)
        self.assertEqual(result.answers, 60)
        # Thirty requests were meant to start while the first one waited: the median of all is late.
        self.assertGreater(result.microseconds["p90"], STALL_SECONDS * 1e6 * 0.6)
        self.assertGreaterEqual(result.microseconds["max"], STALL_SECONDS * 1e6)

    def test_every_other_window_is_timed_apart(self):
        slow = []

        def serve(connection):
            while read_head(connection):
                # Slow in windows with an odd number, and a request waits for no other: it is the only one.
                if int(time.monotonic() / 0.2) % 2:
                    slow.append(True)
                    time.sleep(0.05)
                connection.sendall(GOOD)

        result = self.run_against(serve, connections=1, rate=10, seconds=1.2, window=0.2)
        self.assertEqual(result.answers, 12)
        self.assertTrue(slow)
        self.assertLess(result.microseconds["p50"], 0.05e6)
        self.assertGreater(result.odd_microseconds["p50"], 0.05e6)

    def test_told_to_end_it_tells_what_it_has(self):
        asked = []

        def serve(connection):
            while head := read_head(connection):
                asked.append(head)
                connection.sendall(GOOD)

        with Stub(serve) as stub:
            process = self.generator.start(self.generator.command(stub.port, 1, 600, rate=100))
            while len(asked) < 3:
                self.assertIsNone(process.poll())
            result = Generator.finish(process)
        self.assertEqual((result.answers, result.failed), (len(asked), 0))

    def test_a_wrong_command_line_says_what_is_wrong(self):
        for words, what in ((["--port", "x"], "--port x"), (["--port", "1", "--rate"], "a value"),
                            (["--port", "1", "--seconds", "0"], "--seconds"), ([], "--port")):
            with self.subTest(words):
                done = subprocess.run([str(self.generator.program), *words], capture_output=True,
                                      text=True, timeout=10, check=False)
                self.assertEqual(done.returncode, 2)
                self.assertIn(what, done.stdout)


if __name__ == "__main__":
    unittest.main()

"""The claim about refused messages can fail, and counts what reached the upstream."""

import pathlib
import unittest

from benchmarks import Stub, read_head
from harness.claims import framing
from harness.claims.framing import Answer, Case
from harness.peers import Nginx, Running
from harness.processes import BenchmarkError, Stage
from harness.recorder import Recorder, is_whole
from harness.site import PLAIN

SECOND = b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"
TWO_HOSTS = b"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n" + SECOND
BARE = b"GET / HTTP/1.1\nHost: a.example\n\n" + SECOND


class Alive:
    def ensure_alive(self):
        """Always."""


class CorpusTests(unittest.TestCase):
    def test_every_case_has_a_message_with_a_second_request_behind_it(self):
        cases = framing.all_cases()
        self.assertGreaterEqual(len(cases), 60)
        self.assertEqual(len({case.name for case in cases}), len(cases))
        for case in cases:
            self.assertTrue(400 <= case.status <= 599, case.name)

    def test_a_line_that_is_not_understood_is_refused(self):
        for line in ("name 400 reason", "name 400 reason elsewhere"):
            with self.subTest(line), self.assertRaises(BenchmarkError):
                framing.parse_expected(line)


class AnswerTests(unittest.TestCase):
    def test_refused_is_one_failure_and_the_end(self):
        for answer, is_refusal in (
            (Answer((400,), True), True),
            (Answer((400,), False), False),
            (Answer((200,), True), False),
            (Answer((400, 200), True), False),
            (Answer((), True), False),
        ):
            with self.subTest(answer):
                self.assertEqual(answer.is_refusal, is_refusal)

    def test_interim_answers_do_not_count(self):
        received = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\nHTTP/1.1"
        self.assertEqual(framing.parse_answer(received, True).statuses, (400,))


class RecorderTests(unittest.TestCase):
    def test_it_knows_where_a_request_ends(self):
        for message, whole in (
            (b"GET / HTTP/1.1\r\n", False),
            (b"GET / HTTP/1.1\r\n\r\n", True),
            (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", False),
            (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", True),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", False),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", True),
        ):
            with self.subTest(message):
                self.assertEqual(is_whole(message), whole)

    def test_it_keeps_what_it_got_and_forgets_when_told(self):
        with Recorder() as recorder:
            framing.send(recorder.port, framing.CONTROL)
            self.assertEqual(recorder.received(), [framing.CONTROL])
            recorder.forget()
            self.assertEqual(recorder.received(), [])


class OutcomeTests(unittest.TestCase):
    def outcome(self, *cases):
        with Recorder() as recorder, Stage() as stage:
            running = Nginx().start(stage, PLAIN, recorder.port)
            return framing.outcome_of(running, cases, recorder)

    def test_what_nginx_refuses_is_counted_as_refused(self):
        outcome = self.outcome(Case("two-hosts", 400, "head", TWO_HOSTS))
        self.assertEqual((outcome.refused, outcome.kept, outcome.other), (1, (), ()))
        self.assertEqual((outcome.leaked_bytes, outcome.smuggled), (0, 0))

    def test_what_nginx_accepts_is_seen_at_the_upstream(self):
        outcome = self.outcome(Case("bare", 400, "head", BARE))
        self.assertEqual((outcome.refused, outcome.kept), (0, ("bare",)))
        self.assertGreater(outcome.leaked_bytes, 0)
        self.assertEqual(outcome.smuggled, 1)

    def test_another_status_than_expected_is_told(self):
        outcome = self.outcome(Case("two-hosts", 431, "head", TWO_HOSTS))
        self.assertEqual((outcome.refused, outcome.other), (1, ("two-hosts",)))

    def test_a_proxy_that_refuses_everything_proves_nothing(self):
        def serve(connection):
            read_head(connection)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        with Stub(serve) as stub, Recorder() as recorder:
            running = Running("stub", Alive(), stub.port, pathlib.Path("/nowhere"))
            with self.assertRaisesRegex(BenchmarkError, "does not pass a good request on"):
                framing.outcome_of(running, [], recorder)


if __name__ == "__main__":
    unittest.main()

"""The cases can fail, and say why; a case that could not begin is not counted as passed."""

import unittest

from benchmarks import Stub, answering, read_head
import conformance
from harness.conformance import cache_cases, exchange, file_cases, servers
from harness.conformance.cache_case import Step, case, fields, store, stored
from harness.conformance.case import Case, Expected, Kind, Verdict, failures, table
from harness.conformance.exchange import Answer
from harness.conformance.origin import Origin, Reply
from harness.processes import Stage

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"


class ExpectedTests(unittest.TestCase):
    def test_each_part_of_an_answer_can_be_wrong(self):
        answer = Answer(200, (("A", "1"), ("a", "2")), b"x")
        self.assertIsNone(Expected((200, 206), b"x", {"a": "1, 2"}, ("B",)).difference(answer))
        for expected, word in (
            (Expected((206,)), "200 instead of 206"),
            (Expected(body=b"y"), "the body is"),
            (Expected(fields={"B": ".*"}), "B is missing"),
            (Expected(fields={"A": "1"}), "A is '1, 2'"),
            (Expected(lacks=("A",)), "A is there"),
        ):
            with self.subTest(word):
                self.assertIn(word, expected.difference(answer))
        self.assertIn("no answer", Expected((200,)).difference(Answer(0)))


class CaseTests(unittest.TestCase):
    def test_every_case_has_a_name_of_its_own_and_a_section(self):
        with Origin() as origin:
            drafts = [draft(origin) for draft in cache_cases.CASES]
        for cases in (drafts, file_cases.CASES):
            self.assertGreaterEqual(len(cases), 50)
            self.assertEqual(len({each.name for each in cases}), len(cases))
            for each in cases:
                self.assertRegex(each.section, r"^\d{4} [\d.]+$")

    def test_the_table_counts_what_passed(self):
        cases = [
            Case("one", "9110 1", Kind.REQUIRED, lambda port: None),
            Case("two", "9110 2", Kind.GAIN, lambda port: None),
        ]
        passed, missed = conformance.Result(Verdict.PASSED), conformance.Result(
            Verdict.FAILED, "because"
        )
        results = {"martlet": {"one": passed, "two": missed}}
        text = table(cases, results)
        self.assertIn("| 9110 1 | one | required | yes |", text)
        self.assertIn("| | **gain** | | 0 of 1 |", text)
        self.assertEqual(failures(cases, results["martlet"]), ["9110 2 two (gain): because"])
        self.assertFalse(conformance.missed(cases, results))
        self.assertTrue(conformance.missed(cases, {"martlet": {"one": missed, "two": passed}}))


class FileCaseTests(unittest.TestCase):
    def verdicts(self, port):
        return {each.name: each.run(port) for each in file_cases.CASES}

    def test_a_server_without_conditions_and_ranges_fails_them(self):
        with Stub(answering(PLAIN)) as stub:
            verdicts = self.verdicts(stub.port)
        self.assertEqual(verdicts["a range"].verdict, Verdict.FAILED)
        self.assertIn("200 instead of 206", verdicts["a range"].reason)
        self.assertEqual(verdicts["If-Match with another tag"].verdict, Verdict.FAILED)
        self.assertEqual(verdicts["If-None-Match with the tag"].verdict, Verdict.UNSEEN)
        self.assertEqual(verdicts["another unit"].verdict, Verdict.PASSED)

    def test_a_server_that_serves_nothing_passes_nothing(self):
        with Stub(answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")) as stub:
            self.assertNotIn(
                Verdict.PASSED,
                {
                    each.run(stub.port).verdict
                    for each in file_cases.CASES
                    if each.name.startswith(("If-", "a range"))
                },
            )

    def test_nginx_passes_what_it_is_known_for(self):
        with Stage() as stage:
            folder = stage.path("served")
            folder.mkdir()
            file_cases.prepare(folder)
            ports = servers.file_servers(stage, None, folder, ["nginx"])
            verdicts = self.verdicts(ports["nginx"])
        for name in ("a range", "If-None-Match with the tag", "several ranges"):
            self.assertEqual(verdicts[name].verdict, Verdict.PASSED, verdicts[name].reason)


class CacheCaseTests(unittest.TestCase):
    FRESH = "Cache-Control: max-age=60"

    def test_a_server_that_passes_everything_on_is_no_cache(self):
        with Origin() as origin:
            reused = case("reused", "9111 3", store(self.FRESH), stored())(origin)
            result = reused.run(origin.port)
        self.assertEqual(result.verdict, Verdict.FAILED)
        self.assertIn("step 2", result.reason)

    def test_a_server_that_keeps_everything_fails_what_forbids_it(self):
        kept = b"HTTP/1.1 200 OK\r\nAge: 1\r\nContent-Length: 7\r\n\r\ncontent"
        with Origin() as origin, Stub(answering(kept)) as stub:
            step = Step(Reply(200, fields("Cache-Control: no-store")), origin=True)
            result = case("never", "9111 3", step)(origin).run(stub.port)
        self.assertEqual(
            (result.verdict, result.reason), (Verdict.FAILED, "step 1: the origin was not asked")
        )

    def test_what_rests_on_something_that_does_not_hold_is_not_counted(self):
        with Origin() as origin, Stub(answering(PLAIN)) as stub:
            result = case("any", "9111 3", store(self.FRESH), stored())(origin).run(stub.port)
        self.assertEqual(result.verdict, Verdict.UNSEEN)

    def test_the_origin_tells_what_it_was_asked(self):
        with Origin() as origin:
            origin.tell("/x", Reply(203, fields("A: 1"), b"body", interim=(103,)))
            answer = exchange.ask(origin.port, "POST", "/x", [("B", "2")], b"content")
            self.assertEqual((answer.status, answer.body), (203, b"body"))
            self.assertEqual(answer.value("Origin-Count"), "1")
            asked = origin.asked("/x")
            self.assertEqual([(each.method, each.fields["b"]) for each in asked], [("POST", "2")])
            origin.tell("/x", Reply(0))
            self.assertEqual(exchange.ask(origin.port, "GET", "/x").status, 0)

    def test_the_origin_answers_conditions_and_parts_only_who_asks_for_them(self):
        with Origin() as origin:
            origin.tell("/x", Reply(304, fields("Content-Length: 3")))
            answers = [
                exchange.ask(origin.port, "GET", "/x"),
                exchange.ask(origin.port, "GET", "/x", [("If-None-Match", '"a"')]),
            ]
            origin.tell("/x", Reply(206, fields("Content-Range: bytes 0-1/7"), b"co"))
            answers.append(exchange.ask(origin.port, "GET", "/x"))
            answers.append(exchange.ask(origin.port, "GET", "/x", [("Range", "bytes=0-1")]))
        self.assertEqual([each.status for each in answers], [200, 304, 200, 206])
        self.assertEqual([each.body for each in answers], [b"content", b"", b"content", b"co"])
        self.assertIsNone(answers[2].value("Content-Range"))

    def test_an_answer_is_whole_when_its_content_is(self):
        chunks = b"HTTP/1.1 103 A\r\n\r\nHTTP/1.1 200 B\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunks += b"3;x=y\r\nabc\r\n0\r\n\r\n"
        for end in range(len(chunks) - 1):
            self.assertIsNone(exchange.parse(chunks[:end], "GET", has_ended=True), end)
        self.assertEqual(exchange.parse(chunks, "GET", has_ended=False).body, b"abc")
        plain = b"HTTP/1.1 200 B\r\n\r\nabc"
        self.assertIsNone(exchange.parse(plain, "GET", has_ended=False))
        self.assertEqual(exchange.parse(plain, "GET", has_ended=True).body, b"abc")
        self.assertEqual(exchange.parse(b"nonsense\r\n\r\n", "GET", True), Answer(0))

    def test_an_answer_that_never_comes_is_none(self):
        with Stub(lambda connection: read_head(connection)) as stub:
            self.assertEqual(exchange.ask(stub.port, "GET", "/"), Answer(0))


if __name__ == "__main__":
    unittest.main()

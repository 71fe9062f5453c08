"""Messages that two readers could read differently: refused, and nothing of them passed on."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..bench import OURS, Bench
from ..peers import Running
from ..processes import BenchmarkError, Stage
from ..recorder import Recorder
from ..report import Row
from ..site import PLAIN
from .claim import Claim

CORPUS = Path(__file__).parent.parent.parent.parent / "Corpora" / "smuggling"
#: How long an answer, and then the end of the connection, may take.
PATIENCE_SECONDS = 3.0
AT_A_TIME = 16
CONTROL = b"GET /control HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
#: Every message of the corpus is followed by a request for this.
SMUGGLED = b"/smuggled"


@dataclass(frozen=True)
class Case:
    """One message of the corpus."""

    name: str
    status: int
    #: `head`: nothing of it may reach the upstream. `body`: the head is sound.
    part: str
    message: bytes


@dataclass(frozen=True)
class Answer:
    """What came back."""

    #: The statuses in their order; none when nothing came.
    statuses: tuple[int, ...]
    is_closed: bool

    @property
    def is_refusal(self) -> bool:
        """Whether it is one refusal, and the connection is over."""
        return len(self.statuses) == 1 and self.statuses[0] >= 400 and self.is_closed


@dataclass(frozen=True)
class Outcome:
    """What became of all messages at one proxy."""

    refused: int
    #: Cases that were refused with another status than the corpus says.
    other: tuple[str, ...]
    #: Cases that were not refused.
    kept: tuple[str, ...]
    #: Bytes at the upstream of messages that are refused by their head.
    leaked_bytes: int
    #: Requests hidden in a message that the upstream got.
    smuggled: int


def parse_expected(text: str) -> list[tuple[str, int, str]]:
    """The name, status and part of each case, from the table beside the messages."""
    cases = []
    for line in text.splitlines():
        words = line.split()
        if words and not line.startswith("#"):
            if len(words) != 4 or words[3] not in ("head", "body"):
                raise BenchmarkError(f"expected.txt: not NAME STATUS REASON PART: {line}")
            cases.append((words[0], int(words[1]), words[3]))
    return cases


def all_cases(folder: Path = CORPUS) -> list[Case]:
    """The whole corpus."""
    return [
        Case(name, status, part, (folder / f"{name}.http").read_bytes())
        for name, status, part in parse_expected((folder / "expected.txt").read_text())
    ]


def parse_answer(received: bytes, is_closed: bool) -> Answer:
    """Counts the heads of answers; a body that Martlet or a peer makes holds no status line."""
    found = re.findall(rb"^HTTP/1\.[01] (\d{3})", received, re.MULTILINE)
    statuses = tuple(int(status) for status in found if not status.startswith(b"1"))
    return Answer(statuses, is_closed)


def send(port: int, message: bytes) -> Answer:
    """Sends a message and reads to the end of the connection, or until it was accepted."""
    received, limit = b"", time.monotonic() + PATIENCE_SECONDS
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection:
        try:
            connection.sendall(message)
        except OSError:
            # Refused before it was all written; the answer can be read all the same.
            pass
        try:
            while (left := limit - time.monotonic()) > 0:
                connection.settimeout(left)
                piece = connection.recv(65_536)
                if not piece:
                    return parse_answer(received, True)
                received += piece
                if any(status < 400 for status in parse_answer(received, False).statuses):
                    break
        except ConnectionError:
            return parse_answer(received, True)
        except TimeoutError:
            pass
        return parse_answer(received, False)


def outcome_of(running: Running, cases: Sequence[Case], recorder: Recorder) -> Outcome:
    """Sends every case on a connection of its own; those refused by their head first."""
    if send(running.port, CONTROL).statuses != (200,) or not recorder.received():
        raise BenchmarkError(f"framing: {running.name} does not pass a good request on")
    kept: list[str] = []
    other: list[str] = []
    leaked = smuggled = 0
    for part in ("head", "body"):
        recorder.forget()
        chosen = [case for case in cases if case.part == part]
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            answers = list(pool.map(lambda case: send(running.port, case.message), chosen))
        for case, answer in zip(chosen, answers, strict=True):
            if not answer.is_refusal:
                kept.append(case.name)
            elif answer.statuses != (case.status,):
                other.append(case.name)
        # A last good request: what was passed on before it has arrived when its answer is here.
        send(running.port, CONTROL)
        # It may come over a connection that carried something before it.
        received = [each.partition(b"GET /control")[0] for each in recorder.received()]
        leaked += sum(map(len, received)) if part == "head" else 0
        smuggled += sum(each.count(SMUGGLED) for each in recorder.received())
    return Outcome(len(cases) - len(kept), tuple(other), tuple(kept), leaked, smuggled)


def rows(cases: int, outcomes: dict[str, Outcome]) -> list[Row]:
    """Martlet's figures have bounds; the peers' stand beside them."""
    ours = outcomes.get(OURS)
    result = []
    for what, unit, key in (
        ("messages not refused", f"of {cases}", "kept"),
        ("refused, but not as the corpus says", f"of {cases}", "other"),
        ("passed on, of those refused by their head", "bytes", "leaked"),
        ("hidden requests that reached the upstream", "requests", "smuggled"),
    ):
        own = figures(ours)[key] if ours else None
        reached = own == 0 if own is not None else None
        result.append(Row("framing", what, own, unit, to_reach=0.0, reached=reached, rounds=1))
        # What a peer does behind a message that it accepts is no fault: one row compares.
        if key != "kept":
            continue
        for name, outcome in outcomes.items():
            if name != OURS:
                theirs = figures(outcome)[key]
                beside = f"{what}, beside {name}"
                result.append(Row("framing", beside, own, unit, name, theirs, rounds=1))
    return result


def figures(outcome: Outcome) -> dict[str, float]:
    """An outcome as the figures of the rows; zero is right for each."""
    return {
        "kept": float(len(outcome.kept)),
        "other": float(len(outcome.other)),
        "leaked": float(outcome.leaked_bytes),
        "smuggled": float(outcome.smuggled),
    }


def measure_all(bench: Bench) -> list[Row]:
    """Each proxy by itself, with its plain configuration, before an upstream that records."""
    cases = all_cases()
    outcomes = {}
    for peer in bench.peers:
        with Recorder() as recorder, Stage() as stage:
            running = peer.start(stage, PLAIN, recorder.port)
            outcome = outcome_of(running, cases, recorder)
        outcomes[peer.name] = outcome
        bench.say(f"framing: {peer.name} refused {outcome.refused} of {len(cases)}")
        if peer.name == OURS and (outcome.kept or outcome.other):
            bench.say("framing: not refused: " + (", ".join(outcome.kept) or "none"))
            bench.say("framing: refused otherwise: " + (", ".join(outcome.other) or "none"))
    return rows(len(cases), outcomes)


CLAIMS = [
    Claim(
        "framing",
        "Messages that are refused",
        "Every message of `Corpora/smuggling` on a connection of its own, with a second request "
        "behind it. Refused is one answer of 400 or more and the end of the connection. Peers "
        "stand beside for comparison: RFC 9112 lets a server accept some of these, such as a bare "
        "line feed.",
        measure_all,
    )
]

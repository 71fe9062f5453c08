"""Many requests at once for what is not stored: one may answer all, if the answer is for all."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from . import exchange
from .cache_case import FRESH, GAIN, Draft, fields, numbers
from .case import PASSED, Case, Kind, Result, failed
from .exchange import Answer
from .origin import Origin, Reply

#: How many ask at a time, and for how long the origin lets them wait.
CROWD = 8
DELAY = 0.4

#: Looks at the answers, and at how often the origin was asked; says what is otherwise.
Judge = Callable[[list[Answer], int], "str | None"]


def crowd(
    name: str,
    section: str,
    reply: Reply,
    asked: Callable[[int], tuple[str, ...]],
    judge: Judge,
    kind: Kind = Kind.REQUIRED,
) -> Draft:
    """A case of requests at once."""

    def with_origin(origin: Origin) -> Case:
        def run(port: int) -> Result:
            target = f"/crowd{next(numbers)}"
            origin.tell(target, reply)

            def ask(number: int) -> Answer:
                return exchange.ask(port, "GET", target, fields(*asked(number)))

            with ThreadPoolExecutor(CROWD) as pool:
                answers = list(pool.map(ask, range(CROWD)))
            difference = judge(answers, len(origin.asked(target)))
            return PASSED if difference is None else failed(difference)

        return Case(name, section, kind, run)

    return with_origin


def all_have_the_same(answers: list[Answer], count: int) -> str | None:
    """Everybody got the content, and the origin was asked once."""
    for answer in answers:
        if (answer.status, answer.body) != (200, b"content"):
            return f"{answer.status} with {answer.body[:40]!r}"
    return None if count == 1 else f"the origin was asked {count} times"


def each_has_its_own(answers: list[Answer], _: int) -> str | None:
    """Nobody got what was answered to another one."""
    for number, answer in enumerate(answers):
        if answer.status != 200 or answer.body != f"user{number}".encode():
            return f"user{number} got {answer.status} with {answer.body[:40]!r}"
    return None


def everyone_was_answered(answers: list[Answer], _: int) -> str | None:
    """There is an answer for each, whatever it says."""
    missing = sum(answer.status == 0 for answer in answers)
    return None if missing == 0 else f"{missing} got no answer"


def anybody(_: int) -> tuple[str, ...]:
    """A request that could be anybody's."""
    return ()


def user(number: int) -> tuple[str, ...]:
    """A request of one user."""
    return (f"User: user{number}",)


def authorized(number: int) -> tuple[str, ...]:
    """A request of one user who proves it."""
    return (*user(number), f"Authorization: Bearer {number}")


def slow(*lines: str, status: int = 200, echo: str | None = "User") -> Reply:
    """What the origin says after a while: to each user what is his."""
    return Reply(status, fields(*lines), delay=DELAY, echo=echo)


def own(name: str, section: str, *lines: str) -> Draft:
    """An answer for one, of which nobody else may see anything."""
    return crowd(f"at once: {name}", section, slow(*lines), user, each_has_its_own)


CROWDS = [
    crowd(
        "at once: one request answers all",
        "9111 4",
        slow(FRESH, echo=None),
        anybody,
        all_have_the_same,
        GAIN,
    ),
    own("private", "9111 5.2.2.7", "Cache-Control: private, max-age=60"),
    own("no-store", "9111 5.2.2.5", "Cache-Control: no-store"),
    own("max-age=0", "9111 4.2", "Cache-Control: max-age=0"),
    own("nothing that says how long", "9111 4.2"),
    own("Vary", "9111 4.1", FRESH, "Vary: User"),
    own("Vary: *", "9111 4.1", FRESH, "Vary: *"),
    crowd("at once: Authorization", "9111 3.5", slow(FRESH), authorized, each_has_its_own),
    crowd(
        "at once: an error",
        "9110 15.6",
        slow(status=500, echo=None),
        anybody,
        everyone_was_answered,
    ),
    crowd(
        "at once: no answer",
        "9110 15.6.3",
        slow(status=0, echo=None),
        anybody,
        everyone_was_answered,
    ),
]

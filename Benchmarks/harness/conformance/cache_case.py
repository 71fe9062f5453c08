"""How a case about a cache runs: requests one after the other for one target of an origin that is
told before each what it will answer."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate

from . import exchange
from .case import PASSED, Case, Expected, Kind, Result, failed, unseen
from .origin import Asked, Origin, Reply

#: Fields with dates: `{+60}` in a value is the date that many seconds from now.
DATE = re.compile(r"\{([+-]\d+)\}")
#: How long a validation in the background may take.
BACKGROUND_SECONDS = 2.0

numbers = itertools.count(1)


def dated(text: str) -> str:
    """A value with its dates."""
    return DATE.sub(lambda found: formatdate(time.time() + int(found[1]), usegmt=True), text)


def fields(*lines: str) -> tuple[tuple[str, str], ...]:
    """Field lines from their text."""
    pairs = [line.partition(":") for line in lines]
    return tuple((name, value.strip()) for name, _, value in pairs)


@dataclass(frozen=True)
class Step:
    """One request, and what has to come of it."""

    #: What the origin answers if it is asked; None: as before.
    reply: Reply | None = None
    asked: tuple[str, ...] = ()
    method: str = "GET"
    #: Where the request goes, behind the target of the case.
    suffix: str = ""
    expected: Expected = Expected()
    #: Whether the origin has to be asked; None: it does not matter.
    origin: bool | None = None
    #: What the last request to the origin has to have, or, with None, to lack.
    origin_fields: Mapping[str, str | None] = field(default_factory=dict)
    #: Seconds to wait before.
    wait: float = 0.0
    #: Whether a failure only says that the case rests on something that does not hold here.
    is_setup: bool = False
    #: Whether the origin is asked behind the answer.
    in_background: bool = False
    body: bytes = b""


def case(
    name: str, section: str, *steps: Step, kind: Kind = Kind.REQUIRED
) -> Callable[[Origin], Case]:
    """A case that runs with an origin."""

    def with_origin(origin: Origin) -> Case:
        return Case(name, section, kind, lambda port: run(port, origin, steps))

    return with_origin


def run(port: int, origin: Origin, steps: tuple[Step, ...]) -> Result:
    """Goes through the steps, on a target of its own."""
    target = f"/case{next(numbers)}"
    for number, step in enumerate(steps, 1):
        time.sleep(step.wait)
        path = target + step.suffix
        if step.reply is not None:
            reply = step.reply
            pairs = tuple(
                (name, dated(value).replace("{target}", target)) for name, value in reply.fields
            )
            origin.tell(path, replace(reply, fields=pairs))
        before = len(origin.asked(path))
        lines = [(name, dated(value)) for name, value in fields(*step.asked)]
        answer = exchange.ask(port, step.method, path, lines, step.body)
        difference = step.expected.difference(answer) or origin_difference(
            origin, path, before, step
        )
        if difference is not None:
            said = f"step {number}: {difference}"
            return unseen(said) if step.is_setup else failed(said)
    return PASSED


def origin_difference(origin: Origin, path: str, before: int, step: Step) -> str | None:
    """What of the origin's share is otherwise; None: nothing is."""
    if step.in_background:
        limit = time.monotonic() + BACKGROUND_SECONDS
        while len(origin.asked(path)) == before and time.monotonic() < limit:
            time.sleep(0.02)
    asked = origin.asked(path)
    if step.origin is True and len(asked) == before:
        return "the origin was not asked"
    if step.origin is False and len(asked) > before:
        return "the origin was asked"
    if step.origin_fields and len(asked) > before:
        return fields_difference(asked[-1], step.origin_fields)
    return None


def fields_difference(asked: Asked, wanted: Mapping[str, str | None]) -> str | None:
    """What of the fields of a request to the origin is otherwise; None: nothing is."""
    for name, pattern in wanted.items():
        value = asked.fields.get(name.lower())
        if pattern is None:
            if value is not None:
                return f"the origin got {name}"
        elif value is None:
            return f"the origin got no {name}"
        elif re.fullmatch(pattern, value) is None:
            return f"the origin got {name}: {value}"
    return None


def store(
    *lines: str, status: int = 200, body: bytes = b"content", asked: tuple[str, ...] = ()
) -> Step:
    """The first step of most cases: something comes from the origin."""
    return Step(
        Reply(status, fields(*lines), body),
        asked,
        expected=Expected((status,)),
        origin=True,
        is_setup=True,
    )


def stored(*asked: str, wait: float = 0.0, **expected: object) -> Step:
    """A request that has to be answered without the origin."""
    return Step(
        asked=asked,
        wait=wait,
        expected=Expected(**expected),  # type: ignore[arg-type]
        origin=False,
    )


def fetched(*asked: str, wait: float = 0.0, reply: Reply | None = None) -> Step:
    """A request that the origin has to be asked for."""
    return Step(reply, asked, origin=True, wait=wait)


#: A case that is still to be given its origin.
Draft = Callable[[Origin], Case]

GAIN = Kind.GAIN
FRESH = "Cache-Control: max-age=3600"
#: Stale a moment later.
SHORT = "Cache-Control: max-age=1"
TAG = 'ETag: "a"'
LATER = 2.2


def never(
    name: str,
    section: str,
    *lines: str,
    status: int = 200,
    asked: tuple[str, ...] = (),
    kind: Kind = Kind.REQUIRED,
) -> Draft:
    """A response that is not to be used again."""
    first = store(*lines, status=status, asked=asked)
    return case(name, section, first, fetched(), kind=kind)


def reused(
    name: str,
    section: str,
    *lines: str,
    status: int = 200,
    asked: tuple[str, ...] = (),
    again: tuple[str, ...] = (),
    kind: Kind = GAIN,
) -> Draft:
    """A response that may be used again, and had better be."""
    return case(
        name,
        section,
        store(*lines, status=status, asked=asked),
        stored(*again, statuses=(status,)),
        kind=kind,
    )


def unchanged(*lines: str) -> Reply:
    """What an origin says of what did not change."""
    return Reply(304, fields(*lines))

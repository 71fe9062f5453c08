"""A case: what is asked, what has to come back, and the section that says so."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .exchange import Answer


class Kind(enum.Enum):
    """How much a case counts."""

    #: The document asks for it.
    REQUIRED = "required"
    #: The document allows it, and users gain by it.
    GAIN = "gain"


class Verdict(enum.Enum):
    """What became of a case at one server."""

    PASSED = "yes"
    FAILED = "no"
    #: The case could not begin: what it rests on does not hold there.
    UNSEEN = "–"


@dataclass(frozen=True)
class Expected:
    """What an answer has to be; whatever is left out does not matter."""

    statuses: tuple[int, ...] = ()
    body: bytes | None = None
    #: Fields that have to be there, and what their values have to match.
    fields: Mapping[str, str] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()

    def difference(self, answer: Answer) -> str | None:
        """What is otherwise, in words; None: nothing is."""
        if self.statuses and answer.status not in self.statuses:
            wanted = " or ".join(map(str, self.statuses))
            return f"{answer.status or 'no answer'} instead of {wanted}"
        if self.body is not None and answer.body != self.body:
            return f"the body is {answer.body[:40]!r} instead of {self.body[:40]!r}"
        for name, pattern in self.fields.items():
            value = answer.value(name)
            if value is None:
                return f"{name} is missing"
            if re.fullmatch(pattern, value) is None:
                return f"{name} is {value!r}"
        for name in self.lacks:
            if answer.value(name) is not None:
                return f"{name} is there"
        return None


@dataclass(frozen=True)
class Result:
    """A verdict with its reason."""

    verdict: Verdict
    reason: str = ""


PASSED = Result(Verdict.PASSED)


def failed(reason: str) -> Result:
    """A case that is not as the document says."""
    return Result(Verdict.FAILED, reason)


def unseen(reason: str) -> Result:
    """A case that could not begin."""
    return Result(Verdict.UNSEEN, reason)


@dataclass(frozen=True)
class Case:
    """One sentence of a document."""

    name: str
    #: `9110 13.1.1`: the number of the document and the section.
    section: str
    kind: Kind
    #: Tries it at the server on a port.
    run: Callable[[int], Result]


#: The verdicts of each server, by the names of the cases.
Results = Mapping[str, Mapping[str, Result]]


def table(cases: list[Case], results: Results) -> str:
    """The cases as a table of Markdown, a column for each server, with the sums at its end."""
    names = list(results)
    lines = ["| section | case | counts as | " + " | ".join(names) + " |"]
    lines.append("|---" * (3 + len(names)) + "|")
    for case in cases:
        verdicts = [results[name][case.name].verdict.value for name in names]
        lines.append(
            f"| {case.section} | {case.name} | {case.kind.value} | " + " | ".join(verdicts) + " |"
        )
    for kind in Kind:
        chosen = [case for case in cases if case.kind is kind]
        sums = [f"{count(chosen, results[name])} of {len(chosen)}" for name in names]
        lines.append(f"| | **{kind.value}** | | " + " | ".join(sums) + " |")
    return "\n".join(lines)


def count(cases: list[Case], results: Mapping[str, Result]) -> int:
    """How many cases a server passes."""
    return sum(results[case.name].verdict is Verdict.PASSED for case in cases)


def failures(cases: list[Case], results: Mapping[str, Result]) -> list[str]:
    """A line for each case that a server does not pass."""
    return [
        f"{case.section} {case.name} ({case.kind.value}): {results[case.name].reason}"
        for case in cases
        if results[case.name].verdict is not Verdict.PASSED
    ]

"""Reading what callgrind wrote: totals, and the cost of each function."""

from __future__ import annotations

import re

FUNCTION = re.compile(r"^c?fn=\((\d+)\)(?: (.*))?$")
# A cost line: a place (absolute, relative or "*"), then the count; further events may follow.
COST = re.compile(r"^(?:\+\d+|-\d+|\d+|0x[0-9a-f]+|\*) (\d+)")


def total(text: str) -> int:
    """All instructions of a profile."""
    found = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
    if found is None:
        raise ValueError("the profile has no total")
    return int(found.group(1))


def functions(text: str) -> dict[str, int]:
    """The instructions that each function ran itself, without what it called.

    A name is written once and referred to by its number later. The line behind `calls=` is the
    cost of the called function, which is counted where that function stands itself.
    """
    names: dict[str, str] = {}
    own: dict[str, int] = {}
    current = ""
    is_call = False
    for line in text.splitlines():
        if line.startswith(("fn=", "cfn=")):
            found = FUNCTION.match(line)
            if found is None:
                continue
            if found.group(2):
                names[found.group(1)] = found.group(2)
            if line.startswith("fn="):
                current = names.get(found.group(1), found.group(1))
        elif line.startswith("calls="):
            is_call = True
        elif current:
            cost = COST.match(line)
            if cost is None:
                continue
            if not is_call:
                own[current] = own.get(current, 0) + int(cost.group(1))
            is_call = False
    return own


def per_request(
    few: dict[str, int], many: dict[str, int], requests: int
) -> list[tuple[str, float]]:
    """What each function costs a request, dearest first: what two runs differ in by `requests`."""
    names = few.keys() | many.keys()
    costs = [(name, (many.get(name, 0) - few.get(name, 0)) / requests) for name in names]
    return sorted(costs, key=lambda item: (-item[1], item[0]))

"""What a claim is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..bench import Bench
from ..report import Row


@dataclass(frozen=True)
class Claim:
    """A sentence about Martlet's speed that can be measured."""

    #: The word for `make bench CLAIM=…`.
    name: str
    #: The heading in the report.
    title: str
    #: How it is measured, for the report; `{seconds}` and `{rounds}` are filled in.
    method: str
    measure: Callable[[Bench], list[Row]]

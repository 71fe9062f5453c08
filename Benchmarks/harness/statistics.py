"""Medians, spreads and ratios of rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """The rounds of one figure: the median counts, the ends say how far to trust it."""

    median: float
    least: float
    most: float
    rounds: int


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the middle two."""
    if not values:
        raise ValueError("no value has no median")
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def summarize(values: Sequence[float]) -> Summary:
    """The summary of the rounds of one figure."""
    return Summary(median(values), min(values), max(values), len(values))


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios round by round.

    Rounds are interleaved, so both sides of one round saw the same machine: dividing inside the
    round takes out a neighbour's load that came and went, which the ratio of two medians does not.
    """
    pairs = [(one, other) for one, other in zip(ours, theirs, strict=True) if other > 0]
    return median([one / other for one, other in pairs])

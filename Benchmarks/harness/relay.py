"""The least that a proxy of small messages can cost: a relay that makes its system calls and no more.

A claim that has it beside the proxies says how far the bound is to be had at all: of what the relay
costs, nothing is a proxy's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from . import statistics
from .bench import Bench, Samples, values
from .load import GENERATOR_SOURCES, build
from .peers import Peer, Running
from .processes import Stage
from .report import Row
from .site import Site

NAME = "relay"


class Relay(Peer):
    """The repository's own relay: bytes are passed on as they come, from each client on a connection
    of its own."""

    name = NAME

    def __init__(self, folder: Path) -> None:
        self.program = build(GENERATOR_SOURCES.parent / "relay", folder / "relay")

    def prepare(self, site: Site, port: int, upstream: int, folder: Path) -> list[str]:
        return [str(self.program), str(port), str(upstream)]


def start(bench: Bench, stage: Stage, site: Site, upstream: int) -> Running:
    """Starts it in front of the server that the proxies have."""
    return Relay(bench.generator.folder).start(stage, site, upstream)


def rows(claim: str, unit: str, samples: Samples, bounds: Mapping[str, float]) -> list[Row]:
    """What the relay costs by each peer that the claim has a bound for; takes its rounds away."""
    bare = [sample["cpu"] for sample in samples.pop(NAME, [])]
    summary = statistics.summarize(bare)
    made = []
    for peer in bounds:
        theirs = values(samples, peer, "cpu")
        if not theirs:
            continue
        other = statistics.summarize(theirs)
        made.append(
            Row(
                claim,
                "what the system calls alone cost",
                summary.median,
                unit,
                peer,
                other.median,
                statistics.paired_ratio(bare, theirs),
                spread=(summary.least, summary.most),
                peer_spread=(other.least, other.most),
                rounds=summary.rounds,
            )
        )
    return made

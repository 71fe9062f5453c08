"""The least that a proxy can cost: programs that make its system calls, or call its library, and no more.

A claim that has one of them beside the proxies says how far the bound is to be had at all: of what such
a program costs, nothing is a proxy's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from . import statistics
from .bench import Samples, values
from .load import BENCHMARKS, build
from .peers import Peer, certificate_files, make_certificate
from .report import Row
from .site import BODIES, Site

CALLS = "what the system calls alone cost"
LIBRARY = "what OpenSSL alone costs"


class Relay(Peer):
    """Passes bytes on as they come, from each client on a connection of its own."""

    name = "relay"

    def __init__(self, folder: Path) -> None:
        self.program = build(BENCHMARKS / "relay", folder / "relay")

    def prepare(self, site: Site, port: int, upstream: int, folder: Path) -> list[str]:
        return [str(self.program), str(port), str(upstream)]


class Handshakes(Peer):
    """Shakes hands by OpenSSL, answers once and closes, with nothing behind it."""

    name = "handshakes"

    def __init__(self, folder: Path) -> None:
        self.program = build(BENCHMARKS / "handshakes", folder / "handshakes")

    def prepare(self, site: Site, port: int, upstream: int, folder: Path) -> list[str]:
        make_certificate(folder)
        files = map(str, certificate_files(folder))
        return [str(self.program), str(port), *files, str(BODIES["/100"])]


def rows(
    claim: str, what: str, unit: str, samples: Samples, name: str, peers: Iterable[str]
) -> list[Row]:
    """What such a program costs by each of these peers; takes its rounds away.

    - name: the program's.
    """
    bare = [sample["cpu"] for sample in samples.pop(name, [])]
    summary = statistics.summarize(bare)
    made = []
    for peer in peers:
        theirs = values(samples, peer, "cpu")
        if not theirs:
            continue
        other = statistics.summarize(theirs)
        made.append(
            Row(
                claim,
                what,
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

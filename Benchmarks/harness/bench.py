"""What a claim measures with: peers, rounds, load, and the comparison of rounds into rows."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import accounting, probe, statistics
from .load import Generator, Load
from .peers import Peer, Running, Upstream
from .processes import BenchmarkError, Stage
from .report import Row
from .site import Site

#: The figures of one round of one peer, by name.
Sample = Mapping[str, float]
#: The rounds of each peer.
Samples = dict[str, list[Sample]]

OURS = "martlet"


class RoundFailed(Exception):
    """A round that does not count, with the reason."""


@dataclass
class Bench:
    """The settings of one run of the benchmark."""

    peers: list[Peer]
    generator: Generator
    rounds: int = 5
    seconds: float = 5.0
    #: Rounds that did not count; they are named in the report.
    failed_rounds: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Tells the user how far it is; standard output is kept for results."""
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    def start_all(self, stage: Stage, site: Site, label: str = "") -> list[Running]:
        """Starts the upstream and every peer, and checks each one's answers."""
        upstream = Upstream(stage)
        started = []
        for peer in self.peers:
            running = peer.start(stage, site, upstream.port, label)
            probe.check(running, site)
            started.append(running)
        return started

    def interleave(
        self, claim: str, running: Sequence[Running], measure: Callable[[Running], Sample]
    ) -> Samples:
        """Measures every peer once a round, in an order that turns by one each round.

        A round that fails is measured once more; failing again ends the claim.
        """
        samples: Samples = {one.name: [] for one in running}
        for number in range(self.rounds):
            turn = number % len(running)
            line = []
            for one in [*running[turn:], *running[:turn]]:
                sample = self._try_twice(claim, one, measure)
                samples[one.name].append(sample)
                line.append(f"{one.name} {describe(sample)}")
            self.say(f"{claim}: round {number + 1} of {self.rounds}: " + "; ".join(line))
        return samples

    def _try_twice(
        self, claim: str, one: Running, measure: Callable[[Running], Sample]
    ) -> Sample:
        try:
            return measure(one)
        except RoundFailed as failure:
            self.say(f"{claim}: a round of {one.name} does not count: {failure}")
            self.failed_rounds.append(f"{one.name}: {failure}")
        try:
            return measure(one)
        except RoundFailed as failure:
            raise BenchmarkError(f"{claim}: {one.name} failed twice: {failure}") from failure


def describe(sample: Sample) -> str:
    """The first figure of a round, for the progress line."""
    name, value = next(iter(sample.items()))
    return f"{name} {value:.2f}"


def cpu_sample(running: Running, load: Callable[[], Load], per: float = 1.0) -> Sample:
    """Runs a load and divides what the proxy spent by the requests that were answered.

    - per: requests that make one unit; 1: microseconds a request.
    """
    before = running.cpu()
    result = load()
    try:
        spent = accounting.difference(before, running.cpu())
    except accounting.ProcessGone as gone:
        raise RoundFailed(f"process {gone} ended meanwhile") from gone
    ensure_good(result)
    scale = 1e6 * per / result.answers
    return {
        "cpu": spent.total * scale,
        "user": spent.user * scale,
        "system": spent.system * scale,
        "rate": result.rate,
    }


def ensure_good(result: Load) -> None:
    """Fails the round when a single request had no good answer."""
    if result.failed:
        raise RoundFailed(f"requests failed: {result.describe_failures()}")
    if result.answers == 0:
        raise RoundFailed("no request was answered")


def values(samples: Samples, name: str, key: str) -> list[float]:
    """One figure of one peer in the order of the rounds."""
    return [sample[key] for sample in samples.get(name, [])]


def compare(
    claim: str,
    what: str,
    unit: str,
    samples: Samples,
    key: str,
    to_reach: Mapping[str, float] | None = None,
    better: float | None = None,
) -> list[Row]:
    """A row for each peer.

    - to_reach: bounds of the ratio to a named peer.
    - better: a bound of the ratio to whichever peer's median is lower; only that row has it.
    """
    ours = values(samples, OURS, key)
    peers = [name for name in samples if name != OURS]
    medians = {name: statistics.median(values(samples, name, key)) for name in peers}
    best = min(medians, key=lambda name: medians[name]) if medians else None
    rows = []
    for name in peers:
        limit = (to_reach or {}).get(name)
        if better is not None and name == best:
            limit = better
        rows.append(_row(claim, what, unit, ours, name, values(samples, name, key), limit))
    return rows


def _row(
    claim: str,
    what: str,
    unit: str,
    ours: list[float],
    peer: str,
    theirs: list[float],
    limit: float | None,
) -> Row:
    summary = statistics.summarize(theirs)
    own = statistics.summarize(ours) if ours else None
    ratio = statistics.paired_ratio(ours, theirs) if ours and min(theirs) > 0 else None
    return Row(
        claim,
        what,
        own.median if own else None,
        unit,
        peer,
        summary.median,
        ratio,
        limit,
        None if limit is None or ratio is None else ratio <= limit,
        (own.least, own.most) if own else None,
        (summary.least, summary.most),
        summary.rounds,
    )


def measured_alone(
    claim: str, what: str, unit: str, figures: list[float], limit: float | None, peers: Samples, key: str
) -> list[Row]:
    """Rows whose bound is on the figure itself; peers stand beside it for comparison."""
    own = statistics.summarize(figures) if figures else None
    reached = None if limit is None or own is None else own.median <= limit
    head = Row(claim, what, own.median if own else None, unit, to_reach=limit, reached=reached)
    rows = []
    for name in [name for name in peers if name != OURS]:
        other = statistics.summarize(values(peers, name, key))
        rows.append(
            Row(claim, f"{what}, beside {name}", head.figure, unit, name, other.median,
                peer_spread=(other.least, other.most), rounds=other.rounds)
        )
    if own:
        spread = (own.least, own.most)
        head = Row(claim, what, own.median, unit, to_reach=limit, reached=reached, spread=spread,
                   rounds=own.rounds)
    return [head, *rows]


def programs_folder(repository: Path) -> Path:
    """Where the generator is built: in the folder of builds, which git does not see."""
    return repository / ".build" / "benchmarks"

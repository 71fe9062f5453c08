"""What a claim measures with: peers, rounds, load, and the comparison of rounds into rows."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from . import accounting, probe, statistics
from .load import Generator, Load
from .peers import CallServer, Peer, Running, Upstream
from .processes import PROXY_CORE, BenchmarkError, Stage
from .report import Row
from .site import Site

#: The figures of one round of one peer, by name.
Sample = Mapping[str, float]
#: The rounds of each peer.
Samples = dict[str, list[Sample]]

OURS = "martlet"

#: From this share of the proxy's core in other hands on, a round is named disturbed.
DISTURBED = 0.05


class Named(Protocol):
    """Whatever is measured has a name for its rows."""

    @property
    def name(self) -> str:
        """The peer's, or that of one of its settings."""


Measured = TypeVar("Measured", bound=Named)


@dataclass(frozen=True)
class Way:
    """A program, or one of its settings, that measures itself from start to end."""

    name: str
    measure: Callable[[], Sample]

    def run(self) -> Sample:
        """The figures of a round."""
        return self.measure()


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
    #: The largest share of the proxy's core that anything else took in a round.
    disturbance: float = 0.0

    def say(self, text: str) -> None:
        """Tells the user how far it is; standard output is kept for results."""
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    def start_all(
        self,
        stage: Stage,
        site: Site,
        label: str = "",
        upstream: Upstream | None = None,
        beside: Sequence[Peer] = (),
    ) -> list[Running]:
        """Starts every peer, and the upstream if none is given, and checks each one's answers.

        - beside: peers of this job alone, which take part where others do.
        """
        upstream = upstream or (CallServer(stage) if site.grpc else Upstream(stage))
        started = []
        for peer in [*self.peers, *(beside if len(self.peers) > 1 else ())]:
            running = peer.start(stage, site, upstream.port, label)
            probe.check(running, site)
            started.append(running)
        return started

    def interleave(
        self, claim: str, running: Sequence[Measured], measure: Callable[[Measured], Sample]
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
                self.disturbance = max(self.disturbance, sample.get("others", 0.0))
                line.append(f"{one.name} {describe(sample)}")
            self.say(f"{claim}: round {number + 1} of {self.rounds}: " + "; ".join(line))
        return samples

    def _try_twice(
        self, claim: str, one: Measured, measure: Callable[[Measured], Sample]
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
    """The first figure of a round, for the progress line, and a word where it was disturbed."""
    name, value = next(iter(sample.items()))
    others = sample.get("others", 0.0)
    disturbed = f" (others took {others:.0%} of its core)" if others > DISTURBED else ""
    return f"{name} {value:.2f}{disturbed}"


def cpu_sample(running: Running, load: Callable[[], Load], per: float = 1.0) -> Sample:
    """Runs a load and divides what the proxy spent by the requests that were answered.

    - per: requests that make one unit; 1: microseconds a request.
    """
    before, busy, start = running.cpu(), accounting.busy_seconds(PROXY_CORE), time.monotonic()
    result = load()
    took = time.monotonic() - start
    try:
        spent = accounting.difference(before, running.cpu())
    except accounting.ProcessGone as gone:
        raise RoundFailed(f"process {gone} ended meanwhile") from gone
    ensure_good(result)
    others = accounting.busy_seconds(PROXY_CORE) - busy - spent.total
    scale = 1e6 * per / (result.answers + result.unrecorded)
    return {
        "cpu": spent.total * scale,
        "user": spent.user * scale,
        "system": spent.system * scale,
        "rate": result.rate,
        "others": max(0.0, others / took),
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
    claim: str,
    what: str,
    unit: str,
    samples: Samples,
    key: str,
    limit: float,
) -> list[Row]:
    """Rows whose bound is on Martlet's figure itself; the peers' stand beside it."""
    ours = values(samples, OURS, key)
    own = statistics.summarize(ours) if ours else None
    figure = own.median if own else None
    head = Row(
        claim,
        what,
        figure,
        unit,
        to_reach=limit,
        reached=None if own is None else own.median <= limit,
        spread=(own.least, own.most) if own else None,
        rounds=own.rounds if own else 0,
    )
    rows = [head]
    for name in samples:
        if name != OURS:
            other = statistics.summarize(values(samples, name, key))
            rows.append(
                Row(
                    claim,
                    f"{what}, beside {name}",
                    figure,
                    unit,
                    name,
                    other.median,
                    peer_spread=(other.least, other.most),
                    rounds=other.rounds,
                )
            )
    return rows


def programs_folder(repository: Path) -> Path:
    """Where the generator is built: in the folder of builds, which git does not see."""
    return repository / ".build" / "benchmarks"

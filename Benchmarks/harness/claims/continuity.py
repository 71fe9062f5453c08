"""Requests that fail while a configuration or a program is replaced."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..bench import OURS, Bench
from ..load import Load
from ..martlet import Martlet
from ..peers import Nginx, Peer, Running
from ..processes import Stage, wait_until
from ..report import Row
from ..site import BODIES, PLAIN
from .claim import Claim

RELOADS = 100
UPGRADES = 3
PAUSE_SECONDS = 0.15
DRAIN_SECONDS = 30.0
#: The load ends when the changes are made; this only bounds it.
LONGEST_SECONDS = 600


@dataclass(frozen=True)
class Outcome:
    """What happened to the requests, and what was left afterwards."""

    answers: int
    failed: int
    description: str
    processes_left: int


def under_load(
    bench: Bench, running: Running, times: int, change: Callable[[Running], None]
) -> Outcome:
    """Makes a change again and again while clients ask, on kept connections and on new ones."""
    before = len(running.child.tree())
    size = BODIES["/100"]
    generator = bench.generator
    # A rate, not all that the machine can do: what carries the change out needs time as well.
    kept = generator.command(running.port, 64, LONGEST_SECONDS, rate=8_000, body_bytes=size)
    fresh = generator.command(
        running.port, 16, LONGEST_SECONDS, rate=500, close=True, body_bytes=size
    )
    loads = [generator.start(command) for command in (kept, fresh)]
    try:
        time.sleep(1)
        for number in range(times):
            change(running)
            time.sleep(PAUSE_SECONDS)
            if (number + 1) % 20 == 0:
                bench.say(f"{running.name}: {number + 1} of {times} done")
        time.sleep(1)
        results: list[Load] = [generator.finish(load) for load in loads]
    finally:
        for load in loads:
            if load.poll() is None:
                load.kill()
                load.wait()
    try:
        wait_until(lambda: len(running.child.tree()) <= before, DRAIN_SECONDS, "old processes end")
    finally:
        left = len(running.child.tree()) - before
    return Outcome(
        sum(result.answers for result in results),
        sum(result.failed for result in results),
        "; ".join(text for text in (result.describe_failures() for result in results) if text),
        left,
    )


def outcome_of(bench: Bench, peer: Peer, times: int, change: Callable[[Running], None]) -> Outcome:
    """The outcome for one proxy by itself."""
    only = Bench([peer], bench.generator, bench.rounds, bench.seconds)
    with Stage() as stage:
        (running,) = only.start_all(stage, PLAIN)
        return under_load(bench, running, times, change)


def rows(bench: Bench, claim: str, what: str, outcomes: dict[str, Outcome]) -> list[Row]:
    """Failed requests, with the number of those that were asked."""
    for name, outcome in outcomes.items():
        bench.say(
            f"{claim}: {name}: {outcome.failed} of {outcome.answers + outcome.failed} failed"
            + (f" ({outcome.description})" if outcome.description else "")
        )
    ours, nginx = outcomes.get(OURS), outcomes.get("nginx")
    result = [
        Row(
            claim,
            f"failed requests during {what}",
            float(ours.failed) if ours else None,
            "requests",
            "nginx" if nginx else None,
            float(nginx.failed) if nginx else None,
            to_reach=0.0,
            reached=ours.failed == 0 if ours else None,
            rounds=1,
        )
    ]
    result.append(
        Row(
            claim,
            "requests answered meanwhile",
            float(ours.answers) if ours else None,
            "requests",
            "nginx" if nginx else None,
            float(nginx.answers) if nginx else None,
            rounds=1,
        )
    )
    return result


def reloads(bench: Bench) -> list[Row]:
    """A new configuration a hundred times; nginx does the same."""
    times = RELOADS if bench.rounds > 1 else 5
    outcomes = {
        peer.name: outcome_of(bench, peer, times, peer.reload)
        for peer in bench.peers
        if isinstance(peer, (Martlet, Nginx))
    }
    return rows(bench, "reload", f"{times} reloads", outcomes)


def upgrades(bench: Bench) -> list[Row]:
    """A new program in the place of the running one."""
    outcomes = {
        peer.name: outcome_of(bench, peer, UPGRADES, peer.upgrade)
        for peer in bench.peers
        if isinstance(peer, Martlet)
    }
    return rows(bench, "upgrade", f"{UPGRADES} binary upgrades", outcomes)


METHOD = (
    "The repository's generator: 64 keep-alive connections at 8,000 requests a second, and 500 "
    "requests a second on a new connection each. Every connection refused, reset or closed before "
    "its answer is whole counts as failed, with no second try."
)

CLAIMS = [
    Claim("reload", "Reloads under load", METHOD, reloads),
    Claim("upgrade", "Binary upgrades under load", METHOD, upgrades),
]

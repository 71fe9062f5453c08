"""What clients see of a member that dies under load."""

from __future__ import annotations

import time

from .. import statistics
from ..bench import Bench, RoundFailed, Sample, Samples, compare, ensure_good, measured_alone
from ..load import Load
from ..peers import Peer, Running, Upstream
from ..processes import BenchmarkError, Stage
from ..report import Row
from ..site import BODIES, Site
from .claim import Claim

CONNECTIONS = 64
MEMBERS = 3
RATE_WANTED = 20_000.0
#: The share of the slowest proxy's best rate that leaves it room for the second in question.
SHARE_OF_BEST = 0.70
WARMUP_SECONDS = 2.0
#: The first second without the member; everything in it is timed.
FIRST_SECONDS = 1.0
#: How long after its start the load certainly asks, and times what it asks.
START_SECONDS = 0.05
AFTER_SECONDS = 2.0


def start(bench: Bench, stage: Stage, peer: Peer) -> tuple[Running, list[Upstream]]:
    """One proxy in front of fresh members."""
    members = [Upstream(stage, f"member{number}") for number in range(MEMBERS)]
    site = Site(members=tuple(member.port for member in members))
    return peer.start(stage, site, members[0].port), members


def best_rate(bench: Bench, peer: Peer) -> float:
    """What a proxy answers a second when asked as fast as it answers."""
    with Stage() as stage:
        running, _ = start(bench, stage, peer)
        rates = []
        for _ in range(3):
            load = bench.generator.run(running.port, CONNECTIONS, 1.0)
            ensure_good(load)
            rates.append(load.rate)
    return statistics.median(rates)


def under_load(bench: Bench, running: Running, rate: float, members: list[Upstream]) -> Sample:
    """Times the requests of a usual second, and those of the second in which a member dies."""
    size = BODIES["/100"]

    def usual(seconds: float, warmup: float) -> Load:
        return bench.generator.run(
            running.port, CONNECTIONS, seconds, rate=rate, warmup=warmup, body_bytes=size
        )

    before = usual(WARMUP_SECONDS + FIRST_SECONDS, WARMUP_SECONDS)
    ensure_good(before)
    command = bench.generator.command(
        running.port,
        CONNECTIONS,
        WARMUP_SECONDS + FIRST_SECONDS,
        rate=rate,
        warmup=WARMUP_SECONDS,
        body_bytes=size,
    )
    load = bench.generator.start(command)
    try:
        time.sleep(WARMUP_SECONDS + START_SECONDS)
        members[-1].kill()
        dying = bench.generator.result(load)
    finally:
        if load.poll() is None:
            load.kill()
            load.wait()
    after = usual(AFTER_SECONDS, 0)
    return {
        "growth": dying.microseconds["p99"] / before.microseconds["p99"],
        "failed": float(dying.failed + after.failed),
        "p99": dying.microseconds["p99"],
        "p999": dying.microseconds["p999"],
        "normal": before.microseconds["p99"],
    }


def measure_all(bench: Bench) -> list[Row]:
    """The same rate for all; each round has fresh members and a fresh proxy."""
    try:
        slowest = min(best_rate(bench, peer) for peer in bench.peers)
    except RoundFailed as failure:
        raise BenchmarkError(f"member-dies: the rate is not known: {failure}") from failure
    rate = min(RATE_WANTED, slowest * SHARE_OF_BEST)
    bench.say(f"member-dies: {rate:,.0f} requests a second")
    samples: Samples = {peer.name: [] for peer in bench.peers}
    for number in range(bench.rounds):
        turn = number % len(bench.peers)
        for peer in [*bench.peers[turn:], *bench.peers[:turn]]:
            with Stage() as stage:
                running, members = start(bench, stage, peer)
                try:
                    sample = under_load(bench, running, rate, members)
                except RoundFailed as failure:
                    raise BenchmarkError(f"member-dies: {peer.name}: {failure}") from failure
            samples[peer.name].append(sample)
            bench.say(
                f"member-dies: round {number + 1} of {bench.rounds}: {peer.name}: "
                f"{sample['failed']:.0f} failed, p99 {sample['p99']:.0f} µs "
                f"after {sample['normal']:.0f}"
            )
    claim = "member-dies"
    rows = measured_alone(claim, "requests that failed", "requests", samples, "failed", 0.0)
    rows += measured_alone(
        claim, "p99 in the first second, by that of a usual one", "times", samples, "growth", 5.0
    )
    rows += compare(claim, "p99 in the first second", "µs", samples, "p99")
    rows += compare(claim, "p99.9 in the first second", "µs", samples, "p999")
    rows += compare(claim, "p99 of a usual second", "µs", samples, "normal")
    rows.append(Row(claim, "rate asked", rate, "1/s", rounds=1))
    return rows


CLAIMS = [
    Claim(
        "member-dies",
        "A member dies under load",
        f"{MEMBERS} members, of which one is killed (SIGKILL) under a fixed rate of "
        f"{RATE_WANTED:,.0f} requests a second, or {SHARE_OF_BEST:.0%} of what the slowest proxy "
        f"reaches if that is less; {CONNECTIONS} keep-alive connections, 100-byte bodies, GET. "
        "Open loop; what is timed is the second from the death on, beside a second before it. "
        "Failures are counted from then until two seconds later. Each proxy retries as its users "
        "would have it: nginx by `proxy_next_upstream`, HAProxy with `retry-on "
        "all-retryable-errors`, `option redispatch 1` and checks that also watch the traffic, "
        "Martlet with a breaker.",
        measure_all,
    )
]

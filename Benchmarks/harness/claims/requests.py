"""Processor time per proxied request on keep-alive connections, by size of the body."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from .. import bare
from ..bench import Bench, Sample, compare, cpu_sample
from ..load import wrk
from ..peers import Running, Upstream
from ..processes import Stage
from ..report import Row
from ..site import BODIES, LARGE, PLAIN
from .claim import Claim

WARMUP_SECONDS = 1


def figures(
    claim: str,
    samples: dict[str, list[Sample]],
    to_reach: Mapping[str, float] | None = None,
    better: float | None = None,
) -> list[Row]:
    """The rows of a claim about processor time per request."""
    rows = compare(claim, "processor time per request", "µs", samples, "cpu", to_reach, better)
    rows += compare(claim, "of it user", "µs", samples, "user")
    rows += compare(claim, "of it system", "µs", samples, "system")
    return rows + compare(claim, "requests per second", "1/s", samples, "rate")


def small(
    bench: Bench, claim: str, path: str, connections: int, to_reach: Mapping[str, float]
) -> list[Row]:
    """Many connections, small bodies: the cost of a request by itself."""
    with Stage() as stage:
        upstream = Upstream(stage)
        running = bench.start_all(stage, PLAIN, upstream=upstream)
        if to_reach:
            relay = bare.Relay(bench.generator.folder)
            running.append(relay.start(stage, PLAIN, upstream.port))

        def measure(one: Running) -> Sample:
            wrk(one.port, path, connections, WARMUP_SECONDS)
            return cpu_sample(one, lambda: wrk(one.port, path, connections, bench.seconds))

        samples = bench.interleave(claim, running, measure)
    alone = bare.rows(claim, bare.CALLS, "µs", samples, bare.Relay.name, to_reach)
    return figures(claim, samples, to_reach) + alone


def large(bench: Bench) -> list[Row]:
    """Few connections, a megabyte each: the cost of moving bytes."""
    size = BODIES["/1m"]
    with Stage() as stage:
        running = bench.start_all(stage, LARGE)

        def measure(one: Running) -> Sample:
            wrk(one.port, "/1m", 8, WARMUP_SECONDS)
            sample = dict(
                cpu_sample(
                    one, lambda: wrk(one.port, "/1m", 8, bench.seconds), per=1e9 / size / 1e6
                )
            )
            sample["gigabytes"] = sample.pop("rate") * size / 1e9
            return sample

        samples = bench.interleave("large", running, measure)
    rows = compare("large", "processor time per GB", "s", samples, "cpu", better=0.80)
    rows += compare("large", "of it user", "s", samples, "user")
    rows += compare("large", "of it system", "s", samples, "system")
    return rows + compare("large", "throughput", "GB/s", samples, "gigabytes")


METHOD = "wrk, one thread, {connections} keep-alive connections, {{seconds}} s a round."
RELAYED = " The system calls alone are those of a relay, which does not read what it passes on."

#: Issue's bounds hold for the 100-byte job; with larger bodies the kernel's share grows.
SMALL_BOUNDS = {"nginx": 0.80, "haproxy": 0.75}

CLAIMS = [
    Claim(
        f"{word}-{connections}",
        f"{title}, {connections} connections",
        METHOD.format(connections=connections) + (RELAYED if bounds else ""),
        partial(
            small,
            claim=f"{word}-{connections}",
            path=path,
            connections=connections,
            to_reach=bounds,
        ),
    )
    for word, title, path, bounds in [
        ("small", "100-byte bodies", "/100", SMALL_BOUNDS),
        ("medium", "10 KB bodies", "/10k", {}),
    ]
    for connections in (64, 512)
] + [
    Claim(
        "large",
        "1 MB bodies",
        "wrk, one thread, 8 keep-alive connections, {seconds} s a round. nginx and HAProxy have "
        "the buffers that served them best (64 KB; nginx never writes to a temporary file).",
        large,
    )
]

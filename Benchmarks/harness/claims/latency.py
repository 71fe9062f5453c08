"""Latency at a fixed rate that every proxy can serve."""

from __future__ import annotations

from .. import statistics
from ..bench import Bench, RoundFailed, Sample, compare, cpu_sample, ensure_good
from ..load import Load
from ..peers import Running
from ..processes import BenchmarkError, Stage
from ..report import Row
from ..site import BODIES, PLAIN
from .claim import Claim

CONNECTIONS = 64
SHARE_OF_BEST = 0.70
WARMUP_SECONDS = 1.0


def best_rate(bench: Bench, one: Running) -> float:
    """What a proxy answers a second when asked as fast as it answers."""
    rates = []
    for _ in range(3):
        load = bench.generator.run(one.port, CONNECTIONS, min(3, bench.seconds))
        ensure_good(load)
        rates.append(load.rate)
    return statistics.median(rates)


def measure_all(bench: Bench) -> list[Row]:
    """The same rate for all: 70 % of nginx's best, each answer timed from its planned start."""
    with Stage() as stage:
        running = bench.start_all(stage, PLAIN)
        reference = next((one for one in running if one.name == "nginx"), None)
        if reference is None:
            raise BenchmarkError("latency is measured at a share of nginx's rate: nginx is needed")
        try:
            rate = best_rate(bench, reference) * SHARE_OF_BEST
        except RoundFailed as failure:
            raise BenchmarkError(f"latency: nginx's rate is not known: {failure}") from failure
        bench.say(f"latency: {rate:,.0f} requests a second")

        def measure(one: Running) -> Sample:
            loads: list[Load] = []

            def load() -> Load:
                seconds = bench.seconds + WARMUP_SECONDS
                loads.append(
                    bench.generator.run(
                        one.port,
                        CONNECTIONS,
                        seconds,
                        rate=rate,
                        warmup=WARMUP_SECONDS,
                        body_bytes=BODIES["/100"],
                    )
                )
                return loads[-1]

            sample = cpu_sample(one, load)
            times = loads[-1].microseconds
            return {
                "p99": times["p99"],
                "p50": times["p50"],
                "p999": times["p999"],
                "cpu": sample["cpu"],
                "others": sample["others"],
            }

        samples = bench.interleave("latency", running, measure)
    rows = compare("latency", "p99", "µs", samples, "p99", better=1.0)
    rows += compare("latency", "p50", "µs", samples, "p50")
    rows += compare("latency", "p99.9", "µs", samples, "p999")
    rows += compare("latency", "processor time per request", "µs", samples, "cpu")
    return rows


CLAIMS = [
    Claim(
        "latency",
        "Latency at a fixed rate",
        f"The repository's generator, {CONNECTIONS} keep-alive connections, 100-byte bodies, "
        "{seconds} s a round, at 70 % of the rate that nginx reaches with the same generator. "
        "Open loop: a request's time counts from the moment at which it was meant to start, so a "
        "stall is seen in every request that it delays.",
        measure_all,
    )
]

"""Processor time per proxied request when clients speak HTTP/2."""

from __future__ import annotations

from functools import partial

from ..bench import Bench, Sample, cpu_sample
from ..h2o import H2O
from ..load import h2load
from ..peers import Running
from ..processes import Stage
from ..report import Row
from ..site import HTTP2
from .claim import Claim
from .requests import figures

WARMUP_REQUESTS = 5_000
#: A second's worth at the pace of the fastest, so that a round takes about what was asked for.
REQUESTS_A_SECOND = 40_000


def multiplexed(bench: Bench, claim: str, streams: int, to_reach: dict[str, float]) -> list[Row]:
    """Eight connections, 100-byte bodies, an upstream that speaks HTTP/1.1."""
    with Stage() as stage:
        running = bench.start_all(stage, HTTP2, beside=[H2O()])
        requests = max(1, round(bench.seconds * REQUESTS_A_SECOND))

        def measure(one: Running) -> Sample:
            h2load(one.port, "/100", 8, streams, WARMUP_REQUESTS)
            return cpu_sample(one, lambda: h2load(one.port, "/100", 8, streams, requests))

        return figures(claim, bench.interleave(claim, running, measure), to_reach)


CLAIMS = [
    Claim(
        f"http2-{streams}",
        f"HTTP/2, {streams} streams at a time on each of 8 connections, 100-byte bodies",
        f"h2load, one thread, 8 connections, {streams} streams each, prior knowledge; the upstream "
        "speaks HTTP/1.1. As many requests as take about {seconds} s.",
        partial(multiplexed, claim=f"http2-{streams}", streams=streams, to_reach=bounds),
    )
    for streams, bounds in [(100, {"nginx": 0.70, "haproxy": 0.80, "h2o": 0.90}), (1, {})]
]

"""Processor time per call of gRPC, HTTP/2 on both sides."""

from __future__ import annotations

from ..bench import Bench, Sample, cpu_sample
from ..load import h2load_calls
from ..peers import Running
from ..processes import Stage
from ..report import Row
from ..site import GRPC
from .claim import Claim
from .requests import figures

WARMUP_CALLS = 5_000
#: A second's worth at the pace of the fastest, so that a round takes about what was asked for.
CALLS_A_SECOND = 20_000
CONNECTIONS = 8
STREAMS = 16


def unary(bench: Bench) -> list[Row]:
    """Messages of a hundred bytes each way; the server is nghttpd, which adds the trailers."""
    with Stage() as stage:
        running = bench.start_all(stage, GRPC)
        calls = max(1, round(bench.seconds * CALLS_A_SECOND))

        def load(one: Running, count: int):
            return h2load_calls(one.port, "/100", CONNECTIONS, STREAMS, count)

        def measure(one: Running) -> Sample:
            load(one, WARMUP_CALLS)
            return cpu_sample(one, lambda: load(one, calls))

        samples = bench.interleave("grpc-unary", running, measure)
        return figures("grpc-unary", samples, {"nginx": 0.70})


CLAIMS = [
    Claim(
        "grpc-unary",
        "unary calls of gRPC, 100-byte messages each way",
        f"h2load, one thread, {CONNECTIONS} connections, {STREAMS} calls at a time on each, prior "
        "knowledge; the server is nghttpd, which ends each answer with trailers. nginx passes calls "
        "by `grpc_pass` over kept connections. As many calls as take about {seconds} s.",
        unary,
    ),
]

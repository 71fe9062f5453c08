"""What each model of polling costs, alone and beside connections that say nothing."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

from ..bench import Bench, Sample, Samples, compare, cpu_sample, values
from ..load import wrk
from ..martlet import Martlet
from ..peers import Peer, Running, descriptor_limit
from ..processes import BenchmarkError, Stage
from ..report import Row
from ..site import PLAIN, Site
from ..statistics import summarize
from .claim import Claim
from .memory import ask_once
from .requests import WARMUP_SECONDS

#: The first is Martlet's own choice, which the others stand beside.
MODELS = ("epoll", "epoll_level", "poll", "select", "io_uring")
ACTIVE = 100
IDLE = 10_000
#: `select` has room for 1,024 descriptors.
IDLE_OF_SELECT = 700
BOUND = 1.05


class Polled(Martlet):
    """Martlet with loops that wait as a model says."""

    def __init__(self, martlet: Martlet, model: str) -> None:
        super().__init__(martlet.program, martlet.form)
        self.model = model
        self.name = "martlet" if model == MODELS[0] else model

    def files(self, site: Site, port: int, upstream: int, folder: Path) -> dict[str, str]:
        files = super().files(site, port, upstream, folder)
        return files | {"martlet.conf": f"polling {self.model}\n{files['martlet.conf']}"}


def polled(peers: list[Peer]) -> list[Peer]:
    """Martlet in each of its models."""
    for peer in peers:
        if isinstance(peer, Martlet):
            return [Polled(peer, model) for model in MODELS]
    raise BenchmarkError("polling measures Martlet alone: it must be among --peers")


def measure_all(bench: Bench) -> list[Row]:
    """The same load twice on a process of each model: alone, and beside connections that are idle."""
    if descriptor_limit() < IDLE + 1_000:
        raise BenchmarkError(f"polling needs {IDLE + 1_000} descriptors: raise ulimit -n")
    models = replace(bench, peers=polled(bench.peers))
    with Stage() as stage:

        def cost(one: Running) -> Sample:
            wrk(one.port, "/100", ACTIVE, WARMUP_SECONDS)
            return cpu_sample(one, lambda: wrk(one.port, "/100", ACTIVE, models.seconds))

        def measure(one: Running) -> Sample:
            first = cost(one)
            idle: list[socket.socket] = []
            try:
                for _ in range(IDLE_OF_SELECT if one.name == "select" else IDLE):
                    idle.append(ask_once(one.port))
                second = cost(one)
            finally:
                for connection in idle:
                    connection.close()
            return {
                "growth": second["cpu"] / first["cpu"],
                "alone": first["cpu"],
                "crowded": second["cpu"],
                "others": max(first["others"], second["others"]),
            }

        samples = models.interleave("polling", models.start_all(stage, PLAIN), measure)
    bench.disturbance = models.disturbance
    return rows(samples)


def rows(samples: Samples) -> list[Row]:
    """The growth of each model, and its cost beside that of the usual one."""
    parts = [growth(model, samples) for model in MODELS]
    parts += compare("polling", "processor time per request", "µs", samples, "alone")
    return parts + compare(
        "polling", "the same, beside idle connections", "µs", samples, "crowded"
    )


def growth(model: str, samples: Samples) -> Row:
    """How much dearer idle connections make a request."""
    name = "martlet" if model == MODELS[0] else model
    figure = summarize(values(samples, name, "growth"))
    bound = BOUND if model in ("epoll", "io_uring") else None
    count = IDLE_OF_SELECT if model == "select" else IDLE
    return Row(
        "polling",
        f"{model}: growth by {count:,} idle connections",
        figure.median,
        "times",
        to_reach=bound,
        reached=None if bound is None else figure.median <= bound,
        spread=(figure.least, figure.most),
        rounds=figure.rounds,
    )


CLAIMS = [
    Claim(
        "polling",
        "Models of polling",
        f"Martlet alone, in a process of each model: wrk, one thread, {ACTIVE} keep-alive connections, "
        "{seconds} s a round, 100-byte bodies; then the same load on a process that has "
        f"{IDLE:,} idle connections besides ({IDLE_OF_SELECT} with `select`, which has room for no "
        "more).",
        measure_all,
    )
]

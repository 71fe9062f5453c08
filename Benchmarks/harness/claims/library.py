"""The parts of the library, beside those of others."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from .. import bare, library
from ..bench import Bench, Sample, compare, cpu_sample
from ..load import Wires
from ..peers import Peer, Running
from ..processes import Stage, free_port, output_of
from ..report import Row
from ..site import STREAM, Site
from .claim import Claim

#: A figure, the one that it is measured by, and the largest ratio.
BOUNDS = [
    ("lock", "lock, Synchronization.Mutex", 1.2),
    ("lock", "lock, pthread", 1.2),
    ("read lock", "read lock, pthread", 1.2),
    ("queue, 2 to 2 threads", "mutex and condition, 2 to 2 threads", 0.5),
    ("queue, 2 to 2 tasks", "swift-async-algorithms, 2 to 2 tasks", 0.333),
    ("thread pool, one at a time", "Dispatch, one at a time", 0.5),
    ("thread pool, one at a time", "SwiftNIO, one at a time", 0.5),
    ("thread pool, one at a time", "Python, one at a time", 0.1),
    ("process pool, one at a time", "Python, one at a time by processes", 0.2),
    ("process pool, many at a time", "Python, many at a time by processes", 0.2),
]
#: Figures that have a bound by themselves, in nanoseconds.
LIMITS = {"coroutine switch": 150.0}
#: Figures that are shown beside others, without a bound.
BESIDES = [
    ("priority queue, 2 to 2 threads", "Python, priority queue, 2 to 2 threads"),
    ("thread pool, many at a time", "Dispatch, many at a time"),
    ("thread pool, many at a time", "SwiftNIO, many at a time"),
    ("thread pool, many at a time", "Python, many at a time"),
]

#: What jobs do, and by what all of them are done that others are compared with.
JOBS = ("computing", "waiting", "both")
JOBS_BASE = "by coroutines"

ECHO_CONNECTIONS, ECHO_BYTES = 64, 64
ECHO_BOUNDS = {"SwiftNIO": 0.6, "asyncio": 0.15, "epoll": 1.1}


def parsed(text: str) -> dict[str, float]:
    """The nanoseconds of each figure."""
    rows = [line.split("\t") for line in text.splitlines()]
    return {name: float(figure) for name, figure in rows}


def library_rows(measured: dict[str, float]) -> list[Row]:
    """With a bound, beside another, and alone."""
    found = []
    for name, peer, bound in [*BOUNDS, *((name, peer, None) for name, peer in BESIDES)]:
        ratio = measured[name] / measured[peer]
        reached = None if bound is None else ratio <= bound
        found.append(
            Row("library", name, measured[name], "ns", peer, measured[peer], ratio, bound, reached)
        )
    for name, limit in LIMITS.items():
        reached = measured[name] <= limit
        found.append(
            Row("library", name, measured[name], "ns", to_reach=limit, reached=reached)
        )
    told = {text for row in found for text in (row.what, row.peer)}
    alone = (name for name in measured if name not in told)
    return found + [Row("library", name, measured[name], "ns") for name in alone]


def job_rows(measured: dict[str, float]) -> list[Row]:
    """What jobs cost, in milliseconds, beside coroutines of one loop."""
    rows = []
    for work in JOBS:
        base = measured[f"{work}, {JOBS_BASE}"]
        for name, figure in measured.items():
            if not name.startswith(f"{work}, "):
                continue
            row = Row("jobs", name, figure / 1e6, "ms")
            if name != f"{work}, {JOBS_BASE}":
                row = replace(row, peer=JOBS_BASE, peer_figure=base / 1e6, ratio=figure / base)
            rows.append(row)
    return rows


def parts(bench: Bench) -> list[Row]:
    """Locks, queues, switches and pools."""
    program = library.built("figures", bench.generator.folder)
    measured = parsed(output_of([str(program), "library"], seconds=600))
    bench.say("library: Python's pools and its queue")
    python = [sys.executable, str(library.PACKAGE / "python_figures.py")]
    return library_rows(measured | parsed(output_of(python, seconds=600)))


def jobs(bench: Bench) -> list[Row]:
    """What jobs cost by each way to do them."""
    program = library.built("figures", bench.generator.folder)
    return job_rows(parsed(output_of([str(program), "jobs"], seconds=600)))


class Echo(Peer):
    """A program that says back what comes to a port."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.command = command

    def prepare(self, site: Site, port: int, upstream: int, folder: Path) -> list[str]:
        return [*self.command, str(port)]


def echoes(folder: Path) -> list[Peer]:
    """All of them; the first is ours."""
    loop = folder / "epoll"
    source = library.PACKAGE / "echo/epoll.c"
    output_of(["cc", "-O2", "-Wall", "-o", str(loop), str(source)], seconds=120)
    return [
        Echo("martlet", [str(library.built("echo-martlet", folder))]),
        Echo("SwiftNIO", [str(library.built("echo-nio", folder))]),
        Echo("asyncio", [sys.executable, str(library.PACKAGE / "echo/by_asyncio.py")]),
        Echo("epoll", [str(loop)]),
    ]


def echo(bench: Bench) -> list[Row]:
    """Small messages that are said back: what a server costs that does nothing else."""
    wires = Wires(bench.generator.folder)
    with Stage() as stage:
        running = [peer.start(stage, STREAM, 0) for peer in echoes(bench.generator.folder)]

        def measure(one: Running) -> Sample:
            def load(seconds: float) -> Sample:
                return cpu_sample(
                    one,
                    lambda: wires.run(
                        "trips", free_port(), one.port, ECHO_CONNECTIONS, seconds, ECHO_BYTES
                    ),
                )

            load(1)
            return load(bench.seconds)

        samples = bench.interleave("echo", running, measure)
    rows = compare("echo", "processor time per message", "µs", samples, "cpu", ECHO_BOUNDS)
    rows += compare("echo", "of it user", "µs", samples, "user")
    rows += compare("echo", "of it system", "µs", samples, "system")
    rows += compare("echo", "messages per second", "1/s", samples, "rate")
    others = [name for name in ECHO_BOUNDS if name != "epoll"]
    return rows + bare.rows("echo", bare.CALLS, "µs", samples, "epoll", others)


CLAIMS = [
    Claim(
        "library",
        "Parts of the library",
        "Nanoseconds: of a lock and its release that nobody contends for, of an element through a "
        "queue of 1,024 places (swift-async-algorithms' channel has none), from one coroutine of a "
        "loop to another, of a task from its submission to its result. Locks and switches are the "
        "least of several rounds in turn, queues their middle, pools and tasks the least of three.",
        parts,
    ),
    Claim(
        "jobs",
        "Jobs by coroutines, threads and processes",
        "Milliseconds of a job, of 32 that are given at a time: they compute for about a "
        "millisecond, wait for 50, or wait and then compute; the least of two rounds. They are "
        "compared with one loop whose coroutines do all of it.",
        jobs,
    ),
    Claim(
        "echo",
        f"An echo server, {ECHO_CONNECTIONS} connections",
        f"{ECHO_CONNECTIONS} connections, on each of which {ECHO_BYTES} bytes are sent and said back "
        "without a pause, {seconds} s a round: `TCPServer` of the library, SwiftNIO with one loop, "
        "asyncio's protocols, and a loop of epoll in C that does nothing else.",
        echo,
    ),
]

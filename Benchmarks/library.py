#!/usr/bin/python3
"""Prints what locks, queues and pools of the library cost, beside those of others."""

from __future__ import annotations

import argparse
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from harness import machine, report
from harness.report import Report, Row
from harness.titles import TITLES

REPOSITORY = Path(__file__).resolve().parent.parent

# Where the modules stand, and what they use.
MODULES = {
    "CLinux": ("Sources/System/CLinux", []),
    "MartletBytes": ("Sources/Base/MartletBytes", []),
    "MartletSystem": ("Sources/System/MartletSystem", ["CLinux", "MartletBytes"]),
    "MartletSync": ("Sources/Runtime/MartletSync", ["MartletSystem"]),
    "MartletQueues": ("Sources/Runtime/MartletQueues", ["MartletSystem", "MartletSync"]),
    "MartletLoop": (
        "Sources/Runtime/MartletLoop",
        ["CLinux", "MartletBytes", "MartletSystem"],
    ),
    "MartletProcess": (
        "Sources/Runtime/MartletProcess",
        ["MartletSystem", "MartletSync", "MartletQueues", "MartletLoop"],
    ),
}
PROGRAM = "Benchmarks/library"
FEATURES = ["ExistentialAny", "InternalImportsByDefault", "MemberImportVisibility"]
FEATURES += ["NonisolatedNonsendingByDefault"]

# A figure, the one that it is measured by, and the largest ratio.
BOUNDS = [
    ("lock", "lock, Synchronization.Mutex", 1.2),
    ("lock", "lock, pthread", 1.2),
    ("read lock", "read lock, pthread", 1.2),
    ("queue, 2 to 2 threads", "mutex and condition, 2 to 2 threads", 0.5),
    ("thread pool, one at a time", "Dispatch, one at a time", 0.5),
    ("thread pool, one at a time", "Python, one at a time", 0.1),
    ("process pool, one at a time", "Python, one at a time by processes", 0.2),
    ("process pool, many at a time", "Python, many at a time by processes", 0.2),
]

# Figures that are shown beside others, without a bound.
BESIDES = [("priority queue, 2 to 2 threads", "Python, priority queue, 2 to 2 threads")]

# What jobs do, and by what all of them are done that others are compared with.
JOBS = ("computing", "waiting", "both")
JOBS_BASE = "by coroutines"

NOTES = {
    "library": (
        "`Benchmarks/library.py`, nanoseconds: of a lock and its release that nobody contends for, "
        "of an element through a queue of 1,024 places, of a task from its submission to its "
        "result. Locks are the least of nine rounds in turn, queues their middle, pools the least "
        "of three."
    ),
    "jobs": (
        "`Benchmarks/library.py`, milliseconds of a job, of 32 that are given at a time: they "
        "compute for about a millisecond, wait for 50, or wait and then compute; the least of two "
        "rounds. They are compared with one loop whose coroutines do all of it."
    ),
}


def manifest() -> str:
    """The package of the modules and of the program that measures them."""
    settings = [f'.enableUpcomingFeature("{name}")' for name in FEATURES]
    settings += ['.enableExperimentalFeature("Lifetimes")', ".swiftLanguageMode(.v6)"]
    lines = ["// swift-tools-version: 6.2", "import PackageDescription"]
    lines += [f"let settings: [SwiftSetting] = [{', '.join(settings)}]"]
    lines += ['let package = Package(name: "measured", targets: [']
    for name, (_, uses) in MODULES.items():
        swift = "" if name == "CLinux" else ", swiftSettings: settings"
        lines += [f'  .target(name: "{name}", dependencies: {json.dumps(uses)}{swift}),']
    uses = json.dumps([name for name in MODULES if name not in ("CLinux", "MartletBytes")])
    lines += [f'  .executableTarget(name: "library", dependencies: {uses}),', "])"]
    return "\n".join(lines) + "\n"


def built(folder: Path) -> Path:
    """Builds the modules as `make release` does, and the program that measures them."""
    sources = folder / "Sources"
    sources.mkdir()
    for name, (path, _) in MODULES.items():
        (sources / name).symlink_to(REPOSITORY / path)
    (sources / "library").symlink_to(REPOSITORY / PROGRAM)
    (folder / "Package.swift").write_text(manifest())
    command = ["swift", "build", "-c", "release", "--product", "library", "--package-path", folder]
    command += ["-Xswiftc", "-enforce-exclusivity=unchecked"]
    command += ["-Xswiftc", "-cross-module-optimization"]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return folder / ".build/release/library"


def figures(program: Path) -> dict[str, float]:
    """The nanoseconds of each figure."""
    done = subprocess.run([program], check=True, capture_output=True, text=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return {name: float(figure) for name, figure in rows}


def same(value: bytes) -> bytes:
    """What processes do in the comparison: 1 KB in, and out again."""
    return value


def timed(rounds: int, run: Callable[[], None]) -> float:
    """The nanoseconds of a round, at best of three times."""
    times = []
    for _ in range(3):
        start = time.perf_counter_ns()
        run()
        times.append((time.perf_counter_ns() - start) / rounds)
    return min(times)


def python_pool_figures(
    pool: Executor, task: Callable, arguments: tuple, rounds: int, suffix: str = ""
) -> dict[str, float]:
    """The nanoseconds of a task of one of Python's pools, one and many at a time."""

    def one() -> None:
        for _ in range(rounds):
            pool.submit(task, *arguments).result()

    def many() -> None:
        futures = [pool.submit(task, *arguments) for _ in range(rounds)]
        for future in futures:
            future.result()

    pool.submit(task, *arguments).result()
    found = {"one": timed(rounds, one), "many": timed(rounds, many)}
    return {f"Python, {name} at a time{suffix}": figure for name, figure in found.items()}


def python_priority_queue(rounds: int) -> float:
    """The nanoseconds of an element through Python's, from two threads to two."""
    waiting: queue.PriorityQueue[int] = queue.PriorityQueue(1024)

    def put() -> None:
        for value in range(rounds // 2):
            waiting.put(value)

    def take() -> None:
        for _ in range(rounds // 2):
            waiting.get()

    def run() -> None:
        threads = [threading.Thread(target=each) for each in (put, put, take, take)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return timed(rounds, run)


def python_figures(rounds: int = 20_000) -> dict[str, float]:
    """The same of Python's pools of threads and of processes, and of its queue."""
    with ThreadPoolExecutor(2) as pool:
        found = python_pool_figures(pool, int, (), rounds)
    with ProcessPoolExecutor(2) as pool:
        data = (bytes(1024),)
        found |= python_pool_figures(pool, same, data, max(rounds // 4, 1), " by processes")
    found["Python, priority queue, 2 to 2 threads"] = python_priority_queue(rounds * 2)
    return found


def verdicts(measured: dict[str, float]) -> list[tuple[str, str, float, float]]:
    """Each bound with the ratio that was measured."""
    return [(name, peer, measured[name] / measured[peer], bound) for name, peer, bound in BOUNDS]


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


def rows(measured: dict[str, float]) -> list[Row]:
    """The rows of the report: with a bound, beside another, and alone."""
    pairs = [*BOUNDS, *((name, peer, None) for name, peer in BESIDES)]
    found = []
    for name, peer, bound in pairs:
        ratio = measured[name] / measured[peer]
        reached = None if bound is None else ratio <= bound
        found.append(
            Row("library", name, measured[name], "ns", peer, measured[peer], ratio, bound, reached)
        )
    jobs = job_rows(measured)
    told = {text for pair in pairs for text in pair[:2]} | {row.what for row in jobs}
    found += [
        Row("library", name, figure, "ns")
        for name, figure in measured.items()
        if name not in told
    ]
    return found + jobs


def main() -> int:
    """Ends with 1 when a ratio is above its bound."""
    parser = argparse.ArgumentParser(prog="library", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument(
        "--no-report", action="store_true", help="leave docs/performance.* as it is"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = figures(built(Path(folder)))
    measured |= python_figures()
    if not arguments.no_report:
        fresh = Report(
            machine.own_facts(), "Benchmarks/library.py", NOTES, tuple(rows(measured))
        )
        report.write(REPOSITORY / "docs", fresh, TITLES)
    if arguments.json:
        print(json.dumps(measured, indent=2))
    else:
        for name, figure in measured.items():
            print(f"{name:40}{figure:>12,.1f}")
        print()
        for name, peer, ratio, bound in verdicts(measured):
            print(f"{name} by {peer}: {ratio:.2f}, to reach {bound}")
    missed = [name for name, _, ratio, bound in verdicts(measured) if ratio > bound]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""Prints how fast `martlet bulk` posts a table, without and with pipelines, beside a pool of Python's threads."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from harness.load import build

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / "Benchmarks/bulk"
BATCH = 100
PIPELINE = 16
# How many times as fast as Python, with pipelines; and the most memory, in MB.
LEAST = 10
MOST = 50


@dataclass
class Run:
    """What one run took."""

    seconds: float
    processor: float
    megabytes: float


def write(path: Path, rows: int) -> None:
    """A table of three columns."""
    with path.open("w") as file:
        file.write("id,name,city\n")
        file.writelines(f"{row},name {row},Springfield\n" for row in range(rows))


def commands(martlet: Path, table: Path, url: str) -> dict[str, list[str]]:
    """The programs that do the same."""
    words = ["--column", "name", "--batch", str(BATCH), "--workers", "8", "--post", url]
    own = [str(martlet), "bulk", str(table), *words]
    return {
        "martlet": own,
        "martlet, pipelines": [*own, "--pipeline", str(PIPELINE)],
        "Python": [sys.executable, str(FOLDER / "thread_pool.py"), str(table), *words],
    }


def measured(command: list[str]) -> Run:
    """Runs a program to its end."""
    start = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command[0]} ended with {child.returncode}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def rounds(martlet: Path, folder: Path, rows: int, count: int) -> dict[str, list[Run]]:
    """Measures in turn, so that a neighbour's load hits all."""
    table = folder / "rows.csv"
    write(table, rows)
    sink = subprocess.Popen(
        [build(FOLDER, folder / "sink")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    url = f"http://127.0.0.1:{sink.stdout.readline().strip()}/in"
    programs = commands(martlet, table, url)
    runs: dict[str, list[Run]] = {name: [] for name in programs}
    before = 0
    for _ in range(count):
        for name, command in programs.items():
            table.with_suffix(".csv.sent").unlink(missing_ok=True)
            runs[name].append(measured(command))
            with urllib.request.urlopen(url) as answer:
                after = int(answer.read())
            if after - before != -(-rows // BATCH):
                raise SystemExit(f"{name}: {after - before} batches came")
            before = after
    sink.communicate()
    return runs


def main() -> int:
    """Ends with 1 when Martlet with pipelines is not fast enough, or takes too much memory."""
    parser = argparse.ArgumentParser(prog="bulk", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_700_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--martlet", type=Path, default=REPOSITORY / ".build/release/martlet")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        runs = rounds(arguments.martlet, Path(name), arguments.rows, arguments.rounds)
    print(f"{'':24}{'seconds':>10}{'processor':>12}{'MB':>8}{'times as fast':>16}")
    times = {}
    for name, list_of_runs in runs.items():
        seconds = statistics.median(run.seconds for run in list_of_runs)
        processor = statistics.median(run.processor for run in list_of_runs)
        megabytes = max(run.megabytes for run in list_of_runs)
        pairs = zip(runs["Python"], list_of_runs, strict=True)
        times[name] = statistics.median(python.seconds / run.seconds for python, run in pairs)
        print(f"{name:24}{seconds:>10.2f}{processor:>12.2f}{megabytes:>8.0f}{times[name]:>16.1f}")
    memory = max(run.megabytes for name in ("martlet", "martlet, pipelines") for run in runs[name])
    return 1 if times["martlet, pipelines"] < LEAST or memory > MOST else 0


if __name__ == "__main__":
    sys.exit(main())

"""Commands of `martlet` that prove the library: a table that is posted, and a file that is sent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from .. import accounting
from ..bench import Bench, Sample, Way, compare, measured_alone
from ..load import BENCHMARKS, build
from ..martlet import Martlet
from ..processes import BenchmarkError, on_both_cores, output_of
from ..report import Row
from .claim import Claim

#: The length of a round that has all of the rows and bytes; shorter ones have fewer.
WHOLE_SECONDS = 5.0

ROWS = 2_700_000
BATCH, WORKERS, PIPELINE = 100, 8, 16
BULK_BOUND = 0.1
BULK_MEGABYTES = 50
#: How often it is looked at what memory a program has.
LOOKS_A_SECOND = 50

FILE_BYTES = 4_000_000_000
BLOCK = 1 << 20
CONNECTIONS = 2
#: Of the rate of socat at least 0.9; what is compared is the time.
TRANSFER_BOUND = 1 / 0.9


def program(bench: Bench) -> Path | None:
    """The binary that is measured; None: there is none this time."""
    return next((peer.program for peer in bench.peers if isinstance(peer, Martlet)), None)


def share(bench: Bench, whole: int) -> int:
    """How much of the whole a round has."""
    return max(1, round(whole * min(1.0, bench.seconds / WHOLE_SECONDS)))


# A table


def write_table(path: Path, rows: int) -> None:
    """A table of three columns."""
    with path.open("w") as file:
        file.write("id,name,city\n")
        file.writelines(f"{row},name {row},Springfield\n" for row in range(rows))


def bulk_commands(martlet: Path, table: Path, url: str) -> dict[str, list[str]]:
    """The programs that do the same."""
    words = ["--column", "name", "--batch", str(BATCH), "--workers", str(WORKERS), "--post", url]
    own = [str(martlet), "bulk", str(table), *words]
    return {
        "martlet": [*own, "--pipeline", str(PIPELINE)],
        "martlet, one request at a time": own,
        "Python": [sys.executable, str(BENCHMARKS / "bulk/thread_pool.py"), str(table), *words],
    }


def spent(command: Sequence[str]) -> Sample:
    """What a program takes to its end."""
    start = time.monotonic()
    child = subprocess.Popen(on_both_cores(command), stdout=subprocess.DEVNULL)
    most = 0
    # What wait4(2) says of memory begins with ours, from which the child was forked.
    while not (ended := os.wait4(child.pid, os.WNOHANG))[0]:
        most = max(most, accounting.most_resident(child.pid))
        time.sleep(1 / LOOKS_A_SECOND)
    seconds = time.monotonic() - start
    _, status, usage = ended
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise BenchmarkError(f"{command[0]} ended with {child.returncode}")
    cpu = usage.ru_utime + usage.ru_stime
    return {"seconds": seconds, "cpu": cpu, "megabytes": most / 1e6}


class Sink:
    """The endpoint that rows are posted to; it counts what comes."""

    def __init__(self, folder: Path) -> None:
        sink = build(BENCHMARKS / "bulk", folder / "sink")
        self.child = subprocess.Popen(
            [str(sink)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url = f"http://127.0.0.1:{self.child.stdout.readline().strip()}/in"
        self.seen = 0

    def fresh(self) -> int:
        """How many batches have come since it was asked last."""
        with urllib.request.urlopen(self.url) as answer:
            count = int(answer.read())
        came, self.seen = count - self.seen, count
        return came

    def stop(self) -> None:
        """Ends it: it lives as long as its input."""
        self.child.communicate()


def bulk_ways(
    commands: dict[str, list[str]], table: Path, rows: int, sink: Sink
) -> list[Way]:
    """Each posts the whole table, all of which has to come."""

    def posted(name: str) -> Sample:
        # A journal says what was acknowledged: each round begins anew.
        table.with_suffix(".csv.sent").unlink(missing_ok=True)
        sample = spent(commands[name])
        if (came := sink.fresh()) != -(-rows // BATCH):
            raise BenchmarkError(f"{name}: {came} batches came")
        return sample

    return [Way(name, lambda name=name: posted(name)) for name in commands]


def bulk(bench: Bench) -> list[Row]:
    """A table, in batches, to an endpoint."""
    martlet, rows = program(bench), share(bench, ROWS)
    if martlet is None:
        return []
    with TemporaryDirectory() as name:
        table = Path(name) / "rows.csv"
        write_table(table, rows)
        sink = Sink(bench.generator.folder)
        try:
            commands = bulk_commands(martlet, table, sink.url)
            ways = bulk_ways(commands, table, rows, sink)
            samples = bench.interleave("bulk", ways, Way.run)
        finally:
            sink.stop()
    found = compare("bulk", "time", "s", samples, "seconds", {"Python": BULK_BOUND})
    found += compare("bulk", "processor time", "s", samples, "cpu")
    return found + measured_alone(
        "bulk", "most memory", "MB", samples, "megabytes", BULK_MEGABYTES
    )


# A file


def write_file(path: Path, size: int) -> None:
    """A file that no two blocks have in common."""
    with path.open("wb") as file:
        for start in range(0, size, BLOCK):
            file.write(os.urandom(min(BLOCK, size - start)))


def by_socat(source: Path, target: Path, options: list[str]) -> float:
    """The seconds that `socat` takes, from its start until the file is there."""
    said = target.with_suffix(".port")
    listener = ["socat", *options, "-u", "-d", "-d", "TCP-LISTEN:0,bind=127.0.0.1"]
    with said.open("w") as log:
        server = subprocess.Popen(on_both_cores([*listener, f"CREATE:{target}"]), stderr=log)
    while "listening on" not in (text := said.read_text()):
        if server.poll() is not None:
            raise BenchmarkError(f"socat does not listen: {text}")
        time.sleep(0.01)
    port = text.split("listening on", 1)[1].split("\n")[0].rsplit(":", 1)[1].strip()
    start = time.monotonic()
    output_of(["socat", *options, "-u", f"OPEN:{source}", f"TCP:127.0.0.1:{port}"], seconds=600)
    server.wait()
    return time.monotonic() - start


def by_martlet(martlet: Path, source: Path, target: Path, options: list[str]) -> float:
    """The seconds that `martlet send` takes, until the receiver has verified all and ended."""
    folder = target.with_suffix(".folder")
    folder.mkdir()
    command = [str(martlet), "receive", "--listen", "127.0.0.1:0", "--into", str(folder), "--once"]
    server = subprocess.Popen(on_both_cores(command), stdout=subprocess.PIPE, text=True)
    address = server.stdout.readline().split()[-1]
    start = time.monotonic()
    command = [str(martlet), "send", str(source), "--to", address]
    output_of([*command, "--parallel", str(CONNECTIONS), *options], seconds=600)
    server.communicate()
    seconds = time.monotonic() - start
    (folder / source.name).rename(target)
    shutil.rmtree(folder)
    return seconds


def transfer(bench: Bench) -> list[Row]:
    """A file over the loopback."""
    martlet, size = program(bench), share(bench, FILE_BYTES)
    if martlet is None:
        return []
    with TemporaryDirectory() as name:
        source, target = Path(name) / "source", Path(name) / "target"
        write_file(source, size)

        def sent(way: str, options: list[str]) -> Sample:
            if way == "martlet":
                seconds = by_martlet(martlet, source, target, options)
            else:
                seconds = by_socat(source, target, options)
            if subprocess.run(["cmp", source, target], check=False).returncode:
                raise BenchmarkError(f"{way}: what came is another file")
            target.unlink()
            return {"seconds": seconds}

        ways = [
            Way(text, lambda words=text.split(): sent(words[0], words[1:]))
            for text in (
                "martlet", "martlet --digest sha-256", "socat", f"socat -b {BLOCK}"
            )
        ]
        samples = bench.interleave("transfer", ways, Way.run)
    bounds = {name: TRANSFER_BOUND for name in samples if name.startswith("socat")}
    return compare("transfer", "time", "s", samples, "seconds", bounds)


CLAIMS = [
    Claim(
        "bulk",
        f"A table of {ROWS:,} rows that is posted",
        f"`martlet bulk` posts {ROWS:,} rows in batches of {BATCH} over {WORKERS} connections to an "
        "endpoint that does as little as one can, up to "
        f"{PIPELINE} requests on their way on each; the same with one request at a time; and a pool of "
        "as many of Python's threads, without a journal.",
        bulk,
    ),
    Claim(
        "transfer",
        f"A file of {FILE_BYTES / 1e9:g} GB over the loopback",
        "From the start of the sender until the receiver has ended: `martlet send` over "
        f"{CONNECTIONS} connections, which makes digests on both sides, by GMAC or by SHA-256; "
        f"`socat` with its blocks of 8 KB, and with blocks of {BLOCK:,} bytes. The files lie where "
        "temporary files do (`TMPDIR`).",
        transfer,
    ),
]

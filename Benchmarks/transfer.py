#!/usr/bin/python3
"""Prints how fast `martlet send` carries a file over the loopback, beside `socat`."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
BLOCK = 1 << 20
LEAST = 0.9


def write(path: Path, size: int) -> None:
    """A file that no two blocks have in common."""
    with path.open("wb") as file:
        for start in range(0, size, BLOCK):
            file.write(os.urandom(min(BLOCK, size - start)))


def by_socat(source: Path, target: Path, options: list[str]) -> float:
    """The seconds that `socat` takes, from its start until the file is there."""
    socket = target.with_suffix(".port")
    listener = ["socat", *options, "-u", "-d", "-d", "TCP-LISTEN:0,bind=127.0.0.1"]
    with socket.open("w") as log:
        server = subprocess.Popen([*listener, f"CREATE:{target}"], stderr=log)
    while "listening on" not in (text := socket.read_text()):
        time.sleep(0.01)
    port = text.split("listening on", 1)[1].split("\n")[0].rsplit(":", 1)[1].strip()
    start = time.monotonic()
    subprocess.run(["socat", *options, "-u", f"OPEN:{source}", f"TCP:127.0.0.1:{port}"], check=True)
    server.wait()
    return time.monotonic() - start


def by_martlet(
    martlet: Path, source: Path, folder: Path, parallel: int, options: list[str]
) -> float:
    """The seconds that `martlet send` takes, until the receiver has verified all and ended."""
    command = [martlet, "receive", "--listen", "127.0.0.1:0", "--into", folder, "--once"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    address = server.stdout.readline().split()[-1]
    start = time.monotonic()
    command = [martlet, "send", source, "--to", address, "--parallel", str(parallel), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    server.communicate()
    return time.monotonic() - start


def main() -> None:
    """Measures in turn, so that a neighbour's load hits all."""
    parser = argparse.ArgumentParser(prog="transfer", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--folder", help="where the files lie; a temporary folder if none is named")
    parser.add_argument("--martlet", type=Path, default=REPOSITORY / ".build/release/martlet")
    arguments = parser.parse_args()
    size = arguments.megabytes * 1_000_000
    rates: dict[str, list[float]] = {
        "martlet": [],
        "martlet --digest sha-256": [],
        "socat": [],
        "socat -b 1048576": [],
    }
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        source = folder / "source"
        write(source, size)
        for _ in range(arguments.rounds):
            for way, figures in rates.items():
                target = folder / "target"
                program, *options = way.split()
                if program == "martlet":
                    target.mkdir()
                    seconds = by_martlet(
                        arguments.martlet, source, target, arguments.parallel, options
                    )
                    came = target / "source"
                else:
                    seconds = by_socat(source, target, options)
                    came = target
                if subprocess.run(["cmp", source, came], check=False).returncode:
                    raise SystemExit(f"{way}: what came is another file")
                figures.append(size / seconds / 1e6)
                subprocess.run(["rm", "-r", target], check=True)
    for way, figures in rates.items():
        print(f"{way}\t{statistics.median(figures):.0f} MB/s")
    ratios = {
        way: statistics.median(a / b for a, b in zip(rates["martlet"], rates[way], strict=True))
        for way in rates
        if way.startswith("socat")
    }
    for way, ratio in ratios.items():
        print(f"martlet by {way}\t{ratio:.2f}")
    if min(ratios.values()) < LEAST:
        sys.exit(1)


if __name__ == "__main__":
    main()

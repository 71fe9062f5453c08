#!/usr/bin/python3
"""Prints what a choice among members costs in nanoseconds, and compares it with the bound."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCES = REPOSITORY / "Sources/Edge/Balancing"
COUNTS = (3, 10, 100, 1000)
THRESHOLDS = REPOSITORY / "Benchmarks/thresholds.json"

# As `make release` builds it.
FLAGS = ["-O", "-wmo", "-swift-version", "6", "-enforce-exclusivity=unchecked"]
FLAGS += ["-cross-module-optimization", "-parse-as-library", "-module-name", "Balancing"]
FEATURES = ["ExistentialAny", "InternalImportsByDefault", "MemberImportVisibility"]
FEATURES += ["NonisolatedNonsendingByDefault"]


def built(folder: Path) -> Path:
    """Builds the module of the algorithms and the program that measures them."""
    features = [part for name in FEATURES for part in ("-enable-upcoming-feature", name)]
    sources = sorted(str(path) for path in SOURCES.glob("*.swift"))
    module = ["swiftc", *FLAGS, *features, "-emit-module", "-emit-object", *sources]
    module += ["-emit-module-path", f"{folder}/Balancing.swiftmodule", "-o", f"{folder}/module.o"]
    subprocess.run(module, check=True)
    program = folder / "choices"
    main = str(REPOSITORY / "Benchmarks/choices/main.swift")
    command = ["swiftc", "-O", "-swift-version", "6", "-enforce-exclusivity=unchecked"]
    command += ["-I", str(folder), main, f"{folder}/module.o", "-lm", "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def figures(program: Path) -> dict[str, list[float]]:
    """The nanoseconds of each algorithm, for each number of members."""
    done = subprocess.run([program], check=True, capture_output=True, text=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return {row[0]: [float(figure) for figure in row[1:]] for row in rows}


def main() -> int:
    """Ends with 1 when an algorithm is above the bound among 1,000 members."""
    parser = argparse.ArgumentParser(prog="choices", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    bound = float(json.loads(THRESHOLDS.read_text())["nanoseconds_per_choice"])
    with tempfile.TemporaryDirectory() as folder:
        measured = figures(built(Path(folder)))
    if arguments.json:
        print(json.dumps({"members": COUNTS, "nanoseconds": measured}, indent=2))
    else:
        print("".join([f"{'members':28}"] + [f"{count:>9,}" for count in COUNTS]))
        for name, row in measured.items():
            print("".join([f"{name:28}"] + [f"{figure:>9.1f}" for figure in row]))
    slow = [name for name, row in measured.items() if row[-1] > bound]
    if slow:
        print(f"above {bound:g} ns among 1,000 members: {', '.join(slow)}", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())

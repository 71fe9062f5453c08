"""Asks several servers what RFC 9110, RFC 9111 and their neighbours ask of them, and prints what
each does side by side: the command behind `make conformance`.

It ends with 1 when Martlet does not pass a case that a document requires.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.conformance import cache_cases, file_cases, servers
from harness.conformance.case import Case, Kind, Result, Verdict, failures, table
from harness.conformance.origin import Origin
from harness.processes import BenchmarkError, Stage

REPOSITORY = Path(__file__).resolve().parent.parent
#: Most cases wait for something to become stale: they do so side by side.
AT_A_TIME = 40

TITLES = {"files": "Files: conditions and ranges", "cache": "Caches"}
SERVERS = {"files": ["martlet", "nginx"], "cache": ["martlet", "nginx", "varnish", "haproxy"]}

INTRODUCTION = """# Conformance

Written by `make conformance`, not by hand: each case is a sentence of RFC 9110, RFC 9111 or one of
their neighbours, tried through sockets. *required* is what a document asks for, *gain* is what it
allows and users are better off with. `–` stands for a case that could not begin: what it rests on
does not hold there. The servers are those of Debian 12; nginx validates, renews in the background
and lets requests wait for one another because it is told to, Varnish has no times of its own,
HAProxy heeds `Vary`."""


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("--suite", choices=list(TITLES), action="append", help="this suite only")
    parser.add_argument("--servers", help="these servers only, with commas between them")
    parser.add_argument("--case", help="only cases whose name or section has this text")
    parser.add_argument("--martlet", type=Path, default=REPOSITORY / ".build/release/martlet")
    parser.add_argument("--write", type=Path, help="write the tables to this file")
    return parser.parse_args(words)


def run_cases(cases: list[Case], port: int) -> dict[str, Result]:
    """Tries all cases at one server."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        results = pool.map(lambda case: case.run(port), cases)
        return {case.name: result for case, result in zip(cases, results, strict=True)}


def chosen(cases: list[Case], word: str | None) -> list[Case]:
    """The cases that are wanted."""
    return [case for case in cases if word is None or word in f"{case.section} {case.name}"]


def run_suite(
    suite: str, names: list[str], martlet: Path, word: str | None
) -> tuple[list[Case], dict[str, dict[str, Result]]]:
    """Tries one suite at each server."""
    results = {}
    with Stage() as stage, Origin() as origin:
        if suite == "files":
            cases = chosen(file_cases.CASES, word)
            folder = stage.path("served")
            folder.mkdir()
            file_cases.prepare(folder)
            ports = servers.file_servers(stage, martlet, folder, names)
        else:
            cases = chosen([draft(origin) for draft in cache_cases.CASES], word)
            ports = servers.caches(stage, martlet, origin.port, names)
        for name, port in ports.items():
            results[name] = run_cases(cases, port)
    return cases, results


def missed(cases: list[Case], results: dict[str, dict[str, Result]]) -> bool:
    """Whether Martlet does not pass a case that is required."""
    own = results.get("martlet", {})
    return any(
        case.kind is Kind.REQUIRED and own[case.name].verdict is not Verdict.PASSED
        for case in cases
        if case.name in own
    )


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command."""
    arguments = parse_arguments(words)
    parts = [INTRODUCTION]
    has_missed = False
    try:
        for suite in arguments.suite or list(TITLES):
            wanted = arguments.servers.split(",") if arguments.servers else SERVERS[suite]
            names = [name for name in SERVERS[suite] if name in wanted]
            cases, results = run_suite(suite, names, arguments.martlet, arguments.case)
            parts.append(f"\n## {TITLES[suite]}\n")
            parts.append(table(cases, results))
            print(parts[-1])
            for name, own in results.items():
                for line in failures(cases, own):
                    print(f"{name}: {line}", file=sys.stderr)
            has_missed = has_missed or missed(cases, results)
    except BenchmarkError as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 2
    if arguments.write:
        arguments.write.write_text("\n".join(parts) + "\n")
    return 1 if has_missed else 0


if __name__ == "__main__":
    sys.exit(main())

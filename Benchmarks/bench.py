"""Measures Martlet against nginx and HAProxy: the command behind `make bench`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from harness import machine, report
from harness.bench import Bench, programs_folder
from harness.claims import CLAIMS
from harness.load import Generator
from harness.martlet import Form, Martlet
from harness.peers import HAProxy, Nginx, Peer
from harness.processes import LOAD_CORE, BenchmarkError

REPOSITORY = Path(__file__).resolve().parent.parent


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--claim", action="append", help="measure this claim only; may be repeated")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each proxy (5)")
    parser.add_argument("--seconds", type=float, default=5, help="length of a round (5)")
    parser.add_argument("--quick", action="store_true", help="one short round, no report written")
    parser.add_argument("--list", action="store_true", help="list the claims")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument(
        "--no-report", action="store_true", help="leave docs/performance.* as it is"
    )
    parser.add_argument("--peers", default="nginx,haproxy,martlet", help="the proxies to measure")
    parser.add_argument("--martlet", type=Path, default=REPOSITORY / ".build/release/martlet")
    parser.add_argument(
        "--martlet-as",
        type=Form,
        default=Form.RUN,
        help="the command that is measured: run, edge or proxy (run); no report but of run",
    )
    arguments = parser.parse_args(words)
    if arguments.quick:
        arguments.rounds, arguments.seconds = 1, 1.0
    unknown = set(arguments.claim or []) - CLAIMS.keys()
    if unknown:
        parser.error(f"no claim is called {', '.join(sorted(unknown))}; --list names them")
    if not 1 <= arguments.rounds <= 100 or not 1 <= arguments.seconds <= 300:
        parser.error("--rounds goes from 1 to 100, --seconds from 1 to 300")
    return arguments


def chosen_peers(arguments: argparse.Namespace) -> list[Peer]:
    """The proxies in the order of the first round."""
    makers: dict[str, Callable[[], Peer]] = {
        "nginx": Nginx,
        "haproxy": HAProxy,
        "martlet": lambda: Martlet(arguments.martlet, arguments.martlet_as),
    }
    names = arguments.peers.split(",")
    for name in names:
        if name not in makers:
            raise BenchmarkError(f"no proxy is called {name}")
    if "martlet" in names and not arguments.martlet.exists():
        raise BenchmarkError(f"{arguments.martlet} is not there: run `make release`")
    return [makers[name]() for name in names]


def run(arguments: argparse.Namespace) -> int:
    """Measures the claims one after the other; one that fails does not keep the others back."""
    if not machine.cores_are_enough():
        raise BenchmarkError("cores 0 and 1 are needed: one for the proxy, one for the load")
    # What the harness itself does between and beside the rounds stays off the proxy's core.
    os.sched_setaffinity(0, {LOAD_CORE})
    peers = chosen_peers(arguments)
    generator = Generator(programs_folder(REPOSITORY))
    rows: list[report.Row] = []
    failed = False
    writes = is_reported(arguments)
    command = "make bench" if not arguments.claim else f"make bench CLAIM={arguments.claim[0]}"
    facts = machine.facts(arguments.martlet)
    titles = {name: claim.title for name, claim in CLAIMS.items()}
    for name in arguments.claim or CLAIMS:
        bench = Bench(peers, generator, arguments.rounds, arguments.seconds)
        bench.say(f"{name}: {CLAIMS[name].title}")
        try:
            fresh = CLAIMS[name].measure(bench)
        except BenchmarkError as error:
            bench.say(f"{name}: FAILED: {error}")
            failed = True
            # Figures of an earlier run must not stand for one that failed.
            fresh, note = [], f"**Not measured**: {error}"
        else:
            note = method(name, bench)
        rows += fresh
        if fresh and not arguments.json:
            print(f"\n{CLAIMS[name].title}\n{report.table(fresh)}\n", flush=True)
        if writes:
            # After every claim: a later one that fails or is stopped takes nothing away.
            part = report.Report(facts, command, {name: note}, tuple(fresh))
            report.write(REPOSITORY / "docs", part, titles)
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    return 1 if failed else 0


def is_reported(arguments: argparse.Namespace) -> bool:
    """Whether the files in docs/ are brought up to date: only by a whole and honest comparison."""
    whole = set(arguments.peers.split(",")) == {"nginx", "haproxy", "martlet"}
    left_alone = arguments.quick or arguments.no_report
    return whole and arguments.martlet_as is Form.RUN and not left_alone


def method(name: str, bench: Bench) -> str:
    """How a claim was measured, with what went wrong on the way."""
    text = CLAIMS[name].method.format(seconds=f"{bench.seconds:g}", rounds=bench.rounds)
    text += f" Rounds: {bench.rounds}."
    text += f" Others took up to {bench.disturbance:.0%} of the proxy's core in a round."
    if bench.failed_rounds:
        text += " Rounds that did not count: " + "; ".join(bench.failed_rounds) + "."
    return text


def main() -> int:
    """Runs the command line; ends with 1 when a claim could not be measured."""
    arguments = parse_arguments()
    if arguments.list:
        for claim in CLAIMS.values():
            print(f"{claim.name:16} {claim.title}")
        return 0
    machine.enter_unpaced_network()
    # A stop from outside must end the proxies as well, the way Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run(arguments)
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: stopped; all processes it started have ended", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

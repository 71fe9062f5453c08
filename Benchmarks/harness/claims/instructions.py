"""User instructions per proxied request: the figure that does not move with the machine's load."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .. import callgrind
from ..bench import Bench
from ..martlet import Form, Martlet
from ..peers import Nginx, Peer, Upstream
from ..processes import LOAD_CORE, PROXY_CORE, BenchmarkError, Stage, free_port, pinned
from ..report import Row
from ..site import PLAIN
from .claim import Claim

FEW = 4_000
MANY = 12_000
CONNECTIONS = 8
THRESHOLDS = Path(__file__).parent.parent.parent / "thresholds.json"


@dataclass(frozen=True)
class Count:
    """What a request costs in instructions, by function."""

    per_request: float
    functions: list[tuple[str, float]]


def threshold() -> float:
    """The bound that git keeps; raising it is a change that says why."""
    return float(json.loads(THRESHOLDS.read_text())["user_instructions_per_request"])


def ask(port: int, requests: int) -> None:
    """Asks an exact number of times; every one must be answered with 200."""
    command = ["h2load", "--h1", "-n", str(requests), "-c", str(CONNECTIONS)]
    command.append(f"http://127.0.0.1:{port}/100")
    done = subprocess.run(
        pinned(LOAD_CORE, command), capture_output=True, text=True, timeout=600, check=False
    )
    if f"status codes: {requests} 2xx" not in done.stdout:
        raise BenchmarkError(f"not every request was answered with 200:\n{done.stdout[-800:]}")


def demangled(names: list[str]) -> list[str]:
    """Swift's names as people write them; without the tool, as they are."""
    try:
        command = ["swift", "demangle", "--simplified", "--compact"]
        done = subprocess.run(
            command, input="\n".join(names), capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return names
    lines = done.stdout.splitlines()
    return lines if len(lines) == len(names) else names


def without_debug_information(program: str, folder: Path) -> str:
    """A copy of the program that valgrind can read: it gives up on Swift's form of DWARF."""
    whole = shutil.which(program)
    if whole is None:
        raise BenchmarkError(f"{program} is not installed: run `make setup`")
    copy = folder / Path(whole).name
    done = subprocess.run(
        ["strip", "--strip-debug", "-o", str(copy), whole],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"{program} cannot be prepared for valgrind: {done.stderr.strip()}")
    return str(copy)


def profile(peer: Peer, requests: int) -> str:
    """The profile of one run from start to end, with an exact number of requests in it."""
    with Stage() as stage:
        upstream = Upstream(stage)
        folder = stage.path("edge")
        folder.mkdir()
        port = free_port()
        command = peer.prepare(PLAIN, port, upstream.port, folder)
        command[0] = without_debug_information(command[0], folder)
        output = folder / "callgrind"
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}.%p", "-q"]
        child = stage.start("edge", [*valgrind, *command], PROXY_CORE)
        child.wait_for_port(port, seconds=120)
        ask(port, requests)
        child.stop(seconds=60)
        profiles = [path.read_text(errors="replace") for path in folder.glob("callgrind.*")]
        if not profiles:
            raise BenchmarkError("callgrind wrote no profile: did the process end by itself?")
        return max(profiles, key=callgrind.total)


def count(peer: Peer, few_requests: int = FEW, many_requests: int = MANY) -> Count:
    """The difference of a long and a short run, so that start and end are not in it."""
    few, many = profile(peer, few_requests), profile(peer, many_requests)
    requests = many_requests - few_requests
    return Count(
        (callgrind.total(many) - callgrind.total(few)) / requests,
        callgrind.per_request(callgrind.functions(few), callgrind.functions(many), requests),
    )


def standalone(martlet: Martlet) -> Martlet:
    """Martlet as one process, the way callgrind follows it, with the same data path."""
    return Martlet(martlet.program, Form.EDGE if martlet.form is Form.RUN else martlet.form)


def measure_all(bench: Bench) -> list[Row]:
    """Martlet alone: the bound is on the count itself."""
    martlet = next((peer for peer in bench.peers if isinstance(peer, Martlet)), None)
    if martlet is None:
        return []
    bound = threshold()
    runs = (FEW, MANY) if bench.rounds > 1 else (500, 2_000)
    counted = count(standalone(martlet), *runs).per_request
    bench.say(f"instructions: {counted:,.0f} a request")
    nginx = next((peer for peer in bench.peers if isinstance(peer, Nginx)), None)
    theirs = count(nginx, *runs).per_request if nginx else None
    return [
        Row(
            "instructions",
            "user instructions per request",
            counted,
            "instructions",
            "nginx" if nginx else None,
            theirs,
            to_reach=bound,
            reached=counted <= bound,
            rounds=1,
        )
    ]


CLAIMS = [
    Claim(
        "instructions",
        "User instructions per request",
        f"callgrind over the edge process by itself, 100-byte bodies, {CONNECTIONS} keep-alive "
        f"connections: a run of {MANY:,} requests less one of {FEW:,}. Log and metrics are off.",
        measure_all,
    )
]

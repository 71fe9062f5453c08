"""How long a change at run time takes, from the call to the answer that all loops have it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..bench import Bench
from ..martlet import Martlet
from ..peers import Running
from ..processes import BenchmarkError, Stage
from ..report import Row
from ..site import BODIES, PLAIN
from .claim import Claim

CHANGES = 1_000
LONGEST_SECONDS = 120
TO_REACH_MILLISECONDS = 10.0
#: Nobody listens there; a member without a share is asked for nothing.
MEMBER = "127.0.0.1:9"


class Control:
    """A connection to the control socket."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("rwb")

    def call(self, method: str, **parameters: Any) -> float:
        """Calls a method; gives the milliseconds until its answer."""
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        message = json.dumps(call).encode() + b"\n"
        start = time.perf_counter()
        self.lines.write(message)
        self.lines.flush()
        answer = json.loads(self.lines.readline())
        milliseconds = (time.perf_counter() - start) * 1000
        if "error" in answer:
            raise BenchmarkError(f"{method}: {answer['error']['message']}")
        return milliseconds

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


@contextlib.contextmanager
def preferred() -> Iterator[None]:
    """Gives whoever measures the core as soon as an answer is there, where that is permitted.

    The load and the upstream share its core: what is timed is to be the change, not the wait for them.
    """
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def timed(bench: Bench, running: Running, count: int) -> dict[str, list[float]]:
    """The milliseconds of each change, while clients ask."""
    size = BODIES["/100"]
    command = bench.generator.command(
        running.port, 64, LONGEST_SECONDS, rate=8_000, body_bytes=size
    )
    load = bench.generator.start(command)
    control = Control(running.configuration / "state" / "control.sock")
    times: dict[str, list[float]] = {"a member is added": [], "weighed": [], "removed": []}
    member = {"upstream": "backend", "member": MEMBER}
    try:
        time.sleep(1)
        with preferred():
            for _ in range(count):
                line = {"upstream": "backend", "member": f"{MEMBER} weight 0"}
                times["a member is added"].append(control.call("member.add", **line))
                times["weighed"].append(control.call("member.weigh", **member, weight=0))
                times["removed"].append(control.call("member.remove", **member))
        result = bench.generator.finish(load)
    finally:
        control.close()
        if load.poll() is None:
            load.kill()
            load.wait()
    if result.failed:
        raise BenchmarkError(f"{result.failed} requests failed: {result.describe_failures()}")
    return times


def measure(bench: Bench) -> list[Row]:
    """Changes one after the other, under load."""
    ours = [peer for peer in bench.peers if isinstance(peer, Martlet)]
    if not ours:
        return []
    only = Bench(ours, bench.generator, bench.rounds, bench.seconds)
    with Stage() as stage:
        (running,) = only.start_all(stage, PLAIN)
        times = timed(bench, running, CHANGES // 3 if bench.rounds > 1 else 20)
    rows = []
    for what, values in times.items():
        ordered = sorted(values)
        late = ordered[len(ordered) * 99 // 100]
        bench.say(
            f"control: {what}: median {ordered[len(ordered) // 2]:.2f} ms, "
            f"99 of 100 within {late:.2f} ms, longest {ordered[-1]:.2f} ms"
        )
        rows.append(
            Row(
                "control",
                f"{what}: 99 of 100 within",
                late,
                "ms",
                None,
                None,
                to_reach=TO_REACH_MILLISECONDS,
                reached=late <= TO_REACH_MILLISECONDS,
                rounds=1,
            )
        )
    return rows


METHOD = (
    "The repository's generator: 64 keep-alive connections at 8,000 requests a second. Meanwhile a "
    "member is added, weighed and removed again and again through the control socket; a change is "
    "timed from its call to the answer, which comes when all loops have it; the process that measures "
    "has a higher priority than the load, whose core it shares."
)

CLAIMS = [Claim("control", "Changes at run time", METHOD, measure)]

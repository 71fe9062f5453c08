"""What it costs to ask a thousand members whether they serve."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from .. import accounting, bare, statistics
from ..bench import Bench, RoundFailed, Sample, Samples, measured_alone
from ..load import BENCHMARKS, build
from ..martlet import PROCESS, Martlet
from ..peers import HAProxy, Peer, Running, nginx_head
from ..processes import LOAD_CORE, PROXY_CORE, Stage, free_port
from ..report import Row
from .claim import Claim

MEMBERS = 1_000
LIMIT_PERCENT = 2.0
SETTLE_SECONDS = 3.0

#: The checks that are measured: the words of Martlet's block and HAProxy's, nil where it has none.
CHECKS = {
    "tcp": ("check tcp { interval 1s }", ""),
    "http, connection kept": (
        "check http { path /100\n interval 1s\n keep_alive on }",
        None,
    ),
    "http": ("check http { path /100\n interval 1s }", "  option httpchk GET /100\n"),
}


def addresses(port: int) -> list[str]:
    """As many members as are asked, all of them this machine: every address of 127/8 is."""
    return [f"127.0.{number // 250}.{number % 250 + 1}:{port}" for number in range(MEMBERS)]


def member_server(stage: Stage) -> int:
    """A server on every address of this machine, on the load's core; returns its port."""
    folder = stage.path("members")
    folder.mkdir()
    port = free_port()
    text = nginx_head(folder) + "  access_log off;\n"
    text += f'  server {{ listen 0.0.0.0:{port} backlog=8192; location / {{ return 200 "ok"; }} }}\n}}\n'
    (folder / "nginx.conf").write_text(text)
    command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    stage.start("members", command, LOAD_CORE).wait_for_port(port)
    return port


def martlet_configuration(check: str, port: int, member: int, folder: Path) -> str:
    """One upstream with all members, which no request is sent to."""
    members = "\n".join(f"    member {address}" for address in addresses(member))
    return (
        PROCESS.format(folder=folder)
        + f"server {{\n    listen 127.0.0.1:{port}\n    route / {{\n        proxy all\n    }}\n}}\n"
        + f"upstream all {{\n{members}\n{check}\n}}\n"
    )


def haproxy_configuration(check: str, port: int, member: int) -> str:
    """The same for HAProxy, its checks spread over the interval as far as it does that."""
    servers = "\n".join(
        f"  server s{number} {address} check inter 1s"
        for number, address in enumerate(addresses(member))
    )
    return (
        "global\n  nbthread 1\n  maxconn 4000\n  spread-checks 20\n"
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n"
        f"frontend front\n  bind 127.0.0.1:{port}\n  default_backend all\n"
        f"backend all\n{check}{servers}\n"
    )


def start(stage: Stage, peer: Peer, check: tuple[str, str | None], member: int) -> Running | None:
    """Starts a proxy that does nothing but check; nil where it cannot check so."""
    ours, theirs = check
    port = free_port()
    folder = stage.path(f"{peer.name}-{port}")
    folder.mkdir()
    if isinstance(peer, Martlet):
        path = folder / "martlet.conf"
        path.write_text(martlet_configuration(ours, port, member, folder))
        command = [str(peer.program), "run", "--config", str(path)]
    elif isinstance(peer, HAProxy) and theirs is not None:
        path = folder / "haproxy.cfg"
        path.write_text(haproxy_configuration(theirs, port, member))
        command = ["haproxy", "-db", "-f", str(path)]
    else:
        return None
    child = stage.start(f"{peer.name}-{port}", command, PROXY_CORE)
    child.wait_for_port(port, seconds=60)
    return Running(peer.name, child, port, folder)


def percent_of_core(running: Running, seconds: float) -> Sample:
    """How much of a core the proxy takes while it checks and does nothing else."""
    before, start_time = running.cpu(), time.monotonic()
    busy = accounting.busy_seconds(PROXY_CORE)
    time.sleep(seconds)
    took = time.monotonic() - start_time
    try:
        spent = accounting.difference(before, running.cpu())
    except accounting.ProcessGone as gone:
        raise RoundFailed(f"process {gone} ended meanwhile") from gone
    others = accounting.busy_seconds(PROXY_CORE) - busy - spent.total
    return {"percent": 100 * spent.total / took, "others": max(0.0, others / took)}


def start_connects(bench: Bench, stage: Stage, member: int) -> Running:
    """Starts what makes the calls of a check by TCP and does nothing else."""
    program = build(BENCHMARKS / "connects", bench.generator.folder / "connects")
    child = stage.start("connects", [str(program), str(member), str(MEMBERS)], PROXY_CORE)
    return Running("connects", child, 0, program.parent)


def rounds(bench: Bench, check: str, running: Running) -> list[Sample]:
    """The rounds of one proxy, which ends behind them."""
    time.sleep(SETTLE_SECONDS)
    samples = []
    for number in range(bench.rounds):
        sample = percent_of_core(running, bench.seconds)
        bench.disturbance = max(bench.disturbance, sample["others"])
        samples.append(sample)
        bench.say(
            f"checks: {check}: round {number + 1} of {bench.rounds}: "
            f"{running.name} {sample['percent']:.2f} %"
        )
    running.child.stop()
    return samples


def calls_alone(what: str, samples: list[Sample]) -> Row:
    """The row of what no check by TCP can cost less than."""
    summary = statistics.summarize([sample["percent"] for sample in samples])
    return Row(
        "checks",
        f"{what}: {bare.CALLS}",
        summary.median,
        "% of a core",
        spread=(summary.least, summary.most),
        rounds=summary.rounds,
    )


def measure_all(bench: Bench) -> list[Row]:
    """One proxy at a time: each measures alone, and its members are asked by nobody else."""
    rows: list[Row] = []
    peers = [peer for peer in bench.peers if peer.name != "nginx"]
    for name, check in CHECKS.items():
        what = f"1,000 members a second, {name}"
        samples: Samples = {}
        alone: list[Row] = []
        with Stage() as stage:
            member = member_server(stage)
            for peer in peers:
                running = start(stage, peer, check, member)
                if running is not None:
                    samples[peer.name] = rounds(bench, name, running)
            if name == "tcp":
                connects = start_connects(bench, stage, member)
                alone = [calls_alone(what, rounds(bench, name, connects))]
        parts = measured_alone("checks", what, "% of a core", samples, "percent", LIMIT_PERCENT)
        # A connection with a request and its answer costs the kernel more than that, whoever asks.
        if name == "http":
            parts = [replace(row, to_reach=None, reached=None) for row in parts]
        rows += parts + alone
    return rows


CLAIMS = [
    Claim(
        "checks",
        "Checks of a thousand members every second",
        f"{MEMBERS:,} members at addresses of the loopback, all served by one nginx on the other "
        "core, each asked once a second; the proxy has no requests. Share of a core of all its "
        "processes over {seconds} s a round. The loopback's own work, also that of the other end of "
        "each packet, is done in the sender's time and so is in the figure. The system calls alone are a "
        "`connect` and a reset for each member, by a program that does nothing else.",
        measure_all,
    )
]

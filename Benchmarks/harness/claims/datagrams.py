"""Processor time per datagram of the proxies of layer 4."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from ..bench import OURS, Bench, Sample, compare, cpu_sample
from ..load import Load, build, parse_generator
from ..martlet import Martlet
from ..peers import Running, nginx_stream_head
from ..processes import LOAD_CORE, PROXY_CORE, BenchmarkError, Stage, pinned, wait_until
from ..report import Row
from .claim import Claim

SOURCES = Path(__file__).parent.parent.parent / "datagrams"
WARMUP_SECONDS = 1
#: A request and its reply.
DATAGRAMS = 2

MARTLET = """loops 1
state_directory {folder}/state
admin unix:admin.sock
udp {{
    listen 127.0.0.1:{port}
    proxy 127.0.0.1:{server}
    flow_timeout {seconds}s
    {more}
}}
"""

NGINX = """stream {{
  server {{
    listen 127.0.0.1:{port} udp;
    proxy_pass 127.0.0.1:{server};
    proxy_timeout {seconds}s;
    {more}
  }}
}}
"""


def free_datagram_port() -> int:
    """A UDP port that nothing is bound to now, as the kernel chose it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_bound(port: int) -> bool:
    """Whether somebody receives datagrams at the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def start(stage: Stage, name: str, command: list[str], port: int, folder: Path) -> Running:
    """Starts a proxy on its core and waits until it receives."""
    child = stage.start(f"{name}-datagrams", command, PROXY_CORE)

    def receives() -> bool:
        child.ensure_alive()
        return is_bound(port)

    wait_until(receives, 60, f"{name} receives at port {port}")
    return Running(name, child, port, folder)


def round_trips(bench: Bench, claim: str, words: dict[str, str], bytes_each: int) -> list[Row]:
    """Clients that each have one request under way, through each proxy to the same member."""
    program = build(SOURCES, bench.generator.program.parent / "datagrams")
    with Stage() as stage:
        server = free_datagram_port()
        running = []
        for peer in bench.peers:
            port = free_datagram_port()
            folder = stage.path(f"{peer.name}-{claim}")
            folder.mkdir()
            values = {"port": port, "server": server, "folder": folder, "seconds": 60}
            if isinstance(peer, Martlet):
                path = folder / "martlet.conf"
                path.write_text(MARTLET.format(more=words[OURS], **values))
                command = [str(peer.program), "run", "--config", str(path)]
            elif peer.name == "nginx":
                path = folder / "nginx.conf"
                path.write_text(
                    nginx_stream_head(folder) + NGINX.format(more=words["nginx"], **values)
                )
                command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(path)]
            else:
                # HAProxy passes no datagrams.
                continue
            running.append(start(stage, peer.name, command, port, folder))

        def load(one: Running, seconds: float) -> Load:
            command = [str(program), "--proxy", str(one.port), "--server", str(server)]
            command += ["--clients", "64", "--bytes", str(bytes_each)]
            command += ["--seconds", str(max(1, round(seconds)))]
            done = subprocess.run(
                pinned(LOAD_CORE, command),
                capture_output=True,
                text=True,
                timeout=seconds + 60,
                check=False,
            )
            if done.returncode != 0:
                raise BenchmarkError(f"datagrams: {done.stdout}{done.stderr}")
            return parse_generator(done.stdout)

        def measure(one: Running) -> Sample:
            load(one, WARMUP_SECONDS)
            return cpu_sample(one, lambda: load(one, bench.seconds), per=1 / DATAGRAMS)

        samples = bench.interleave(claim, running, measure)
    rows = compare(claim, "processor time per datagram", "µs", samples, "cpu", {"nginx": 0.80})
    rows += compare(claim, "of it user", "µs", samples, "user")
    rows += compare(claim, "of it system", "µs", samples, "system")
    return rows + compare(claim, "round trips per second", "1/s", samples, "rate")


def measured(
    claim: str, words: dict[str, str], bytes_each: int = 64
) -> Callable[[Bench], list[Row]]:
    """The measurement of a claim, with what each proxy is told besides."""
    return lambda bench: round_trips(bench, claim, words, bytes_each)


METHOD = (
    "64 clients, each with one request of 64 bytes under way, and a member that gives it back, on one "
    "core; {seconds} s a round. nginx is its stream module with one worker; HAProxy passes no datagrams."
)

CLAIMS = [
    Claim(
        "datagrams",
        "UDP, request and reply, flows that stay",
        METHOD,
        measured("datagrams", {OURS: "", "nginx": ""}),
    ),
    Claim(
        "datagrams-once",
        "UDP, request and reply, a flow for each",
        METHOD + " A flow is over with its reply (`replies 1`, `proxy_responses 1`), as for DNS.",
        measured(
            "datagrams-once", {OURS: "replies 1", "nginx": "proxy_requests 1; proxy_responses 1;"}
        ),
    ),
]

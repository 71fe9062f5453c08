"""Memory per idle keep-alive connection."""

from __future__ import annotations

import socket
import time

from ..bench import Bench, RoundFailed, Sample, Samples, measured_alone
from ..peers import Running, descriptor_limit
from ..processes import BenchmarkError, Stage
from ..report import Row
from ..site import BODIES, PLAIN
from .claim import Claim

CONNECTIONS = 5_000
LIMIT_BYTES = 2_560
SETTLE_SECONDS = 1.0
REQUEST = b"GET /100 HTTP/1.1\r\nHost: localhost\r\n\r\n"


def ask_once(port: int) -> socket.socket:
    """A connection on which one request was answered, and which stays open."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(REQUEST)
    received = b""
    while True:
        piece = connection.recv(65_536)
        if not piece:
            raise RoundFailed("a connection was closed in the middle of an answer")
        received += piece
        head, found, body = received.partition(b"\r\n\r\n")
        if found and len(body) >= BODIES["/100"]:
            if not head.startswith(b"HTTP/1.1 200"):
                raise RoundFailed(f"an answer began with {head[:20]!r}")
            return connection


def bytes_per_connection(running: Running, count: int) -> float:
    """How much the proxy's anonymous memory grows by each connection that stays idle."""
    # Once before: what the first connections allocate is there for all.
    for connection in [ask_once(running.port) for _ in range(16)]:
        connection.close()
    time.sleep(SETTLE_SECONDS)
    before = running.anonymous_bytes()
    kept: list[socket.socket] = []
    try:
        for _ in range(count):
            kept.append(ask_once(running.port))
        time.sleep(SETTLE_SECONDS)
        return (running.anonymous_bytes() - before) / count
    finally:
        for connection in kept:
            connection.close()


def measure_all(bench: Bench) -> list[Row]:
    """Fresh processes each round: memory that was once used is not given back."""
    if descriptor_limit() < 2 * CONNECTIONS + 500:
        raise BenchmarkError(f"memory needs {2 * CONNECTIONS + 500} descriptors: raise ulimit -n")
    samples: Samples = {}
    rounds = min(bench.rounds, 3)
    for number in range(rounds):
        with Stage() as stage:
            for one in bench.start_all(stage, PLAIN):
                sample: Sample = {"bytes": bytes_per_connection(one, CONNECTIONS)}
                samples.setdefault(one.name, []).append(sample)
                bench.say(
                    f"memory: round {number + 1} of {rounds}: {one.name} {sample['bytes']:,.0f}"
                )
    return measured_alone(
        "memory", "memory per idle connection", "bytes", samples, "bytes", LIMIT_BYTES
    )


CLAIMS = [
    Claim(
        "memory",
        "Memory per idle connection",
        f"{CONNECTIONS:,} keep-alive connections, one request of 100 bytes served on each; growth "
        "of the anonymous memory of all processes, kernel memory not counted, fresh processes each "
        "round. nginx allocates about 420 bytes more per slot of worker_connections beforehand.",
        measure_all,
    )
]

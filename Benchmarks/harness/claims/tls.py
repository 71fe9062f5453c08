"""What TLS with clients costs: handshakes, small and large bodies, and connections that are idle."""

from __future__ import annotations

import socket
import ssl
import time

from .. import bare
from ..bench import Bench, RoundFailed, Sample, Samples, compare, cpu_sample
from ..load import wrk
from ..peers import Running, descriptor_limit
from ..processes import BenchmarkError, Stage
from ..report import Row
from ..site import BODIES, TLS, TLS_LARGE
from .claim import Claim

WARMUP_SECONDS = 1
IDLE_CONNECTIONS = 2_000
SETTLE_SECONDS = 1.0
REQUEST = b"GET /100 HTTP/1.1\r\nHost: localhost\r\n\r\n"


def handshakes(bench: Bench) -> list[Row]:
    """A connection with a full handshake for each request."""
    with Stage() as stage:
        running = bench.start_all(stage, TLS)
        running.append(bare.Handshakes(bench.generator.folder).start(stage, TLS, 0))

        def load(one: Running, seconds: float) -> Sample:
            return cpu_sample(
                one, lambda: wrk(one.port, "/100", 64, seconds, tls=True, closes=True)
            )

        def measure(one: Running) -> Sample:
            load(one, WARMUP_SECONDS)
            return load(one, bench.seconds)

        samples = bench.interleave("tls-handshakes", running, measure)
    name = "tls-handshakes"
    # 1.15 of their handshakes in a second of a processor.
    bounds = {"nginx": 0.87, "haproxy": 0.87}
    alone = bare.rows(name, bare.LIBRARY, "µs", samples, bare.Handshakes.name, bounds)
    rows = compare(name, "processor time per handshake", "µs", samples, "cpu", bounds)
    rows += compare(name, "of it user", "µs", samples, "user")
    rows += compare(name, "of it system", "µs", samples, "system")
    return rows + compare(name, "handshakes per second", "1/s", samples, "rate") + alone


def small(bench: Bench) -> list[Row]:
    """Many connections, small bodies."""
    name = "tls-small"
    with Stage() as stage:
        running = bench.start_all(stage, TLS)

        def measure(one: Running) -> Sample:
            wrk(one.port, "/100", 64, WARMUP_SECONDS, tls=True)
            return cpu_sample(one, lambda: wrk(one.port, "/100", 64, bench.seconds, tls=True))

        samples = bench.interleave(name, running, measure)
    bounds = {"nginx": 0.85, "haproxy": 0.80}
    rows = compare(name, "processor time per request", "µs", samples, "cpu", bounds)
    rows += compare(name, "of it user", "µs", samples, "user")
    rows += compare(name, "of it system", "µs", samples, "system")
    return rows + compare(name, "requests per second", "1/s", samples, "rate")


def bulk(bench: Bench) -> list[Row]:
    """Few connections, a megabyte each."""
    name, size = "tls-bulk", BODIES["/1m"]
    with Stage() as stage:
        running = bench.start_all(stage, TLS_LARGE)

        def measure(one: Running) -> Sample:
            wrk(one.port, "/1m", 8, WARMUP_SECONDS, tls=True)
            return cpu_sample(
                one,
                lambda: wrk(one.port, "/1m", 8, bench.seconds, tls=True),
                per=1e9 / size / 1e6,
            )

        samples = bench.interleave(name, running, measure)
    rows = compare(name, "processor time per GB", "s", samples, "cpu", better=0.90)
    rows += compare(name, "of it user", "s", samples, "user")
    return rows + compare(name, "of it system", "s", samples, "system")


def ask_once(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A connection on which one request was answered, and which stays open."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection = context.wrap_socket(plain, server_hostname="localhost")
    connection.sendall(REQUEST)
    received = b""
    while True:
        piece = connection.recv(65_536)
        if not piece:
            raise RoundFailed("a connection was closed in the middle of an answer")
        received += piece
        _, found, body = received.partition(b"\r\n\r\n")
        if found and len(body) >= BODIES["/100"]:
            return connection


def idle_bytes(running: Running, count: int) -> float:
    """How much the proxy's anonymous memory grows by each connection that stays idle."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Once before: what the first connections allocate is there for all.
    for connection in [ask_once(running.port, context) for _ in range(16)]:
        connection.close()
    time.sleep(SETTLE_SECONDS)
    before = running.anonymous_bytes()
    kept: list[ssl.SSLSocket] = []
    try:
        for _ in range(count):
            kept.append(ask_once(running.port, context))
        time.sleep(SETTLE_SECONDS)
        return (running.anonymous_bytes() - before) / count
    finally:
        for connection in kept:
            connection.close()


def memory(bench: Bench) -> list[Row]:
    """Fresh processes each round: memory that was once used is not given back."""
    if descriptor_limit() < 2 * IDLE_CONNECTIONS + 500:
        raise BenchmarkError("too few descriptors for the memory of TLS: raise ulimit -n")
    samples: Samples = {}
    for number in range(min(bench.rounds, 3)):
        with Stage() as stage:
            for one in bench.start_all(stage, TLS):
                sample: Sample = {"bytes": idle_bytes(one, IDLE_CONNECTIONS)}
                samples.setdefault(one.name, []).append(sample)
                bench.say(f"tls-memory: round {number + 1}: {one.name} {sample['bytes']:,.0f}")
    return compare(
        "tls-memory", "memory per idle connection", "bytes", samples, "bytes", {"nginx": 1.15}
    )


KEY = "TLS 1.3, a certificate with an ECDSA key on P-256, the same OpenSSL for all"

CLAIMS = [
    Claim(
        "tls-handshakes",
        "Full TLS handshakes",
        f"{KEY}; wrk, one thread, 64 connections at a time, each closed after one proxied request "
        "of 100 bytes, {seconds} s a round. OpenSSL alone is a server that shakes hands, says these 100 "
        "bytes and closes, with nothing behind it.",
        handshakes,
    ),
    Claim(
        "tls-small",
        "100-byte bodies over TLS, 64 connections",
        f"{KEY}; wrk, one thread, 64 keep-alive connections, {{seconds}} s a round.",
        small,
    ),
    Claim(
        "tls-bulk",
        "1 MB bodies over TLS",
        f"{KEY}; wrk, one thread, 8 keep-alive connections, {{seconds}} s a round.",
        bulk,
    ),
    Claim(
        "tls-memory",
        "Memory per idle TLS connection",
        f"{KEY}; {IDLE_CONNECTIONS:,} keep-alive connections, one request of 100 bytes served on "
        "each; growth of the anonymous memory of all processes, fresh processes each round.",
        memory,
    ),
]

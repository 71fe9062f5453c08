"""What clients of an application feel of others that are slow, and of processes that are killed."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..bench import Bench, Sample, Samples, ensure_good, measured_alone
from ..martlet import Martlet
from ..peers import Running
from ..processes import PROXY_CORE, BenchmarkError, Stage, free_port
from ..report import Row
from ..serving import ask
from .claim import Claim

PROCESSES = 2
CONNECTIONS = 16
SLOW_CLIENTS = 500
#: What each of them sends a second, of a body that never ends.
SLOW_BYTES = 1024
RATE = 500.0
KILL_SECONDS = 60
WARMUP_SECONDS = 1.0
PYTHON = "/usr/bin/python3"

APPLICATION = '''
import os

def app(environ, start_response):
    body = b"%d" % os.getpid() if environ["PATH_INFO"] == "/who" else b"x" * 100
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
'''

MARTLET = """loops 1
state_directory {folder}/state
admin unix:admin.sock
server {{
    listen 127.0.0.1:{port} backlog 4096
    request_limit 1000000000
    route / {{ app shop }}
}}
app shop {{
    wsgi shop:app
    folder {folder}
    python {python}
    processes {processes}
    threads 1
}}
"""


def start(stage: Stage, bench: Bench) -> Running:
    """Starts Martlet with the application."""
    martlet = next((peer for peer in bench.peers if isinstance(peer, Martlet)), None)
    if martlet is None:
        raise BenchmarkError("these claims are about Martlet alone")
    folder = stage.path("shop")
    folder.mkdir()
    (folder / "shop.py").write_text(APPLICATION)
    port = free_port()
    path = folder / "martlet.conf"
    path.write_text(
        MARTLET.format(folder=folder, port=port, python=PYTHON, processes=PROCESSES)
    )
    child = stage.start("martlet", [str(martlet.program), "run", "--config", str(path)], PROXY_CORE)
    child.wait_for_port(port, seconds=60)
    running = Running(martlet.name, child, port, folder)
    ask(running, "/")
    return running


@contextmanager
def slow_clients(port: int) -> Iterator[None]:
    """Clients that send a long body, a little each second."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n"
    clients = []
    for _ in range(SLOW_CLIENTS):
        clients.append(socket.create_connection(("127.0.0.1", port)))
        clients[-1].sendall(head)
    over = threading.Event()

    def trickle() -> None:
        piece = b"x" * SLOW_BYTES
        while not over.wait(1):
            for client in clients:
                client.send(piece)

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for client in clients:
            client.close()


def measure_slow(bench: Bench) -> list[Row]:
    """The same rate with and without the slow ones, one behind the other."""
    samples: Samples = {"martlet": []}
    for _ in range(bench.rounds):
        with Stage() as stage:
            running = start(stage, bench)

            def load() -> float:
                result = bench.generator.run(
                    running.port,
                    CONNECTIONS,
                    bench.seconds + WARMUP_SECONDS,
                    rate=RATE,
                    warmup=WARMUP_SECONDS,
                    body_bytes=100,
                )
                ensure_good(result)
                return result.microseconds["p99"]

            alone = load()
            with slow_clients(running.port):
                beside = load()
        sample: Sample = {"growth": beside / alone, "p99": beside, "alone": alone}
        samples["martlet"].append(sample)
        bench.say(f"app-slow-clients: p99 {beside:.0f} µs after {alone:.0f}")
    claim = "app-slow-clients"
    rows = measured_alone(claim, "p99 beside slow clients, by that without", "times", samples, "growth", 1.1)
    rows += measured_alone(claim, "p99 beside slow clients", "µs", samples, "p99", 1e6)
    return rows


def measure_killed(bench: Bench) -> list[Row]:
    """A process is killed each second, for a minute."""
    with Stage() as stage:
        running = start(stage, bench)
        command = bench.generator.command(
            running.port, CONNECTIONS, KILL_SECONDS, rate=RATE, body_bytes=100
        )
        load = bench.generator.start(command)
        kills = 0
        try:
            until = time.monotonic() + KILL_SECONDS - 1
            while time.monotonic() < until:
                os.kill(int(ask(running, "/who").body), signal.SIGKILL)
                kills += 1
                time.sleep(1)
            result = bench.generator.result(load)
        finally:
            if load.poll() is None:
                load.kill()
                load.wait()
    bench.say(f"app-killed: {result.failed} of {result.answers} failed, {kills} kills")
    samples: Samples = {"martlet": [{"failed": float(result.failed)}]}
    rows = measured_alone("app-killed", "safe requests that failed", "requests", samples, "failed", 0.0)
    return [*rows, Row("app-killed", "processes killed", float(kills), "", rounds=1)]


CLAIMS = [
    Claim(
        "app-slow-clients",
        "An application beside slow clients",
        f"{PROCESSES} processes of one thread, {RATE:,.0f} requests a second on {CONNECTIONS} "
        f"connections, without and with {SLOW_CLIENTS} clients beside them that send {SLOW_BYTES} "
        "bytes a second each of a body that does not end.",
        measure_slow,
    ),
    Claim(
        "app-killed",
        "Processes of an application that are killed",
        f"{PROCESSES} processes of one thread, {RATE:,.0f} requests a second by GET; each second for "
        f"{KILL_SECONDS} s the process that answers is killed (SIGKILL).",
        measure_killed,
    ),
]

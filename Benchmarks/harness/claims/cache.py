"""Processor time per answer out of a cache in memory, and how many requests one missing object makes."""

from __future__ import annotations

import http.client
import selectors
import socket
import time
from functools import partial

from ..bench import Bench, RoundFailed, Sample, compare, cpu_sample
from ..counting import CountingServer
from ..load import wrk
from ..martlet import Martlet
from ..peers import HAProxy, Nginx, Running, body, descriptor_limit, nginx_head
from ..processes import PROXY_CORE, BenchmarkError, Stage, free_port
from ..report import Row
from .claim import Claim

WARMUP_SECONDS = 1
SIZES = {"1k": 1_024, "10k": 10_240, "100k": 102_400, "10m": 10_485_760}

MARTLET = """loops 1
max_connections 30000
state_directory {folder}/state
admin unix:admin.sock
cache main {{
    memory 256MB
    {lines}
}}
server {{
    listen 127.0.0.1:{port} backlog 16384
    request_limit 1000000000
    idle_timeout 1h
    route / {{
        proxy 127.0.0.1:{upstream}
        cache main
    }}
}}
"""

#: Answers in files of a file system in memory, as fast as it can be made; hits are sent by sendfile.
NGINX = """  access_log off; sendfile on; tcp_nopush on;
  open_file_cache max=1000 inactive=1h; open_file_cache_valid 1h; open_file_cache_min_uses 1;
  proxy_cache_path {cache} keys_zone=main:10m inactive=1h use_temp_path=off;
  server {{
    listen 127.0.0.1:{port} backlog=16384;
    location / {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_cache main; proxy_cache_lock on; proxy_cache_lock_timeout 60s; proxy_cache_lock_age 60s;
      add_header X-Cache $upstream_cache_status;
    }}
  }}
}}
"""

HAPROXY = """global
  nbthread 1
  maxconn {connections}
cache main
  total-max-size 256
  max-object-size 1048576
  max-age 3600
defaults
  mode http
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
frontend front
  bind 127.0.0.1:{port} backlog 16384
  http-request cache-use main
  http-response cache-store main
  default_backend backend
backend backend
  server one 127.0.0.1:{upstream}
"""

VARNISH = """vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{upstream}"; }}
"""


class Origin(CountingServer):
    """The server behind every cache, in this process: it counts what reaches it."""

    def __init__(self, hold: float = 0.0) -> None:
        self._hold = hold
        super().__init__()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            rest = b""
            while True:
                while b"\r\n\r\n" not in rest:
                    try:
                        block = connection.recv(65_536)
                    except OSError:
                        return
                    if not block:
                        return
                    rest += block
                head, _, rest = rest.partition(b"\r\n\r\n")
                target = head.split(b" ")[1].decode()
                if target.startswith("/one"):
                    self._count()
                    time.sleep(self._hold)
                content = body(SIZES.get(target.strip("/").split(".")[0], 1_024))
                answer = (
                    "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\n"
                    f"Content-Type: application/octet-stream\r\nContent-Length: {len(content)}\r\n\r\n"
                )
                try:
                    connection.sendall(answer.encode() + content)
                except OSError:
                    return


#: What memory has no room for is on a disk alone.
DISK = "object_limit 64KB\n    disk {folder}/disk 4GB"


def start(stage: Stage, bench: Bench, origin: Origin, disk: bool = False) -> list[Running]:
    """Starts the caches on their core, each in front of the same server; those with a disk if wanted."""
    running = []
    names = [peer.name for peer in bench.peers]
    for peer in bench.peers:
        port = free_port()
        folder = stage.path(f"{peer.name}-cache")
        folder.mkdir()
        if isinstance(peer, Martlet):
            path = folder / "martlet.conf"
            lines = DISK.format(folder=folder) if disk else ""
            path.write_text(
                MARTLET.format(folder=folder, port=port, upstream=origin.port, lines=lines)
            )
            command = [str(peer.program), "run", "--config", str(path)]
        elif isinstance(peer, Nginx):
            path = folder / "nginx.conf"
            text = NGINX.format(port=port, upstream=origin.port, cache=folder / "kept")
            path.write_text(nginx_head(folder) + text)
            command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(path)]
        elif isinstance(peer, HAProxy) and not disk:
            path = folder / "haproxy.cfg"
            connections = min(20_000, (descriptor_limit() - 500) // 2)
            path.write_text(
                HAPROXY.format(port=port, upstream=origin.port, connections=connections)
            )
            command = ["haproxy", "-db", "-f", str(path)]
        else:
            continue
        child = stage.start(f"{peer.name}-cache", command, PROXY_CORE)
        child.wait_for_port(port, seconds=60)
        running.append(Running(peer.name, child, port, folder))
    # Varnish takes part where the others do.
    if "nginx" in names and not disk:
        running.append(varnish(stage, origin))
    return running


def varnish(stage: Stage, origin: Origin) -> Running:
    """Varnish with its usual threads, and room for many waiting clients."""
    port = free_port()
    folder = stage.path("varnish-cache")
    folder.mkdir()
    path = folder / "default.vcl"
    path.write_text(VARNISH.format(upstream=origin.port))
    command = ["varnishd", "-F", "-n", str(folder / "work"), "-a", f"127.0.0.1:{port}"]
    command += ["-f", str(path), "-s", "malloc,256m", "-j", "none"]
    command += ["-p", "listen_depth=16384", "-p", "timeout_idle=3600"]
    child = stage.start("varnish-cache", command, PROXY_CORE)
    child.wait_for_port(port, seconds=60)
    return Running("varnish", child, port, folder)


def check(running: Running, target: str, size: int) -> None:
    """Fails with a sentence when a cache does not send what it was given, or does not keep it."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    try:
        for _ in range(3):
            connection.request("GET", target)
            answer = connection.getresponse()
            if answer.status != 200 or answer.read() != body(size):
                raise BenchmarkError(f"{running.name} does not send {target} as it is")
        kept = f"{answer.getheader('Age')} {answer.getheader('X-Cache')}"
        if answer.getheader("Age") is None and answer.getheader("X-Cache") != "HIT":
            raise BenchmarkError(f"{running.name} does not keep {target}: {kept}")
    except (OSError, http.client.HTTPException) as error:
        raise BenchmarkError(f"{running.name} does not answer: {error!r}") from error
    finally:
        connection.close()


def hits(bench: Bench, name: str, bounds: dict[str, float]) -> list[Row]:
    """One object, asked for again and again on connections that stay open."""
    claim = f"cache-{name}"
    origin = Origin()
    try:
        with Stage() as stage:
            running = start(stage, bench, origin)
            target = f"/{name}.bin"
            for one in running:
                check(one, target, SIZES[name])

            def measure(one: Running) -> Sample:
                wrk(one.port, target, 64, WARMUP_SECONDS)
                return cpu_sample(one, lambda: wrk(one.port, target, 64, bench.seconds))

            samples = bench.interleave(claim, running, measure)
    finally:
        origin.close()
    rows = compare(claim, "processor time per hit", "µs", samples, "cpu", bounds)
    rows += compare(claim, "of it user", "µs", samples, "user")
    rows += compare(claim, "of it system", "µs", samples, "system")
    return rows + compare(claim, "hits per second", "1/s", samples, "rate")


def disk_hits(bench: Bench, name: str, connections: int) -> list[Row]:
    """One object that is on the disk, asked for again and again; the kernel has it in its memory."""
    claim = f"cache-disk-{name}"
    origin = Origin()
    try:
        with Stage() as stage:
            running = start(stage, bench, origin, disk=True)
            target = f"/{name}.bin"
            for one in running:
                check(one, target, SIZES[name])

            def measure(one: Running) -> Sample:
                wrk(one.port, target, connections, WARMUP_SECONDS)
                return cpu_sample(one, lambda: wrk(one.port, target, connections, bench.seconds))

            samples = bench.interleave(claim, running, measure)
    finally:
        origin.close()
    rows = compare(claim, "processor time per hit", "µs", samples, "cpu", {"nginx": 0.9})
    rows += compare(claim, "of it user", "µs", samples, "user")
    rows += compare(claim, "of it system", "µs", samples, "system")
    return rows + compare(claim, "hits per second", "1/s", samples, "rate")


CLIENTS = 10_000
HOLD_SECONDS = 3.0


def ask_together(port: int, target: str) -> int:
    """Asks for one object on many connections at once; returns how many good answers came."""
    count = min(CLIENTS, (descriptor_limit() - 500) // 2)
    request = f"GET {target} HTTP/1.1\r\nHost: one.example\r\nConnection: close\r\n\r\n".encode()
    waiting = selectors.DefaultSelector()
    got: dict[socket.socket, bytearray] = {}
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", port), timeout=30)
        client.sendall(request)
        client.setblocking(False)
        got[client] = bytearray()
        waiting.register(client, selectors.EVENT_READ)
    good = 0
    expected = body(SIZES["1k"])
    limit = time.monotonic() + 120
    while got and time.monotonic() < limit:
        for key, _ in waiting.select(timeout=1):
            client = key.fileobj
            assert isinstance(client, socket.socket)
            try:
                block = client.recv(65_536)
            except OSError:
                block = b""
            if block:
                got[client] += block
                continue
            answer = bytes(got.pop(client))
            waiting.unregister(client)
            client.close()
            good += answer.startswith(b"HTTP/1.1 200") and answer.endswith(expected)
    for client in got:
        client.close()
    return count - good


def collapse(bench: Bench) -> list[Row]:
    """Many clients ask at once for one object that is not there."""
    claim = "cache-collapse"
    origin = Origin(hold=HOLD_SECONDS)
    try:
        with Stage() as stage:
            running = start(stage, bench, origin)

            def measure(one: Running) -> Sample:
                before = origin.count
                failed = ask_together(one.port, f"/one-{time.monotonic_ns()}")
                if failed:
                    raise RoundFailed(f"{failed} clients of {one.name} got no answer")
                return {"requests": float(origin.count - before)}

            samples = bench.interleave(claim, running, measure)
    finally:
        origin.close()
    return compare(claim, "requests to the server behind", "requests", samples, "requests")


METHOD = (
    "wrk, one thread, 64 keep-alive connections, {seconds} s a round; nginx's cache in a folder, with its "
    "cache of open files and sendfile; Varnish and HAProxy keep answers in memory."
)

DISK_METHOD = (
    "wrk, one thread, {connections} keep-alive connections, {seconds} s a round; both keep the answer in files, "
    "which the kernel has in its memory; nginx with its cache of open files and sendfile."
)

CLAIMS = [
    *[
        Claim(
            f"cache-{name}",
            f"A hit of {title} in the cache, 64 connections",
            METHOD,
            partial(hits, name=name, bounds={"nginx": 0.8, "varnish": 0.6, "haproxy": 0.8}),
        )
        for name, title in [("1k", "1 KB"), ("10k", "10 KB")]
    ],
    *[
        Claim(
            f"cache-disk-{name}",
            f"A hit of {title} on the disk of the cache, {connections} connections",
            DISK_METHOD.replace("{connections}", str(connections)),
            partial(disk_hits, name=name, connections=connections),
        )
        for name, title, connections in [("100k", "100 KB", 64), ("10m", "10 MB", 8)]
    ],
    Claim(
        "cache-collapse",
        "10,000 clients ask at once for one object that is not there",
        "Each client has a connection of its own; the server behind answers after 3 s, and counts.",
        collapse,
    ),
]

"""Processor time per file that is served from a folder, by size; HAProxy serves none."""

from __future__ import annotations

import http.client
from functools import partial
from pathlib import Path

from ..bench import Bench, Sample, compare, cpu_sample
from ..load import wrk
from ..martlet import Martlet
from ..peers import Nginx, Running, body, nginx_head
from ..processes import PROXY_CORE, BenchmarkError, Stage, free_port
from ..report import Row
from .claim import Claim

WARMUP_SECONDS = 1

MARTLET = """loops 1
state_directory {folder}/state
admin unix:admin.sock
server {{
    listen 127.0.0.1:{port} backlog 4096
    request_limit 1000000000
    idle_timeout 1h
    route / {{ files {files} }}
}}
"""

#: With sendfile and the cache of open files, which looks again after a second as Martlet does.
NGINX = """  access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream;
  open_file_cache max=1000 inactive=1h; open_file_cache_valid 1s; open_file_cache_min_uses 1;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {files}; }}
}}
"""

SIZES = {"1k": 1_024, "100k": 102_400, "10m": 10_485_760}


def start(stage: Stage, bench: Bench, files: Path) -> list[Running]:
    """Starts the servers on their core, each with the same folder."""
    running = []
    for peer in bench.peers:
        port = free_port()
        folder = stage.path(f"{peer.name}-files")
        folder.mkdir()
        if isinstance(peer, Martlet):
            path = folder / "martlet.conf"
            path.write_text(MARTLET.format(folder=folder, port=port, files=files))
            command = [str(peer.program), "run", "--config", str(path)]
        elif isinstance(peer, Nginx):
            path = folder / "nginx.conf"
            path.write_text(nginx_head(folder) + NGINX.format(port=port, files=files))
            command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(path)]
        else:
            continue
        child = stage.start(f"{peer.name}-files", command, PROXY_CORE)
        child.wait_for_port(port, seconds=60)
        one = Running(peer.name, child, port, folder)
        check(one)
        running.append(one)
    return running


def check(running: Running) -> None:
    """Fails with a sentence when a server does not serve the files as they are."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    try:
        for name, size in SIZES.items():
            connection.request("GET", f"/{name}.bin")
            answer = connection.getresponse()
            got = answer.read()
            if answer.status != 200 or got != body(size):
                raise BenchmarkError(f"{running.name} does not serve {name}.bin as it is")
    except (OSError, http.client.HTTPException) as error:
        raise BenchmarkError(f"{running.name} does not answer: {error!r}") from error
    finally:
        connection.close()


def files(bench: Bench, name: str, connections: int, bound: float) -> list[Row]:
    """One file, asked for again and again on connections that stay open."""
    claim = f"files-{name}"
    with Stage() as stage:
        folder = stage.path("served")
        folder.mkdir()
        for each, size in SIZES.items():
            (folder / f"{each}.bin").write_bytes(body(size))
        running = start(stage, bench, folder)
        target = f"/{name}.bin"

        def measure(one: Running) -> Sample:
            wrk(one.port, target, connections, WARMUP_SECONDS)
            return cpu_sample(one, lambda: wrk(one.port, target, connections, bench.seconds))

        samples = bench.interleave(claim, running, measure)
    rows = compare(claim, "processor time per file", "µs", samples, "cpu", {"nginx": bound})
    rows += compare(claim, "of it user", "µs", samples, "user")
    rows += compare(claim, "of it system", "µs", samples, "system")
    return rows + compare(claim, "files per second", "1/s", samples, "rate")


METHOD = (
    "wrk, one thread, {connections} keep-alive connections, {{seconds}} s a round; nginx with sendfile, "
    "tcp_nopush and its cache of open files. Both look at a file again once a second."
)

CLAIMS = [
    Claim(
        f"files-{name}",
        f"A file of {title}, {connections} connections",
        METHOD.format(connections=connections),
        partial(files, name=name, connections=connections, bound=bound),
    )
    for name, title, connections, bound in [
        ("1k", "1 KB", 64, 0.85),
        ("100k", "100 KB", 64, 0.90),
        ("10m", "10 MB", 8, 1.00),
    ]
]

"""Processor time per file that is served from a folder, by size; HAProxy serves none."""

from __future__ import annotations

from functools import partial

from ..bench import Bench, Sample, compare, cpu_sample
from ..load import wrk
from ..peers import Running, body
from ..processes import Stage
from ..report import Row
from ..serving import expect, start_servers
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


def files(bench: Bench, name: str, connections: int, bound: float) -> list[Row]:
    """One file, asked for again and again on connections that stay open."""
    claim = f"files-{name}"
    with Stage() as stage:
        folder = stage.path("served")
        folder.mkdir()
        for each, size in SIZES.items():
            (folder / f"{each}.bin").write_bytes(body(size))
        running = start_servers(stage, bench, "files", MARTLET, NGINX, files=folder)
        for one in running:
            for each, size in SIZES.items():
                expect(one, f"/{each}.bin", 200, body(size))
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

"""Processor time per proxied answer that is compressed on its way, and how long it becomes."""

from __future__ import annotations

import gzip
import random
from functools import partial
from pathlib import Path

from ..bench import Bench, Sample, compare, cpu_sample
from ..load import wrk, wrk_script
from ..peers import Running, nginx_head
from ..processes import LOAD_CORE, BenchmarkError, Stage, free_port
from ..report import Row
from ..serving import ask, start_servers
from .claim import Claim

WARMUP_SECONDS = 1
SIZES = {"10k": 10_240, "100k": 102_400}

ORIGIN = """  access_log off; sendfile on; tcp_nopush on;
  types {{ text/html html; }}
  open_file_cache max=1000 inactive=1h; open_file_cache_valid 1h; open_file_cache_min_uses 1;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {files}; }}
}}
"""

MARTLET = """loops 1
state_directory {folder}/state
admin unix:admin.sock
server {{
    listen 127.0.0.1:{port} backlog 4096
    request_limit 1000000000
    idle_timeout 1h
    compress {coding} {{ level {coding} {level} }}
    route / {{ proxy 127.0.0.1:{origin} }}
}}
"""

NGINX = """  access_log off;
  gzip on; gzip_proxied any; gzip_comp_level 5; gzip_vary on;
  upstream origin {{ server 127.0.0.1:{origin}; keepalive 512; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
}}
"""

LEVELS = {"gzip": 5, "br": 4, "zstd": 3}


def page(size: int) -> bytes:
    """A page as shops have them: the same tags again and again, and words and numbers in between."""
    numbers = random.Random(size)
    words = "blue green shirt shoes small large cotton new sale offer free delivery today".split()
    lines = ["<!doctype html>\n<title>Shop</title>\n<ul class=\"products\">\n"]
    while sum(map(len, lines)) < size:
        name = " ".join(numbers.choices(words, k=4))
        lines.append(
            f'  <li class="product" data-id="{numbers.randrange(10**7)}"><a href="/product/'
            f'{numbers.randrange(10**5)}"><h2>{name}</h2></a>'
            f'<p class="price">{numbers.randrange(10**4) / 100:.2f}</p></li>\n'
        )
    return "".join(lines).encode()[:size]


def start(stage: Stage, bench: Bench, coding: str) -> list[Running]:
    """Starts the proxies on their core, and the server behind them on the other."""
    folder = stage.path("origin")
    files = folder / "files"
    files.mkdir(parents=True)
    for name, size in SIZES.items():
        (files / f"{name}.html").write_bytes(page(size))
    origin = free_port()
    path = folder / "nginx.conf"
    path.write_text(nginx_head(folder) + ORIGIN.format(port=origin, files=files))
    command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(path)]
    stage.start("origin", command, LOAD_CORE).wait_for_port(origin, seconds=60)
    return start_servers(
        stage,
        bench,
        "compression",
        MARTLET,
        NGINX,
        origin=origin,
        coding=coding,
        level=LEVELS[coding],
    )


def spoken(running: Running, coding: str) -> str:
    """The coding that a proxy is asked for: nginx has gzip alone."""
    return "gzip" if running.name == "nginx" else coding


def length(running: Running, name: str, coding: str) -> int:
    """How long the answer is; fails with a sentence when it is not compressed, or not sound."""
    wanted = spoken(running, coding)
    answer = ask(running, f"/{name}.html", {"Accept-Encoding": wanted})
    if answer.headers["Content-Encoding"] != wanted:
        raise BenchmarkError(f"{running.name} does not compress {name}.html")
    if wanted == "gzip" and gzip.decompress(answer.body) != page(SIZES[name]):
        raise BenchmarkError(f"{running.name} does not send {name}.html as it is")
    return len(answer.body)


def compression(bench: Bench, coding: str, name: str, bound: float) -> list[Row]:
    """One page, asked for again and again on connections that stay open."""
    claim = f"compress-{coding}-{name}"
    with Stage() as stage:
        running = start(stage, bench, coding)
        lengths = {one.name: length(one, name, coding) for one in running}
        scripts: dict[str, Path] = {}
        for one in running:
            scripts[one.name] = stage.path(f"{one.name}-load.lua")
            headers = {"Accept-Encoding": spoken(one, coding)}
            text = wrk_script(["localhost"], [f"/{name}.html"], headers)
            scripts[one.name].write_text(text)

        def load(one: Running, seconds: float):  # noqa: ANN202
            return wrk(one.port, "/", 32, seconds, scripts[one.name])

        def measure(one: Running) -> Sample:
            load(one, WARMUP_SECONDS)
            sample = dict(cpu_sample(one, lambda: load(one, bench.seconds)))
            sample["bytes"] = float(lengths[one.name])
            return sample

        samples = bench.interleave(claim, running, measure)
    rows = compare(claim, "processor time per answer", "µs", samples, "cpu", {"nginx": bound})
    rows += compare(claim, "length of the body", "B", samples, "bytes")
    return rows + compare(claim, "answers per second", "1/s", samples, "rate")


METHOD = (
    "wrk, one thread, 32 keep-alive connections, {{seconds}} s a round; a page of a shop, proxied from a server "
    "that does not compress. Martlet: {coding} at level {level}. nginx: gzip at level 5."
)

CLAIMS = [
    Claim(
        f"compress-{coding}-{name}",
        f"{name.upper()}B of HTML by {coding}, beside nginx's gzip",
        METHOD.format(coding=coding, level=LEVELS[coding]),
        partial(compression, coding=coding, name=name, bound=bound),
    )
    for coding, name, bound in [
        ("gzip", "10k", 1.0),
        ("gzip", "100k", 1.0),
        ("zstd", "10k", 0.5),
        ("zstd", "100k", 0.5),
    ]
]

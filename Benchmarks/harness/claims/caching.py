"""How much a cache has that is asked for, and how long a purge takes."""

from __future__ import annotations

import bisect
import itertools
import random
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from ..bench import Bench
from ..counting import CountingServer
from ..martlet import Martlet
from ..peers import Nginx, Running, nginx_head
from ..processes import LOAD_CORE, PROXY_CORE, BenchmarkError, Stage, free_port
from ..report import Row
from .claim import Claim
from .control import Control, preferred

OBJECTS = 1_000_000
TO_REACH_MILLISECONDS = 10.0
TO_REACH_POINTS = 5.0
MEGABYTES = 16
#: Names, and how much more often each is asked for than the ones behind it.
NAMES = 60_000
EXPONENT = 0.9
REQUESTS = 150_000
CHURN_MEGABYTES = 64
#: Sizes from and to, and how many answers of them come one behind the other.
PHASES = [(300, 8_000, 20_000), (8_000, 128_000, 4_000), (128_000, 3_000_000, 150)]
#: More than any size: names are multiples of it with the size added.
SIZES = 10_000_000

STORE = """loops {loops}
state_directory {folder}/state
admin unix:admin.sock
cache main {{
    memory {memory}
}}
server {{
    listen 127.0.0.1:{port}
    request_limit 1000000000
    route / {{
        proxy 127.0.0.1:{upstream}
        cache main {{
            client_directives ignored
        }}
    }}
}}
"""

TAGGED = """  access_log off;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      add_header Cache-Control max-age=3600; add_header Surrogate-Key all;
      return 200 "kept until it is purged";
    }}
  }}
}}
"""

NGINX = """  access_log off;
  proxy_cache_path {cache} keys_zone=main:10m max_size={megabytes}m inactive=1h use_temp_path=off;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache main;
    }}
  }}
}}
"""

VARNISH = """vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{upstream}"; }}
"""


def ask_all(port: int, targets: Iterator[str], depth: int = 64) -> int:
    """Asks for all targets over one connection, some ahead; returns how many were sent from a cache."""
    hits = 0
    with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
        reader = wire.makefile("rb")
        while True:
            block = list(itertools.islice(targets, depth))
            if not block:
                return hits
            wire.sendall(
                b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % each.encode() for each in block)
            )
            for _ in block:
                if not reader.readline().startswith(b"HTTP/1.1 200"):
                    raise BenchmarkError("a request of the benchmark failed")
                length = 0
                while (line := reader.readline()) != b"\r\n":
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                    elif name.lower() == b"cache-status" and b"; hit" in value:
                        hits += 1
                reader.read(length)


def start_martlet(
    stage: Stage, peer: Martlet, upstream: int, memory: str, loops: int = 1
) -> Running:
    port = free_port()
    folder = stage.path("martlet-store")
    folder.mkdir()
    path = folder / "martlet.conf"
    text = STORE.format(
        folder=folder, port=port, upstream=upstream, memory=memory, loops=loops
    )
    path.write_text(text)
    child = stage.start("martlet-store", [str(peer.program), "run", "--config", str(path)], PROXY_CORE)
    child.wait_for_port(port, seconds=60)
    return Running("martlet", child, port, folder)


def purge(bench: Bench) -> list[Row]:
    """One tag of very many answers."""
    ours = [peer for peer in bench.peers if isinstance(peer, Martlet)]
    if not ours:
        return []
    count = OBJECTS if bench.rounds > 1 else OBJECTS // 100
    with Stage() as stage:
        upstream = free_port()
        folder = stage.path("tagged")
        folder.mkdir()
        path = folder / "nginx.conf"
        path.write_text(nginx_head(folder) + TAGGED.format(port=upstream))
        origin = stage.start(
            "tagged", ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(path)], LOAD_CORE
        )
        origin.wait_for_port(upstream, seconds=60)
        running = start_martlet(stage, ours[0], upstream, "4GB")
        ask_all(running.port, (f"/{number}" for number in range(count)))
        sample = [f"/{number}" for number in range(0, count, count // 1_000)]
        kept = ask_all(running.port, iter(sample))
        if kept < len(sample):
            raise BenchmarkError(f"{kept} of {len(sample)} answers are kept")
        control = Control(folder.parent / "martlet-store" / "state" / "control.sock")
        with preferred():
            took = control.call("cache.purge", tag="all")
        control.close()
        left = ask_all(running.port, iter(sample), depth=1)
    if left:
        raise BenchmarkError(f"{left} of {len(sample)} answers were sent after the purge")
    bench.say(f"cache-purge: {count} answers in {took:.2f} ms")
    return [
        Row(
            "cache-purge",
            f"a tag of {count:,} answers, until the answer of `cache.purge`",
            took,
            "ms",
            to_reach=TO_REACH_MILLISECONDS,
            reached=took <= TO_REACH_MILLISECONDS,
            rounds=1,
        )
    ]


class Counting(CountingServer):
    """The server behind caches: objects of 1 to 12 KB, and how often they were asked for."""

    def length(self, number: int) -> int:
        """How long an object is."""
        return 1_000 + number * 7_919 % 11_000

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader:
            while True:
                line = reader.readline()
                if not line:
                    return
                while reader.readline() not in (b"\r\n", b""):
                    pass
                self._count()
                content = b"x" * self.length(int(line.split(b" ")[1][1:]))
                head = (
                    b"HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: %d\r\n\r\n"
                    % len(content)
                )
                try:
                    connection.sendall(head + content)
                except OSError:
                    return


def trace(seed: int, count: int) -> list[int]:
    """Names by Zipf's law, the first ones most often."""
    sums = list(itertools.accumulate(1 / (rank + 1) ** EXPONENT for rank in range(NAMES)))
    numbers = random.Random(seed)
    names = list(range(NAMES))
    numbers.shuffle(names)
    return [names[bisect.bisect(sums, numbers.random() * sums[-1])] for _ in range(count)]


def start_peers(stage: Stage, bench: Bench, upstream: int) -> list[Running]:
    running = []
    for peer in bench.peers:
        if isinstance(peer, Martlet):
            running.append(start_martlet(stage, peer, upstream, f"{MEGABYTES}MB"))
        elif isinstance(peer, Nginx):
            port = free_port()
            folder = stage.path("nginx-store")
            folder.mkdir()
            path = folder / "nginx.conf"
            text = NGINX.format(
                port=port, upstream=upstream, cache=folder / "kept", megabytes=MEGABYTES
            )
            path.write_text(nginx_head(folder) + text)
            command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(path)]
            child = stage.start("nginx-store", command, PROXY_CORE)
            child.wait_for_port(port, seconds=60)
            running.append(Running("nginx", child, port, folder))
            # Varnish takes part where the others do.
            port = free_port()
            folder = stage.path("varnish-store")
            folder.mkdir()
            path = folder / "default.vcl"
            path.write_text(VARNISH.format(upstream=upstream))
            command = ["varnishd", "-F", "-n", str(folder / "work"), "-a", f"127.0.0.1:{port}"]
            command += ["-f", str(path), "-s", f"malloc,{MEGABYTES}m", "-j", "none"]
            child = stage.start("varnish-store", command, PROXY_CORE)
            child.wait_for_port(port, seconds=60)
            running.append(Running("varnish", child, port, folder))
    return running


def ratio(bench: Bench) -> list[Row]:
    """A trace that is larger than the cache, for each cache the same."""
    asked = trace(1, REQUESTS if bench.rounds > 1 else REQUESTS // 20)
    figures: dict[str, float] = {}
    origin = Counting()
    try:
        with Stage() as stage:
            for one in start_peers(stage, bench, origin.port):
                # What fills the cache does not count.
                for start, end in [(0, len(asked) // 3), (len(asked) // 3, len(asked))]:
                    before = origin.count
                    ask_all(one.port, (f"/{name}" for name in asked[start:end]), depth=8)
                    missed = origin.count - before
                    figures[one.name] = 100 * (1 - missed / (end - start))
    finally:
        origin.close()
    bench.say("cache-ratio: " + ", ".join(f"{k} {v:.1f} %" for k, v in figures.items()))
    own = figures.get("martlet")
    if own is None:
        return []
    rows = [
        Row("cache-ratio", "answers from the cache", own, "%", name, theirs, rounds=1)
        for name, theirs in figures.items()
        if name != "martlet"
    ]
    if "varnish" in figures:
        more = own - figures["varnish"]
        rows.append(
            Row(
                "cache-ratio",
                "more than Varnish",
                more,
                "points",
                to_reach=TO_REACH_POINTS,
                reached=more >= TO_REACH_POINTS,
                rounds=1,
            )
        )
    return rows


class Mixed(Counting):
    """A server whose objects say in their names how long they are."""

    def length(self, number: int) -> int:
        return number % SIZES


def kept_bytes(socket_path: Path) -> int:
    """What the only cache says that its answers take."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.connect(str(socket_path))
        wire.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        page = wire.makefile("rb").read().decode()
    found = re.search(r"^martlet_cache_bytes\{[^}]*\} (\d+)", page, re.MULTILINE)
    if found is None:
        raise BenchmarkError("there is no figure for the bytes of a cache")
    return int(found.group(1))


def churn(bench: Bench) -> list[Row]:
    """Small, middle and large answers by turns: what the process takes for what it keeps."""
    ours = [peer for peer in bench.peers if isinstance(peer, Martlet)]
    if not ours:
        return []
    numbers = random.Random(1)
    shares = []
    origin = Mixed()
    try:
        with Stage() as stage:
            one = start_martlet(stage, ours[0], origin.port, f"{CHURN_MEGABYTES}MB", loops=2)
            admin = one.configuration / "state" / "admin.sock"
            before = one.anonymous_bytes()
            for _ in range(3 if bench.rounds > 1 else 1):
                for least, most, count in PHASES:
                    names = (
                        number * SIZES + int(least * (most / least) ** numbers.random())
                        for number in (numbers.randrange(count * 2) for _ in range(count))
                    )
                    ask_all(one.port, (f"/{name}" for name in names), depth=8)
                    shares.append((one.anonymous_bytes() - before) / kept_bytes(admin))
    finally:
        origin.close()
    bench.say("cache-churn: " + ", ".join(f"{share:.2f}" for share in shares))
    what = "anonymous memory by the bytes that are kept, at the end"
    return [Row("cache-churn", what, shares[-1], "", rounds=1)]


CLAIMS = [
    Claim(
        "cache-churn",
        "What a cache takes for what it keeps, after answers of all sizes",
        f"{CHURN_MEGABYTES} MB of memory and two loops; thrice by turns "
        + ", ".join(f"{count:,} answers of {a:,} to {b:,} bytes" for a, b, count in PHASES)
        + "; what the process had before does not count.",
        churn,
    ),
    Claim(
        "cache-purge",
        "A tag of a million answers is purged",
        "A million answers with one tag are kept in memory; timed is the call on the control socket. Then a "
        "thousand of them are asked for: none is sent.",
        purge,
    ),
    Claim(
        "cache-ratio",
        "How many of the answers come from a cache that is too small",
        f"{REQUESTS:,} requests for {NAMES:,} names of 1 to 12 KB by Zipf's law with exponent {EXPONENT}, over one "
        f"connection; {MEGABYTES} MB for each cache; counted behind the first third, by the server behind.",
        ratio,
    ),
]

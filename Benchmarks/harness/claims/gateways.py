"""Processor time per request that php-fpm answers by FastCGI; HAProxy needs no root, and is left out."""

from __future__ import annotations

import http.client
from functools import partial
from pathlib import Path

from ..bench import Bench, Sample, compare, cpu_sample
from ..load import wrk
from ..martlet import Martlet
from ..peers import Nginx, Running, nginx_head
from ..processes import LOAD_CORE, PROXY_CORE, BenchmarkError, Stage, free_port, wait_until
from ..report import Row
from .claim import Claim

WARMUP_SECONDS = 1
CONNECTIONS = 8
#: Each kept connection keeps one.
CHILDREN = 2 * CONNECTIONS
HELLO = "hello, world\n"
PROGRAM = "/usr/sbin/php-fpm8.2"

PHP = """[global]
error_log = {folder}/php.log
daemonize = no
[www]
listen = {folder}/php.sock
listen.backlog = 4096
user = root
pm = static
pm.max_children = {children}
"""

MARTLET = """loops 1
state_directory {folder}/state
admin unix:admin.sock
upstream php {{
    member unix:{socket}
    idle_connections {connections}
    idle_time 1h
    max_requests 1000000000
}}
server {{
    listen 127.0.0.1:{port} backlog 4096
    request_limit 1000000000
    idle_timeout 1h
    via off
    route / {{
        fastcgi php {{
            root {scripts}
            keep_connections {kept}
        }}
    }}
}}
"""

#: As Debian's own snippet says it, with the cache of open files, which looks again after a second as
#: Martlet does.
NGINX = """  access_log off;
  open_file_cache max=1000 inactive=1h; open_file_cache_valid 1s; open_file_cache_min_uses 1;
  upstream php {{ server unix:{socket}; {keepalive} }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    root {scripts};
    location ~ \\.php$ {{
      fastcgi_split_path_info ^(.+?\\.php)(/.*)$;
      try_files $fastcgi_script_name =404;
      set $path_info $fastcgi_path_info;
      fastcgi_param PATH_INFO $path_info;
      fastcgi_index index.php;
      include /etc/nginx/fastcgi.conf;
      fastcgi_pass php;
      fastcgi_keep_conn {kept};
    }}
  }}
}}
"""


def start_php(stage: Stage, scripts: Path) -> Path:
    """Starts php-fpm on the load's core; returns its socket."""
    folder = stage.path("php")
    folder.mkdir()
    scripts.mkdir()
    (scripts / "hello.php").write_text(f"<?php echo {HELLO!r};".replace("'", '"'))
    path = folder / "php.conf"
    path.write_text(PHP.format(folder=folder, children=CHILDREN))
    command = [PROGRAM, "-n", "-R", "-F", "-y", str(path)]
    stage.start("php", command, LOAD_CORE)
    socket = folder / "php.sock"
    wait_until(socket.exists, 20, "php-fpm listens")
    return socket


def start(stage: Stage, bench: Bench, kept: bool) -> list[Running]:
    """Starts the servers on their core, each before the same php-fpm."""
    scripts = stage.path("scripts")
    socket = start_php(stage, scripts)
    running = []
    for peer in bench.peers:
        port = free_port()
        folder = stage.path(f"{peer.name}-fastcgi")
        folder.mkdir()
        values = {
            "folder": folder,
            "port": port,
            "socket": socket,
            "scripts": scripts,
            "connections": CONNECTIONS,
            "kept": "on" if kept else "off",
            "keepalive": f"keepalive {CONNECTIONS}; keepalive_requests 1000000000;" if kept else "",
        }
        if isinstance(peer, Martlet):
            path = folder / "martlet.conf"
            path.write_text(MARTLET.format(**values))
            command = [str(peer.program), "run", "--config", str(path)]
        elif isinstance(peer, Nginx):
            path = folder / "nginx.conf"
            path.write_text(nginx_head(folder) + NGINX.format(**values))
            command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(path)]
        else:
            continue
        child = stage.start(f"{peer.name}-fastcgi", command, PROXY_CORE)
        child.wait_for_port(port, seconds=60)
        one = Running(peer.name, child, port, folder)
        check(one)
        running.append(one)
    return running


def check(running: Running) -> None:
    """Fails with a sentence when a server does not pass the script's answer on."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    try:
        for path, status in [("/hello.php", 200), ("/none.php", 404)]:
            connection.request("GET", path)
            answer = connection.getresponse()
            got = answer.read()
            if answer.status != status or status == 200 and got.decode() != HELLO:
                raise BenchmarkError(f"{running.name} answers {path} with {answer.status}: {got!r}")
    except (OSError, http.client.HTTPException) as error:
        raise BenchmarkError(f"{running.name} does not answer: {error!r}") from error
    finally:
        connection.close()


def hello(bench: Bench, claim: str, kept: bool) -> list[Row]:
    """One short script, asked for again and again on connections that stay open."""
    with Stage() as stage:
        running = start(stage, bench, kept)

        def measure(one: Running) -> Sample:
            wrk(one.port, "/hello.php", CONNECTIONS, WARMUP_SECONDS)
            return cpu_sample(one, lambda: wrk(one.port, "/hello.php", CONNECTIONS, bench.seconds))

        samples = bench.interleave(claim, running, measure)
    rows = compare(claim, "processor time per request", "µs", samples, "cpu", {"nginx": 0.90})
    rows += compare(claim, "of it user", "µs", samples, "user")
    rows += compare(claim, "of it system", "µs", samples, "system")
    return rows + compare(claim, "requests per second", "1/s", samples, "rate")


METHOD = (
    f"wrk, one thread, {CONNECTIONS} keep-alive connections, {{seconds}} s a round; php-fpm with "
    f"{CHILDREN} processes on the load's core, over a Unix socket, a script of one line; nginx as Debian's "
    "snippet for PHP says, with its cache of open files. Both look whether the script is there once a "
    "second."
)

CLAIMS = [
    Claim(name, f"a script of php-fpm by FastCGI, {title}", METHOD, partial(hello, claim=name, kept=kept))
    for name, title, kept in [
        ("fastcgi-kept", "connections kept", True),
        ("fastcgi-once", "a connection for each request, as both do unless told", False),
    ]
]

"""Processor time per request that php-fpm answers by FastCGI; HAProxy needs no root, and is left out."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ..bench import Bench, Sample, compare, cpu_sample
from ..load import wrk
from ..peers import Running
from ..processes import LOAD_CORE, Stage, wait_until
from ..report import Row
from ..serving import expect, start_servers
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
    running = start_servers(
        stage,
        bench,
        "fastcgi",
        MARTLET,
        NGINX,
        socket=start_php(stage, scripts),
        scripts=scripts,
        connections=CONNECTIONS,
        kept="on" if kept else "off",
        keepalive=f"keepalive {CONNECTIONS}; keepalive_requests 1000000000;" if kept else "",
    )
    for one in running:
        expect(one, "/hello.php", 200, HELLO.encode())
        expect(one, "/none.php", 404)
    return running


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

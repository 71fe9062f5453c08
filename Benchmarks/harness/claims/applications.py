"""Processor time per request to an application in Python, all processes together.

Martlet runs the application itself; the others are nginx in front of gunicorn, with threads, and of uWSGI.
All have one process of the application with as many threads, and the same interpreter.
"""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path

from ..bench import Bench, Sample, compare, cpu_sample
from ..load import wrk
from ..martlet import Martlet
from ..peers import Running, nginx_head
from ..processes import PROXY_CORE, Stage, free_port
from ..report import Row
from ..serving import expect
from .claim import Claim

WARMUP_SECONDS = 1
CONNECTIONS = 32
THREADS = 4
PYTHON = "/usr/bin/python3"

APPLICATION = '''
SMALL = b"x" * 100
LARGE = b"x" * 10240

def app(environ, start_response):
    body = LARGE if environ["PATH_INFO"] == "/10k" else SMALL
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
'''

MARTLET = """loops 1
state_directory {folder}/state
admin unix:admin.sock
server {{
    listen 127.0.0.1:{port} backlog 4096
    request_limit 1000000000
    idle_timeout 1h
    route / {{ app shop }}
}}
app shop {{
    wsgi shop:app
    folder {site}
    python {python}
    processes 1
    threads {threads}
}}
"""

NGINX = """  access_log off;
  upstream application {{ server unix:{folder}/application.sock; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ {passing} }}
  }}
}}
"""

GUNICORN = 'proxy_pass http://application; proxy_http_version 1.1; proxy_set_header Connection "";'
UWSGI = "include /etc/nginx/uwsgi_params; uwsgi_pass application;"


def start(stage: Stage, bench: Bench) -> list[Running]:
    """Starts the servers on their core, each with the same application."""
    site = stage.path("site")
    site.mkdir()
    (site / "shop.py").write_text(APPLICATION)
    martlet = next((peer for peer in bench.peers if isinstance(peer, Martlet)), None)
    servers = []
    if martlet is not None:
        servers.append((martlet.name, "", [str(martlet.program), "run", "--config"]))
    gunicorn = [PYTHON, "-m", "gunicorn", "--chdir", str(site), "--workers", "1", "--threads"]
    gunicorn += [str(THREADS), "--keep-alive", "3600", "--log-level", "error", "shop:app", "--bind"]
    servers.append(("nginx and gunicorn", GUNICORN, gunicorn))
    uwsgi = ["uwsgi", "--plugin", "python3", "--chdir", str(site), "--module", "shop:app"]
    uwsgi += ["--processes", "1", "--threads", str(THREADS), "--listen", "100"]
    uwsgi += ["--disable-logging", "--master", "--socket"]
    servers.append(("nginx and uWSGI", UWSGI, uwsgi))
    running = []
    for name, passing, command in servers:
        port = free_port()
        folder = stage.path(name.replace(" ", "-"))
        folder.mkdir()
        if passing:
            path = folder / "nginx.conf"
            text = nginx_head(folder) + NGINX.format(port=port, folder=folder, passing=passing)
            path.write_text(text)
            socket = f"{folder}/application.sock"
            command += [socket if "gunicorn" not in name else f"unix:{socket}"]
            proxy = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(path)]
            waiting = f"while [ ! -S {socket} ]; do sleep 0.1; done"
            script = f"{shlex.join(command)} & {waiting}; exec {shlex.join(proxy)}"
            command = ["sh", "-c", script]
        else:
            path = folder / "martlet.conf"
            path.write_text(
                MARTLET.format(
                    folder=folder, port=port, site=site, python=PYTHON, threads=THREADS
                )
            )
            command = [*command, str(path)]
        child = stage.start(name.replace(" ", "-"), command, PROXY_CORE)
        child.wait_for_port(port, seconds=60)
        one = Running(name, child, port, folder)
        expect(one, "/", 200, b"x" * 100)
        expect(one, "/10k", 200, b"x" * 10_240)
        running.append(one)
    return running


def wsgi(bench: Bench, name: str, target: str) -> list[Row]:
    """One request again and again, on connections that stay open."""
    with Stage() as stage:
        running = start(stage, bench)

        def measure(one: Running) -> Sample:
            wrk(one.port, target, CONNECTIONS, WARMUP_SECONDS)
            return cpu_sample(one, lambda: wrk(one.port, target, CONNECTIONS, bench.seconds))

        samples = bench.interleave(name, running, measure)
    bounds = {"nginx and gunicorn": 0.20, "nginx and uWSGI": 0.55}
    rows = compare(name, "processor time per request", "µs", samples, "cpu", bounds)
    rows += compare(name, "of it user", "µs", samples, "user")
    rows += compare(name, "of it system", "µs", samples, "system")
    return rows + compare(name, "requests per second", "1/s", samples, "rate")


METHOD = (
    f"wrk, one thread, {CONNECTIONS} keep-alive connections, {{seconds}} s a round; one process of the "
    f"application with {THREADS} threads, by Python of the system; the time is that of all processes, "
    "Python's and the server's, on one core."
)

CLAIMS = [
    Claim(name, title, METHOD, partial(wsgi, name=name, target=target))
    for name, title, target in [
        ("wsgi-hello", "A WSGI application, 100 bytes", "/"),
        ("wsgi-10k", "A WSGI application, 10 KB", "/10k"),
    ]
]

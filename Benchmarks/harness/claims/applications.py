"""Processor time per request to an application in Python, all processes together.

Martlet runs the application itself; the others are nginx in front of gunicorn, with threads, of uWSGI and of
uvicorn, and granian by itself. All have one process of the application, and the same interpreter: with
BENCH_PYTHON that of an environment that has what is compared, without it the system's and what that has.
"""

from __future__ import annotations

import os
import shlex
import subprocess
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
PYTHON = os.environ.get("BENCH_PYTHON", "/usr/bin/python3")

APPLICATION = '''
SMALL = b"x" * 100
LARGE = b"x" * 10240

def app(environ, start_response):
    body = LARGE if environ["PATH_INFO"] == "/10k" else SMALL
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
'''

EVENTS = '''
SMALL = b"x" * 100

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.shutdown":
                return
    body = SMALL
    if scope["path"] == "/echo":
        body, more = b"", True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [
        (b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
'''

ECHO = """wrk.method = "POST"
wrk.body = string.rep("x", 1024)
"""

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
    {interface} shop:app
    folder {site}
    python {python}
    processes 1
    {threads}
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

PROXIED = 'proxy_pass http://application; proxy_http_version 1.1; proxy_set_header Connection "";'
UWSGI = "include /etc/nginx/uwsgi_params; uwsgi_pass application;"


def has(module: str) -> bool:
    """Whether the interpreter has a module."""
    return subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True).returncode == 0


def wsgi_servers(site: Path) -> list[tuple[str, str, list[str]]]:
    """Who else runs applications by WSGI: a name, what nginx says of it, and its command."""
    gunicorn = [PYTHON, "-m", "gunicorn", "--chdir", str(site), "--workers", "1", "--threads"]
    gunicorn += [str(THREADS), "--keep-alive", "3600", "--log-level", "error", "shop:app", "--bind"]
    uwsgi = ["uwsgi", "--plugin", "python3", "--chdir", str(site), "--module", "shop:app"]
    uwsgi += ["--processes", "1", "--threads", str(THREADS), "--listen", "100"]
    uwsgi += ["--disable-logging", "--master", "--socket"]
    servers = [("nginx and uWSGI", UWSGI, uwsgi)]
    if has("gunicorn"):
        servers.insert(0, ("nginx and gunicorn", PROXIED, gunicorn))
    if has("granian"):
        servers.append(("granian", "", granian(site, "wsgi")))
    return servers


def asgi_servers(site: Path) -> list[tuple[str, str, list[str]]]:
    """Who else runs applications by ASGI."""
    servers = []
    if has("uvicorn") and has("httptools"):
        uvicorn = [PYTHON, "-m", "uvicorn", "--app-dir", str(site), "--http", "httptools"]
        uvicorn += ["--no-access-log", "--log-level", "error", "--timeout-keep-alive", "3600"]
        servers.append(("nginx and uvicorn", PROXIED, [*uvicorn, "shop:app", "--uds"]))
    if has("granian"):
        servers.append(("granian", "", granian(site, "asgi")))
    return servers


def granian(site: Path, interface: str) -> list[str]:
    """The command of granian, without its port."""
    command = [PYTHON, "-m", "granian", "--interface", interface, "--workers", "1", "--no-ws"]
    command += ["--log-level", "error", "--working-dir", str(site), "--host", "127.0.0.1"]
    threads = ["--blocking-threads", str(THREADS)] if interface == "wsgi" else []
    return [*command, *threads, "shop:app", "--port"]


def start(stage: Stage, bench: Bench, interface: str) -> list[Running]:
    """Starts the servers on their core, each with the same application."""
    site = stage.path("site")
    site.mkdir()
    (site / "shop.py").write_text(APPLICATION if interface == "wsgi" else EVENTS)
    martlet = next((peer for peer in bench.peers if isinstance(peer, Martlet)), None)
    servers = wsgi_servers(site) if interface == "wsgi" else asgi_servers(site)
    if martlet is not None:
        servers.insert(0, (martlet.name, "", [str(martlet.program), "run", "--config"]))
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
        elif name == "granian":
            command = [*command, str(port)]
        else:
            path = folder / "martlet.conf"
            path.write_text(
                MARTLET.format(
                    folder=folder,
                    port=port,
                    site=site,
                    python=PYTHON,
                    interface=interface,
                    threads=f"threads {THREADS}" if interface == "wsgi" else "threads 100",
                )
            )
            command = [*command, str(path)]
        child = stage.start(name.replace(" ", "-"), command, PROXY_CORE)
        child.wait_for_port(port, seconds=60)
        one = Running(name, child, port, folder)
        expect(one, "/", 200, b"x" * 100)
        running.append(one)
    return running


BOUNDS = {
    "wsgi": {"nginx and gunicorn": 0.20, "nginx and uWSGI": 0.55, "granian": 1.0},
    "asgi": {"nginx and uvicorn": 0.50, "granian": 1.10},
}


def measure_requests(bench: Bench, name: str, interface: str, target: str) -> list[Row]:
    """One request again and again, on connections that stay open."""
    with Stage() as stage:
        running = start(stage, bench, interface)
        script = None
        if target == "/echo":
            script = stage.path("echo.lua")
            script.write_text(ECHO)

        def measure(one: Running) -> Sample:
            wrk(one.port, target, CONNECTIONS, WARMUP_SECONDS, script)
            return cpu_sample(one, lambda: wrk(one.port, target, CONNECTIONS, bench.seconds, script))

        samples = bench.interleave(name, running, measure)
    names = {one.name for one in running}
    bounds = {peer: bound for peer, bound in BOUNDS[interface].items() if peer in names}
    rows = compare(name, "processor time per request", "µs", samples, "cpu", bounds)
    rows += compare(name, "of it user", "µs", samples, "user")
    rows += compare(name, "of it system", "µs", samples, "system")
    return rows + compare(name, "requests per second", "1/s", samples, "rate")


METHOD = (
    f"wrk, one thread, {CONNECTIONS} keep-alive connections, {{seconds}} s a round; one process of the "
    f"application, by WSGI with {THREADS} threads; the time is that of all processes, Python's and the "
    "server's, on one core."
)

CLAIMS = [
    Claim(
        name,
        title,
        METHOD,
        partial(measure_requests, name=name, interface=interface, target=target),
    )
    for name, title, interface, target in [
        ("wsgi-hello", "A WSGI application, 100 bytes", "wsgi", "/"),
        ("wsgi-10k", "A WSGI application, 10 KB", "wsgi", "/10k"),
        ("asgi-hello", "An ASGI application, 100 bytes", "asgi", "/"),
        ("asgi-echo", "An ASGI application that says 1 KB back", "asgi", "/echo"),
    ]
]

"""What Martlet adds to a framework's own time: its process beside the same calls in a loop."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from .. import accounting
from ..bench import Bench, RoundFailed, Sample, Way, compare, ensure_good
from ..load import wrk
from ..martlet import Martlet
from ..peers import Running
from ..processes import PROXY_CORE, BenchmarkError, Stage, free_port, output_of, pinned
from ..report import Row
from .applications import CONNECTIONS, MARTLET, PYTHON, WARMUP_SECONDS, has
from .claim import Claim

BOUND = 1.05
LOOP = "a loop in its process"

FRAMEWORKS = {
    "Flask": '''
from flask import Flask

app = Flask(__name__)

@app.route("/")
def hello():
    return "Hello, World!"
''',
    "Django": '''
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="x", ALLOWED_HOSTS=["*"], MIDDLEWARE=[])
urlpatterns = [path("", lambda request: HttpResponse("Hello, World!"))]
app = get_wsgi_application()
''',
}

#: Calls the application as a server of WSGI has to, and prints the microseconds of a call.
CALLS = '''
import io, sys, time
from shop import app

BASE = {
    "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": "",
    "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "127.0.0.1", "REMOTE_ADDR": "127.0.0.1", "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http", "wsgi.errors": sys.stderr, "wsgi.multithread": True,
    "wsgi.multiprocess": False, "wsgi.run_once": False,
}

def start(status, headers, exc_info=None):
    assert status == "200 OK"

def call():
    result = app({**BASE, "wsgi.input": io.BytesIO()}, start)
    assert b"".join(result) == b"Hello, World!"
    result.close()

def calls(seconds):
    begun, count = time.process_time(), 0
    while time.process_time() - begun < seconds:
        for _ in range(100):
            call()
        count += 100
    return (time.process_time() - begun) / count * 1e6

calls(0.5)
print(calls(float(sys.argv[1])))
'''


def looped(site: Path, seconds: float) -> Sample:
    """What the calls take by themselves."""
    command = pinned(PROXY_CORE, [PYTHON, str(site / "calls.py"), f"{seconds:g}"])
    return {"cpu": float(output_of(command, seconds=seconds * 10 + 60))}


def served(one: Running, seconds: float) -> Sample:
    """What the process of the application takes for a request."""

    def process() -> dict[int, accounting.CPU]:
        python = {pid for pid in one.child.tree() if accounting.name(pid).startswith("python")}
        if not python:
            raise BenchmarkError("the application has no process")
        return accounting.cpu(python)

    wrk(one.port, "/", CONNECTIONS, WARMUP_SECONDS)
    before = process()
    load = wrk(one.port, "/", CONNECTIONS, seconds)
    try:
        spent = accounting.difference(before, process())
    except accounting.ProcessGone as gone:
        raise RoundFailed(f"process {gone} ended meanwhile") from gone
    ensure_good(load)
    return {"cpu": spent.total / load.answers * 1e6, "rate": load.rate}


def measure(bench: Bench, name: str) -> list[Row]:
    """One request again and again, and the same calls without a server."""
    martlet = next((peer for peer in bench.peers if isinstance(peer, Martlet)), None)
    if martlet is None or not has(name.lower()):
        return []
    claim = f"app-{name.lower()}"
    with Stage() as stage:
        site, folder, port = stage.path("site"), stage.path("martlet"), free_port()
        site.mkdir()
        folder.mkdir()
        (site / "shop.py").write_text(FRAMEWORKS[name])
        (site / "calls.py").write_text(CALLS)
        configuration = folder / "martlet.conf"
        configuration.write_text(
            MARTLET.format(
                folder=folder,
                port=port,
                site=site,
                python=PYTHON,
                interface="wsgi",
                threads="threads 4",
            )
        )
        command = [str(martlet.program), "run", "--config", str(configuration)]
        child = stage.start("martlet", command, PROXY_CORE)
        child.wait_for_port(port, seconds=60)
        one = Running(martlet.name, child, port, folder)
        ways = [
            Way(martlet.name, lambda: served(one, bench.seconds)),
            Way(LOOP, lambda: looped(site, bench.seconds)),
        ]
        samples = bench.interleave(claim, ways, Way.run)
    return compare(
        claim, "the process of the application, per request", "µs", samples, "cpu", {LOOP: BOUND}
    )


CLAIMS = [
    Claim(
        f"app-{name.lower()}",
        f"{name}, beside its own time",
        f"The processor time of the application's process for a request that {name} answers with a word, "
        f"wrk with {CONNECTIONS} keep-alive connections, {{seconds}} s a round; beside the same calls in a "
        "loop, without a server.",
        partial(measure, name=name),
    )
    for name in FRAMEWORKS
]

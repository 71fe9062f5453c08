"""Checks a proxy's answers before anything is timed: a fast wrong answer is worth nothing."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import subprocess
from pathlib import Path

from .peers import Running, body
from .processes import BenchmarkError, wait_until
from .site import BODIES, OTHER_BODY, Site


def _expect(holds: bool, name: str, what: str) -> None:
    if not holds:
        raise BenchmarkError(f"{name} does not do the job: {what}")


def _ask(
    connection: http.client.HTTPConnection,
    path: str,
    host: str,
    headers: dict[str, str] | None = None,
) -> tuple[http.client.HTTPResponse, bytes]:
    connection.request("GET", path, headers={"Host": host, **(headers or {})})
    answer = connection.getresponse()
    return answer, answer.read()


def parse_echo(text: str) -> dict[str, str]:
    """The fields of the upstream's echo."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def check(running: Running, site: Site) -> None:
    """Fails with a sentence when the proxy does not serve what the job says."""
    try:
        _check(running, site)
    except (OSError, http.client.HTTPException) as error:
        raise BenchmarkError(f"{running.name} does not answer: {error!r}") from error


def _check_http2(running: Running) -> None:
    """HTTP/2 by curl: Python's library has none."""
    for path, size in BODIES.items():
        command = ["curl", "-s", "--noproxy", "*", "--http2-prior-knowledge", "-w", "%{http_version}"]
        url = f"http://127.0.0.1:{running.port}{path}"
        done = subprocess.run([*command, url], capture_output=True, timeout=30, check=False)
        _expect(done.returncode == 0, running.name, f"curl ended with {done.returncode} for {path}")
        _expect(done.stdout == body(size) + b"2", running.name, f"{path} has another body or version")


def _check(running: Running, site: Site) -> None:
    if site.http2:
        _check_http2(running)
        return
    name = running.name
    host = site.host_names()[-1] if site.hosts else "localhost"
    prefix = site.prefixes()[-1] if site.paths else "/"
    with contextlib.closing(_connection(running, site)) as connection:
        connection.connect()
        _check_bodies(name, connection, prefix, host, site)
        echo = f"{site.prefixes()[0]}echo" if site.paths else "/echo"
        _check_upstream(name, connection, echo, host)
        if site.realistic:
            _check_realistic(running, connection, echo, host)
    _check_close(running, site, f"{prefix}100", host)
    if site.hosts:
        _check_unknown(running, site)


def _connection(running: Running, site: Site) -> http.client.HTTPConnection:
    if site.tls:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(
            "127.0.0.1", running.port, timeout=10, context=context
        )
    return http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)


def _check_bodies(
    name: str, connection: http.client.HTTPConnection, prefix: str, host: str, site: Site
) -> None:
    socket = connection.sock
    wanted = {f"{prefix}other": OTHER_BODY} if site.paths else BODIES
    for path, size in wanted.items():
        answer, content = _ask(connection, path, host)
        _expect(answer.status == 200, name, f"{path} has status {answer.status}")
        _expect(content == body(size), name, f"{path} has another body than the upstream sent")
    _expect(connection.sock is socket, name, "it closed a connection that was to be kept")


def _check_upstream(
    name: str, connection: http.client.HTTPConnection, path: str, host: str
) -> None:
    first, second = (parse_echo(_ask(connection, path, host)[1].decode()) for _ in range(2))
    _expect(first.get("host") == host, name, f"the upstream was asked for {first.get('host')}")
    reused = first.get("connection") == second.get("connection")
    _expect(reused, name, "two requests took two connections to the upstream")


def _check_realistic(
    running: Running, connection: http.client.HTTPConnection, path: str, host: str
) -> None:
    name = running.name
    sent = {"X-Forwarded-For": "192.0.2.7", "Accept-Encoding": "gzip"}
    echo = parse_echo(_ask(connection, path, host, sent)[1].decode())
    forwarded = echo.get("forwarded", "")
    _expect(forwarded.endswith("127.0.0.1"), name, f"X-Forwarded-For was {forwarded!r}")
    _expect(echo.get("real") == "127.0.0.1", name, "X-Real-IP is not the client")
    _expect(echo.get("proto") == "http", name, "X-Forwarded-Proto is not http")
    _expect(echo.get("asked") == host, name, "X-Forwarded-Host is not the host")
    _expect(len(echo.get("id", "")) >= 8, name, "there is no X-Request-ID")
    _expect(echo.get("encoding") == "", name, "Accept-Encoding was not removed")
    answer, _ = _ask(connection, path.replace("echo", "other"), host)
    _expect(answer.getheader("X-Powered-By") is None, name, "X-Powered-By was not removed")
    nosniff = answer.getheader("X-Content-Type-Options") == "nosniff"
    _expect(nosniff, name, "X-Content-Type-Options was not set")
    secure = answer.getheader("Strict-Transport-Security")
    _expect(secure == "max-age=31536000", name, "Strict-Transport-Security was not set")
    log = running.configuration / "access.log"
    wait_until(lambda: _has_json_line(log), 10, f"{name} writes its access log")


def _has_json_line(log: Path) -> bool:
    """Whether the log's first line is JSON that says who asked for what."""
    if not log.exists():
        return False
    lines = log.read_text(errors="replace").splitlines()
    if not lines:
        return False
    try:
        return len(json.loads(lines[0])) >= 8
    except ValueError:
        raise BenchmarkError(f"a line of {log.name} is not JSON: {lines[0]}") from None


def _check_close(running: Running, site: Site, path: str, host: str) -> None:
    with contextlib.closing(_connection(running, site)) as connection:
        answer, _ = _ask(connection, path, host, {"Connection": "close"})
    _expect(answer.will_close, running.name, "it keeps a connection that the client wants closed")


def _check_unknown(running: Running, site: Site) -> None:
    with contextlib.closing(_connection(running, site)) as connection:
        answer, _ = _ask(connection, "/", "unknown.example")
    _expect(answer.status != 200, running.name, "it answers for a host that it does not have")

"""The load: wrk for throughput, the repository's own generator for open-loop and strict runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .processes import LOAD_CORE, BenchmarkError, pinned

BENCHMARKS = Path(__file__).parent.parent


@dataclass(frozen=True)
class Load:
    """What came of a run of load."""

    answers: int
    seconds: float
    failures: dict[str, int] = field(default_factory=dict)
    #: Latency from the intended start, in microseconds, by name: p50, p90, p99, p999, max.
    microseconds: dict[str, float] = field(default_factory=dict)
    #: That of requests meant to start in windows with an odd number, where the load has such.
    odd_microseconds: dict[str, float] = field(default_factory=dict)
    #: Answers while the load warmed up: served, but not timed.
    unrecorded: int = 0

    @property
    def failed(self) -> int:
        """How many requests had no good answer."""
        return sum(self.failures.values())

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds if self.seconds > 0 else 0.0

    def describe_failures(self) -> str:
        """The failures by kind."""
        return ", ".join(f"{count} {kind}" for kind, count in self.failures.items() if count)


UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_wrk(text: str) -> Load:
    """Reads what wrk prints at its end."""
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m|h),", text)
    if total is None:
        raise BenchmarkError(f"wrk's report is not understood:\n{text}")
    failures = {}
    errors = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text
    )
    if errors:
        names = ("connect", "read", "write", "timeout")
        failures = {name: int(count) for name, count in zip(names, errors.groups(), strict=True)}
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if bad:
        failures["status"] = int(bad.group(1))
    return Load(int(total.group(1)), float(total.group(2)) * UNITS[total.group(3)], failures)


def parse_h2load(text: str) -> Load:
    """Reads what h2load prints at its end; what it asked for while it warmed up is not counted."""
    time = re.search(r"finished in ([\d.]+)(us|ms|s|m|h),", text)
    total = re.search(
        r"requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, "
        r"(\d+) errored, (\d+) timeout",
        text,
    )
    if time is None or total is None:
        raise BenchmarkError(f"h2load's report is not understood:\n{text}")
    done, succeeded, failed, errored, late = (int(number) for number in total.groups())
    # An answer with another status than 2xx and 3xx is done, and neither succeeded nor failed.
    status = max(0, done - succeeded - failed)
    failures = {"failed": failed, "errored": errored, "timeout": late, "status": status}
    return Load(succeeded, float(time.group(1)) * UNITS[time.group(2)], failures)


def parse_generator(text: str) -> Load:
    """Reads the generator's line of JSON."""
    try:
        report = json.loads(text)
        return Load(
            int(report["answers"]),
            float(report["seconds"]),
            {kind: int(count) for kind, count in report["failures"].items()},
            {name: float(value) for name, value in report["microseconds"].items()},
            {name: float(value) for name, value in report.get("odd_microseconds", {}).items()},
            int(report["warmup_answers"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(f"the generator's report is not understood: {text!r}") from error


def _output(command: Sequence[str], seconds: float) -> str:
    process = subprocess.Popen(
        pinned(LOAD_CORE, command),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds + 60)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode != 0:
        raise BenchmarkError(f"{command[0]} ended with {process.returncode}: {output.strip()}")
    return output


SCRIPT = """local requests = {{}}
for _, host in ipairs({{{hosts}}}) do
  for _, path in ipairs({{{paths}}}) do
    requests[#requests + 1] = wrk.format("GET", path, {{["Host"] = host{headers}}})
  end
end
-- A fixed stride instead of one after the other, so that neighbours are not asked for in turn.
local at, stride = 0, {stride}
request = function()
  at = (at + stride) % #requests
  return requests[at + 1]
end
"""

BROWSER_HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br",
    "Cookie": "session=6f1d2c3b4a5968778695a4b3c2d1e0ff; theme=dark",
}


def wrk_script(hosts: Sequence[str], paths: Sequence[str], headers: dict[str, str]) -> str:
    """A script that has wrk ask for every host and path in turn, requests built beforehand."""

    def listed(values: Sequence[str]) -> str:
        return ", ".join(json.dumps(value) for value in values)

    count = len(hosts) * len(paths)
    stride = next(
        step for step in (7919, 104_729, 1) if count % step and step != count or step == 1
    )
    more = "".join(f", [{json.dumps(name)}] = {json.dumps(text)}" for name, text in headers.items())
    return SCRIPT.format(hosts=listed(hosts), paths=listed(paths), headers=more, stride=stride)


def wrk(
    port: int,
    path: str,
    connections: int,
    seconds: float,
    script: Path | None = None,
    *,
    tls: bool = False,
    closes: bool = False,
) -> Load:
    """Closed-loop load on keep-alive connections: the next request when the answer is there.

    - closes: each request has a connection of its own, with TLS a full handshake too.
    """
    whole = max(1, round(seconds))
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{whole}s", "--timeout", "10s"]
    if script is not None:
        command += ["-s", str(script)]
    if closes:
        command += ["-H", "Connection: close"]
    scheme = "https" if tls else "http"
    return parse_wrk(_output([*command, f"{scheme}://127.0.0.1:{port}{path}"], whole))


def h2load(port: int, path: str, connections: int, streams: int, requests: int) -> Load:
    """Closed-loop load over HTTP/2: so many streams at a time on each connection."""
    command = ["h2load", "-t", "1", "-c", str(connections), "-m", str(streams)]
    command += ["-n", str(requests), f"http://127.0.0.1:{port}{path}"]
    return parse_h2load(_output(command, 60))


def h2load_calls(port: int, path: str, connections: int, streams: int, calls: int) -> Load:
    """Closed-loop calls of gRPC, each with a message of a hundred bytes."""
    with tempfile.NamedTemporaryFile() as message:
        message.write(b"\0" + (100).to_bytes(4, "big") + bytes(100))
        message.flush()
        command = ["h2load", "-t", "1", "-c", str(connections), "-m", str(streams)]
        command += ["-d", message.name, "-H", "content-type: application/grpc", "-H", "te: trailers"]
        command += ["-n", str(calls), f"http://127.0.0.1:{port}{path}"]
        return parse_h2load(_output(command, 60))


def build(folder: Path, program: Path) -> Path:
    """Builds a program of Swift, and what all of them share, when one of its sources is newer than it."""
    sources = [*sorted(folder.glob("*.swift")), BENCHMARKS / "loopback/Loopback.swift"]
    if program.exists():
        built = program.stat().st_mtime
        if all(source.stat().st_mtime <= built for source in sources):
            return program
    program.parent.mkdir(parents=True, exist_ok=True)
    print(f"building {program.name}", file=sys.stderr)
    command = ["swiftc", "-O", "-wmo", "-swift-version", "6"]
    for module in [*BENCHMARKS.glob("loopback/*/module.modulemap"), *folder.glob("*/module.modulemap")]:
        command += ["-I", str(module.parent)]
    command += [*map(str, sources), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"{program.name} does not build:\n{done.stdout}{done.stderr}")
    return program


class Wires:
    """Load for layer 4: both ends of every connection, in one process."""

    def __init__(self, folder: Path) -> None:
        self.program = build(BENCHMARKS / "wires", folder / "wires")

    def run(
        self, mode: str, server: int, proxy: int, connections: int, seconds: float, count: int
    ) -> Load:
        """Runs to the end; `answers` are round trips, or bytes for `bulk`."""
        words = [mode, str(server), str(proxy), str(connections), f"{seconds:g}", str(count)]
        return parse_generator(_output([str(self.program), *words], seconds))


class Generator:
    """The repository's own load generator, built when its sources are newer than its program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = build(BENCHMARKS / "generator", folder / "generator")

    def command(
        self,
        port: int,
        connections: int,
        seconds: float,
        *,
        path: str = "/100",
        rate: float = 0,
        warmup: float = 0,
        close: bool = False,
        body_bytes: int = -1,
        window: float = 0,
    ) -> list[str]:
        """The command line of a run."""
        command = [str(self.program), "--port", str(port), "--path", path]
        command += ["--connections", str(connections), "--seconds", f"{seconds:g}"]
        command += ["--rate", f"{rate:.1f}", "--warmup", f"{warmup:g}"]
        command += ["--body-bytes", str(body_bytes), "--window", f"{window:g}"]
        return command + (["--close"] if close else [])

    def run(
        self,
        port: int,
        connections: int,
        seconds: float,
        *,
        path: str = "/100",
        rate: float = 0,
        warmup: float = 0,
        close: bool = False,
        body_bytes: int = -1,
        window: float = 0,
    ) -> Load:
        """Runs to the end; failures are counted in the result, not raised."""
        command = self.command(
            port,
            connections,
            seconds,
            path=path,
            rate=rate,
            warmup=warmup,
            close=close,
            body_bytes=body_bytes,
            window=window,
        )
        return parse_generator(_output(command, seconds))

    def start(self, command: Sequence[str]) -> subprocess.Popen[str]:
        """Starts a run beside which other things happen; `finish` reads its result."""
        return subprocess.Popen(
            pinned(LOAD_CORE, command),
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @staticmethod
    def result(process: subprocess.Popen[str], seconds: float = 60) -> Load:
        """The result of a started run, when it has come to its own end."""
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.wait()
            raise BenchmarkError("the load did not come to its end") from error
        return parse_generator(output)

    @staticmethod
    def finish(process: subprocess.Popen[str], seconds: float = 60) -> Load:
        """Has a started run ask no more, and waits for the answers that are under way."""
        if process.poll() is not None:
            raise BenchmarkError("the load ended before what was to happen under it")
        process.terminate()
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.wait()
            raise BenchmarkError("the load did not come to its end") from error
        return parse_generator(output)

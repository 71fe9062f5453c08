"""A configuration as people run it: many routes, header rules, access log, metrics."""

from __future__ import annotations

from ..bench import Bench, Sample, cpu_sample
from ..load import BROWSER_HEADERS, wrk, wrk_script
from ..peers import Running
from ..processes import Stage
from ..report import Row
from ..site import REALISTIC
from .claim import Claim
from .requests import WARMUP_SECONDS, figures

CONNECTIONS = 64


def measure_all(bench: Bench) -> list[Row]:
    """Every route is asked in turn, with the headers of a browser."""
    with Stage() as stage:
        running = bench.start_all(stage, REALISTIC)
        script = stage.path("realistic.lua")
        paths = [f"{prefix}page" for prefix in REALISTIC.prefixes()]
        script.write_text(wrk_script(REALISTIC.host_names(), paths, BROWSER_HEADERS))

        def measure(one: Running) -> Sample:
            wrk(one.port, "/", CONNECTIONS, WARMUP_SECONDS, script)
            # The log stands in memory: what earlier rounds wrote makes room.
            log = one.configuration / "access.log"
            with log.open("r+b") as file:
                file.truncate(0)
            return cpu_sample(one, lambda: wrk(one.port, "/", CONNECTIONS, bench.seconds, script))

        samples = bench.interleave("realistic", running, measure)
    return figures("realistic", samples, better=0.85)


CLAIMS = [
    Claim(
        "realistic",
        "A realistic configuration",
        "wrk, one thread, 64 keep-alive connections, {seconds} s a round, 1,000-byte bodies, "
        "browser headers. 20 hosts with 10 paths each (200 routes), asked in turn; X-Forwarded-"
        "For, -Proto, -Host, X-Real-IP and X-Request-ID set, Accept-Encoding removed; two response "
        "fields set, one removed; a JSON access log to a file; metrics on. nginx writes its log in "
        "blocks of 64 KB; HAProxy, which has no log file, writes each line to standard output, "
        "which is the file: a system logger would do part of the work in a process of its own.",
        measure_all,
    )
]

"""A new connection for every request."""

from __future__ import annotations

from ..bench import Bench, Sample, cpu_sample
from ..peers import Running
from ..processes import Stage
from ..report import Row
from ..site import BODIES, PLAIN
from .claim import Claim
from .requests import figures

CONNECTIONS = 64


def measure_all(bench: Bench) -> list[Row]:
    """Clients that ask once and go; the connections to the upstream are kept all the same."""
    with Stage() as stage:
        running = bench.start_all(stage, PLAIN)

        def measure(one: Running) -> Sample:
            def load(seconds: float) -> Sample:
                return cpu_sample(
                    one,
                    lambda: bench.generator.run(
                        one.port, CONNECTIONS, seconds, close=True, body_bytes=BODIES["/100"]
                    ),
                )

            load(1)
            return load(bench.seconds)

        samples = bench.interleave("new-connections", running, measure)
    return figures("new-connections", samples, better=0.90)


CLAIMS = [
    Claim(
        "new-connections",
        "A new connection per request",
        f"The repository's generator, {CONNECTIONS} connections at a time, each asked once with "
        "`Connection: close` for 100 bytes, {seconds} s a round; connections to the upstream are "
        "kept.",
        measure_all,
    )
]

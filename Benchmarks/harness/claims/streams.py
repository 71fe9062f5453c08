"""Layer 4: TCP connections that are passed on byte for byte."""

from __future__ import annotations

from .. import bare
from ..bench import Bench, Sample, compare, cpu_sample
from ..load import Wires
from ..peers import Running, Upstream
from ..processes import Stage, free_port
from ..report import Row
from ..site import BODIES, BULK, STREAM, Site
from .claim import Claim
from .requests import RELAYED, figures

TRIP_CONNECTIONS = 64
TRIP_BYTES = 64
BULK_CONNECTIONS = 8
BULK_BYTES = 262_144
NEW_CONNECTIONS = 64


def start_all(bench: Bench, stage: Stage, site: Site, upstream: int) -> list[Running]:
    """Starts every peer in front of a port; what it passes on is checked by the load itself."""
    return [peer.start(stage, site, upstream) for peer in bench.peers]


def trips(bench: Bench) -> list[Row]:
    """Small messages on many connections: the cost of a message by itself."""
    wires, server = Wires(bench.generator.folder), free_port()
    with Stage() as stage:
        running = start_all(bench, stage, STREAM, server)
        running.append(bare.Relay(bench.generator.folder).start(stage, STREAM, server))

        def measure(one: Running) -> Sample:
            def load(seconds: float) -> Sample:
                return cpu_sample(
                    one,
                    lambda: wires.run(
                        "trips", server, one.port, TRIP_CONNECTIONS, seconds, TRIP_BYTES
                    ),
                )

            load(1)
            return load(bench.seconds)

        samples = bench.interleave("tcp-trips", running, measure)
    bounds = {"haproxy": 0.85}
    alone = bare.rows("tcp-trips", bare.CALLS, "µs", samples, bare.Relay.name, bounds)
    rows = compare("tcp-trips", "processor time per round trip", "µs", samples, "cpu", bounds)
    rows += compare("tcp-trips", "of it user", "µs", samples, "user")
    rows += compare("tcp-trips", "of it system", "µs", samples, "system")
    rows += compare("tcp-trips", "round trips per second", "1/s", samples, "rate")
    return rows + alone


def bulk(bench: Bench) -> list[Row]:
    """Few connections that never end: the cost of moving bytes."""
    wires, server = Wires(bench.generator.folder), free_port()
    with Stage() as stage:
        running = start_all(bench, stage, BULK, server)

        def measure(one: Running) -> Sample:
            def load(seconds: float) -> Sample:
                return cpu_sample(
                    one,
                    lambda: wires.run(
                        "bulk", server, one.port, BULK_CONNECTIONS, seconds, BULK_BYTES
                    ),
                    per=1e3,
                )

            load(1)
            sample = dict(load(bench.seconds))
            sample["gigabytes"] = sample.pop("rate") / 1e9
            return sample

        samples = bench.interleave("tcp-bulk", running, measure)
    bounds = {"haproxy": 0.60, "nginx": 0.35}
    rows = compare("tcp-bulk", "processor time per GB", "s", samples, "cpu", bounds)
    rows += compare("tcp-bulk", "of it user", "s", samples, "user")
    rows += compare("tcp-bulk", "of it system", "s", samples, "system")
    return rows + compare("tcp-bulk", "throughput", "GB/s", samples, "gigabytes")


def connections(bench: Bench) -> list[Row]:
    """A connection for each request, to the upstream as well."""
    with Stage() as stage:
        running = start_all(bench, stage, STREAM, Upstream(stage).port)

        def measure(one: Running) -> Sample:
            def load(seconds: float) -> Sample:
                return cpu_sample(
                    one,
                    lambda: bench.generator.run(
                        one.port, NEW_CONNECTIONS, seconds, close=True, body_bytes=BODIES["/100"]
                    ),
                )

            load(1)
            return load(bench.seconds)

        samples = bench.interleave("tcp-connections", running, measure)
    return figures("tcp-connections", samples, {"haproxy": 0.90})


CLAIMS = [
    Claim(
        "tcp-trips",
        f"Layer 4: {TRIP_BYTES}-byte round trips",
        f"{TRIP_CONNECTIONS} connections on which {TRIP_BYTES} bytes go there and back without a "
        "pause; clients and server are one process. {seconds} s a round. nginx is its stream module, "
        "HAProxy its mode tcp." + RELAYED,
        trips,
    ),
    Claim(
        "tcp-bulk",
        "Layer 4: bytes in bulk",
        f"{BULK_CONNECTIONS} connections on which the server sends without a pause, in blocks of "
        f"{BULK_BYTES:,} bytes; the clients drop them. {{seconds}} s a round. HAProxy splices "
        "(`option splice-request`, `splice-response`); nginx cannot.",
        bulk,
    ),
    Claim(
        "tcp-connections",
        "Layer 4: a connection per request",
        f"The repository's generator, {NEW_CONNECTIONS} connections at a time, each asked once with "
        "`Connection: close` for 100 bytes of nginx behind the proxy; {seconds} s a round.",
        connections,
    ),
]

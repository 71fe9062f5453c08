"""The job that every proxy of a measurement is configured for."""

from __future__ import annotations

from dataclasses import dataclass

REALISTIC_HOSTS = 20
REALISTIC_PATHS = 10


@dataclass(frozen=True)
class Site:
    """What a proxy serves; each peer writes its own configuration from this."""

    #: Host names with a route each; 0: one route for whatever is asked.
    hosts: int = 0
    #: Path prefixes below each host, a route each; 0: one route for the whole host.
    paths: int = 0
    #: Header rules both ways, forwarding headers, a request identifier, a JSON access log, metrics.
    realistic: bool = False
    #: Bodies of a megabyte: buffers as the peer's users would size them.
    large: bool = False
    #: Whether clients speak TLS, to a certificate with an ECDSA key on P-256.
    tls: bool = False
    #: The ports of several members, which proxies then retry on; empty: there is one, the upstream.
    members: tuple[int, ...] = ()
    #: Bytes instead of requests: TCP connections are passed to the upstream as they are.
    layer4: bool = False
    #: Clients speak HTTP/2 from the first byte on; the upstream HTTP/1.1.
    http2: bool = False
    #: Calls of gRPC: clients and the upstream speak HTTP/2.
    grpc: bool = False

    def host_names(self) -> list[str]:
        """The names in the order in which the load asks for them."""
        return [f"host{number}.example" for number in range(self.hosts)]

    def prefixes(self) -> list[str]:
        """The path prefixes of every host."""
        return [f"/part{number}/" for number in range(self.paths)]


PLAIN = Site()
LARGE = Site(large=True)
#: Layer 4; `large` is for connections that carry much.
STREAM = Site(layer4=True)
BULK = Site(layer4=True, large=True)
TLS = Site(tls=True)
TLS_LARGE = Site(tls=True, large=True)
HTTP2 = Site(http2=True)
GRPC = Site(http2=True, grpc=True)
REALISTIC = Site(hosts=REALISTIC_HOSTS, paths=REALISTIC_PATHS, realistic=True)

#: Bodies that the upstream serves, by path.
BODIES = {"/100": 100, "/10k": 10_240, "/1m": 1_048_576}
#: The body of every other path.
OTHER_BODY = 1_000

"""All claims, in the order of the report."""

from __future__ import annotations

from . import (
    connections,
    continuity,
    control,
    datagrams,
    failover,
    framing,
    health,
    hosts,
    instructions,
    latency,
    memory,
    realistic,
    requests,
    streams,
    tls,
)
from .claim import Claim

CLAIMS: dict[str, Claim] = {
    claim.name: claim
    for claim in [
        *requests.CLAIMS,
        *realistic.CLAIMS,
        *connections.CLAIMS,
        *streams.CLAIMS,
        *latency.CLAIMS,
        *memory.CLAIMS,
        *hosts.CLAIMS,
        *continuity.CLAIMS,
        *failover.CLAIMS,
        *health.CLAIMS,
        *control.CLAIMS,
        *framing.CLAIMS,
        *datagrams.CLAIMS,
        *tls.CLAIMS,
        *instructions.CLAIMS,
    ]
}

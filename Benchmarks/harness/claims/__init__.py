"""All claims, in the order of the report."""

from __future__ import annotations

from . import (
    applications,
    cache,
    caching,
    compression,
    connections,
    continuity,
    control,
    datagrams,
    failover,
    files,
    floods,
    framing,
    gateways,
    grpc,
    health,
    hosts,
    http2,
    instructions,
    latency,
    memory,
    polling,
    realistic,
    requests,
    shielding,
    streams,
    tls,
)
from .claim import Claim

CLAIMS: dict[str, Claim] = {
    claim.name: claim
    for claim in [
        *requests.CLAIMS,
        *realistic.CLAIMS,
        *http2.CLAIMS,
        *floods.CLAIMS,
        *grpc.CLAIMS,
        *connections.CLAIMS,
        *streams.CLAIMS,
        *latency.CLAIMS,
        *memory.CLAIMS,
        *polling.CLAIMS,
        *hosts.CLAIMS,
        *continuity.CLAIMS,
        *failover.CLAIMS,
        *health.CLAIMS,
        *control.CLAIMS,
        *framing.CLAIMS,
        *datagrams.CLAIMS,
        *tls.CLAIMS,
        *files.CLAIMS,
        *gateways.CLAIMS,
        *cache.CLAIMS,
        *caching.CLAIMS,
        *compression.CLAIMS,
        *applications.CLAIMS,
        *shielding.CLAIMS,
        *instructions.CLAIMS,
    ]
}

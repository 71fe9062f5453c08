"""h2o as a proxy under measurement: a server of HTTP/2 before anything else, so it stands beside the jobs
of HTTP/2."""

from __future__ import annotations

import os
from pathlib import Path

from .peers import Peer, descriptor_limit
from .processes import BenchmarkError
from .site import HTTP2, Site

CONFIGURATION = """num-threads: 1
max-connections: {connections}
{user}error-log: {folder}/error.log
http2-idle-timeout: 3600
http2-max-concurrent-requests-per-connection: 256
listen:
  host: 127.0.0.1
  port: {port}
hosts:
  default:
    paths:
      /:
        proxy.reverse.url: "http://127.0.0.1:{upstream}"
        proxy.preserve-host: ON
        proxy.timeout.keepalive: 3600000
"""


class H2O(Peer):
    """h2o with one thread."""

    name = "h2o"

    def prepare(self, site: Site, port: int, upstream: int, folder: Path) -> list[str]:
        if site != HTTP2:
            raise BenchmarkError(f"h2o is configured for HTTP/2 alone, not for {site}")
        path = folder / "h2o.conf"
        connections = min(16_384, descriptor_limit() - 1_000)
        user = "user: root\n" if os.geteuid() == 0 else ""
        path.write_text(
            CONFIGURATION.format(
                connections=connections, user=user, folder=folder, port=port, upstream=upstream
            )
        )
        return ["h2o", "-c", str(path)]

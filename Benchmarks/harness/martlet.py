"""Martlet as a proxy under measurement."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .peers import Peer, Running
from .processes import BenchmarkError
from .site import Site

#: The rules that the other proxies' realistic configurations have as well.
REALISTIC_ROUTE = """      request header set X-Forwarded-Proto http
      request header set X-Real-IP {client.address}
      request header set X-Request-ID {request.id}
      request header remove Accept-Encoding
      response header remove X-Powered-By
      response header set X-Content-Type-Options nosniff
      response header set Strict-Transport-Security max-age=31536000
"""


class Martlet(Peer):
    """Martlet with one loop: its supervisor and its edge process are both counted."""

    name = "martlet"

    def __init__(self, program: Path) -> None:
        self.program = program.resolve()

    def prepare(self, site: Site, port: int, upstream: int, folder: Path) -> list[str]:
        path = folder / "martlet.conf"
        path.write_text(self.configuration(site, port, upstream, folder))
        return [str(self.program), "run", "--config", str(path)]

    def configuration(self, site: Site, port: int, upstream: int, folder: Path) -> str:
        """The configuration's text."""
        parts = ["loops 1", f"admin unix:{folder}/admin.sock"]
        log = f"json {folder}/access.log" if site.realistic else "off"
        for number, host in enumerate(site.host_names() or [""]):
            parts.append(f"server {host} {{" if host else "server {")
            parts.append(f"  listen 127.0.0.1:{port}")
            parts.append(f"  access_log {log}")
            for prefix in site.prefixes() or ["/"]:
                rules = REALISTIC_ROUTE if site.realistic else ""
                parts.append(f"  route {prefix}* {{\n{rules}      proxy backend\n  }}")
            parts.append("}")
        parts.append(f"upstream backend {{\n  member 127.0.0.1:{upstream}\n}}\n")
        return "\n".join(parts)

    def _ask(self, running: Running, *words: str) -> None:
        path = running.configuration / "martlet.conf"
        command = [str(self.program), *words, "--config", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise BenchmarkError(
                f"martlet {' '.join(words)}: {(done.stdout + done.stderr).strip()}"
            )

    def reload(self, running: Running) -> None:
        self._ask(running, "reload")

    def upgrade(self, running: Running) -> None:
        """Puts a new process of the same program in the place of the running one."""
        self._ask(running, "upgrade")

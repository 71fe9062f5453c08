"""Martlet as a proxy under measurement."""

from __future__ import annotations

import enum
import subprocess
from pathlib import Path

from .peers import Peer, Running, certificate_files, make_certificate
from .processes import BenchmarkError
from .site import Site

#: What the other proxies are told as well: no limit is met in the middle of a measurement, and
#: nothing is added to a request that they do not add.
PROCESS = """loops 1
state_directory {folder}/state
admin unix:admin.sock
"""

SERVER = """    head_limit 16KB
    request_limit 1000000000
    idle_timeout 1h
    via off
"""

STREAM = """tcp {{
    listen 127.0.0.1:{port} backlog 4096
    proxy 127.0.0.1:{upstream}
}}
"""

UPSTREAM = """upstream backend {{
{members}
    idle_connections 1024
    idle_time 1h
    max_requests 1000000000
}}
"""

#: The rules that the other proxies' realistic configurations have as well; X-Forwarded-For, -Proto
#: and -Host come with `forwarded x_forwarded`.
REALISTIC_ROUTE = """        request header set X-Real-IP {client.address}
        request header set X-Request-ID {request.id}
        request header remove Accept-Encoding
        response header remove X-Powered-By
        response header set X-Content-Type-Options nosniff
        response header set Strict-Transport-Security max-age=31536000
"""

#: A file of Martlet's configuration has at most a megabyte.
SERVERS_A_FILE = 1_000


class Form(enum.Enum):
    """The command that Martlet is measured as."""

    #: The supervisor and its edge process: what people run.
    RUN = "run"
    #: One process with the same data path.
    EDGE = "edge"
    #: One process without configuration: for measuring the data path while it is being built.
    PROXY = "proxy"


class Martlet(Peer):
    """Martlet with one loop: its supervisor and its edge process are both counted."""

    name = "martlet"

    def __init__(self, program: Path, form: Form = Form.RUN) -> None:
        self.program = program.resolve()
        self.form = form

    def prepare(self, site: Site, port: int, upstream: int, folder: Path) -> list[str]:
        if self.form is Form.PROXY:
            if site.hosts or site.layer4:
                raise BenchmarkError("`martlet proxy` has no routes: measure with --martlet-as run")
            addresses = [f"127.0.0.1:{port}", "--to", f"127.0.0.1:{upstream}"]
            return [str(self.program), "proxy", "--listen", *addresses]
        if site.tls:
            make_certificate(folder)
        for name, text in self.files(site, port, upstream, folder).items():
            (folder / name).write_text(text)
        words = ["run"] if self.form is Form.RUN else ["edge", "--standalone"]
        return [str(self.program), *words, "--config", str(folder / "martlet.conf")]

    def files(self, site: Site, port: int, upstream: int, folder: Path) -> dict[str, str]:
        """The configuration's files by name; many servers stand in files of their own."""
        if site.layer4:
            text = STREAM.format(port=port, upstream=upstream)
            return {"martlet.conf": PROCESS.format(folder=folder) + text}
        servers = [self._server(host, site, port, folder) for host in site.host_names() or [""]]
        files = {}
        if len(servers) > SERVERS_A_FILE:
            for start in range(0, len(servers), SERVERS_A_FILE):
                part = servers[start : start + SERVERS_A_FILE]
                files[f"servers-{start // SERVERS_A_FILE}.conf"] = "\n".join(part)
            servers = ["include servers-*.conf\n"]
        parts = [PROCESS.format(folder=folder), *servers, self._upstream(site, upstream)]
        files["martlet.conf"] = "\n".join(parts)
        return files

    @staticmethod
    def _upstream(site: Site, upstream: int) -> str:
        lines = [f"    member 127.0.0.1:{port}" for port in site.members or (upstream,)]
        if site.members:
            lines.append("    breaker { failures 50%\n    window 1s }")
        if site.grpc:
            lines.append("    http2 on")
        return UPSTREAM.format(members="\n".join(lines))

    @staticmethod
    def _server(host: str, site: Site, port: int, folder: Path) -> str:
        listen = f"listen 127.0.0.1:{port} {'tls ' if site.tls else ''}backlog 4096"
        parts = [f"server {host} {{" if host else "server {", f"    {listen}", SERVER.rstrip()]
        if site.tls:
            certificate, key = certificate_files(folder)
            parts.append(f"    certificate {certificate} {key}")
        if site.realistic:
            parts.append("    forwarded x_forwarded")
            parts.append(f"    access_log {folder}/access.log json")
        else:
            parts.append("    forwarded off")
        rules = REALISTIC_ROUTE if site.realistic else ""
        for prefix in site.prefixes() or ["/"]:
            parts.append(f"    route {prefix} {{\n{rules}        proxy backend\n    }}")
        return "\n".join([*parts, "}", ""])

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

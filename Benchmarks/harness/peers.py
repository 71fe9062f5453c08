"""nginx and HAProxy as proxies, and the upstream server that all proxies share.

Their settings are those of an administrator who wants them fast: keep-alive to the upstream with a
pool that never runs dry, no limit on requests per connection, no log where the job has none.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from . import accounting
from .processes import LOAD_CORE, PROXY_CORE, BenchmarkError, Child, Stage, free_port
from .site import BODIES, OTHER_BODY, Site

NGINX_HEAD = """daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
{user}pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections {connections}; }}
http {{
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_timeout 3600s;
  keepalive_requests 1000000000;
"""

NGINX_STREAM = """load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
{user}pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections {connections}; }}
stream {{
  upstream backend {{ server 127.0.0.1:{upstream} max_fails=0; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    proxy_pass backend;
    proxy_timeout 1h;
  }}
}}
"""

NGINX_LOG = (
    '{"time":"$time_iso8601","id":"$request_id","client":"$remote_addr","method":"$request_method",'
    '"host":"$host","target":"$request_uri","protocol":"$server_protocol","status":$status,'
    '"bytes":$body_bytes_sent,"seconds":$request_time,"upstream":"$upstream_response_time",'
    '"member":"$upstream_addr","agent":"$http_user_agent"}'
)

HAPROXY_LOG = (
    '{"time":"%[date,ltime(%Y-%m-%dT%H:%M:%S%z)]","id":"%ID","client":"%ci","method":"%HM",'
    '"host":"%[capture.req.hdr(0),json(utf8s)]","target":"%[capture.req.uri,json(utf8s)]",'
    '"protocol":"%HV","status":%ST,"bytes":%B,"milliseconds":%Ta,"upstream":"%Tr",'
    '"member":"%si:%sp","agent":"%[capture.req.hdr(1),json(utf8s)]","reason":"%ts"}'
)


#: What the upstream says of the request that it got: fields by name, separated by line ends.
ECHO = (
    "connection=$connection\\nhost=$host\\nforwarded=$http_x_forwarded_for\\nreal=$http_x_real_ip"
    "\\nproto=$http_x_forwarded_proto\\nasked=$http_x_forwarded_host"
    "\\nid=$http_x_request_id\\nencoding=$http_accept_encoding\\n"
)


def descriptor_limit() -> int:
    """How many descriptors a process that we start may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(hard, 65_536)


def nginx_limits(folder: Path) -> dict[str, object]:
    """What every configuration of nginx is told."""
    files = descriptor_limit()
    connections = min(16_384, files - 1_000)
    # Workers keep the rights of the master, as the other proxies' processes do.
    user = "user root;\n" if os.geteuid() == 0 else ""
    return {"folder": folder, "files": files, "connections": connections, "user": user}


def nginx_head(folder: Path) -> str:
    """The part of nginx's configuration that does not depend on the job."""
    return NGINX_HEAD.format(**nginx_limits(folder))


NGINX_STREAM_HEAD = """load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
{user}pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections {connections}; }}
"""


def nginx_stream_head(folder: Path) -> str:
    """The part of a configuration of nginx for layer 4 that does not depend on the job."""
    files = descriptor_limit()
    connections = min(16_384, files - 1_000)
    user = "user root;\n" if os.geteuid() == 0 else ""
    return NGINX_STREAM_HEAD.format(
        folder=folder, files=files, connections=connections, user=user
    )


def certificate_files(folder: Path) -> tuple[Path, Path]:
    """Where a peer has its certificate and its key; HAProxy finds both in the first file."""
    return folder / "server.pem", folder / "server.key"


def make_certificate(folder: Path) -> None:
    """A certificate for localhost with an ECDSA key."""
    certificate, key = certificate_files(folder)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "30"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"openssl makes no certificate: {done.stderr.strip()}")
    certificate.write_text(certificate.read_text() + key.read_text())


@dataclass
class Running:
    """A proxy under measurement."""

    name: str
    child: Child
    port: int
    configuration: Path

    def cpu(self) -> dict[int, accounting.CPU]:
        """A reading of the processor time of all its processes."""
        self.child.ensure_alive()
        return accounting.cpu(self.child.tree())

    def anonymous_bytes(self) -> int:
        """Anonymous memory of all its processes."""
        self.child.ensure_alive()
        return accounting.anonymous_bytes(self.child.tree())


class Peer(ABC):
    """A kind of proxy that can be put in front of the upstream."""

    name: str

    @abstractmethod
    def prepare(self, site: Site, port: int, upstream: int, folder: Path) -> list[str]:
        """Writes the configuration for a job into a folder; returns the command that runs it."""

    def start(self, stage: Stage, site: Site, upstream: int, label: str = "") -> Running:
        """Starts the proxy on its core and waits until it listens."""
        port = free_port()
        folder = stage.path(f"{self.name}{label}")
        folder.mkdir()
        command = self.prepare(site, port, upstream, folder)
        child = stage.start(f"{self.name}{label}-proxy", command, PROXY_CORE)
        child.wait_for_port(port, seconds=60)
        return Running(self.name, child, port, folder)

    def reload(self, running: Running) -> None:
        """Asks for a new configuration in force; returns once it was asked for or is in force."""
        raise BenchmarkError(f"the benchmark does not reload {self.name}")


class Nginx(Peer):
    """nginx with one worker."""

    name = "nginx"

    def prepare(self, site: Site, port: int, upstream: int, folder: Path) -> list[str]:
        if site.tls:
            make_certificate(folder)
        path = folder / "nginx.conf"
        path.write_text(self.configuration(site, port, upstream, folder))
        return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(path)]

    def configuration(self, site: Site, port: int, upstream: int, folder: Path) -> str:
        """The configuration's text."""
        if site.layer4:
            limits = nginx_limits(folder)
            return NGINX_STREAM.format(**limits, port=port, upstream=upstream)
        parts = [nginx_head(folder)]
        ports = site.members or (upstream,)
        servers = " ".join(f"server 127.0.0.1:{each};" for each in ports)
        parts.append(f"  upstream backend {{ {servers} keepalive 1024;")
        parts.append("    keepalive_requests 1000000000; keepalive_timeout 3600s; }")
        parts.append("  proxy_http_version 1.1;")
        parts.append('  proxy_set_header Connection "";')
        parts.append("  proxy_set_header Host $host;")
        if site.large:
            # Found best for it: a whole body's worth of buffers, and never a file.
            parts.append("  proxy_buffer_size 64k; proxy_buffers 16 64k;")
            parts.append("  proxy_busy_buffers_size 128k; proxy_max_temp_file_size 0;")
        parts += self._realistic(folder) if site.realistic else ["  access_log off;"]
        if site.tls:
            certificate, key = certificate_files(folder)
            parts.append(f"  ssl_certificate {certificate}; ssl_certificate_key {key};")
            parts.append("  ssl_protocols TLSv1.2 TLSv1.3;")
        parts += self._servers(site, port)
        parts.append("}\n")
        return "\n".join(parts)

    @staticmethod
    def _realistic(folder: Path) -> list[str]:
        return [
            "  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
            "  proxy_set_header X-Forwarded-Proto $scheme;",
            "  proxy_set_header X-Forwarded-Host $http_host;",
            "  proxy_set_header X-Real-IP $remote_addr;",
            "  proxy_set_header X-Request-ID $request_id;",
            '  proxy_set_header Accept-Encoding "";',
            "  proxy_hide_header X-Powered-By;",
            "  add_header X-Content-Type-Options nosniff;",
            '  add_header Strict-Transport-Security "max-age=31536000";',
            f"  log_format lines escape=json '{NGINX_LOG}';",
            # Written in blocks, as its users do where the log costs: each line by itself is dearer.
            f"  access_log {folder}/access.log lines buffer=64k flush=1s;",
            f"  server {{ listen unix:{folder}/metrics.sock; location / {{ stub_status; }} }}",
        ]

    @staticmethod
    def _servers(site: Site, port: int) -> list[str]:
        words = ("ssl " if site.tls else "") + ("http2 " if site.http2 else "")
        listen = f"listen 127.0.0.1:{port} {words}backlog=4096"
        if not site.hosts:
            passing = "grpc_pass grpc" if site.grpc else "proxy_pass http"
            return [f"  server {{ {listen}; location / {{ {passing}://backend; }} }}"]
        locations = "".join(
            f"    location {prefix} {{ proxy_pass http://backend; }}\n"
            for prefix in site.prefixes() or ["/"]
        )
        parts = ["  server_names_hash_max_size 65536; server_names_hash_bucket_size 64;"]
        parts.append(f"  server {{ {listen} default_server; return 404; }}")
        for host in site.host_names():
            parts.append(f"  server {{ listen 127.0.0.1:{port}; server_name {host};")
            parts.append(locations + "  }")
        return parts

    def reload(self, running: Running) -> None:
        running.child.process.send_signal(signal.SIGHUP)


class HAProxy(Peer):
    """HAProxy with one thread."""

    name = "haproxy"

    def prepare(self, site: Site, port: int, upstream: int, folder: Path) -> list[str]:
        if site.tls:
            make_certificate(folder)
        path = folder / "haproxy.cfg"
        path.write_text(self.configuration(site, port, upstream, folder))
        if site.hosts:
            (folder / "routes.map").write_text(self.routes(site))
        command = ["haproxy", "-db", "-f", str(path)]
        if not site.realistic:
            return command
        # Its one way to write a log file by itself is standard output; a system logger would do
        # part of the work in a process of its own. `exec` keeps it one process.
        line = f'exec "$@" >>{folder}/access.log'
        return ["sh", "-c", line, "sh", *command]

    def configuration(self, site: Site, port: int, upstream: int, folder: Path) -> str:
        """The configuration's text."""
        connections = min(9_000, (descriptor_limit() - 500) // 2)
        # It reckons with pipes besides, where it splices.
        if site.layer4:
            connections //= 2
        parts = ["global", "  nbthread 1", f"  maxconn {connections}"]
        if site.layer4:
            return "\n".join(parts + self._layer4(site, port, upstream)) + "\n"
        if site.realistic:
            parts.append("  log stdout len 4096 format raw local0")
        if site.large:
            parts.append("  tune.bufsize 65536")
        parts += ["defaults", "  mode http", "  timeout connect 10s", "  timeout client 1h"]
        parts += ["  timeout server 1h", "  timeout http-keep-alive 1h", "  http-reuse always"]
        protocol = " proto h2" if site.http2 else ""
        parts += ["frontend front", f"  bind 127.0.0.1:{port} backlog 4096{protocol}"]
        if site.tls:
            parts[-1] += f" ssl crt {certificate_files(folder)[0]} ssl-min-ver TLSv1.2"
        parts += self._realistic() if site.realistic else []
        if site.hosts:
            key = "base,lower" if site.paths else "req.hdr(host),lower"
            match = "map_beg" if site.paths else "map_str"
            parts.append(f"  http-request set-var(txn.route) {key},{match}({folder}/routes.map)")
            parts.append("  http-request deny deny_status 404 if !{ var(txn.route) -m found }")
            parts.append("  use_backend %[var(txn.route)]")
        else:
            parts.append("  default_backend backend")
        parts += ["backend backend"]
        pool = "pool-max-conn -1 pool-purge-delay 1h"
        if site.members:
            parts += ["  option redispatch 1", "  retries 3", "  retry-on all-retryable-errors"]
            watch = "check inter 1s observe layer4 error-limit 10 on-error mark-down"
            for number, each in enumerate(site.members):
                parts.append(f"  server member{number} 127.0.0.1:{each} {pool} {watch}")
        else:
            spoken = " proto h2" if site.grpc else ""
            parts.append(f"  server one 127.0.0.1:{upstream} {pool}{spoken}")
        if site.realistic:
            parts += ["frontend metrics", f"  bind unix@{folder}/metrics.sock", "  no log"]
            parts.append("  http-request use-service prometheus-exporter if { path /metrics }")
        return "\n".join(parts) + "\n"

    @staticmethod
    def _layer4(site: Site, port: int, upstream: int) -> list[str]:
        # Found best for it: told to splice, it does so from the first byte on; `splice-auto` waits.
        splicing = ["  option splice-request", "  option splice-response"] if site.large else []
        parts = ["defaults", "  mode tcp", "  timeout connect 10s", "  timeout client 1h"]
        parts += ["  timeout server 1h", *splicing]
        parts += ["frontend front", f"  bind 127.0.0.1:{port} backlog 4096"]
        parts += ["  default_backend backend"]
        return [*parts, "backend backend", f"  server one 127.0.0.1:{upstream}"]

    @staticmethod
    def routes(site: Site) -> str:
        """The map from host (and path) to backend."""
        prefixes = site.prefixes() or [""]
        keys = [host + prefix for host in site.host_names() for prefix in prefixes]
        return "".join(f"{key} backend\n" for key in keys)

    @staticmethod
    def _realistic() -> list[str]:
        escaped = HAPROXY_LOG.replace("\\", "\\\\").replace('"', '\\"').replace(" ", "\\ ")
        return [
            "  log global",
            "  option dontlognull",
            "  capture request header Host len 128",
            "  capture request header User-Agent len 256",
            "  unique-id-format %{+X}o%ci:%cp_%fi:%fp_%Ts_%rt:%pid",
            "  unique-id-header X-Request-ID",
            f'  log-format "{escaped}"',
            "  option forwardfor",
            "  http-request set-header X-Forwarded-Proto http",
            "  http-request set-header X-Forwarded-Host %[req.hdr(host)]",
            "  http-request set-header X-Real-IP %[src]",
            "  http-request del-header Accept-Encoding",
            "  http-response del-header X-Powered-By",
            "  http-response set-header X-Content-Type-Options nosniff",
            "  http-response set-header Strict-Transport-Security max-age=31536000",
        ]


class Upstream:
    """The server behind every proxy: nginx on the load's core, answering from memory."""

    def __init__(self, stage: Stage, name: str = "upstream") -> None:
        folder = stage.path(name)
        (folder / "bodies").mkdir(parents=True)
        for path, size in BODIES.items():
            (folder / "bodies" / path[1:]).write_bytes(body(size))
        self.port = free_port()
        configuration = folder / "nginx.conf"
        configuration.write_text(self._configuration(folder))
        command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(configuration)]
        self.child = stage.start(name, command, LOAD_CORE)
        self.child.wait_for_port(self.port)

    def kill(self) -> None:
        """Ends it at once, in the middle of whatever it does."""
        for pid in self.child.tree():
            os.kill(pid, signal.SIGKILL)

    def _configuration(self, folder: Path) -> str:
        small = body(BODIES["/100"]).decode()
        other = body(OTHER_BODY).decode()
        parts = [nginx_head(folder), "  access_log off; sendfile on; tcp_nopush on;"]
        parts.append("  open_file_cache max=10 inactive=1h; default_type application/octet-stream;")
        parts.append(f"  server {{ listen 127.0.0.1:{self.port} backlog=4096;")
        parts.append(f"    root {folder}/bodies;")
        parts.append(f'    location = /100 {{ return 200 "{small}"; }}')
        parts += [f"    location = {path} {{ }}" for path in BODIES if path != "/100"]
        # What reached the upstream, and on which connection, for the checks before a measurement.
        parts.append(f'    location = /echo {{ return 200 "{ECHO}"; }}')
        parts.append(f'    location = /part0/echo {{ return 200 "{ECHO}"; }}')
        parts.append(
            f'    location / {{ add_header X-Powered-By upstream; return 200 "{other}"; }}'
        )
        parts.append("  }\n}\n")
        return "\n".join(parts)


class CallServer:
    """A server of calls behind every proxy: nghttpd on the load's core, which ends each answer with the
    trailers of gRPC."""

    def __init__(self, stage: Stage, name: str = "upstream") -> None:
        folder = stage.path(name)
        folder.mkdir(parents=True)
        for path, size in BODIES.items():
            (folder / path[1:]).write_bytes(body(size))
        self.port = free_port()
        command = ["nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", str(folder)]
        command += ["--trailer", "grpc-status: 0", "-m", "1000", str(self.port)]
        self.child = stage.start(name, command, LOAD_CORE)
        self.child.wait_for_port(self.port)


def body(size: int) -> bytes:
    """A body of a size in which no two places look alike to a reader who lost some bytes."""
    line = b"0123456789abcdefghijklmnopqrstuvwxyz-"
    return (line * (size // len(line) + 1))[:size]

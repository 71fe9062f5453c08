"""The servers that the cases are tried at, each as its documentation says."""

from __future__ import annotations

from pathlib import Path

from ..peers import nginx_head
from ..processes import LOAD_CORE, BenchmarkError, Stage, free_port

MARTLET_HEAD = """loops 1
state_directory {folder}/state
admin unix:admin.sock
"""

MARTLET_FILES = MARTLET_HEAD + """server {{
    listen 127.0.0.1:{port}
    route / {{ files {files} }}
}}
"""

NGINX_FILES = """  access_log off; default_type application/octet-stream;
  server {{ listen 127.0.0.1:{port}; root {files}; if_modified_since before; }}
}}
"""

MARTLET_CACHE = MARTLET_HEAD + """cache main {{ memory 64MB }}
upstream origin {{ member 127.0.0.1:{origin} }}
server {{
    listen 127.0.0.1:{port}
    route / {{
        cache main {{
            ranges asked
            body_methods QUERY POST
        }}
        proxy origin
    }}
}}
"""

#: It validates, renews behind the answer and lets requests wait only when it is told to.
NGINX_CACHE = """  access_log off;
  proxy_cache_path {folder}/cache keys_zone=main:10m;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{origin};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache main;
      if_modified_since before;
      proxy_cache_revalidate on;
      proxy_cache_background_update on;
      proxy_cache_lock on;
    }}
  }}
}}
"""

HAPROXY_CACHE = """global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
cache main
  total-max-size 64
  max-object-size 1000000
  process-vary on
  max-secondary-entries 32
frontend front
  bind 127.0.0.1:{port}
  http-request cache-use main
  http-response cache-store main
  default_backend origin
backend origin
  server one 127.0.0.1:{origin}
"""

VARNISH_CACHE = """vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{origin}"; }}
"""


def file_command(name: str, martlet: Path, folder: Path, port: int, files: Path) -> list[str]:
    """Writes what a server of files needs; gives the command that runs it."""
    if name == "martlet":
        path = folder / "martlet.conf"
        path.write_text(MARTLET_FILES.format(folder=folder, port=port, files=files))
        return [str(martlet), "run", "--config", str(path)]
    if name == "nginx":
        path = folder / "nginx.conf"
        path.write_text(nginx_head(folder) + NGINX_FILES.format(port=port, files=files))
        return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(path)]
    raise BenchmarkError(f"{name} serves no files: choose among martlet and nginx")


def cache_command(name: str, martlet: Path, folder: Path, port: int, origin: int) -> list[str]:
    """Writes what a cache in front of an origin needs; gives the command that runs it."""
    values = {"folder": folder, "port": port, "origin": origin}
    if name == "martlet":
        path = folder / "martlet.conf"
        path.write_text(MARTLET_CACHE.format(**values))
        return [str(martlet), "run", "--config", str(path)]
    if name == "nginx":
        path = folder / "nginx.conf"
        path.write_text(nginx_head(folder) + NGINX_CACHE.format(**values))
        return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(path)]
    if name == "haproxy":
        path = folder / "haproxy.cfg"
        path.write_text(HAPROXY_CACHE.format(**values))
        return ["haproxy", "-db", "-f", str(path)]
    if name == "varnish":
        path = folder / "main.vcl"
        path.write_text(VARNISH_CACHE.format(**values))
        command = ["varnishd", "-F", "-n", str(folder / "varnish"), "-a", f"127.0.0.1:{port}"]
        # What is said of itself alone makes a response fresh, and stale is stale.
        settings = ["default_ttl=0", "default_grace=0", "default_keep=60"]
        for setting in settings:
            command += ["-p", setting]
        return [*command, "-f", str(path), "-s", "malloc,64m"]
    raise BenchmarkError(f"{name} is no cache: choose among martlet, nginx, varnish and haproxy")


def start(stage: Stage, name: str, what: str, command: list[str], port: int) -> None:
    """Starts a server and waits until it listens."""
    stage.start(f"{name}-{what}", command, LOAD_CORE).wait_for_port(port, seconds=60)


def file_servers(stage: Stage, martlet: Path, files: Path, names: list[str]) -> dict[str, int]:
    """Starts servers of the same files; gives the port of each."""
    ports = {}
    for name in names:
        port, folder = free_port(), stage.path(f"{name}-files")
        folder.mkdir()
        start(stage, name, "files", file_command(name, martlet, folder, port, files), port)
        ports[name] = port
    return ports


def caches(stage: Stage, martlet: Path, origin: int, names: list[str]) -> dict[str, int]:
    """Starts caches in front of the same origin; gives the port of each."""
    ports = {}
    for name in names:
        port, folder = free_port(), stage.path(f"{name}-cache")
        folder.mkdir()
        start(stage, name, "cache", cache_command(name, martlet, folder, port, origin), port)
        ports[name] = port
    return ports

"""Servers with a job that one claim gives them, and what they answer to it."""

from __future__ import annotations

import http.client
from dataclasses import dataclass

from .bench import Bench
from .martlet import Martlet
from .peers import Nginx, Running, nginx_head
from .processes import PROXY_CORE, BenchmarkError, Stage, free_port


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def start_servers(
    stage: Stage, bench: Bench, job: str, martlet: str, nginx: str, **values: object
) -> list[Running]:
    """Starts Martlet and nginx on their core, each with its configuration for the job.

    The configurations are templates for `values` and for the `folder` and the `port` of each.
    """
    running = []
    for peer in bench.peers:
        port = free_port()
        name = f"{peer.name}-{job}"
        folder = stage.path(name)
        if isinstance(peer, Martlet):
            path = folder / "martlet.conf"
            text = martlet.format(folder=folder, port=port, **values)
            command = [str(peer.program), "run", "--config", str(path)]
        elif isinstance(peer, Nginx):
            path = folder / "nginx.conf"
            text = nginx_head(folder) + nginx.format(folder=folder, port=port, **values)
            command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(path)]
        else:
            continue
        folder.mkdir()
        path.write_text(text)
        child = stage.start(name, command, PROXY_CORE)
        child.wait_for_port(port, seconds=60)
        running.append(Running(peer.name, child, port, folder))
    return running


def ask(running: Running, target: str, headers: dict[str, str] | None = None) -> Answer:
    """What a server answers to a GET; fails with a sentence when it answers nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    try:
        connection.request("GET", target, headers=headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise BenchmarkError(f"{running.name} does not answer: {error!r}") from error
    finally:
        connection.close()


def expect(running: Running, target: str, status: int, body: bytes | None = None) -> None:
    """Fails with a sentence when a server answers otherwise to a GET."""
    answer = ask(running, target)
    if answer.status != status or body is not None and answer.body != body:
        raise BenchmarkError(
            f"{running.name} answers {target} with {answer.status}: {answer.body[:100]!r}"
        )

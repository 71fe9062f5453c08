"""One request over a connection of its own, and its answer."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

#: How long an answer may take.
PATIENCE_SECONDS = 10.0
#: No answer of a case is longer.
LONGEST_BYTES = 1 << 20

Fields = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """What came back; the status 0: no answer that can be read."""

    status: int
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def values(self, name: str) -> list[str]:
        """The values of all lines of a field."""
        return [value for each, value in self.fields if each.lower() == name.lower()]

    def value(self, name: str) -> str | None:
        """The value of a field, its lines joined; None: it is not there."""
        values = self.values(name)
        return ", ".join(values) if values else None


def ask(port: int, method: str, target: str, fields: Fields = (), body: bytes = b"") -> Answer:
    """Asks on a new connection, which ends behind the answer."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    lines.append("Connection: close")
    message = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body
    received = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(message)
            while len(received) < LONGEST_BYTES and (piece := connection.recv(65_536)):
                received += piece
                if answer := parse(received, method, has_ended=False):
                    return answer
    except OSError:
        return Answer(0)
    return parse(received, method, has_ended=True) or Answer(0)


def parse(received: bytes, method: str, has_ended: bool) -> Answer | None:
    """The final answer among the bytes that came; None: it is not whole yet."""
    while True:
        head, found, received = received.partition(b"\r\n\r\n")
        if not found:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) < 2 or not words[1].isdigit():
            return Answer(0)
        status = int(words[1])
        if not 100 <= status < 200:
            break
    pairs = [line.partition(":") for line in lines]
    answer = Answer(status, tuple((name, value.strip()) for name, _, value in pairs))
    if method == "HEAD" or status in (204, 304):
        content: bytes | None = received
    elif (answer.value("Transfer-Encoding") or "").lower() == "chunked":
        content = unchunked(received)
    elif (length := answer.value("Content-Length")) is not None:
        content = received if length.isdigit() and len(received) >= int(length) else None
    else:
        content = received if has_ended else None
    return None if content is None else Answer(status, answer.fields, content)


def unchunked(received: bytes) -> bytes | None:
    """The content of chunks; None: they do not end."""
    content = b""
    while True:
        size, found, received = received.partition(b"\r\n")
        try:
            count = int(size.split(b";")[0], 16)
        except ValueError:
            return None
        if not found or len(received) < count + 2:
            return None
        if count == 0:
            return content
        content, received = content + received[:count], received[count + 2 :]

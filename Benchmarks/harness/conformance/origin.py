"""A server that answers each target as it is told, and keeps what it was asked."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
import time
from dataclasses import dataclass, field, replace
from types import TracebackType


#: A range that has a beginning.
RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True)
class Reply:
    """What a target is answered with; a status of 0 ends the connection without an answer."""

    status: int = 200
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b"content"
    #: What a request that asks for no part gets instead of a 206.
    whole: bytes = b"content"
    #: What is sent before it, each a status with its fields.
    interim: tuple[int, ...] = ()
    #: Seconds until it is sent.
    delay: float = 0.0
    #: The field of the request whose value is the content.
    echo: str | None = None
    #: What parts are sent of, as they are asked for.
    parts: bytes | None = None

    def to(self, fields: dict[str, str]) -> Reply:
        """The reply to a request: who has no condition gets no 304, and who asks for no part no 206."""
        if self.status == 304 and not {"if-none-match", "if-modified-since"} & fields.keys():
            return replace(self, status=200, fields=self.without("Content-Length"))
        if self.status == 206 and "range" not in fields:
            return replace(self, status=200, fields=self.without("Content-Range"), body=self.whole)
        if self.echo is not None:
            return replace(self, body=fields.get(self.echo.lower(), "").encode())
        return self if self.parts is None else self.part(self.parts, fields)

    def part(self, whole: bytes, fields: dict[str, str]) -> Reply:
        """The part that a request asks for, of what it has already; else the whole."""
        asked = RANGE.fullmatch(fields.get("range", ""))
        tag = dict(self.fields).get("ETag", "")
        if asked is None or fields.get("if-range", tag) != tag:
            return replace(self, body=whole)
        first, last = int(asked[1]), min(int(asked[2] or len(whole)), len(whole) - 1)
        place = ("Content-Range", f"bytes {first}-{last}/{len(whole)}")
        return replace(
            self, status=206, fields=(*self.fields, place), body=whole[first : last + 1]
        )

    def without(self, name: str) -> tuple[tuple[str, str], ...]:
        """The fields but one."""
        return tuple(each for each in self.fields if each[0] != name)

    def message(self, method: str, number: int) -> bytes:
        """The bytes that are sent; `Origin-Count` says which request for the target it was."""
        interim = b"".join(f"HTTP/1.1 {status} Interim\r\n\r\n".encode() for status in self.interim)
        lines = [f"HTTP/1.1 {self.status} Reply"]
        lines += [f"{name}: {value}" for name, value in self.fields]
        lines.append(f"Origin-Count: {number}")
        has_body = self.status not in (204, 304)
        if has_body:
            lines.append(f"Content-Length: {len(self.body)}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        return interim + head + (self.body if has_body and method != "HEAD" else b"")


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    #: By names in lower case, lines joined.
    fields: dict[str, str] = field(default_factory=dict)


def read_request(connection: socket.socket) -> tuple[str, str, dict[str, str]] | None:
    """The method, target and fields of the next request, with its content passed over."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65_536)
        if not piece:
            return None
        received += piece
    head, _, content = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    missing = int(fields.get("content-length", "0")) - len(content)
    chunked = "chunked" in fields.get("transfer-encoding", "")
    while missing > 0 or chunked and not content.endswith(b"0\r\n\r\n"):
        piece = connection.recv(65_536)
        if not piece:
            return None
        content += piece
        missing -= len(piece)
    return method, target, fields


class Origin:
    """Listens while it is entered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._replies: dict[str, Reply] = {}
        self._asked: dict[str, list[Asked]] = {}
        origin = self

        class Handler(socketserver.BaseRequestHandler):
            """One connection."""

            def handle(self) -> None:
                origin.serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            """The listener."""

            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request: object, client_address: object) -> None:
                """A connection that broke is none of the cases' business."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Origin:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def tell(self, target: str, reply: Reply) -> None:
        """Says what a target is answered with from now on."""
        with self._lock:
            self._replies[target] = reply

    def asked(self, target: str) -> list[Asked]:
        """What came for a target, oldest first."""
        with self._lock:
            return list(self._asked.get(target, []))

    def serve(self, connection: socket.socket) -> None:
        """Answers one request after the other."""
        while request := read_request(connection):
            method, target, fields = request
            path = target if target.startswith("/") else "/" + target.split("/", 3)[-1]
            with self._lock:
                asked = self._asked.setdefault(path, [])
                asked.append(Asked(method, fields))
                number = len(asked)
                reply = self._replies.get(path, Reply(404)).to(fields)
            time.sleep(reply.delay)
            if reply.status == 0:
                return
            connection.sendall(reply.message(method, number))

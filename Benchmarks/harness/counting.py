"""A server behind caches, in this process, that counts what reaches it."""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod


class CountingServer(ABC):
    """Takes connections of this machine, each on a thread of its own, until it is closed."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Takes no more connections."""
        self._listener.close()

    def _count(self) -> None:
        with self._lock:
            self.count += 1

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    @abstractmethod
    def _serve(self, connection: socket.socket) -> None:
        """Answers what comes on a connection."""

"""Puts the benchmarks' folder on the path of imports, and holds what several tests share."""

import pathlib
import socket
import sys
import threading

FOLDER = pathlib.Path(__file__).resolve().parent.parent
REPOSITORY = FOLDER.parent
sys.path.insert(0, str(FOLDER))


class Stub:
    """A server that gives every connection to a function, while it is entered."""

    def __init__(self, serve):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.serve = serve

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.run, args=(connection,), daemon=True).start()

    def run(self, connection):
        with connection:
            try:
                self.serve(connection)
            except OSError:
                pass


def answering(answer):
    """A server's function: the same bytes for every request, until the client goes."""

    def serve(connection):
        while head := read_head(connection):
            connection.sendall(answer(head) if callable(answer) else answer)

    return serve


def read_head(connection):
    """The bytes of a request without body, or none when the client has gone."""
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        piece = connection.recv(65_536)
        if not piece:
            return b""
        received += piece
    return received

"""Says back what comes, by asyncio's protocols; its argument is the port."""

from __future__ import annotations

import asyncio
import sys


class Echo(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps what to write to."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Says it back."""
        self.transport.write(data)


async def main() -> None:
    """Serves for ever."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    await server.serve_forever()


asyncio.run(main())

"""An address that stands for whichever Redis is the primary: what a virtual IP or a service is in production.

What must never stand here: what goes through it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.fixtures.redis_server import free_port


class Forwarder:
    """Passes bytes on to :attr:`target`, a port of this machine, from a thread of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.target = 0
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def turn(self, target: int) -> None:
        """Send everybody there from now on; whoever is connected is cut off."""
        self.target = target
        self._loop.call_soon_threadsafe(self._cut)

    def run(self, ready: threading.Event) -> None:
        """Forward until :meth:`stop`."""
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", self.port))
        ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def stop(self) -> None:
        """End :meth:`run`."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _cut(self) -> None:
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, back}
        with suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(_pass(reader, back), _pass(there, writer))
        for end in (writer, back):
            self._open.discard(end)
            end.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    raise ConnectionError


@contextmanager
def forwarding() -> Iterator[Forwarder]:
    """A forwarder that runs."""
    forwarder, ready = Forwarder(), threading.Event()
    thread = threading.Thread(target=forwarder.run, args=(ready,), daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield forwarder
    finally:
        forwarder.stop()
        thread.join(10)

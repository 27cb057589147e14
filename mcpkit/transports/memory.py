"""A pipe within one event loop: the rules of stdio without a process. What ``MCPClient(server)`` connects by.

Messages are bytes in both directions, so that nothing passes here which a real wire would not carry. What must never
stand here: a shortcut around the codec.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from typing import Any, Final

from mcpkit.client.errors import ConnectionLost
from mcpkit.client.limits import Patience
from mcpkit.client.transports.duplex import Duplex as ClientDuplex
from mcpkit.client.transports.duplex import encode_message
from mcpkit.client.transports.transport import Call, Lost, Receive
from mcpkit.framing.ndjson import Overlong
from mcpkit.jsonrpc.messages import ErrorResponse, JsonObject, Notification, Response
from mcpkit.kernel import Kernel
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.settings import Settings
from mcpkit.transports.duplex import Duplex

CLEANUP_SECONDS: Final = 1.0


class MemoryPipe:
    """The server's end: takes a client's messages and hands it the server's, each on its own turn of the event loop."""

    def __init__(
        self,
        kernel: Kernel,
        deliver: Callable[[bytes], None],
        ended: Callable[[], None],
        settings: Settings | None = None,
    ) -> None:
        """``deliver`` gets each message of the server, ``ended`` is called once when there will be no more."""
        settings = settings or Settings()
        self._loop = asyncio.get_running_loop()
        self._deliver = deliver
        self._most = settings.max_body_bytes
        self._duplex = Duplex(kernel, self, settings)
        self._duplex.over.add_done_callback(lambda _: ended())

    def send(self, message: bytes) -> None:
        """Take one message of the client; after the end it is dropped."""
        line = message if len(message) <= self._most else Overlong(self._most)
        self._loop.call_soon(self._duplex.receive, (line,))

    async def close(self) -> None:
        """End the conversation and wait for what it was doing to clean up."""
        self._duplex.close()
        await self._duplex.gone(CLEANUP_SECONDS)

    def write(self, message: bytes) -> None:
        """Hand one message to the client."""
        self._loop.call_soon(self._deliver, message)

    async def drained(self) -> None:
        """Memory takes everything."""


class Memory:
    """The client's end: a :class:`~mcpkit.client.transports.transport.Transport` straight into a kernel.

    ``around`` makes the context in which the kernel is served, such as the server's lifespan.
    """

    def __init__(
        self,
        kernel: Kernel,
        *,
        settings: Settings | None = None,
        patience: Patience | None = None,
        around: Callable[[], AbstractAsyncContextManager[Any]] = nullcontext,
    ) -> None:
        self._kernel = kernel
        self._settings = settings
        self._patience = patience or Patience()
        self._around = around
        self._surroundings = AsyncExitStack()
        self._pipe: MemoryPipe | None = None
        self._duplex: ClientDuplex | None = None

    async def open(self, receive: Receive, lost: Lost) -> None:
        """Lay the pipe. Raises: what the server's lifespan raises."""
        await self._surroundings.enter_async_context(self._around())
        duplex = self._duplex = ClientDuplex(self._write, receive, self._patience.bounds.json)

        def ended() -> None:
            if self._pipe is not None:
                error = ConnectionLost("the server has ended the conversation")
                duplex.fail(error)
                lost(error)

        self._pipe = MemoryPipe(self._kernel, duplex.received, ended, self._settings)

    async def call(self, call: Call) -> JsonObject:
        """Send the request and wait for its answer."""
        if self._duplex is None:
            raise ConnectionLost("the pipe is not open", sent=False)
        return await self._duplex.call(call)

    async def send(self, message: Notification | Response | ErrorResponse) -> None:
        """Send it."""
        await self._write(encode_message(message))

    def speak(self, revision: Revision | None) -> None:
        """Messages look the same in every revision."""

    async def listen(self) -> None:
        """The pipe is open both ways."""

    async def close(self) -> None:
        """End the conversation; may be called twice."""
        if self._duplex is not None:
            await self._duplex.close(self._patience.deadlines.goodbye)
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            await pipe.close()
        await self._surroundings.aclose()

    async def _write(self, data: bytes) -> None:
        if self._pipe is None:
            raise ConnectionLost("the pipe is closed", sent=False)
        self._pipe.send(data)

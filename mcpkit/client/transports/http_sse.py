"""HTTP+SSE, the transport of 2024-11-05: one event stream from the server, a POST for each message to it.

The stream's first event names the URI to post to, which must be of the stream's own origin. There is no resumption:
the stream is the session. What must never stand here: Streamable HTTP.
"""

from __future__ import annotations

import asyncio

from mcpkit.client.background import Background
from mcpkit.client.deadline import Deadline
from mcpkit.client.endpoint import Endpoint
from mcpkit.client.errors import ClientError, ConnectionLost, ProtocolViolation, SessionEnded, Timeout
from mcpkit.client.http import HttpAnswer, read_beginning
from mcpkit.client.limits import Patience
from mcpkit.client.transports.duplex import Duplex, encode_message
from mcpkit.client.transports.events import EventStream
from mcpkit.client.transports.refusals import maybe_over, refusal, surely_over
from mcpkit.client.transports.resumption import as_stream
from mcpkit.client.transports.transport import Call, Lost, Receive
from mcpkit.client.urls import resolve
from mcpkit.jsonrpc.messages import ErrorResponse, JsonObject, Notification, Response
from mcpkit.protocol.revisions.revision import Revision


class HttpSse:
    """The client's end of an HTTP+SSE connection."""

    def __init__(self, endpoint: Endpoint, patience: Patience) -> None:
        self._endpoint = endpoint
        self._patience = patience
        self._background = Background()
        self._post_url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._post_url.add_done_callback(_heard)
        self._version: dict[str, str] = {}
        self._duplex: Duplex

    async def open(self, receive: Receive, lost: Lost) -> None:
        """Open the event stream and wait for the URI to post to."""
        self._duplex = Duplex(self._post, receive, self._patience.bounds.json)
        try:
            async with Deadline.after(self._patience.deadlines.connect):
                answer = await self._endpoint.send("GET", {"Accept": "text/event-stream", "Cache-Control": "no-store"})
                if answer.status != 200:
                    raise await refusal(answer, self._endpoint, self._patience.bounds.json)
                self._background.start(self._read(await as_stream(answer), lost), "event stream")
                await asyncio.shield(self._post_url)
        except TimeoutError:
            await self.close()
            raise Timeout("the event stream did not name the URI to post to in time") from None

    async def call(self, call: Call) -> JsonObject:
        """Post the request; its answer comes on the stream."""
        return await self._duplex.call(call)

    async def send(self, message: Notification | Response | ErrorResponse) -> None:
        """Post it."""
        await self._post(encode_message(message))

    def speak(self, revision: Revision | None) -> None:
        """Name the revision on every later POST, as every later transport demands (INIT-16)."""
        self._version = {"MCP-Protocol-Version": revision.name} if revision is not None else {}

    async def listen(self) -> None:
        """The stream is open."""

    async def close(self) -> None:
        """Drop the stream, which ends the session (HSSE-11)."""
        if hasattr(self, "_duplex"):
            await self._duplex.close(self._patience.deadlines.goodbye)
        await self._background.stop()
        await self._endpoint.close()

    async def _read(self, answer: HttpAnswer, lost: Lost) -> None:
        stream = EventStream(answer, self._patience)
        error: ClientError = ConnectionLost("the server closed the event stream")
        try:
            while (event := await stream.next()) is not None:
                if event.event == "endpoint" and not self._post_url.done():
                    self._post_url.set_result(self._resolved(event.data))
                elif event.event == "message" and event.data:
                    self._duplex.received(event.data.encode())
        except ClientError as broken:
            error = broken
        finally:
            await stream.close()
        if not self._post_url.done():
            self._post_url.set_exception(_no_endpoint(error))
        self._duplex.fail(error)
        lost(error)

    def _resolved(self, reference: str) -> str:
        try:
            return resolve(self._endpoint.url, reference)
        except ValueError as error:
            raise ProtocolViolation(f"the server names a URI to post to that is refused: {error}") from None

    async def _post(self, data: bytes) -> None:
        url = await asyncio.shield(self._post_url)
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **self._version}
        answer = await self._endpoint.send("POST", headers, lambda: data, url=url)
        if not 200 <= answer.status < 300:
            raise self._judged(await refusal(answer, self._endpoint, self._patience.bounds.json))
        await read_beginning(answer)  # so that its connection can be used again

    def _judged(self, error: ClientError) -> ClientError:
        """Return the error of a refused POST; one that says that the session has ended becomes SessionEnded."""
        over = surely_over(error) or (bool(self._version) and maybe_over(error))
        return SessionEnded(refusal=error) if over else error


def _heard(future: asyncio.Future[str]) -> None:
    """A failure that nobody waits for any more is no news."""
    if not future.cancelled():
        future.exception()


def _no_endpoint(error: ClientError) -> ClientError:
    if isinstance(error, ProtocolViolation):
        return error
    return ProtocolViolation("the event stream ended before it named the URI to post to: this is no MCP server")

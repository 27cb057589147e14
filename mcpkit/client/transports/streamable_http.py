"""Streamable HTTP: a POST for each message, its answer as JSON or as an event stream of its own.

How sessions, headers, resumption and cancellation go is read off the revision spoken (``revision.http``), never asked
by name. What must never stand here: HTTP+SSE, which revision to speak, what a message is about.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Final

from mcpkit.client.background import Background, log
from mcpkit.client.display import clean
from mcpkit.client.endpoint import Endpoint
from mcpkit.client.errors import (
    AuthorizationFailed,
    ClientError,
    ConnectionLost,
    HttpRefused,
    ProtocolViolation,
    ServerRefused,
    SessionEnded,
)
from mcpkit.client.http import HttpAnswer, read_beginning, read_body
from mcpkit.client.limits import Patience
from mcpkit.client.transports.duplex import encode_message
from mcpkit.client.transports.events import EventStream
from mcpkit.client.transports.incoming import Broken, Incoming, answers, read_messages
from mcpkit.client.transports.refusals import maybe_over, refusal, surely_over
from mcpkit.client.transports.resumption import Trail, content_type
from mcpkit.client.transports.standing_stream import StandingStream
from mcpkit.client.transports.transport import Call, Lost, Receive
from mcpkit.framing.sse import Event
from mcpkit.jsonrpc.codec import encode_request
from mcpkit.jsonrpc.messages import ErrorResponse, Id, JsonObject, Notification, Request, Response
from mcpkit.protocol.headers import ROUTED_NAME, encode_value
from mcpkit.protocol.revisions.revision import HttpRules, Revision

_FOLLOWS_SECONDS: Final = 1.0
"""An answer on a call's stream that names another request may be a stray one: the right one has this long to follow."""


class StreamableHttp:
    """The client's end of a Streamable HTTP endpoint, in whatever revision is spoken there."""

    def __init__(self, endpoint: Endpoint, patience: Patience) -> None:
        self._endpoint = endpoint
        self._patience = patience
        self._json = patience.bounds.json
        self._background = Background()
        self._returning = Background()
        """What opens streams again, until this end is closed."""
        self._ids = itertools.count(1)
        self._revision: Revision | None = None
        self._rules = HttpRules()
        self._session: str | None = None
        self._asking: asyncio.Task[bool] | None = None
        """The question whether the session lives still, while it is asked."""
        self._last = 0
        self._receive: Receive
        self._lost: Lost
        self._closed = False

    async def open(self, receive: Receive, lost: Lost) -> None:
        """There is nothing to open: every call brings its own connection."""
        self._receive, self._lost = receive, lost

    def speak(self, revision: Revision | None) -> None:
        """Follow the HTTP rules of this revision; without one, send no header of MCP at all."""
        self._revision = revision
        self._rules = revision.http if revision is not None else HttpRules()
        if not self._rules.sessions:
            self._session = None  # TCLI-05

    async def listen(self) -> None:
        """Open the standing event stream, and wait until the server has said whether it has one."""
        if not self._rules.sessions:
            return
        standing = StandingStream(self._get, self._patience, self._deliver_event)
        self._returning.start(self._stand(standing), "standing event stream")
        try:
            async with asyncio.timeout(self._patience.deadlines.listen):
                await standing.settled.wait()
        except TimeoutError:
            log.debug("the server takes its time to open the event stream")

    async def call(self, call: Call) -> JsonObject:
        """Post the request and read its answer, resuming its stream where the revision allows it."""
        try:
            answer = await self._post(lambda: self._encode(call), self._routing(call))
            return await self._read_answer(call, answer)
        except (HttpRefused, ServerRefused) as error:
            if call.method == "initialize" or not await self._is_over(error):
                raise
            raise SessionEnded(refusal=error) from error
        except asyncio.CancelledError:
            if call.cancellable and call.id is not None and not self._rules.disconnect_cancels and not self._closed:
                cancelled = Notification("notifications/cancelled", {"requestId": call.id})
                self._background.start(self._send_quietly(cancelled), "cancel")
            raise

    async def send(self, message: Notification | Response | ErrorResponse) -> None:
        """Post what wants no answer."""
        routing = {"Mcp-Method": message.method} if isinstance(message, Notification) else {}  # AMB-08
        routed = routing if self._rules.routing_headers else {}
        answer = await self._post(lambda: encode_message(message), routed)
        if not 200 <= answer.status < 300:
            error = await refusal(answer, self._endpoint, self._json)
            if isinstance(error, HttpRefused | ServerRefused) and await self._is_over(error):
                raise SessionEnded(refusal=error)
            raise error
        await self._finish(answer)

    async def close(self) -> None:
        """Delete the session, if there is one (SHL-46), and drop every stream."""
        if self._closed:
            return
        self._closed = True
        await self._returning.stop()
        goodbye = self._patience.deadlines.goodbye
        if self._session is not None:
            self._background.start(self._delete_session(), "session's end")
        await self._background.finish(goodbye if self._session is not None else 0)
        await self._endpoint.close()

    # ── out ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _post(self, body: Callable[[], bytes], routing: Mapping[str, str]) -> HttpAnswer:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            **self._standing_headers(),
            **routing,
        }
        session = self._session
        try:
            return await self._endpoint.send("POST", headers, body)
        except AuthorizationFailed as error:
            if session is None or error.challenged:
                raise
            raise SessionEnded(refusal=error) from error  # who begins a new one learns what the server wants

    async def _get(self, last_event_id: str | None) -> HttpAnswer:
        headers = {"Accept": "text/event-stream", **self._standing_headers()}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        return await self._endpoint.send("GET", headers)

    async def _delete_session(self) -> None:
        try:
            answer = await self._endpoint.send("DELETE", self._standing_headers())
            await answer.close()
        except ClientError as error:
            log.debug("the session was not deleted: %s", error)

    async def _send_quietly(self, message: Notification) -> None:
        try:
            await self.send(message)
        except ClientError as error:
            log.debug("%s could not be sent: %s", message.method, error)

    def _standing_headers(self) -> dict[str, str]:
        headers = {"MCP-Protocol-Version": self._revision.name} if self._revision is not None else {}
        return headers if self._session is None else {**headers, "Mcp-Session-Id": self._session}

    def _routing(self, call: Call) -> Mapping[str, str]:
        if not self._rules.routing_headers:
            return {}
        headers = {"Mcp-Method": call.method, **call.headers}
        name = call.params.get(ROUTED_NAME.get(call.method, ""))
        if isinstance(name, str):
            headers["Mcp-Name"] = encode_value(name)
        return headers

    def _encode(self, call: Call) -> bytes:
        call.id = self._last = next(self._ids)
        return encode_request(call.id, call.method, call.params)

    # ── in ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _read_answer(self, call: Call, answer: HttpAnswer) -> JsonObject:
        kind = content_type(answer)
        if not 200 <= answer.status < 300:
            raise await refusal(answer, self._endpoint, self._json)
        if kind == "text/event-stream":
            return await self._read_stream(call, answer)
        if kind != "application/json":
            await answer.close()
            raise ProtocolViolation(
                f"the server answered {kind or f'HTTP {answer.status} without a body'}, not JSON or an event stream"
            )
        body = await read_body(answer, self._patience.bounds.message_bytes)
        if not body:
            raise ProtocolViolation(f"the server answered {call.method} with nothing (HTTP {answer.status})")
        result, stray = self._sift(read_messages(body, self._json), call.id)
        if result is None:
            raise stray or ProtocolViolation("the server answered another request than the one that was sent")
        return self._accepted(call, answer, result)

    async def _read_stream(self, call: Call, answer: HttpAnswer) -> JsonObject:
        trail, rest = Trail(self._patience), answer
        while True:
            stream = EventStream(rest, self._patience)
            result = await self._read_events(call, stream)
            if result is not None:
                return self._accepted(call, answer, result)
            trail.note(stream)
            if not self._rules.resumable or trail.last_id is None:
                raise ConnectionLost("the server ended the stream before it answered")
            rest = await self._reopened(trail)

    async def _reopened(self, trail: Trail) -> HttpAnswer:
        async def reopen() -> HttpAnswer | ClientError:
            try:
                return await trail.reopen(self._get)
            except ClientError as error:
                return error

        if self._closed:
            raise ConnectionLost("the connection was closed")
        task = self._returning.start(reopen(), "resume a stream")
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
        found = ConnectionLost("the connection was closed") if task.cancelled() else task.result()
        if isinstance(found, ClientError):
            raise found
        return found

    async def _read_events(self, call: Call, stream: EventStream) -> JsonObject | None:
        """The answer, or None when the stream ended, or broke, before it."""
        found: JsonObject | None = None
        stray: ClientError | None = None
        try:
            async with asyncio.timeout(None) as limit:
                while found is None and (event := await stream.next()) is not None:
                    found, other = self._sift(self._messages(event), call.id)
                    if other is not None and stray is None:
                        stray = other
                        limit.reschedule(asyncio.get_running_loop().time() + _FOLLOWS_SECONDS)
        except TimeoutError:
            log.debug("no other answer to %s followed", call.method)
        except ConnectionLost as error:
            log.debug("the stream of %s broke: %s", call.method, error)
        finally:
            if found is None:
                await stream.close()
        if found is not None:  # the caller has its answer: the rest of the stream may run out elsewhere
            self._background.start(stream.drain(), "end of a stream")
        elif stray is not None:
            raise stray
        return found

    def _sift(self, messages: list[Incoming], id: Id | None) -> tuple[JsonObject | None, ClientError | None]:
        """The result for request ``id`` among the messages, the others handed on.

        Beside it, what to tell the caller if there is none: an answer that is meant for no other request either.
        """
        found: JsonObject | None = None
        stray: ClientError | None = None
        for message in messages:
            if isinstance(message, Request | Notification):
                self._receive(message)
            elif answers(message, id):
                found = _result(message)
            elif isinstance(message, Broken) and message.answer and not message.readable and id is not None:
                raise message
            elif self._is_other(message.id):
                log.debug("the server answered something nobody asked: %r", message.id)
            else:
                stray = stray or _stray(message)
        return found, stray

    def _is_other(self, id: Id | None) -> bool:
        """The id is of another request of ours."""
        return type(id) is int and 0 < id <= self._last

    def _messages(self, event: Event) -> list[Incoming]:
        if event.event != "message" or not event.data:
            return []
        return read_messages(event.data.encode(), self._json)

    def _deliver_event(self, event: Event) -> None:
        self._sift(self._messages(event), None)

    def _accepted(self, call: Call, answer: HttpAnswer, result: JsonObject) -> JsonObject:
        if call.method == "initialize":
            self._session = _session_id(answer)
        return result

    async def _is_over(self, error: HttpRefused | ServerRefused) -> bool:
        """The refusal means that the session is over, so that the request was not served.

        Where the server does not say so plainly (SHL-45), it is asked for a sign of life on that session: a refusal
        that is meant for the request alone leaves the session as it is.
        """
        if self._revision is None or not self._rules.sessions or self._closed:
            return False
        if self._session is not None and surely_over(error):
            return True
        if not maybe_over(error) or (isinstance(error, ServerRefused) and error.status is None and error.code > 0):
            return False
        if self._asking is None or self._asking.done():
            self._asking = self._returning.start(self._session_lives(), "ask whether the session lives")
        asking = self._asking
        await asyncio.wait({asking})
        return not asking.cancelled() and not asking.result()

    async def _session_lives(self) -> bool:
        ping = Call("ping", {})
        try:
            answer = await self._post(lambda: self._encode(ping), self._routing(ping))
            await self._read_answer(ping, answer)
        except (HttpRefused, ServerRefused) as error:
            return not maybe_over(error)
        except SessionEnded:
            return False
        except ClientError as error:
            log.debug("it is not known whether the session lives: %s", error)
        return True

    async def _finish(self, answer: HttpAnswer) -> None:
        await read_beginning(answer)  # so that its connection can be used again

    async def _stand(self, standing: StandingStream) -> None:
        ended = await standing.run()
        if ended is not None:
            self._lost(ended)


def _result(message: Response | ErrorResponse | Broken) -> JsonObject:
    if isinstance(message, Response):
        return message.result
    if isinstance(message, Broken):
        raise message
    raise ServerRefused(message.error)


def _stray(message: Response | ErrorResponse | Broken) -> ClientError:
    """What an answer that names no request of ours means to the only one that it can be meant for."""
    if isinstance(message, Broken):
        return message
    if isinstance(message, ErrorResponse) and message.id is None:
        return ServerRefused(message.error)
    return ProtocolViolation(f"the server answered with the id {clean(repr(message.id), 60)}, which no request has")


def _session_id(answer: HttpAnswer) -> str | None:
    """The session id, if the server minted one of visible ASCII (SHL-41)."""
    id = answer.headers.get("mcp-session-id")
    if id is None:
        return None
    if not id or not all("\x21" <= character <= "\x7e" for character in id):
        raise ProtocolViolation("the server's session id is not made of visible ASCII characters")
    return id

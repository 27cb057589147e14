"""ASGI as it is: headers to a dict, a body with limits, answers in two sends.

What must never stand here: a framework's request or response object, JSON-RPC methods, who may enter (gate.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final, TypeAlias, TypeVar

from mcpkit.framing.sse import encode_event
from mcpkit.framing.whole import Familiar
from mcpkit.jsonrpc.codec import encode_error
from mcpkit.jsonrpc.errors import INTERNAL_ERROR, INVALID_REQUEST, McpKitError, RpcError
from mcpkit.jsonrpc.messages import Id
from mcpkit.security.principal import Principal
from mcpkit.transports.steps import Resumed, within

T = TypeVar("T")
logger = logging.getLogger("mcpkit.transports")

Scope: TypeAlias = MutableMapping[str, Any]
Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]
AnswerWhole: TypeAlias = Callable[[int, tuple[Header, ...], tuple[Header, ...], bytes], bool]
"""Writes a response in one go: status, usual fields, fields of its own, body; False where it can't be taken."""

JSON_TYPE: Final[Header] = (b"content-type", b"application/json")
JSON_FIELDS: Final = (JSON_TYPE,)
EVENT_TYPE: Final[Header] = (b"content-type", b"text/event-stream")
CLOSE: Final[Header] = (b"connection", b"close")
EVENT_HEADERS: Final[tuple[Header, ...]] = (
    EVENT_TYPE,
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)
BLANKS: Final = " \t"
"""What may stand around a field's value and is no part of it (RFC 9110 §5.5); not every server takes it off."""
PRINCIPAL_KEY: Final = "mcpkit.principal"
"""Where a framework's own authentication leaves the principal in the ASGI scope."""


class _Done:
    """What is over when it is awaited."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, None]:
        return iter(())  # type: ignore[return-value]  # an iterator is enough, and a generator costs more


DONE: Final = _Done()


class Refused(McpKitError):
    """An HTTP request that is turned away; its body is a JSON-RPC error, whose id is null unless one was read.

    JSON-RPC 2.0 section 5 says null; clients that are strict about it show the message then.
    """

    def __init__(
        self,
        status: int,
        message: str,
        headers: Iterable[Header] = (),
        *,
        id: Id | None = None,
        code: int = INVALID_REQUEST,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = tuple(headers)
        self._answered = id, RpcError(code, message)
        self.body = encode_error(*self._answered, null_id=True)

    def body_without_null(self) -> bytes:
        """The body for revisions whose schema has no null there: an id that was not read is left out (RPC-11)."""
        return encode_error(*self._answered)


class ClientGone(McpKitError):
    """The client went away before its request had arrived."""


class Visit:
    """One HTTP request that was let in, and the ways to answer it."""

    principal: Principal | None = None
    caller = ""
    """Who is counted together (limits.py): the principal's id, else the address that the request comes from."""
    posted = b""
    """What was posted: until it is read, and then where another replica may have to read it."""
    answer_whole: AnswerWhole | None = None
    """The server's own shorter way, where it offers one and nothing wraps its ``send``."""
    weight = 0
    """What the body was found to weigh (load.Scales), until that is given back."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: Mapping[str, str],
        accept: int,
        extra: tuple[Header, ...] = (),
        fault: tuple[str, tuple[Header, ...]] | None = None,
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.headers = headers
        """Names in lower case; repeated fields joined by ", "."""
        self.accept = accept
        """What the caller takes: bits of gate.JSON and gate.EVENTS."""
        self.extra = extra
        """Header fields that every answer to this request carries."""
        self.fault = fault
        """Why a body that comes with this head is not read."""

    def answer(self, status: int, body: bytes) -> Awaitable[None]:
        """Answer with a JSON body; in one write where the server offers it.

        To be awaited at once, like all answers: it may be under way already, or never be.
        """
        whole = self.answer_whole
        if whole is not None and whole(status, JSON_FIELDS, self.extra, body):
            return DONE
        return self._send(status, JSON_FIELDS, body)

    def answer_event(self, message: bytes) -> Awaitable[None]:
        """Answer with an event stream that holds one message: as long as a JSON body, and sent like one."""
        return self._answer(200, EVENT_HEADERS, encode_event(message))

    def answer_empty(self, status: int) -> Awaitable[None]:
        """Answer without a body; in one write as above."""
        return self._answer(status, (), b"")

    def _answer(self, status: int, fields: tuple[Header, ...], body: bytes) -> Awaitable[None]:
        whole = self.answer_whole
        if whole is not None and whole(status, fields, self.extra, body):
            return DONE
        return self._send(status, fields, body)

    async def _send(self, status: int, fields: tuple[Header, ...], body: bytes) -> None:
        length = () if status == 204 else ((b"content-length", b"%d" % len(body)),)
        headers = [*fields, *length, *self.extra]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


class Asked(Visit):
    """A request that came whole and that nobody stands before; the server makes it, the gate completes it."""

    head: Familiar
    """What is known of its head. ``scope`` belongs to it, and may tell the length of another that had the same."""


Direct: TypeAlias = Callable[[Asked], Awaitable[None]]
"""Serves requests without ASGI in between."""


async def gone() -> Event:
    """What ASGI says when the client has left, or nobody listens to it any more."""
    return {"type": "http.disconnect"}


async def refuse(send: Send, refusal: Refused, extra: Iterable[Header] = (), *, null_id: bool = True) -> None:
    """Send a refusal; ``null_id`` says whether the id is null, or left out, where none was read."""
    body = refusal.body if null_id else refusal.body_without_null()
    length = (b"content-length", b"%d" % len(body))
    headers = [JSON_TYPE, length, *refusal.headers, *extra]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def failed(send: Send, extra: Iterable[Header] = (), *, null_id: bool = True) -> None:
    """Answer for a fault of our own, if no answer has begun; its details go to the log."""
    logger.exception("a request could not be answered")
    refusal = Refused(
        503, "The server failed to answer; try again", [(b"retry-after", b"1"), CLOSE], code=INTERNAL_ERROR
    )
    with suppress(Exception):
        await refuse(send, refusal, extra, null_id=null_id)


def join_fields(raw: Iterable[Header]) -> dict[str, str]:
    """The header fields as text, repeated ones joined as RFC 9110 §5.3 says, so that none passes unseen (SHM-25)."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip(BLANKS)
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def route_path(scope: Scope) -> str:
    """The path below the application's root."""
    path: str = scope["path"]
    root: str = scope.get("root_path") or ""
    return path[len(root) :] if root and path.startswith(root + "/") else path


async def read_body(receive: Receive, most: int, silence: float, whole: float) -> bytes:
    """The request's body: at most ``most`` bytes, ``silence`` seconds between two pieces, ``whole`` seconds in all.

    Raises: Refused (413, 408), ClientGone.
    """
    steps = receive().__await__()
    try:
        waited = next(steps)
    except StopIteration as done:
        event: Event = done.value
    else:
        event = await _in_time(silence, Resumed(steps, waited))
    if "more_body" not in event or not event["more_body"]:
        return _checked(event, most)
    return await _in_time(whole, _read_pieces(receive, event, most, silence))


async def _in_time(seconds: float, work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise Refused(408, "The body did not arrive in time; send it at once", [CLOSE]) from None


async def _read_pieces(receive: Receive, event: Event, most: int, silence: float) -> bytes:
    pieces = [_checked(event, most)]
    left = most - len(pieces[0])
    while event.get("more_body"):
        event = await within(silence, receive())
        piece = _checked(event, left)
        left -= len(piece)
        pieces.append(piece)
    return b"".join(pieces)


def _checked(event: Event, most: int) -> bytes:
    if event["type"] == "http.disconnect":
        raise ClientGone("the client went away")
    piece: bytes = event["body"] if "body" in event else b""  # noqa: SIM401 - no call
    if len(piece) > most:
        raise too_large()
    return piece


def unread(refusal: Refused, scope: Scope, receive: Receive) -> tuple[Header, ...]:
    """What a refusal before the body adds for the connection: a body that isn't here yet is not waited for."""
    names = {name for name, _ in scope["headers"]}
    if CLOSE in refusal.headers or not names & {b"content-length", b"transfer-encoding"}:
        return ()
    if b"expect" in names:  # asking for the body would invite it
        return (CLOSE,)
    steps = receive().__await__()
    try:
        next(steps)
    except StopIteration as arrived:
        return (CLOSE,) if arrived.value.get("more_body") else ()
    steps.close()
    return (CLOSE,)


def too_large() -> Refused:
    """The refusal of a body over the limit."""
    return Refused(413, "The body is too large; the limit is MCP_MAX_BODY_BYTES", [CLOSE])

"""Serving a call, the same at every door: the kernel's result, or whatever went wrong, becomes the bytes of an answer.

What must never stand here: which door it is, sessions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar

from mcpkit.aio import cancel_requests, take_back
from mcpkit.features.tools import too_long
from mcpkit.jsonrpc.codec import BadParams, encode, encode_batch, encode_error, encode_result
from mcpkit.jsonrpc.errors import InternalError, InvalidRequest, McpKitError, RpcError
from mcpkit.jsonrpc.messages import Batch, Id, Message, Notification, Request, Result
from mcpkit.kernel import Kernel
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.headers import VERSION_HEADER
from mcpkit.protocol.revisions.registry import HANDSHAKE_NAMES, REVISIONS
from mcpkit.transports.asgi import BLANKS, Refused, Scope

logger = logging.getLogger("mcpkit.transports")

CALL = "tools/call"
LISTEN = frozenset({"subscriptions/listen"})
"""Methods whose answer is a stream by nature (SUB-04)."""


T = TypeVar("T")
CallResponse: TypeAlias = tuple[bytes, RpcError | None]
"""The answer to a call, and the error that it tells, from which HTTP takes its status."""


class CallCancelled(McpKitError):
    """The call was given up by its caller, or by the server's end: there is nobody to answer."""


class CallChannel(Protocol):
    """How a call runs at its door."""

    @property
    def cancelled(self) -> bool:
        """Whether the caller, or the server, has given the call up."""

    @property
    def closing(self) -> bool:
        """Whether the server goes down and ends what is left: a cancellation is its own then."""

    def run(self, work: Coroutine[Any, Any, T]) -> Awaitable[T]:
        """Await what serves the call.

        Raises: whatever Exception ``work`` raises, HandlerExit where it ends by anything else, and CancelledError where
        the task that it runs in was cancelled by somebody else.
        """


async def serve_call(kernel: Kernel, exchange: Exchange, channel: CallChannel) -> CallResponse:
    """Serve one request and encode its result or its error: whatever a handler or a hook ends by, it is answered.

    A cancellation that comes while the handler waits is answered too, unless the server asked for it: a handler may
    have left a callback that cancels its task, and nobody can tell that from whoever runs the application.

    Raises: CallCancelled when the call was given up; CancelledError when the server's end cancelled the task.
    """
    try:
        result = await channel.run(kernel.serve(exchange))
        if not channel.cancelled:
            return encoded(kernel, exchange, result), None
    except RpcError as error:
        if not channel.cancelled:
            return _refused(exchange, error)
    except Exception:
        if not channel.cancelled:
            logger.exception("%s could not be answered", exchange.method)
            return _refused(exchange, InternalError())
    except asyncio.CancelledError:
        if not channel.cancelled:
            if channel.closing:
                raise
            await take_back(cancel_requests())
            logger.exception("%s: its task was cancelled, and not by the server", exchange.method)
            return _failed(kernel, exchange)
    raise CallCancelled


def _failed(kernel: Kernel, exchange: Exchange) -> CallResponse:
    """The answer to a call of which nothing is known but that it failed."""
    if exchange.method != CALL or exchange.id is None:
        return _refused(exchange, InternalError())
    told = {"content": [{"type": "text", "text": f"{exchange.params.get('name')} failed"}], "isError": True}
    return encode_result(exchange.id, kernel.shaped(exchange, told)), None


def _refused(exchange: Exchange, error: RpcError) -> CallResponse:
    try:
        return encode_error(exchange.id, error), error
    except (TypeError, ValueError, RecursionError):
        logger.exception("the error that %s raised is not JSON", exchange.method)
        return encode_error(exchange.id, InternalError()), InternalError()


def encoded(kernel: Kernel, exchange: Exchange, result: Result) -> bytes:
    """The answer as bytes; a tool's result that is too long becomes an error that says so.

    Raises: InternalError when a handler returned what JSON can't express, or too much of it.
    """
    assert exchange.id is not None
    try:
        body = encode_result(exchange.id, result)
    except (TypeError, ValueError, RecursionError):
        logger.exception("a handler's result is not JSON")
        raise InternalError from None
    if len(body) <= kernel.max_result_bytes:
        return body
    text = too_long(result, len(body), kernel.max_result_bytes)
    name = exchange.params.get("name", exchange.params.get("uri", ""))
    logger.warning("%s %.200s: over MCP_MAX_RESULT_BYTES: %s", exchange.method, name, text)
    if exchange.method != CALL:
        raise InternalError(text)
    told = {"content": [{"type": "text", "text": text}], "isError": True}
    return encode_result(exchange.id, kernel.shaped(exchange, told))


def check_arguments(message: Message | Batch, most: int) -> None:
    """That the arguments of each call are no longer than ``most`` bytes.

    Raises: BadParams.
    """
    for entry in message.messages if isinstance(message, Batch) else (message,):
        if isinstance(entry, Request) and len(encode(entry.params.get("arguments"))) > most:
            raise BadParams(entry.id, f"The arguments are longer than MCP_MAX_ARGUMENT_BYTES allows ({most})")


def not_acceptable(id: Id) -> Refused:
    """What a caller is answered who takes no form in which this can be answered (SHC-08)."""
    return Refused(406, "Accept must list application/json or text/event-stream, better both", id=id)


def id_of(message: Message | Batch) -> Id | None:
    """The id to answer under, where the message is a request."""
    return message.id if isinstance(message, Request) else None


def names_null_id(headers: Mapping[str, str]) -> bool:
    """Whether an error without a readable id says ``"id": null``: plain JSON-RPC and old revisions do (RPC-11)."""
    version = headers.get(VERSION_HEADER)
    return version is None or (version in HANDSHAKE_NAMES and not REVISIONS[version].http.priming)


def takes_null_id(scope: Scope) -> bool:
    """The same of a request that is refused before its header fields are read."""
    name = VERSION_HEADER.encode()
    values = [value.decode("latin-1").strip(BLANKS) for key, value in scope["headers"] if key.lower() == name]
    return names_null_id({VERSION_HEADER: values[0]} if values else {})


async def serve_batch(
    batch: Batch,
    serve: Callable[[Request], Awaitable[bytes]],
    notified: Callable[[Notification], Awaitable[None]],
    answered: Callable[[Message], Awaitable[None]] | None = None,
) -> bytes | None:
    """Serve the messages of a batch in turn; the array of answers, or None when nothing is to be answered (BAT-05)."""
    answers: list[bytes] = []
    for entry in batch.messages:
        if isinstance(entry, Request):
            answers.append(await _served(entry, serve))
        elif isinstance(entry, Notification):
            await notified(entry)
        elif isinstance(entry, InvalidRequest):
            answers.append(encode_error(entry.id, entry, null_id=True))
        elif answered is not None:
            await answered(entry)
    return encode_batch(answers) if answers else None


async def _served(request: Request, serve: Callable[[Request], Awaitable[bytes]]) -> bytes:
    try:
        return await serve(request)
    except CallCancelled:
        return encode_error(request.id, InvalidRequest("This call was cancelled"))

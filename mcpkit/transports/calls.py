"""What every door over HTTP does with calls: serve one, serve a batch, answer in JSON-RPC's words.

What must never stand here: which door it is, sessions.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from mcpkit.features.tools import too_long
from mcpkit.jsonrpc.codec import BadParams, encode, encode_batch, encode_error, encode_result
from mcpkit.jsonrpc.errors import InternalError, InvalidRequest
from mcpkit.jsonrpc.messages import Batch, Id, Message, Notification, Request, Result
from mcpkit.kernel import Kernel
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.headers import VERSION_HEADER
from mcpkit.protocol.revisions.registry import HANDSHAKE_NAMES, REVISIONS
from mcpkit.transports.asgi import Refused

logger = logging.getLogger("mcpkit.transports")

CALL = "tools/call"
LISTEN = frozenset({"subscriptions/listen"})
"""Methods whose answer is a stream by nature (SUB-04)."""


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
            answers.append(await serve(entry))
        elif isinstance(entry, Notification):
            await notified(entry)
        elif isinstance(entry, InvalidRequest):
            answers.append(encode_error(entry.id, entry, null_id=True))
        elif answered is not None:
            await answered(entry)
    return encode_batch(answers) if answers else None

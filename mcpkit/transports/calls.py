"""What every door over HTTP does with calls: serve one, serve a batch, answer in JSON-RPC's words.

What must never stand here: which door it is, sessions.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from mcpkit.jsonrpc.codec import encode_batch, encode_error, encode_result
from mcpkit.jsonrpc.errors import InternalError, InvalidRequest
from mcpkit.jsonrpc.messages import Batch, Id, Message, Notification, Request, Result
from mcpkit.protocol.headers import VERSION_HEADER
from mcpkit.protocol.revisions.registry import HANDSHAKE_NAMES, REVISIONS
from mcpkit.transports.asgi import Refused, Visit

logger = logging.getLogger("mcpkit.transports")

LISTEN = frozenset({"subscriptions/listen"})
"""Methods whose answer is a stream by nature (SUB-04)."""


def encoded(id: Id, result: Result) -> bytes:
    """The answer as bytes.

    Raises: InternalError when a handler returned what JSON can't express.
    """
    try:
        return encode_result(id, result)
    except (TypeError, ValueError, RecursionError):
        logger.exception("a handler's result is not JSON")
        raise InternalError from None


def check_accept(visit: Visit, message: Request) -> None:
    """That the caller takes a form in which this can be answered (SHC-08).

    Raises: Refused.
    """
    if not visit.accept:
        raise Refused(406, "Accept must list application/json or text/event-stream, better both", id=message.id)


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

"""What all doors over HTTP share: ids of errors, results that are no JSON, batches."""

from __future__ import annotations

import orjson
import pytest

from mcpkit.jsonrpc.errors import InternalError, InvalidRequest
from mcpkit.jsonrpc.messages import Batch, Encoded, Message, Notification, Request, Response
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE, UNSESSIONED
from mcpkit.transports.calls import encoded, id_of, names_null_id, serve_batch


def test_a_result_goes_out_as_it_is_and_rubbish_as_an_error() -> None:
    assert encoded("a", Encoded(b"{}")) == b'{"jsonrpc":"2.0","id":"a","result":{}}'
    with pytest.raises(InternalError):
        encoded(1, {"x": object()})


@pytest.mark.parametrize(
    ("version", "null"), [(None, True), (UNSESSIONED.name, True), (NEWEST_HANDSHAKE.name, False), (NEWEST.name, False)]
)
def test_who_is_told_a_null_id(version: str | None, null: bool) -> None:
    """RPC-09 to RPC-11."""
    assert names_null_id({} if version is None else {"mcp-protocol-version": version}) is null


def test_only_requests_have_an_id_to_answer_under() -> None:
    assert id_of(Request("a", "x", {})) == "a"
    assert id_of(Response(1, {})) is None
    assert id_of(Batch([])) is None


async def test_a_batch_is_served_in_turn() -> None:
    """BAT-04, BAT-05."""
    order: list[str] = []

    async def serve(request: Request) -> bytes:
        order.append(request.method)
        return b"%d" % request.id if isinstance(request.id, int) else b"0"

    async def notified(notification: Notification) -> None:
        order.append(notification.method)

    async def answered(message: Message) -> None:
        order.append("answer")

    batch = Batch(
        [Request(1, "a", {}), Notification("b", {}), Response(1, {}), InvalidRequest(id="x"), Request(2, "c", {})]
    )
    body = await serve_batch(batch, serve, notified, answered)
    assert order == ["a", "b", "answer", "c"]
    assert body is not None
    one, error, two = orjson.loads(body)
    assert (one, error["id"], two) == (1, "x", 2)
    assert await serve_batch(Batch([Response(1, {})]), serve, notified) is None

"""What all doors over HTTP share: ids of errors, results that are no JSON, batches."""

from __future__ import annotations

import orjson
import pytest

from mcpkit import Server
from mcpkit.jsonrpc.codec import BadParams
from mcpkit.jsonrpc.errors import InternalError, InvalidRequest
from mcpkit.jsonrpc.messages import Batch, Encoded, Message, Notification, Request, Response
from mcpkit.kernel import Kernel
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE, REVISIONS, UNSESSIONED
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.testing import connect
from mcpkit.transports.calls import check_arguments, encoded, id_of, names_null_id, serve_batch
from tests.exchanges import exchange


def test_a_result_goes_out_as_it_is_and_rubbish_as_an_error() -> None:
    kernel = Kernel({})
    assert encoded(kernel, exchange("x"), Encoded(b"{}")) == b'{"jsonrpc":"2.0","id":1,"result":{}}'
    with pytest.raises(InternalError):
        encoded(kernel, exchange("x"), {"x": object()})


@pytest.mark.parametrize("revision", [NEWEST, NEWEST_HANDSHAKE, UNSESSIONED])
def test_a_result_that_is_too_long_becomes_a_clear_error(revision: Revision) -> None:
    """The caller reads how long it was, and what to do."""

    async def call(asked: Exchange) -> dict[str, object]:
        return {}

    kernel = Kernel({"name": "s", "version": "1"}, max_result_bytes=300)
    kernel.register("tools/call", call)
    told = orjson.loads(encoded(kernel, Exchange(1, "tools/call", {}, revision), {"text": "x" * 300}))["result"]
    assert (told["isError"], "ask for less" in told["content"][0]["text"]) == (True, True)
    assert ("resultType" in told) is (revision is NEWEST)
    with pytest.raises(InternalError, match="ask for less"):
        encoded(kernel, Exchange(1, "resources/read", {}, revision), {"text": "x" * 300})


@pytest.mark.parametrize("revision", sorted(REVISIONS))
async def test_a_text_that_is_sent_twice_names_what_sends_it_once(
    revision: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What is sent counts: a revision without structured content sends the text once."""
    server = Server("x")

    def words() -> str:
        return "x" * 600_000

    server.add_tool(words, name="twice")
    server.add_tool(words, name="once", structured_output=False)
    async with connect(server, revision=revision) as client:
        assert len((await client.call_tool("once")).text) == 600_000
        assert caplog.records == []
        twice = await client.call_tool("twice", raise_on_error=False)
    if revision < "2025-06-18":
        assert len(twice.text) == 600_000
        return
    assert twice.is_error
    assert "the limit is 1048576; ask for less" in twice.text
    assert "structured_output=False sends it once" in twice.text
    [record] = caplog.records
    assert record.getMessage().startswith("tools/call twice: over MCP_MAX_RESULT_BYTES: The result is 12")


def test_arguments_that_are_too_long_are_refused_with_the_call_s_id() -> None:
    short, long = ({"arguments": {"text": "x" * size}} for size in (10, 500))
    check_arguments(Request(1, "tools/call", short), 400)
    check_arguments(Notification("x", long), 400)
    for message in (Request(2, "tools/call", long), Batch([Request(1, "x", short), Request(2, "x", long)])):
        with pytest.raises(BadParams, match="MCP_MAX_ARGUMENT_BYTES") as refused:
            check_arguments(message, 400)
        assert refused.value.id == 2


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

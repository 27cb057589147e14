"""ASGI as it is: bodies with limits, headers, answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.transports.asgi import ClientGone, Refused, join_fields, read_body, route_path
from tests.transports.doors import call, house


def receiving(*events: dict[str, Any] | float) -> Any:
    """A ``receive`` that yields these events; a number is a pause for ever."""
    waiting = list(events)

    async def receive() -> Any:
        event = waiting.pop(0)
        if isinstance(event, float):
            await asyncio.Event().wait()
        return event

    return receive


def piece(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_whole_body_is_taken_in_one_step() -> None:
    assert await read_body(receiving(piece(b"abc")), 3, 1, 1) == b"abc"
    assert await read_body(receiving({"type": "http.request"}), 3, 1, 1) == b""


async def test_pieces_are_joined() -> None:
    assert await read_body(receiving(piece(b"ab", more=True), piece(b"", more=True), piece(b"c")), 3, 1, 1) == b"abc"


@pytest.mark.parametrize(
    "pieces", [[piece(b"abcd")], [piece(b"ab", more=True), piece(b"cd")], [piece(b"abcd", more=True), 0.0]]
)
async def test_a_body_over_the_limit_is_refused_while_it_is_read(pieces: Any) -> None:
    """SHC-15: counted, whatever was announced."""
    with pytest.raises(Refused) as caught:
        await read_body(receiving(*pieces), 3, 1, 1)
    assert caught.value.status == 413
    assert (b"connection", b"close") in caught.value.headers


@pytest.mark.parametrize("pieces", [[0.0], [piece(b"a", more=True), 0.0]])
async def test_a_silent_client_is_not_waited_for(pieces: Any) -> None:
    with pytest.raises(Refused) as caught:
        await read_body(receiving(*pieces), 3, 0.02, 5)
    assert caught.value.status == 408


async def test_a_slow_client_is_not_waited_for_either() -> None:
    """One byte at a time stays below the pause, not below the whole."""

    async def drip() -> Any:
        await asyncio.sleep(0.005)
        return piece(b"a", more=True)

    with pytest.raises(Refused) as caught:
        await read_body(drip, 1 << 20, 1, 0.05)
    assert caught.value.status == 408


async def test_a_client_that_leaves_is_gone() -> None:
    with pytest.raises(ClientGone):
        await read_body(receiving(piece(b"a", more=True), {"type": "http.disconnect"}), 9, 1, 1)


async def test_slow_and_large_bodies_over_the_wire() -> None:
    home = house(max_body_bytes=1024, body_silence_seconds=0.1)
    large = await home.wire.send("POST", {}, [b" " * 1000, b" " * 25]).done()
    silent = await home.wire.send("POST", {}, [b"{"], hold=True).done()
    assert (large.status, silent.status) == (413, 408)
    assert large.json["error"]["message"].endswith("MCP_MAX_BODY_BYTES")
    assert (await home.wire.ask(call("add", a=1, b=1))).status == 200


def test_fields_are_joined_as_rfc_9110_says() -> None:
    assert join_fields([(b"A", b"1"), (b"b", b"2"), (b"a", b"3")]) == {"a": "1, 3", "b": "2"}


@pytest.mark.parametrize(
    ("path", "root", "below"),
    [("/api", "", "/api"), ("/mcp/api", "/mcp", "/api"), ("/mcpapi", "/mcp", "/mcpapi"), ("/api", "/mcp", "/api")],
)
def test_paths_are_told_below_the_root(path: str, root: str, below: str) -> None:
    assert route_path({"path": path, "root_path": root}) == below

"""Messages that would become too many values are refused in words, under the caller's id, at every transport."""

from __future__ import annotations

import orjson
import pytest

from mcpkit.protocol.envelope import META_CLIENT_CAPABILITIES, META_PROTOCOL_VERSION
from mcpkit.protocol.revisions.registry import ENVELOPE_NAMES, HANDSHAKE_NAMES
from mcpkit.settings import Settings
from mcpkit.transports.duplex import Duplex
from tests.hostile.raw import BODY, PARSERS, house, post, standing
from tests.transports.sockets import Place

MOST = Settings().max_json_values
BOMBS = {
    "numbers": b"[" + b"1," * MOST + b"1]",
    "arrays": b"[" + b"[]," * MOST + b"1]",
    "deep arrays": b"[" + (b"[" * 58 + b"]" * 58 + b",") * (MOST // 58) + b"1]",
    "objects": b"[" + b'{"a":[]},' * MOST + b"1]",
    "members": b"{" + b",".join(b'"%d":1' % number for number in range(MOST)) + b"}",
    "texts": b"[" + b'"",' * MOST + b"1]",
}


def bomb(kind: str, version: str | None = None) -> bytes:
    """A call of a tool with such arguments."""
    meta = b""
    if version is not None:
        meta = b',"_meta":' + orjson.dumps({META_PROTOCOL_VERSION: version, META_CLIENT_CAPABILITIES: {}})
    params = b'{"name":"echo","arguments":{"text":%b}%b}' % (BOMBS[kind], meta)
    return b'{"method":"tools/call","params":%b,"jsonrpc":"2.0","id":"mine"}' % params


class Pipe:
    """Where a server writes its lines."""

    def __init__(self, said: list[bytes]) -> None:
        self.write = said.append

    async def drained(self) -> None:
        """All of it has been read."""


async def asked(place: Place, data: bytes) -> tuple[int, bytes]:
    connection = await place.connect()
    connection.send(data)
    status, _, body = await connection.answer()
    connection.close()
    return status, body


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("version", [None, *HANDSHAKE_NAMES, *ENVELOPE_NAMES])
async def test_over_http(parser: str, version: str | None) -> None:
    fields = [] if version is None else [f"MCP-Protocol-Version: {version}"]
    newest = version in ENVELOPE_NAMES
    async with standing(parser, Settings()) as place:
        for kind, values in BOMBS.items():
            mirrored = ["Mcp-Method: tools/call", "Mcp-Name: echo"] if newest else []
            body = bomb(kind, version if newest else None)
            status, said = await asked(place, post(body, *fields, *mirrored))
            answer = orjson.loads(said)
            assert (status, answer["id"], answer["error"]["code"]) == (400 if newest else 200, "mine", -32602), kind
            assert "MCP_MAX_JSON_VALUES" in answer["error"]["message"]
            batch = await asked(place, post(values, *fields))
            assert batch[0] == 400
            assert b"-32600" in batch[1]
            assert b"MCP_MAX_JSON_VALUES" in batch[1]
        assert (await asked(place, post(BODY)))[0] == 200


@pytest.mark.parametrize("parser", PARSERS)
async def test_over_http_and_sse(parser: str) -> None:
    async with standing(parser, Settings()) as place:
        stream = await place.connect()
        stream.send(b"GET /sse HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
        await stream.until(b"session_id=")
        path = "/api?session_id=" + (await stream.until(b"\n")).decode().strip()
        for kind in BOMBS:
            status, _ = await asked(place, post(bomb(kind), path=path))
            assert status == 202
            answer = orjson.loads((await stream.until(b"}}\n")).rpartition(b"data: ")[2])
            assert (answer["id"], answer["error"]["code"]) == ("mine", -32602)


async def test_over_stdio() -> None:
    said: list[bytes] = []
    duplex = Duplex(house().kernel, Pipe(said), Settings())
    for kind, values in BOMBS.items():
        duplex.receive([bomb(kind)])
        answer = orjson.loads(said.pop())
        assert (answer["id"], answer["error"]["code"]) == ("mine", -32602)
        duplex.receive([values])
        answer = orjson.loads(said.pop())
        assert (answer.get("id"), answer["error"]["code"]) == (None, -32600)
        assert "MCP_MAX_JSON_VALUES" in answer["error"]["message"]
    assert said == []

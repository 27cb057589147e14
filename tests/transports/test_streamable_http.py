"""The MCP endpoint: stateless requests of the envelope era, plain JSON-RPC, and what can't be served at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
import pytest

from mcpkit.protocol.revisions.registry import HANDSHAKES, NEWEST, NEWEST_HANDSHAKE, PLAIN, REVISIONS
from mcpkit.security.principal import Principal
from mcpkit.sessions.memory import MemoryStore
from mcpkit.settings import Settings
from mcpkit.transports.asgi import Refused
from mcpkit.transports.gate import Gate
from mcpkit.transports.streamable_http import McpEndpoint
from tests.transports.asgi_client import META, Wire, leaving_nothing_behind, modern, request
from tests.transports.doors import NO_TOOL, PLAIN_SUM, House, add, house, text

# ── the envelope era ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_modern_call_is_answered_as_json() -> None:
    """SHC-10, SHM-04: one object, two sends, no session id."""
    answer = await house().wire.ask(*add())
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert text(answer.json) == "5"
    assert answer.json["result"]["resultType"] == "complete"
    assert "mcp-session-id" not in answer.headers
    assert len(answer.pieces) == 1


async def test_what_the_envelope_says_reaches_the_handler() -> None:
    home = house()
    meta = {f"{META}clientCapabilities": {"roots": {}}, f"{META}clientInfo": {"name": "c", "version": "1"}}
    await home.wire.ask(*add(**meta, **{f"{META}logLevel": "debug"}))
    seen = home.seen[0]
    assert (seen.revision, seen.log_level, seen.client.info["name"]) == (NEWEST, "debug", "c")
    assert seen.client.capabilities == {"roots": {}}
    assert seen.headers["mcp-name"] == "add"


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        ({"mcp-method": "TOOLS/CALL"}, -32020, 400),
        ({"mcp-method": None}, -32020, 400),
        ({"mcp-name": "other"}, -32020, 400),
        ({"mcp-protocol-version": None}, -32020, 400),
        ({"mcp-protocol-version": "2031-01-01"}, -32020, 400),
    ],
)
async def test_headers_that_differ_from_the_body_are_refused(change: dict[str, Any], code: int, status: int) -> None:
    """TR-04, AMB-15, SHM-20 to SHM-23, DUAL-07: 400 with the request's id."""
    message, headers = add()
    answer = await house().wire.ask({**message, "id": "x7"}, {**headers, **change})
    assert (answer.status, answer.json["error"]["code"], answer.json["id"]) == (status, code, "x7")


async def test_a_repeated_mirror_header_is_refused_even_if_equal() -> None:
    """SHM-25: what an intermediary reads must be what we read."""
    message, headers = add()
    answer = await house().wire.ask(message, headers, raw=[(b"mcp-name", b"add")])
    assert (answer.status, answer.json["error"]["code"]) == (400, -32020)


async def test_a_version_nobody_serves_lists_those_that_are() -> None:
    """AMB-04, NEG-02, ERR-09."""
    message, headers = add(**{f"{META}protocolVersion": "v999"})
    answer = await house().wire.ask(message, {**headers, "mcp-protocol-version": "v999"})
    error = answer.json["error"]
    assert (answer.status, error["code"], error["data"]["requested"]) == (400, -32022, "v999")
    assert NEWEST.name in error["data"]["supported"]


async def test_a_modern_header_without_an_envelope() -> None:
    """SHD-03, META-11."""
    answer = await house().wire.ask(PLAIN_SUM, {"mcp-protocol-version": NEWEST.name})
    assert (answer.status, answer.json["error"]["code"], answer.json["id"]) == (400, -32602, 1)


@pytest.mark.parametrize("method", ["initialize", "ping", "logging/setLevel", "unknown/method"])
async def test_a_method_that_the_revision_does_not_know_is_404(method: str) -> None:
    """METH-02, SHM-10, DUAL-03."""
    answer = await house().wire.ask(*modern(method))
    assert (answer.status, answer.json["error"]["code"], answer.json["id"]) == (404, -32601, 1)


async def test_errors_of_handlers_are_200_unless_the_revision_says_otherwise() -> None:
    """SHM-11, SHM-12, AMB-03."""
    wire = house().wire
    unknown = await wire.ask(*modern("tools/call", {"name": "nothing"}))
    lacking = await wire.ask(*modern("tools/call", {"name": "needs"}))
    assert (unknown.status, unknown.json["error"]["code"]) == (200, -32602)
    assert (lacking.status, lacking.json["error"]["code"]) == (400, -32021)
    assert lacking.json["error"]["data"] == {"requiredCapabilities": {"sampling": {}}}


async def test_a_stale_session_id_is_ignored() -> None:
    """SHM-04, SHD-04."""
    message, headers = add()
    answer = await house().wire.ask(message, {**headers, "mcp-session-id": "gone"})
    assert answer.status == 200


@pytest.mark.parametrize("message", [{"jsonrpc": "2.0", "id": 1, "result": {}}, [PLAIN_SUM]])
async def test_modern_clients_send_neither_responses_nor_arrays(message: Any) -> None:
    """SHM-02, RPC-17, BAT-02."""
    answer = await house().wire.ask(message, {"mcp-protocol-version": NEWEST.name})
    assert (answer.status, answer.json["error"]["code"]) == (400, -32600)
    assert "id" not in answer.json


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_get_and_delete_of_a_modern_client(method: str) -> None:
    """SHM-01."""
    answer = await house().wire.send(method, {"mcp-protocol-version": NEWEST.name}).done()
    assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")


# ── plain JSON-RPC, and the handshake era without a session ──────────────────────────────────────────────────────────


async def test_plain_errors_are_200_and_unreadable_ones_400_with_a_null_id() -> None:
    """RPC-11, RPC-13: base JSON-RPC says null where no id could be read."""
    wire = house().wire
    known = await wire.ask(NO_TOOL)
    unparsable = await wire.ask(b"{nonsense")
    invalid = await wire.ask({"jsonrpc": "1.0", "id": "a", "method": "ping"})
    assert (known.status, known.json["error"]["code"], known.json["id"]) == (200, -32602, 1)
    assert (unparsable.status, unparsable.json["error"]["code"], unparsable.json["id"]) == (400, -32700, None)
    assert (invalid.status, invalid.json["error"]["code"], invalid.json["id"]) == (400, -32600, "a")


@pytest.mark.parametrize("revision", [revision for revision in HANDSHAKES if revision.http.priming])
async def test_newer_clients_get_no_null_ids(revision: Any) -> None:
    """AMB-05, RPC-10, RPC-11: their schema has no null there."""
    answer = await house().wire.ask(b"{nonsense", {"mcp-protocol-version": revision.name})
    assert "id" not in answer.json


async def test_too_long_and_empty_batches_are_invalid() -> None:
    wire = house(max_batch=2).wire
    for batch in ([], [PLAIN_SUM] * 3):
        answer = await wire.ask(batch)
        assert (answer.status, answer.json["error"]["code"]) == (400, -32600)


async def test_array_params_are_invalid_params() -> None:
    """RPC-15."""
    answer = await house().wire.ask({**PLAIN_SUM, "params": [1]})
    assert (answer.status, answer.json["error"]["code"], answer.json["id"]) == (200, -32602, 1)
    silent = await house().wire.ask({"jsonrpc": "2.0", "method": "x", "params": [1]})
    assert silent.status == 400


async def test_without_any_marker_it_is_plain() -> None:
    home = house()
    await home.wire.ask(PLAIN_SUM)
    assert home.seen[0].revision is PLAIN


async def test_an_unknown_version_header_is_refused() -> None:
    """SHL-53, SHD row 10."""
    answer = await house().wire.ask(PLAIN_SUM, {"mcp-protocol-version": "1999-01-01"})
    assert (answer.status, answer.json["error"]["code"], answer.json["id"]) == (400, -32022, 1)


async def test_a_response_without_a_session_belongs_to_nobody() -> None:
    """SHL-12."""
    answer = await house().wire.ask({"jsonrpc": "2.0", "id": 1, "result": {}})
    assert (answer.status, answer.json["error"]["code"]) == (400, -32600)


# ── other methods, and CORS ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD", "TRACE", "BREW"])
async def test_other_methods_are_405(method: str) -> None:
    """SHC-01, SHC-19."""
    answer = await house().wire.send(method).done()
    assert (answer.status, answer.headers["allow"]) == (405, "POST, GET, DELETE, OPTIONS")


async def test_a_preflight_from_an_allowed_page() -> None:
    """SHC-18: the origin itself, never a wildcard for what it may send."""
    headers = {
        "origin": "http://localhost:6274",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type, mcp-param-region, x-evil",
    }
    answer = await house().wire.send("OPTIONS", headers).done()
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "http://localhost:6274"
    assert answer.headers["access-control-allow-headers"] == "content-type, mcp-param-region"
    assert answer.headers["vary"] == "origin"


async def test_answers_to_pages_carry_cors_headers() -> None:
    answer = await house().wire.ask(PLAIN_SUM, {"origin": "http://localhost:6274"})
    assert answer.headers["access-control-allow-origin"] == "http://localhost:6274"
    assert "Mcp-Session-Id" in answer.headers["access-control-expose-headers"]


async def test_a_refusal_closes_the_connection_only_when_its_body_has_not_arrived() -> None:
    """What is not going to be read is not waited for."""
    wire = house().wire
    evil: dict[str, str | None] = {"host": "evil.example", "content-length": "9"}
    whole = await wire.ask(PLAIN_SUM, evil)
    partial = await wire.send("POST", evil, [b"{"], hold=True).done()
    absent = await wire.send("POST", evil, [], hold=True).done()
    invited = await wire.ask(PLAIN_SUM, {**evil, "expect": "100-continue"})
    assert {answer.status for answer in (whole, partial, absent, invited)} == {421}
    assert [answer.headers.get("connection") for answer in (whole, partial, absent, invited)] == [
        None,
        "close",
        "close",
        "close",
    ]


async def test_a_client_that_leaves_while_sending_gets_nothing() -> None:
    async with leaving_nothing_behind():
        sending = house().wire.send("POST", {}, [b'{"json'], hold=True)
        sending.disconnect()
        await sending.done()
        assert sending.status == 0


async def test_draining_refuses_new_sessions_and_serves_calls() -> None:
    home = house()
    home.endpoint.drain()
    params = {"protocolVersion": NEWEST.name, "capabilities": {}}
    refused = await home.wire.ask(request("initialize", params, id="i"))
    assert (refused.status, refused.json["id"], "retry-after" in refused.headers) == (503, "i", True)
    assert (await home.wire.ask(PLAIN_SUM)).status == 200


# ── which rule goes first ────────────────────────────────────────────────────────────────────────────────────────────

STRANGER, ALICE = {"origin": "https://evil.example"}, {"authorization": "alice"}
MODERN, FUTURE = {"mcp-protocol-version": NEWEST.name}, {"mcp-protocol-version": "2031-01-01"}
GONE = {"mcp-session-id": "x"}
LATEST = {"protocolVersion": NEWEST_HANDSHAKE.name}


@pytest.mark.parametrize(
    ("message", "headers", "status", "code"),
    [
        (PLAIN_SUM, STRANGER, 403, None),  # before: no token
        ([PLAIN_SUM], {}, 401, None),  # before: an array
        ([PLAIN_SUM], ALICE | MODERN, 400, -32600),  # before: no envelope
        (PLAIN_SUM, ALICE | MODERN | GONE, 400, -32602),  # before: an unknown session
        (PLAIN_SUM, ALICE | FUTURE | GONE, 400, -32022),  # before: an unknown session
        (request("initialize", LATEST), ALICE | FUTURE, 200, None),  # an unknown version does not matter to it
        (PLAIN_SUM, ALICE | GONE, 404, -32600),
    ],
)
async def test_the_first_rule_that_fits_decides(message: Any, headers: dict[str, str], status: int, code: Any) -> None:
    """SHD-01: who may enter, then arrays, then the era, then sessions."""

    async def authenticate(given: Any) -> Principal:
        if "authorization" not in given:
            raise Refused(401, "who are you?", [(b"www-authenticate", b"Bearer")])
        return Principal(given["authorization"])

    answer = await House(authenticate=authenticate).wire.ask(message, headers)
    assert answer.status == status
    assert code is None or answer.json["error"]["code"] == code


async def test_an_envelope_goes_before_a_session_and_a_modern_get_before_both() -> None:
    """SHD-01: rows 4 and 8."""
    home = house()
    message, headers = add()
    assert (await home.wire.ask(message, {**headers, **GONE})).status == 200
    stream = {**MODERN, **GONE, "accept": "text/event-stream"}
    assert (await home.wire.send("GET", stream).done()).status == 405


EARLY: Final = [
    (401, {}),
    (403, {"origin": "https://evil.example"}),
    (413, {"authorization": "Bearer good", "content-length": "999999999"}),
    (421, {"host": "evil.example"}),
]


@pytest.mark.parametrize(("status", "headers"), EARLY)
@pytest.mark.parametrize("version", [None, *REVISIONS])
async def test_a_refusal_before_a_message_is_read_has_a_null_id(
    status: int, headers: dict[str, str], version: str | None
) -> None:
    """JSON-RPC 2.0 section 5: null where no id could be read; the newest revisions have no null there (RPC-11)."""

    async def known(given: Mapping[str, str]) -> Principal:
        if given.get("authorization") != "Bearer good":
            raise Refused(401, "who are you?", [(b"www-authenticate", b"Bearer")])
        return Principal("alice")

    settings = Settings()
    served = McpEndpoint(house().kernel, MemoryStore(), Gate(settings, known), settings)
    named = {} if version is None else {"mcp-protocol-version": version}
    answer = await Wire(served).send("POST", {**named, **headers}, [orjson.dumps(PLAIN_SUM)]).done()
    assert answer.status == status
    assert answer.json["error"]["message"]
    if version is None or REVISIONS[version].null_ids:
        assert answer.json["id"] is None
    else:
        assert "id" not in answer.json

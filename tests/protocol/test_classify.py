"""Which revision governs: the order of DUAL-02, the rows of transports.md §6, the ladder of DUAL-06, real clients."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpkit.jsonrpc.errors import InvalidRequest, RpcError
from mcpkit.jsonrpc.messages import Batch, ErrorResponse, Message, Notification, Request, Response
from mcpkit.protocol.classify import (
    HANDSHAKE,
    PLAIN_CALL,
    InSession,
    Legacy,
    OnStream,
    Route,
    Stateless,
    classify,
)
from mcpkit.protocol.errors import HeaderMismatch
from mcpkit.protocol.revisions.registry import HANDSHAKE_NAMES, NEWEST, REVISIONS, SUPPORTED

MODERN = "2026-07-28"
OLD = "2025-06-18"
VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
INFO = "io.modelcontextprotocol/clientInfo"
RELATED_TASK = "io.modelcontextprotocol/related-task"
META: dict[str, Any] = {VERSION: MODERN, CAPABILITIES: {}, INFO: {"name": "c", "version": "1"}}


def request(method: str = "tools/list", meta: Any = None, **params: Any) -> Request:
    return Request(1, method, params if meta is None else {**params, "_meta": meta})


def notification(method: str = "notifications/cancelled", meta: Any = None) -> Notification:
    return Notification(method, {} if meta is None else {"_meta": meta})


def fields(version: str | None = None, session: str | None = None, **more: str) -> dict[str, str]:
    named = {"mcp-protocol-version": version, "mcp-session-id": session}
    return {name: value for name, value in named.items() if value is not None} | {
        name.replace("_", "-"): value for name, value in more.items()
    }


def modern(method: str = "tools/list", **more: str) -> dict[str, str]:
    return fields(MODERN, mcp_method=method, **more)


def code(headers: dict[str, str] | None, message: Message | Batch, stream: str | None = None) -> int:
    with pytest.raises(RpcError) as refused:
        classify(headers, stream, message)
    return refused.value.code


# ── the envelope era ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["tools/list", "server/discover", "initialize", "ping", "unknown/method"])
@pytest.mark.parametrize("headers", ["none", "right", "with a stale session"])
def test_an_envelope_stands_for_itself(method: str, headers: str) -> None:
    """DUAL-01, DUAL-03, SHD-04: whatever the method, whatever session id is left over; on any transport."""
    sent = {"none": None, "right": modern(method), "with a stale session": modern(method, mcp_session_id="gone")}
    route = classify(sent[headers], None, request(method, META))
    assert isinstance(route, Stateless)
    assert route.revision is NEWEST
    assert route.envelope is not None
    assert route.envelope.client.info == META[INFO]


def test_a_nameless_client() -> None:
    """META-12."""
    assert isinstance(classify(modern(), None, request(meta={VERSION: MODERN, CAPABILITIES: {}})), Stateless)


@pytest.mark.parametrize(
    "meta",
    [
        None,
        {},
        "text",
        {VERSION: MODERN},
        {CAPABILITIES: {}},
        {INFO: META[INFO]},
        {RELATED_TASK: {"taskId": "t"}},
        {**META, VERSION: 5},
        {**META, VERSION: [MODERN]},
        {**META, CAPABILITIES: []},
        {**META, "io.modelcontextprotocol/logLevel": "loud"},
    ],
)
@pytest.mark.parametrize("method", ["tools/list", "server/discover", "ping", "unknown/method"])
def test_a_modern_header_demands_an_envelope(method: str, meta: Any) -> None:
    """META-11, SHD-03, SHD row 9: bad params, before anything else is looked at."""
    assert code(fields(MODERN), request(method, meta)) == -32602
    assert code(fields(MODERN, "live-session"), request(method, meta)) == -32602


@pytest.mark.parametrize(
    ("headers", "method", "params"),
    [
        (fields(), "tools/list", {}),
        (fields(mcp_method="tools/list"), "tools/list", {}),
        (fields(MODERN), "tools/list", {}),
        (modern("TOOLS/LIST"), "tools/list", {}),
        (modern("prompts/list"), "tools/list", {}),
        (fields("2025-11-25", mcp_method="tools/list"), "tools/list", {}),
        (fields("v999", mcp_method="tools/list"), "tools/list", {}),
        (modern("tools/call"), "tools/call", {"name": "add"}),
        (modern("tools/call", mcp_name="other"), "tools/call", {"name": "add"}),
        (modern("tools/call", mcp_name="ADD"), "tools/call", {"name": "add"}),
        (modern("tools/call", mcp_name="=?base64?SGVsbG8?="), "tools/call", {"name": "Hello"}),
        (modern("prompts/get", mcp_name="x"), "prompts/get", {"name": "p"}),
        (modern("resources/read", mcp_name="x"), "resources/read", {"uri": "docs://a"}),
        (modern("tasks/get", mcp_name="x"), "tasks/get", {"taskId": "t"}),
    ],
)
def test_headers_must_agree(headers: dict[str, str], method: str, params: dict[str, Any]) -> None:
    """SHM-21…SHM-24, conformance §1.4."""
    assert code(headers, request(method, META, **params)) == -32020


@pytest.mark.parametrize(
    ("method", "name", "params"),
    [
        ("tools/call", "  add ", {"name": "add"}),
        ("tools/call", "=?base64?YWRk?=", {"name": "add"}),
        ("resources/read", "docs://a", {"uri": "docs://a"}),
    ],
)
def test_headers_that_agree(method: str, name: str, params: dict[str, Any]) -> None:
    """SHM-22 (REF), conformance §1.4."""
    assert isinstance(classify(modern(method, mcp_name=name), None, request(method, META, **params)), Stateless)


@pytest.mark.parametrize("method", ["tools/list", "server/discover", "initialize"])
def test_an_unknown_version(method: str) -> None:
    """NEG-02, DUAL-07, ERR-09: said by header and body alike, or by the body of a transport without headers."""
    message = request(method, {**META, VERSION: "v999.0.0"})
    for headers in (fields("v999.0.0", mcp_method=method), None):
        with pytest.raises(RpcError) as refused:
            classify(headers, None, message)
        assert refused.value.code == -32022
        assert refused.value.data == {"supported": list(SUPPORTED), "requested": "v999.0.0"}


def test_disagreement_beats_unsupported() -> None:
    """DUAL-07."""
    assert code(modern(), request(meta={**META, VERSION: "v999"})) == -32020
    assert code(fields(mcp_method="tools/list"), request(meta={**META, VERSION: "v999"})) == -32020


def test_the_ladder() -> None:
    """DUAL-06: each repair uncovers the next fault."""
    bad: dict[str, Any] = {VERSION: "v999"}
    assert code(fields(MODERN, mcp_method="x"), request("tools/list", bad)) == -32602
    bad[CAPABILITIES] = {}
    assert code(fields(MODERN, mcp_method="x"), request("tools/list", bad)) == -32020
    assert code(fields("v999", mcp_method="x"), request("tools/list", bad)) == -32020
    assert code(fields("v999", mcp_method="tools/list"), request("tools/list", bad)) == -32022


@pytest.mark.parametrize("name", sorted(HANDSHAKE_NAMES))
def test_an_envelope_of_the_handshake_era(name: str) -> None:
    """DUAL-02 step 3, SHD-06: its keys are ignored, unless the header says something else."""
    message = request(meta={**META, VERSION: name})
    assert classify(fields(), None, message) is PLAIN_CALL
    assert classify(None, None, message) is PLAIN_CALL
    assert classify(fields(name), None, message) == Legacy(REVISIONS[name])
    assert classify(fields(name, "s"), None, message) == InSession("s")
    assert classify(fields(), None, request("initialize", {**META, VERSION: name})) is HANDSHAKE
    assert code(modern(), message) == -32020


def test_a_related_task_is_no_evidence() -> None:
    """META-25."""
    message = request(meta={RELATED_TASK: {"taskId": "t"}})
    assert classify(fields(OLD, "s"), None, message) == InSession("s")
    assert classify(fields(), None, message) is PLAIN_CALL


# ── notifications of the envelope era ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("headers", "meta"),
    [
        (fields(MODERN), None),
        (fields(MODERN), META),
        (fields(MODERN), {INFO: META[INFO]}),
        (fields(), {VERSION: MODERN}),
        (fields(MODERN, "stale", mcp_method="notifications/cancelled"), None),
        (None, META),
    ],
)
def test_notifications(headers: dict[str, str] | None, meta: Any) -> None:
    """SHM-15, DUAL-02 step 4: neither envelope nor routing headers are demanded."""
    assert classify(headers, None, notification(meta=meta)) == Stateless(NEWEST, None)


@pytest.mark.parametrize(
    ("headers", "meta", "expected"),
    [
        (fields(MODERN, mcp_method="x"), None, -32020),
        (fields(MODERN), {VERSION: "v999"}, -32020),
        (fields("v999"), {VERSION: "v999"}, -32022),
        (fields("v999"), None, -32022),
        (fields(), {VERSION: "v999"}, -32022),
        (fields(), {VERSION: 5}, -32602),
        (None, {CAPABILITIES: {}}, -32602),
    ],
)
def test_notifications_that_contradict_themselves(headers: Any, meta: Any, expected: int) -> None:
    """SHM-15 (REC)."""
    assert code(headers, notification(meta=meta)) == expected


# ── the handshake era ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "headers",
    [
        None,
        fields(),
        fields(OLD),
        fields("2025-11-25", mcp_method="initialize"),
        fields(MODERN),
        fields("2031-01-01"),
        fields("nonsense", "stale"),
        fields(session="stale"),
    ],
)
def test_initialize(headers: dict[str, str] | None) -> None:
    """AMB-14, SHL-55, SHD row 11: the body negotiates, headers don't matter."""
    assert classify(headers, None, request("initialize", protocolVersion="2025-11-25")) is HANDSHAKE


@pytest.mark.parametrize("version", [None, *sorted(HANDSHAKE_NAMES)])
@pytest.mark.parametrize(
    "message",
    [
        request("tools/call", name="add"),
        notification("notifications/initialized"),
        Response(1, {}),
        ErrorResponse(1, RpcError(-1, "no")),
        Batch([request(), notification()]),
    ],
    ids=lambda message: type(message).__name__,
)
def test_in_a_session(version: str | None, message: Message | Batch) -> None:
    """SHD row 12, SHL-54: any handshake version in the header will do; the session knows its own."""
    assert classify(fields(version, "abc"), None, message) == InSession("abc")


def test_routing_headers_are_ignored_on_older_requests() -> None:
    """SHM-28, real clients: some send them with every request."""
    headers = fields(OLD, "abc", mcp_method="tools/call", mcp_name="add")
    assert classify(headers, None, request("tools/list")) == InSession("abc")
    assert classify(fields(mcp_method="x", mcp_name="y"), None, request("tools/list")) is PLAIN_CALL


@pytest.mark.parametrize("name", sorted(HANDSHAKE_NAMES))
def test_a_version_without_a_session(name: str) -> None:
    """Architecture §4.4 rule 5."""
    assert classify(fields(name), None, request()) == Legacy(REVISIONS[name])
    assert classify(fields(f" {name}\t"), None, notification()) == Legacy(REVISIONS[name])


@pytest.mark.parametrize("version", ["2031-01-01", "v999", "", "2025-06-18, 2025-06-18", "DRAFT-2026"])
@pytest.mark.parametrize("session", [None, "abc"])
@pytest.mark.parametrize("message", [request(), notification(), Response(1, {}), Batch([request()])])
def test_an_unknown_version_header(version: str, session: str | None, message: Message | Batch) -> None:
    """SHL-53, SHD row 10: also inside a session, also for what needs no answer."""
    assert code(fields(version, session), message) == -32022


@pytest.mark.parametrize("headers", [fields(), fields(OLD), fields(MODERN)])
def test_discovery_without_an_envelope(headers: dict[str, str]) -> None:
    """DUAL-08: outside a session it is told what to send; inside, the method is unknown there."""
    assert code(headers, request("server/discover")) == -32602
    assert classify(fields(OLD, "abc"), None, request("server/discover")) == InSession("abc")


# ── HTTP+SSE ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "headers", [fields(), fields(OLD), fields("2024-11-05", "other"), fields(MODERN), modern("tools/list")]
)
@pytest.mark.parametrize(
    "message",
    [
        request(),
        request(meta=META),
        request("initialize"),
        request("server/discover"),
        notification(),
        Response(1, {}),
        Batch([request()]),
    ],
)
def test_what_is_posted_for_a_stream(headers: dict[str, str], message: Message | Batch) -> None:
    """HSSE-12, real clients: the query's session wins, also over an envelope and over being plain."""
    assert classify(headers, "st", message) == OnStream("st")


def test_unknown_versions_on_a_stream() -> None:
    """HSSE-14; AMB-14 for the handshake."""
    assert code(fields("v999"), request(), "st") == -32022
    assert classify(fields("v999"), "st", request("initialize")) == OnStream("st")


# ── arrays, answers, plain calls ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("headers", [None, fields()])
def test_plain_arrays(headers: dict[str, str] | None) -> None:
    """JSON-RPC 2.0 §6; an entry that is no message is answered as such."""
    assert classify(headers, None, Batch([request("x"), InvalidRequest(), notification("y")])) is PLAIN_CALL


@pytest.mark.parametrize(
    ("name", "allowed"), [("2024-11-05", False), ("2025-03-26", True), ("2025-06-18", False), ("2025-11-25", False)]
)
def test_arrays_without_a_session(name: str, allowed: bool) -> None:
    """BAT-01, BAT-02."""
    if allowed:
        assert classify(fields(name), None, Batch([request()])) == Legacy(REVISIONS[name])
    else:
        assert code(fields(name), Batch([request()])) == -32600


@pytest.mark.parametrize(
    ("headers", "entry"),
    [
        (fields(), request("initialize")),
        (fields(session="abc"), request("initialize")),
        (None, request("initialize")),
        (fields(), request(meta=META)),
        (fields(), notification(meta={VERSION: "v999"})),
        (fields(), request(meta={CAPABILITIES: {}})),
        (fields(session="abc"), request(meta=META)),
        (fields(MODERN), request()),
        (fields(MODERN, "abc"), request()),
    ],
)
def test_what_no_array_may_hold(headers: dict[str, str] | None, entry: Request) -> None:
    """BAT-02, BAT-03, SHM-02."""
    assert code(headers, Batch([notification(), entry])) == -32600


@pytest.mark.parametrize("headers", [None, fields(), fields(OLD), fields(MODERN), fields(MODERN, "abc")])
def test_answers_to_nobody(headers: dict[str, str] | None) -> None:
    """RPC-17, SHM-02, SHL-43: a response belongs to a session."""
    assert code(headers, Response(1, {})) == -32600
    assert code(headers, ErrorResponse(None, RpcError(-1, "no"))) == -32600


@pytest.mark.parametrize("method", ["sample", "tools/call", "ping", "unknown/method"])
def test_plain_calls(method: str) -> None:
    """Architecture §4.4 rule 6: no marker at all."""
    assert classify(fields(), None, request(method)) is PLAIN_CALL
    assert classify(fields(accept="application/json"), None, notification(method)) is PLAIN_CALL
    assert classify(None, None, request(method)) is PLAIN_CALL


# ── whatever arrives ─────────────────────────────────────────────────────────────────────────────────────────────────

versions = st.sampled_from([*SUPPORTED, "v999", "", " 2025-06-18 "])
odd = st.one_of(st.none(), st.booleans(), st.integers(), st.lists(st.integers()), st.dictionaries(st.text(), st.text()))
metas = st.one_of(
    odd,
    st.dictionaries(
        st.sampled_from([VERSION, CAPABILITIES, INFO, RELATED_TASK, "progressToken"]),
        st.one_of(versions, odd, st.just(META[INFO])),
    ),
)
methods = st.sampled_from(["initialize", "tools/call", "resources/read", "server/discover", "x"])
calls = st.builds(
    lambda kind, method, meta, name: kind(method, {"_meta": meta, **({} if name is None else {"name": name})}),
    st.sampled_from([lambda method, params: Request(1, method, params), Notification]),
    methods,
    metas,
    odd | st.text(),
)
messages = st.one_of(
    calls,
    st.lists(calls, max_size=3).map(Batch),
    st.just(Response(1, {})),
    st.just(ErrorResponse(None, RpcError(1, ""))),
)
header_fields = st.none() | st.dictionaries(
    st.sampled_from(["mcp-protocol-version", "mcp-session-id", "mcp-method", "mcp-name"]),
    st.one_of(versions, methods, st.text()),
)


@given(header_fields, st.none() | st.text(), messages)
def test_there_is_always_a_route_or_an_error(headers: Any, stream: str | None, message: Any) -> None:
    """RPC-13, DUAL-02: no other exception, whatever arrives."""
    refused: RpcError | None = None
    try:
        route: Any = classify(headers, stream, message)
    except RpcError as error:
        refused = error
    if refused is not None:
        assert refused.code in {-32600, -32602, -32020, -32022}
        assert headers is not None or not isinstance(refused, HeaderMismatch)
    else:
        assert isinstance(route, Route)
        assert stream is None or route == OnStream(stream)

"""What MCP reads from a message and its headers: envelopes, routes, cursors, states and URI templates.

What must never stand here: HTTP, sessions.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from urllib.parse import unquote

from mcpkit.jsonrpc.codec import decode
from mcpkit.jsonrpc.errors import InvalidParams, InvalidRequest, ParseError, RpcError
from mcpkit.jsonrpc.messages import Notification, Request
from mcpkit.protocol.classify import Handshake, InSession, Legacy, OnStream, Stateless, classify
from mcpkit.protocol.errors import HeaderMismatch, UnsupportedProtocolVersion
from mcpkit.protocol.headers import ParamHeaders, check_params, decode_value, encode_value, mirror, routing_headers
from mcpkit.protocol.pagination import decode_cursor, encode_cursor
from mcpkit.protocol.request_state import StateSealer
from mcpkit.protocol.revisions.registry import ENVELOPE_NAMES, NEWEST, REVISIONS
from mcpkit.protocol.types import META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_PROTOCOL_VERSION
from mcpkit.protocol.uri_template import UriTemplate
from tests.fuzz.targets.target import Target, parts

# ── classify ─────────────────────────────────────────────────────────────────────────────────────────────────────────

ENVELOPE = {
    META_PROTOCOL_VERSION: NEWEST.name,
    META_CLIENT_CAPABILITIES: {},
    META_CLIENT_INFO: {"name": "c", "version": "1"},
}


def request(method: str, **params: Any) -> bytes:
    """A request's body."""
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def fields(data: bytes) -> dict[str, str]:
    """Header lines as a transport gives them on: names in lower case, repeated ones joined."""
    found: dict[str, str] = {}
    for line in data.decode("latin-1").split("\n"):
        name, mark, value = line.partition(":")
        name, value = name.strip().lower(), value.strip(" \t\r")
        if mark:
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def route(data: bytes) -> None:
    """Every message goes one way or is refused by a named error, and a route says no more than the message does."""
    head, body, stream = parts(data, 3)
    headers = fields(head)
    try:
        message = decode(body)
    except (ParseError, InvalidRequest):
        return
    for given, query in ((headers, None), (None, None), (headers, stream.decode("latin-1"))):
        try:
            found = classify(given, query, message)
        except (InvalidParams, HeaderMismatch, UnsupportedProtocolVersion, InvalidRequest) as error:
            encoded(error)
            continue
        routed(found, given, query, message)


def routed(found: Any, headers: dict[str, str] | None, stream: str | None, message: Any) -> None:
    version = (headers or {}).get("mcp-protocol-version")
    assert isinstance(found, OnStream) == (stream is not None), "only a stream's own URL names a stream"
    if isinstance(found, Stateless):
        assert isinstance(message, Request | Notification)
        assert found.revision.name in ENVELOPE_NAMES
        if version is not None:
            assert version.strip(" \t") == found.revision.name, "the header says something else (HDR-01)"
        if isinstance(message, Request):
            assert found.envelope is not None
            assert message.params["_meta"][META_PROTOCOL_VERSION] == found.revision.name
            assert headers is None or headers["mcp-method"].strip(" \t") == message.method
    elif isinstance(found, InSession):
        assert headers is not None
        assert found.id == headers["mcp-session-id"].strip(" \t")
    elif isinstance(found, Legacy):
        assert version is not None
        assert found.revision.name == version.strip(" \t")
    elif isinstance(found, Handshake):
        assert isinstance(message, Request)
        assert message.method == "initialize"


def encoded(error: RpcError) -> None:
    """A refusal can be written, and says nothing of our insides."""
    json.dumps(error.to_wire())
    assert "object at 0x" not in error.message
    assert len(error.message) < 1000


# ── headers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def header(data: bytes) -> None:
    """A value comes back from its header; what a header says has one spelling if it is marked (SHM-30 to SHM-34)."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        written = encode_value(text)
    except ValueError:
        assert any("\ud800" <= char <= "\udfff" for char in text)
    else:
        assert written.isascii()
        assert written.isprintable(), "a header could be split (HDR-05)"
        assert decode_value(written) == text
    raw = data.decode("latin-1")
    try:
        value = decode_value(raw)
    except HeaderMismatch as error:
        encoded(error)
    else:
        stripped = raw.strip(" \t")
        assert value == stripped or marked(value) == stripped


def marked(value: str) -> str:
    """The value as base64, needed or not."""
    return f"=?base64?{b64encode(value.encode()).decode()}?="


def annotations(data: bytes) -> None:
    """A schema's annotations are refused or kept by what clients send for them (XHDR-02 to XHDR-10)."""
    try:
        schema, arguments = (json.loads(part or b"{}") for part in parts(data, 2))
        known = ParamHeaders.compile(schema if isinstance(schema, dict) else {})
    except (ValueError, RecursionError):
        return
    if not isinstance(arguments, dict):
        return
    try:
        sent = mirror(known, arguments)
    except ValueError:
        return
    assert all(value.isascii() and value.isprintable() for value in sent.values())
    check_params(known, {name.lower(): value for name, value in sent.items()}, arguments)
    for name in sent:
        try:
            check_params(known, {each.lower(): value for each, value in sent.items() if each != name}, arguments)
        except HeaderMismatch as error:
            encoded(error)
        else:
            raise AssertionError(f"{name} may be left out")


def envelope(data: bytes) -> None:
    """What a client of ours would send with a request, its server takes."""
    method, name = (part.decode("latin-1") for part in parts(data, 2))
    params = {"_meta": dict(ENVELOPE), "name": name, "uri": name, "taskId": name}
    headers = {key.lower(): value for key, value in routing_headers(method, params).items()}
    message = Request(1, method, params)
    if method.strip(" \t") == method:
        assert isinstance(classify(headers, None, message), Stateless)


# ── cursors, states, templates ───────────────────────────────────────────────────────────────────────────────────────


def cursor(data: bytes) -> None:
    """A cursor is one of ours, spelled exactly so, or refused (PAGE-03)."""
    name = data.decode("utf-8", "surrogateescape")
    assert decode_cursor(encode_cursor(name)) == name
    text = data.decode("latin-1")
    try:
        after = decode_cursor(text)
    except InvalidParams as error:
        encoded(error)
    else:
        assert encode_cursor(after) == text


SEALER = StateSealer(b"k" * 32, clock=lambda: 1000.0)
BOUND: dict[str, Any] = {"principal": "ada", "method": "tools/call", "salient": {"name": "t"}}
SEALED = SEALER.seal({"a": [1, "é"]}, **BOUND)


def state(data: bytes) -> None:
    """Nothing but what was sealed is opened, for nobody but whom it was sealed for (MRTR-09, MRS-01)."""
    token = data.decode("latin-1")
    for bound in (BOUND, {**BOUND, "principal": None}, {**BOUND, "method": "prompts/get"}, {**BOUND, "salient": token}):
        try:
            opened = SEALER.open(token, **bound)
        except InvalidParams as error:
            encoded(error)
        else:
            assert (token, bound) == (SEALED, BOUND), "opened what was never sealed"
            assert opened == {"a": [1, "é"]}
    payload = {token[:40]: [token]}
    assert SEALER.open(SEALER.seal(payload, **BOUND), **BOUND) == payload


def template(data: bytes) -> None:
    """A template is refused, or every URI it makes it reads back, in one pass (CVE-2026-0621)."""
    text, uri = (part.decode("utf-8", "replace") for part in parts(data, 2))
    try:
        made = UriTemplate(text)
    except ValueError:
        return
    found = made.match(uri)
    if found is None:
        return
    assert found.keys() <= set(made.variables)
    assert set(made.variables) - found.keys() <= made.optional
    try:
        spelled = made.expand(found)
    except ValueError:
        assert any(value == "" for value in found.values())
        return
    if faithful(found, text):
        assert made.match(spelled) == found, "what it spells, it reads in another way"


def faithful(values: dict[str, Any], text: str) -> bool:
    """Whether expansion spells every value so that matching must find it again: nothing reserved stays unescaped."""
    flat = [each for value in values.values() for each in (value if isinstance(value, list) else [value])]
    plain = all(unquote(each) == each and not set(each) & set("/?#[]@!$&'()*+,;=%") and each for each in flat)
    return plain and "+" not in text and "#" not in text and "*" not in text


MARKED = b"=?base64?w6k=?="
VERSION = NEWEST.name.encode()
OLD = list(REVISIONS)[2].encode()
CALL = request("tools/call", name="add", arguments={"a": 1}, _meta=ENVELOPE)
MODERN = b"mcp-protocol-version: " + VERSION + b"\nmcp-method: tools/call\nmcp-name: add"
SCHEMA = json.dumps(
    {
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "deep": {"properties": {"n": {"type": "integer", "x-mcp-header": "N"}}},
            "on": {"type": "boolean", "x-mcp-header": "On"},
        }
    }
).encode()
ARGUMENTS = '{"region":" é","deep":{"n":42.0},"on":true}'.encode()
NAMES = (b"mcp-protocol-version: ", b"mcp-method: ", b"mcp-name: ", b"mcp-session-id: ", VERSION, OLD, MARKED)
TARGETS = (
    Target(
        "classify",
        route,
        (
            MODERN + b"\n\n" + CALL + b"\n\n",
            b"mcp-session-id: abc\nmcp-protocol-version: " + OLD + b"\n\n" + request("ping") + b"\n\nxyz",
            b"\n\n" + request("initialize", protocolVersion=OLD.decode(), capabilities={}) + b"\n\n",
            b"mcp-protocol-version: \t" + OLD + b" \n\n[" + request("ping") + b"]\n\n",
            b'\n\n{"jsonrpc":"2.0","id":1,"result":{}}\n\n',
            b"\n\n" + request("server/discover", _meta={META_PROTOCOL_VERSION: 7}) + b"\n\n",
        ),
        (*NAMES, *(key.encode() for key in ENVELOPE), b'"_meta":'),
    ),
    Target(
        "header", header, (b"add", MARKED, "é".encode(), b" a ", b"=?base64??=", b"a\r\nb", b"\xed\xa0\x80"), NAMES, 300
    ),
    Target(
        "annotations", annotations, (SCHEMA + b"\n\n" + ARGUMENTS,), (b'"x-mcp-header":', b'"properties":', b'"$defs":')
    ),
    Target(
        "envelope",
        envelope,
        (b"tools/call\n\nadd", b"resources/read\n\nfile:///\xe9", b"ping\n\n", b"initialize\n\n"),
        NAMES,
    ),
    Target(
        "cursor",
        cursor,
        (encode_cursor("add").encode(), encode_cursor("").encode(), b"MTph", b"MTph==", b"MTpi_-"),
        (),
        300,
    ),
    Target(
        "state", state, (SEALED.encode(), b"v1.." + b"A" * 43 + b"=", b"v2." + SEALED[3:].encode()), (b"v1.", b"."), 300
    ),
    Target(
        "template",
        template,
        (
            b"notes://{name}\n\nnotes://caf%C3%A9",
            b"file:///{+path}\n\nfile:///a/b",
            b"x://{a}-{b}/{c}{?d,e*}\n\nx://1-2/3?d=4&e=5&e=6",
            b"s://{/x,y*}{#f}\n\ns:///1/2/3#z",
            b"f://h{path*}/end\n\nf://ha/b/end",
        ),
        (b"{", b"}", b"{+", b"{?", b"{/", b"*}", b"%2F", b"%", b"://"),
        400,
    ),
)

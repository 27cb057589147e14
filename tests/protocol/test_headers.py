"""Headers that repeat the body: every row of transports.md §5.2 to §5.4."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpkit.protocol.errors import HeaderMismatch
from mcpkit.protocol.headers import (
    LARGEST_INTEGER,
    ROUTED_NAME,
    ParamHeader,
    ParamHeaders,
    check_params,
    check_routing,
    decode_value,
    encode_value,
    mirror,
    routing_headers,
)

VERSION = "2026-07-28"
META = {"io.modelcontextprotocol/protocolVersion": VERSION, "io.modelcontextprotocol/clientCapabilities": {}}

ENCODED = [
    ("us-west1", "us-west1"),
    ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
    (" padded ", "=?base64?IHBhZGRlZCA=?="),
    ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
    ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
    ("", ""),
    ("two words", "two words"),
    ("tab\tinside", "=?base64?dGFiCWluc2lkZQ==?="),
    ("\tleading", "=?base64?CWxlYWRpbmc=?="),
    ("trailing ", "=?base64?dHJhaWxpbmcg?="),
    ("\x7f", "=?base64?fw==?="),
    ("é", "=?base64?w6k=?="),
    ("=?base64?", "=?base64?"),
    ("a?=", "a?="),
    ("=?BASE64?YQ==?=", "=?BASE64?YQ==?="),
]


def headers(**fields: str | None) -> dict[str, str]:
    """Header fields by their names with underscores; None leaves one out."""
    return {name.replace("_", "-"): value for name, value in fields.items() if value is not None}


# ── values (SHM-30…SHM-35) ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("value", "header"), ENCODED)
def test_texts(value: str, header: str) -> None:
    """SHM-31, SHM-32: the table of §5.3, both ways."""
    assert encode_value(value) == header
    assert decode_value(header) == value


@pytest.mark.parametrize(("value", "header"), [(42, "42"), (-7, "-7"), (0, "0"), (True, "true"), (False, "false")])
def test_numbers_and_booleans(value: int | bool, header: str) -> None:
    """SHM-30."""
    assert encode_value(value) == header


@given(st.text())
def test_every_text_arrives(value: str) -> None:
    """SHM-31: what is sent may stand in a header, survives the trimming of blanks, and is read as it was."""
    header = encode_value(value)
    assert header.isascii()
    assert header.isprintable()
    assert decode_value(f" \t{header} ") == value


@pytest.mark.parametrize(
    "literal",
    ["SGVsbG8=", "=?base64?SGVsbG8=", "SGVsbG8=?=", "=?BASE64?SGVsbG8=?=", "=?Base64?SGVsbG8=?=", "=?base64?=", "a\tb"],
)
def test_without_both_exact_marks_a_value_is_literal(literal: str) -> None:
    """SHM-33 (REF); an inner tab is legal."""
    assert decode_value(literal) == literal


@pytest.mark.parametrize(
    "bad",
    [
        "=?base64?SGVsbG8?=",
        "=?base64?SGVs!!!bG8=?=",
        "=?base64?SGVsbG8==?=",
        "=?base64?SGVsbG9=?=",
        "=?base64?SGVs bG8=?=",
        "=?base64?SGVs-bG8_?=",
        "=?base64?/w==?=",
        "=?base64?=?=",
        "=?base64?é?=",
    ],
)
def test_bad_base64(bad: str) -> None:
    """SHM-34 (REF): alphabet, padding, unused bits, UTF-8."""
    with pytest.raises(HeaderMismatch):
        decode_value(bad)


@pytest.mark.parametrize("bad", ["é", "a\x00b", "a\x7f", "a\rb", "a\nb", "世界"])
def test_characters_that_no_header_may_hold(bad: str) -> None:
    """SHM-21, SHM-35."""
    with pytest.raises(HeaderMismatch):
        decode_value(bad)


def test_empty_payload() -> None:
    """An encoded empty text is an empty text."""
    assert decode_value("=?base64??=") == ""


def test_no_unicode() -> None:
    """A lone surrogate can't be sent; the client says so before it tries."""
    with pytest.raises(ValueError, match="surrogates"):
        encode_value("\ud800")


# ── routing (SHM-20…SHM-28) ──────────────────────────────────────────────────────────────────────────────────────────


def good(method: str = "tools/call", name: str | None = "add") -> dict[str, str]:
    return headers(mcp_protocol_version=VERSION, mcp_method=method, mcp_name=name)


@pytest.mark.parametrize("method", ["tools/list", "server/discover", "unknown/method", "subscriptions/listen", "x"])
def test_methods_without_a_name(method: str) -> None:
    """SHM-20; SHM-26: a name that no method uses is ignored."""
    check_routing(good(method, None), method, {"_meta": META})
    check_routing(good(method, "stray"), method, {"_meta": META, "name": "other"})


@pytest.mark.parametrize(
    ("method", "member"),
    [
        ("tools/call", "name"),
        ("prompts/get", "name"),
        ("resources/read", "uri"),
        ("tasks/get", "taskId"),
        ("tasks/update", "taskId"),
        ("tasks/cancel", "taskId"),
    ],
)
def test_named_methods(method: str, member: str) -> None:
    """The table of §5.2; TASKE-16."""
    assert ROUTED_NAME[method] == member
    params = {"_meta": META, member: "docs://a b"}
    check_routing(good(method, "docs://a b"), method, params)
    check_routing(good(method, "=?base64?ZG9jczovL2EgYg==?="), method, params)
    for wrong in (None, "", "docs://a", "DOCS://A B", "docs%3A//a b"):
        with pytest.raises(HeaderMismatch, match="Mcp-Name"):
            check_routing(good(method, wrong), method, params)


@pytest.mark.parametrize("wrong", [None, "", "TOOLS/CALL", "tools/list", "tools/call,tools/call", "tools/ call"])
def test_method_header(wrong: str | None) -> None:
    """SHM-21, SHM-22: missing, other, other case; SHM-25: joined repetitions."""
    with pytest.raises(HeaderMismatch, match="Mcp-Method"):
        check_routing({**headers(mcp_method=wrong), "mcp-protocol-version": VERSION}, "tools/call", {"_meta": META})


@pytest.mark.parametrize("wrong", [None, "", "2025-11-25", "v999", f"{VERSION}, {VERSION}"])
def test_version_header(wrong: str | None) -> None:
    """SHM-21, SHM-24, SHM-25, DUAL-07."""
    with pytest.raises(HeaderMismatch, match="MCP-Protocol-Version"):
        check_routing({**headers(mcp_protocol_version=wrong), "mcp-method": "x"}, "x", {"_meta": META})


@pytest.mark.parametrize("blanks", ["  {}", "{}\t", " \t{} "])
def test_blanks_around_values(blanks: str) -> None:
    """SHC-16, SHM-22 (REF)."""
    fields = {name: blanks.format(value) for name, value in good().items()}
    check_routing(fields, "tools/call", {"_meta": META, "name": "add"})


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("=?base64?YWRk?=", "=?base64?YWRk?="),
        ("é", "é"),
        ("a\tb", "a b"),
        ("add, add", "add"),
        ("padded", " padded "),
    ],
)
def test_names_that_only_look_equal(header: str, name: str) -> None:
    """SHM-31, SHM-33, SHM-35: a body that looks encoded must be sent encoded, raw UTF-8 is no header."""
    with pytest.raises(HeaderMismatch):
        check_routing(good(name=header), "tools/call", {"_meta": META, "name": name})


@pytest.mark.parametrize("name", [None, 5, ["add"], {}])
def test_a_body_without_a_name(name: Any) -> None:
    """SHM-26: with the header it disagrees; without it the params are bad, which is not said here."""
    params = {"_meta": META, "name": name} if name is not None else {"_meta": META}
    check_routing(good(name=None), "tools/call", params)
    with pytest.raises(HeaderMismatch):
        check_routing(good(), "tools/call", params)


def test_a_client_sends_what_a_server_checks() -> None:
    """SHM-20: every applicable header, encoded."""
    params = {"_meta": META, "uri": "docs://größe"}
    sent = routing_headers("resources/read", params)
    assert sent == {
        "MCP-Protocol-Version": VERSION,
        "Mcp-Method": "resources/read",
        "Mcp-Name": "=?base64?ZG9jczovL2dyw7bDn2U=?=",
    }
    check_routing({name.lower(): value for name, value in sent.items()}, "resources/read", params)
    assert "Mcp-Name" not in routing_headers("tools/list", {"_meta": META, "name": "x"})
    assert "Mcp-Name" not in routing_headers("tools/call", {"_meta": META})


# ── annotations (XHDR-02…XHDR-05) ────────────────────────────────────────────────────────────────────────────────────

REGION: dict[str, Any] = {"type": "string", "x-mcp-header": "Region"}


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def test_annotations_are_found() -> None:
    """XHDR-04: on properties and, through objects, their properties."""
    compiled = ParamHeaders.compile(
        schema(
            region=REGION,
            where=schema(city=schema(zip={"type": "integer", "x-mcp-header": "Zip"}), plain={"type": "string"}),
            dry={"type": "boolean", "x-mcp-header": "Method"},
        )
    )
    assert compiled == (
        ParamHeader("Region", ("region",), "string"),
        ParamHeader("Zip", ("where", "city", "zip"), "integer"),
        ParamHeader("Method", ("dry",), "boolean"),
    )
    assert [param.header for param in compiled] == ["mcp-param-region", "mcp-param-zip", "mcp-param-method"]


@pytest.mark.parametrize(
    "input_schema",
    [
        {"type": "object"},
        schema(a={"type": "string"}),
        {"type": "object", "properties": {"x-mcp-header": {"type": "number"}}},
        schema(a={"type": "object", "default": {"x-mcp-header": "A"}, "examples": [{"x-mcp-header": "B"}]}),
        schema(a={"enum": [{"x-mcp-header": "A"}]}, b={"const": {"x-mcp-header": "B"}}),
        schema(a=True, b=False),
    ],
)
def test_what_is_no_annotation(input_schema: dict[str, Any]) -> None:
    """A property of that name and data that hold it annotate nothing."""
    assert ParamHeaders.compile(input_schema) == ()


@pytest.mark.parametrize("name", ["", "a b", "a:b", "größe", "a\r\nX: y", "a,b", "(a)", None, 5, ["A"], {}])
def test_names(name: Any) -> None:
    """XHDR-02: tokens of RFC 9110."""
    with pytest.raises(ValueError, match="must be a header name"):
        ParamHeaders.compile(schema(a={"type": "string", "x-mcp-header": name}))


@pytest.mark.parametrize("name", ["A", "a-b_c.d", "!#$%&'*+-.^_`|~09"])
def test_tokens(name: str) -> None:
    """XHDR-02: every character that a token may hold."""
    assert ParamHeaders.compile(schema(a={"type": "string", "x-mcp-header": name}))[0].name == name


def test_unique_but_for_case() -> None:
    """XHDR-02."""
    with pytest.raises(ValueError, match="stands twice"):
        ParamHeaders.compile(schema(a=REGION, b=schema(c={**REGION, "x-mcp-header": "REGION"})))


@pytest.mark.parametrize("kind", ["number", "object", "array", "null", None, ["string", "null"], ["string"]])
def test_types(kind: Any) -> None:
    """XHDR-03, AMB-07: no number, no union, no type left out."""
    with pytest.raises(ValueError, match="needs the type string, integer or boolean"):
        ParamHeaders.compile(schema(a={"type": kind, "x-mcp-header": "A"}))
    with pytest.raises(ValueError, match="needs the type"):
        ParamHeaders.compile(schema(a={"enum": ["a"], "x-mcp-header": "A"}))


@pytest.mark.parametrize(
    "input_schema",
    [
        {"type": "string", "x-mcp-header": "Root"},
        schema(a={"type": "array", "items": REGION}),
        schema(a={"type": "array", "prefixItems": [REGION]}),
        schema(a={"type": "array", "contains": REGION}),
        {"type": "object", "oneOf": [schema(a=REGION)]},
        {"type": "object", "anyOf": [schema(a=REGION)]},
        {"type": "object", "allOf": [schema(a=REGION)]},
        {"type": "object", "not": schema(a=REGION)},
        {"type": "object", "if": schema(a=REGION)},
        {"type": "object", "then": schema(a=REGION)},
        {"type": "object", "else": schema(a=REGION)},
        {"type": "object", "$defs": {"region": REGION}},
        {"type": "object", "definitions": {"region": REGION}},
        {"type": "object", "patternProperties": {".*": REGION}},
        {"type": "object", "additionalProperties": REGION},
        {"type": "object", "unevaluatedProperties": REGION},
        {"type": "object", "dependentSchemas": {"a": schema(b=REGION)}},
        {"type": "object", "propertyNames": REGION},
        schema(a=schema(b={"type": "array", "items": schema(c=REGION)})),
    ],
)
def test_places(input_schema: dict[str, Any]) -> None:
    """XHDR-04: nowhere but where ``properties`` alone leads to."""
    with pytest.raises(ValueError, match="only `properties` may lead to"):
        ParamHeaders.compile(input_schema)


def test_deep_schemas() -> None:
    """A stranger's schema may be deeper than the stack."""
    deep: dict[str, Any] = schema(a=REGION)
    for _ in range(5000):
        deep = schema(a=deep)
    assert len(ParamHeaders.compile(deep)[0].path) == 5001


# ── Mcp-Param-* (XHDR-06, XHDR-09…XHDR-11) ───────────────────────────────────────────────────────────────────────────

TABLE = ParamHeaders.compile(
    schema(
        region=REGION,
        count={"type": "integer", "x-mcp-header": "Count"},
        dry={"type": "boolean", "x-mcp-header": "Dry"},
        deep=schema(city={"type": "string", "x-mcp-header": "City"}),
    )
)


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({}, {}),
        ({"region": None, "count": None, "deep": None}, {}),
        ({"region": "eu"}, {"Mcp-Param-Region": "eu"}),
        ({"region": ""}, {"Mcp-Param-Region": ""}),
        ({"region": "Hello, 世界"}, {"Mcp-Param-Region": "=?base64?SGVsbG8sIOS4lueVjA==?="}),
        ({"count": -7, "dry": False}, {"Mcp-Param-Count": "-7", "Mcp-Param-Dry": "false"}),
        ({"count": 42.0}, {"Mcp-Param-Count": "42"}),
        ({"count": LARGEST_INTEGER}, {"Mcp-Param-Count": "9007199254740991"}),
        ({"deep": {"city": "Ulm"}}, {"Mcp-Param-City": "Ulm"}),
        ({"deep": "Ulm"}, {}),
        ({"region": ["eu"], "count": 1.5}, {}),
    ],
)
def test_mirroring(arguments: dict[str, Any], sent: dict[str, str]) -> None:
    """XHDR-06: the value at the exact path; absent and null have no header. A server accepts what a client sends."""
    assert mirror(TABLE, arguments) == sent
    check_params(TABLE, {name.lower(): value for name, value in sent.items()}, arguments)


@pytest.mark.parametrize("value", [LARGEST_INTEGER + 1, -LARGEST_INTEGER - 1, 1e300])
def test_integers_that_no_header_carries(value: float) -> None:
    """XHDR-03."""
    with pytest.raises(ValueError, match="count"):
        mirror(TABLE, {"count": value})
    with pytest.raises(HeaderMismatch):
        check_params(TABLE, {"mcp-param-count": str(int(value))}, {"count": value})


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Hello", "Hello"),
        ("=?base64?SGVsbG8=?=", "Hello"),
        ("SGVsbG8=", "SGVsbG8="),
        ("=?base64?SGVsbG8=", "=?base64?SGVsbG8="),
        ("  Hello ", "Hello"),
        ("42", 42),
        ("42.0", 42),
        ("42", 42.0),
        ("-7", -7),
        ("=?base64?NDI=?=", 42),
        ("true", True),
        ("false", False),
    ],
)
def test_agreement(header: str, value: Any) -> None:
    """XHDR-10, conformance-fixture §1.4."""
    check_params(TABLE[:1], {"mcp-param-region": header}, {"region": value})


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (None, "Hello"),
        (None, ""),
        (None, 42),
        (None, 42.0),
        (None, False),
        ("hello", "Hello"),
        ("=?base64?SGVsbG8?=", "Hello"),
        ("=?base64?SGVs!!!bG8=?=", "Hello"),
        ("SGVsbG8=", "Hello"),
        ("é", "é"),
        ("43", 42),
        ("42.5", 42),
        ("4_2", 42),
        ("+42", 42),
        ("٤٢", 42),
        ("0x2a", 42),
        ("9" * 5000, 42),
        ("True", True),
        ("1", True),
        ("true", 1),
        ("Hello", None),
        ("", None),
        ("null", None),
        ("[]", []),
        ("1.5", 1.5),
    ],
)
def test_disagreement(header: str | None, value: Any) -> None:
    """XHDR-09: missing, unequal, malformed, or there without a value."""
    with pytest.raises(HeaderMismatch):
        check_params(TABLE[:1], headers(mcp_param_region=header), {"region": value})


def test_a_header_without_an_argument() -> None:
    """XHDR-09 (REC)."""
    with pytest.raises(HeaderMismatch, match="Mcp-Param-City"):
        check_params(TABLE, {"mcp-param-city": "Ulm"}, {"deep": {}})


def test_unfit_arguments_are_left_to_validation() -> None:
    """DUAL-06: what no client could mirror is a fault of the arguments, not of the headers."""
    check_params(TABLE, {}, {"region": ["eu"], "count": 1.5, "deep": [1]})


def test_unknown_headers_are_ignored() -> None:
    """XHDR-11: and ``Mcp-Param-Method`` is not ``Mcp-Method``."""
    check_params(TABLE, {"mcp-param-unknown": "x", "mcp-method": "tools/call"}, {})

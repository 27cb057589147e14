"""The codec under arbitrary input: it agrees with the standard parser, and nothing but its own errors comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mcpkit.jsonrpc.codec import decode, encode, encode_error, encode_request, encode_result, load
from mcpkit.jsonrpc.errors import InvalidRequest, ParseError, RpcError
from mcpkit.jsonrpc.messages import ErrorResponse, Request, Response

text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=20)
objects = st.dictionaries(text, values, max_size=5)
ids = text | st.integers()
spacings = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r\n ")])


def refusal(read: Callable[[bytes], Any], wire: bytes) -> str:
    """What ``read`` says against ``wire``; nothing when it takes it."""
    try:
        read(wire)
    except (ParseError, InvalidRequest) as error:
        return error.message
    return ""


@given(value=values, spacing=spacings, ascii=st.booleans())
def test_any_spelling_of_a_value_is_read_exactly(value: Any, spacing: tuple[str, str], ascii: bool) -> None:
    """RPC-01: integers of any size, floats to the bit, any text, any spacing."""
    wire = json.dumps(value, separators=spacing, ensure_ascii=ascii)
    assert repr(load(wire.encode())) == repr(json.loads(wire))


@given(value=values)
def test_what_is_written_is_read_back(value: Any) -> None:
    """RPC-01."""
    assert load(encode(value)) == value


@given(value=st.recursive(st.text() | st.floats(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_whatever_is_written_can_be_read(value: Any) -> None:
    """RPC-01: lone surrogates and NaN never make a message that a strict reader refuses."""
    wire = encode(value)
    assert b"\n" not in wire
    # Two keys that differ only in their broken halves become one key twice; that is the only refusal there may be.
    assert refusal(load, wire) in ("", "Parse error: an object has the same key twice")


@given(objects, st.data())
def test_a_repeated_key_is_always_found(members: dict[str, Any], data: st.DataObject) -> None:
    """CVE-2026-27896: wherever it hides, however it is spelled."""
    members = members or {"a": 1}
    key = data.draw(st.sampled_from(sorted(members)))
    spelled = json.dumps(key, ensure_ascii=data.draw(st.booleans()))
    wire = json.dumps(members, ensure_ascii=data.draw(st.booleans()))
    for doubled in (f"{wire[:-1]},{spelled}:1}}", f"{{{spelled} : 1, {wire[1:]}"):
        for whole in (doubled, f"[{doubled}]", f'{{"outer":{doubled}}}'):
            assert refusal(load, whole.encode()) == "Parse error: an object has the same key twice"


@given(st.binary() | st.text().map(lambda s: s.encode("utf-8", "surrogatepass")) | values.map(encode))
def test_nothing_but_our_errors_comes_out(data: bytes) -> None:
    """RPC-13: no input makes anything but a message, -32700, -32600 or -32602."""
    refusal(decode, data)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "jsonrpc": st.just("2.0") | scalars,
            "id": values,
            "method": text | values,
            "params": objects | values,
            "result": objects | values,
            "error": st.fixed_dictionaries({"code": st.integers() | scalars, "message": text | scalars}) | values,
        },
    )
)
def test_every_object_is_one_message_or_one_error(message: dict[str, Any]) -> None:
    """RPC-02 to RPC-13: what is accepted is what the rules say, and an error's id is the caller's or none."""
    try:
        read = decode(encode(message))
    except InvalidRequest as error:
        check_refusal(message, error)
        return
    assert message["jsonrpc"] == "2.0"
    if isinstance(read, Request):
        assert (read.id, read.method, read.params) == (message["id"], message["method"], message.get("params", {}))
        assert type(read.id) is type(message["id"])


def check_refusal(message: dict[str, Any], error: InvalidRequest) -> None:
    """The id of a refusal is the one that the caller gave to its call, or none."""
    if error.id is not None:
        assert (type(error.id), error.id) == (type(message["id"]), message["id"])
        assert "method" in message or not {"result", "error"} & message.keys()


@given(ids, text, objects)
def test_messages_survive_the_wire(id: str | int, method: str, members: dict[str, Any]) -> None:
    """RPC-06."""
    assert decode(encode_request(id, method, members)) == Request(id, method, members)
    assert decode(encode_result(id, members)) == Response(id, members)
    answer = decode(encode_error(id, RpcError(-32000, method, members or None)))
    assert isinstance(answer, ErrorResponse)
    assert (answer.id, answer.error.message, answer.error.data) == (id, method, members or None)

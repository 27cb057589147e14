"""The JSON-RPC codec: it reads exactly what the standard library reads, or refuses in its own words (RPC-01 to 13).

What must never stand here: I/O.
"""

from __future__ import annotations

import json
import math
from typing import Any

from mcpkit.jsonrpc.codec import (
    CONTAINER,
    DEFAULT_LIMITS,
    LARGE,
    LIGHT,
    VALUE_BYTES,
    BadAnswer,
    Limits,
    decode,
    encode,
    encode_request,
    encode_result,
    load,
)
from mcpkit.jsonrpc.errors import InvalidRequest, ParseError
from mcpkit.jsonrpc.messages import Batch, ErrorResponse, Notification, Request, Response
from tests.fuzz.targets.target import Target

SEEDS = (
    b'{"jsonrpc":"2.0","id":1,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":"1","method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2.5e-3}}}',
    b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
    b'[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"result":{}},1]',
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"m","data":[null,true,false]}}',
    b'{"a":1,"a":2}',
    '{"\\u0061":1,"a":2,"é":"\\ud83d\\ude00 \\ud800"}'.encode(),
    b'{"n":123456789012345678901234567890,"f":1e999,"z":-0.0,"s":" \\u2028"}',
    b"[" * 70 + b"]" * 70,
    b"\xef\xbb\xbf{}",
    b"NaN",
    b'{"id":1.0,"jsonrpc":"2.0","method":"x","params":[]}',
)
TOKENS = (
    b'"jsonrpc":"2.0"',
    b'"id":',
    b'"method":',
    b'"params":',
    b'"result":',
    b'"error":',
    b'"code":',
    b'"message":',
)


def standard(data: bytes) -> tuple[bool, Any]:
    """Whether a strict reader takes the bytes, and what it reads: json.loads without its leniency."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise ValueError("the same key twice")
        return members

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    try:
        return True, json.loads(data.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False, None


def depth(value: Any) -> int:
    """How deep arrays and objects are nested."""
    level, deep = [value], 0
    while level := [each for each in level if isinstance(each, dict | list)]:
        deep += 1
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
    return deep


def odd(value: Any) -> bool:
    """Whether readers may differ about it: numbers beyond a double, half a character."""
    if isinstance(value, dict):
        return any(odd(key) or odd(item) for key, item in value.items())
    if isinstance(value, list):
        return any(map(odd, value))
    if isinstance(value, str):
        return any("\ud800" <= char <= "\udfff" for char in value)
    return isinstance(value, float) and not math.isfinite(value)


def read(data: bytes) -> None:
    """A value is read exactly or not at all, and comes back from what is written of it."""
    sound, expected = standard(data)
    try:
        value = load(data)
    except ParseError:
        assert not sound or odd(expected) or depth(expected) > DEFAULT_LIMITS.depth, "refused what is sound"
        return
    assert sound, "took what no strict reader takes"
    assert repr(value) == repr(expected), "read something else"
    assert depth(value) <= DEFAULT_LIMITS.depth, "nested too deep"
    assert load(encode(value)) == value, "changed by writing"


def message(data: bytes) -> None:
    """What is taken is a message by every rule; what is refused names the caller's id or none."""
    try:
        found = decode(data)
    except ParseError:
        return
    except InvalidRequest as error:
        refused(data, error)
        return
    each = found.messages if isinstance(found, Batch) else [found]
    assert len(each) <= DEFAULT_LIMITS.batch
    for one in each:
        if isinstance(one, InvalidRequest):
            assert one.id is None or type(one.id) in (int, str)
        else:
            taken(one)


def refused(data: bytes, error: InvalidRequest) -> None:
    value = load(data)
    assert -32700 <= error.code <= -32600
    if error.id is not None:
        assert not isinstance(error, BadAnswer), "our own id is echoed"
        assert (type(error.id), error.id) == (type(value["id"]), value["id"])


def taken(one: Request | Notification | Response | ErrorResponse) -> None:
    if isinstance(one, Request):
        assert type(one.id) in (int, str)
        assert decode(encode_request(one.id, one.method, one.params)) == one
    elif isinstance(one, Response):
        assert type(one.id) in (int, str)
        assert decode(encode_result(one.id, one.result)) == one
    elif isinstance(one, Notification):
        assert type(one.method) is str
        assert type(one.params) is dict
    else:
        assert type(one.error.code) is int


class Members:
    """An object with all of its members, also where a name stands twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


def whole(data: bytes) -> Any:
    """What a reader takes who minds no name that stands twice; None for what is no JSON, too."""

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=Members, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None


def counts(value: Any) -> tuple[int, int]:
    """How many values there are, as the limit says it counts them, and how many texts."""
    marks, texts, nodes = 0, 0, [value]
    while nodes:
        node = nodes.pop()
        if isinstance(node, Members):
            marks += CONTAINER + len(node.pairs) + max(0, len(node.pairs) - 1)
            texts += len(node.pairs)
            nodes += [item for _, item in node.pairs]
        elif isinstance(node, list):
            marks += CONTAINER + max(0, len(node) - 1)
            nodes += node
        else:
            texts += isinstance(node, str)
    return marks, texts


def values(data: bytes) -> None:
    """What holds more values than are allowed is refused for that, and nothing else is; its id is the caller's."""
    value = whole(data)
    marks, texts = counts(value)
    for most in {1, 30, max(1, marks - 1), max(1, marks), marks + 6}:
        for padded in (data + b" " * LIGHT, b'{"text":"%b","value":%b}' % (b"[," * LARGE, data)):
            inner = padded is not data and padded.startswith(b'{"text"')
            found = marks + (6 if inner else 0), texts + (3 if inner else 0)
            try:
                decode(padded, Limits(values=most))
                refused_for = None
            except ParseError as error:
                refused_for = error
            except InvalidRequest as error:
                refused_for = error if "MCP_MAX_JSON_VALUES" in str(error) else None
            if value is None:
                continue
            many = isinstance(refused_for, InvalidRequest)
            assert many or found[0] <= most, "more values than are allowed"
            assert not many or found[0] > most or found[1] > most or len(data) + 30 > VALUE_BYTES * most, "too few"
            if many and not inner:
                ids = [item for name, item in value.pairs if name == "id"] if isinstance(value, Members) else []
                for id in (refused_for.id, getattr(refused_for, "answers", None)):
                    assert id is None or id in ids, "the id of something else"


BOMBS = (
    *SEEDS,
    b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":[[],[],[],{},{}]}}',
    b'{"params":{"id":2,"a":[1,2,3,4,5,6]},"method":"x","id":"k"}',
    b'{"jsonrpc":"2.0","id":3,"result":{"a":["[{,:",",,,,",{"b":{}}]}}',
    b'["\\"[,",{"\\":"""},"\\\\",[]]',
    b"[1,[2,[3,[4]]],[],[[]],{}]",
    b'["\\"[,[,[,[,[,"]',
)
TARGETS = (
    Target("json", read, SEEDS, TOKENS),
    Target("message", message, SEEDS, TOKENS),
    Target("values", values, BOMBS, (*TOKENS, b"[],", b"{},", b'"a":{},', b'\\"', b'"[,:{"')),
)

"""What a body would become is counted in its bytes: a parse bomb is refused before anything is built of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpkit.jsonrpc import codec
from mcpkit.jsonrpc.codec import BadAnswer, BadParams, Limits, decode, load
from mcpkit.jsonrpc.errors import InvalidRequest, ParseError
from mcpkit.jsonrpc.messages import Id

LIMITS = Limits(depth=8, batch=10, values=2_000)
ONE = [b"1", b"true", b'""', b"[]", b"{}", b'{"a":1}', b'{"a":1,"a":1}', b"[[[[[]]]]]", b'{"a":{"a":{"a":[]}}}']


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What any parser was asked for."""
    asked: list[Any] = []

    def note(what: Any) -> Any:
        def loads(data: Any, *args: Any, **options: Any) -> Any:
            if len(data) > 200:  # an id at an edge is read apart
                asked.append(len(data))
            return what(data, *args, **options)

        return loads

    monkeypatch.setattr(codec.orjson, "loads", note(orjson.loads))
    monkeypatch.setattr(codec.json, "loads", note(codec.json.loads))
    return asked


def bomb(one: bytes, values: int = LIMITS.values) -> bytes:
    """An array of more values than are allowed."""
    return b"[" + b",".join([one] * values) + b"]"


@pytest.mark.parametrize("one", ONE)
@pytest.mark.parametrize("around", [b"%b", b'{"a":%b}', b'{"jsonrpc":"2.0","params":{"a":"]}\\"","b":%b}}', b" %b "])
def test_a_bomb_is_counted_and_never_built(parsed: list[Any], one: bytes, around: bytes) -> None:
    with pytest.raises(InvalidRequest, match="more than 2000 values, the limit is MCP_MAX_JSON_VALUES"):
        load(around % bomb(one), LIMITS)
    assert parsed == []


@pytest.mark.parametrize("text", [b"[" * 3_000, b"{,:[" * 3_000, b'\\"' * 3_000, b"\\\\" * 3_000, b'\\\\\\"[' * 3_000])
def test_what_stands_in_a_text_is_one_value(text: bytes) -> None:
    for body in (b'"%b"' % text, b'["%b",[]]' % text, b'{"%b":{"%b":0}}' % (text, text)):
        assert load(body, LIMITS) == orjson.loads(body)


def test_integers_beyond_64_bits_have_a_bound_of_their_own() -> None:
    with pytest.raises(ParseError, match="longer than 64 bits"):
        load(b"[" + b",".join([b"9" * 20] * 500) + b"]", LIMITS)
    assert load(b"[" + b",".join([b"9" * 20] * 300) + b"]", LIMITS) == [int("9" * 20)] * 300


@pytest.mark.parametrize(("one", "most"), [(b"1", 1998), (b'"a"', 1998), (b"[]", 499), (b'{"a":1}', 399)])
def test_as_many_as_are_allowed(one: bytes, most: int) -> None:
    """An element counts once, a container three times, a name once."""
    assert len(load(bomb(one, most), LIMITS)) == most
    with pytest.raises(InvalidRequest):
        load(bomb(one, most + 1), LIMITS)


@pytest.mark.parametrize("number", [b"1" * 300, b"0." + b"1" * 300, b"1" * 25])
def test_long_numbers_count_by_their_length(parsed: list[Any], number: bytes) -> None:
    with pytest.raises(InvalidRequest, match="MCP_MAX_JSON_VALUES"):
        load(b"[" + b",".join([number] * (200_000 // len(number))) + b"]", LIMITS)
    assert parsed == []


@pytest.mark.parametrize(
    ("opening", "closing", "levels"), [(b"[", b"]", 1), (b'{"a":', b"}", 1), (b'[{"a]":', b"}]", 2)]
)
@pytest.mark.parametrize("beside", [b"", b'"' + b"x" * 100_000 + b'",', b"[]," * 50])
def test_depth_is_known_before_anything_is_built(
    parsed: list[Any], opening: bytes, closing: bytes, levels: int, beside: bytes
) -> None:
    def nested(count: int) -> bytes:
        return b"[" + beside + opening * count + b"0" + closing * count + b"]"

    fits = (LIMITS.depth - 1) // levels
    assert load(nested(fits), LIMITS) == orjson.loads(nested(fits))
    parsed.clear()
    with pytest.raises(ParseError, match="nested more than 8 levels deep"):
        load(nested(fits + 1), LIMITS)
    assert parsed == []


@pytest.mark.parametrize(
    "body", [b"[" * 5_000, b"]" * 5_000, b'"' * 5_000, b"\\" * 5_000, b"[}" * 900, b'{"a":[' * 300]
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises((ParseError, InvalidRequest)):
        load(body, LIMITS)


REQUESTS: list[tuple[bytes, Id | None]] = [
    (b'{"jsonrpc":"2.0","id":7,"method":"x","params":{"a":%b}}', 7),
    (b'{"id": "k" ,"method":"x","jsonrpc":"2.0","params":{"id":5,"a":%b}}', "k"),
    (b'{"method":"x","params":{"a":%b},"jsonrpc":"2.0","id":9}', 9),
    (b' { "method" : "x" , "params" : {"a":%b,"id":1} , "jsonrpc" : "2.0" , "id" : -3 } ', -3),
    (b'{"params":{"a":%b},"id":"\xc3\xa9","method":"x"}', "é"),
]


@pytest.mark.parametrize(("body", "id"), REQUESTS)
def test_the_id_is_read_at_the_edges(body: bytes, id: Id) -> None:
    """So that the caller who waits is told."""
    with pytest.raises(BadParams) as refused:
        decode(body % bomb(b"{}"), LIMITS)
    assert refused.value.id == id


@pytest.mark.parametrize(
    "body",
    [
        b"%b",
        b'{"jsonrpc":"2.0","method":"x","params":{"id":5,"a":%b}}',
        b'{"jsonrpc":"2.0","method":"x","params":{"a":%b,"id":5}}',
        b'{"params":{"a":"\\",\\"id\\":5","b":%b}}',
    ],
)
def test_no_other_id_is_taken_for_it(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode(body % bomb(b"{}"), LIMITS)
    assert getattr(refused.value, "id", None) is None


def test_an_answer_names_the_question_and_never_the_sender() -> None:
    with pytest.raises(BadAnswer) as refused:
        decode(b'{"jsonrpc":"2.0","id":4,"result":{"a":%b}}' % bomb(b"{}"), LIMITS)
    assert (refused.value.answers, refused.value.id) == (4, None)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=30,
)


@given(values, st.booleans(), st.integers(0, 3))
def test_what_is_read_is_what_the_exact_parser_reads(value: Any, spaced: bool, padding: int) -> None:
    """Long texts beside it, other spellings of texts: whichever proof applies."""
    import json

    whole = [value, "x,[{" * (padding * 20_000)]
    body = json.dumps(whole, ensure_ascii=spaced, indent=1 if spaced else None).encode("utf-8", "surrogatepass")
    try:
        read = load(body, Limits(64, 10, 100_000))
    except ParseError:
        assert b"\\ud" in body or b"\xed" in body
    else:
        assert read == json.loads(body)


@pytest.mark.parametrize("padding", [0, 100_000])
@pytest.mark.parametrize("members", [b'"a":1,"a":1', b'"a":1,"\\u0061":2', b'"a":{},"a":{"b":1}', b'"":0,"b":1,"":2'])
def test_a_key_twice_is_found_beside_a_long_text(padding: int, members: bytes) -> None:
    with pytest.raises(ParseError, match="same key twice"):
        load(b'{"text":"%b","o":{%b}}' % (b"x" * padding, members))


@pytest.mark.parametrize("padding", [0, 100_000])
@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**19, 123456789012345678901234567890])
def test_long_integers_are_exact_beside_a_long_text(padding: int, number: int) -> None:
    assert load(b'{"text":"%b","n":[%d,1.5e300,-0.1]}' % (b"x" * padding, number))["n"] == [number, 1.5e300, -0.1]

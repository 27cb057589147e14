"""The codec: what is JSON, what is JSON-RPC, and what we write (RPC-01 to RPC-16, BAT-04)."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from mcpkit.jsonrpc.codec import (
    BadAnswer,
    BadParams,
    Limits,
    decode,
    encode,
    encode_batch,
    encode_error,
    encode_notification,
    encode_request,
    encode_result,
    load,
    parse,
)
from mcpkit.jsonrpc.errors import INVALID_PARAMS, InvalidParams, InvalidRequest, ParseError, RpcError
from mcpkit.jsonrpc.messages import Batch, Encoded, ErrorResponse, Notification, Request, Response

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "add", "arguments": {"a": 5, "b": [6]}}}
BIG = 123456789012345678901234567890


def body(**members: Any) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", **members})


class TestLoad:
    @pytest.mark.parametrize(
        "text",
        [
            json.dumps(CALL, separators=(",", ":")),
            json.dumps(CALL),
            json.dumps(CALL, indent=2),
            json.dumps(CALL, indent="\t").replace("\n", "\r\n"),
            json.dumps(CALL).replace('": ', '" : '),
            '{"a":"\\u4e2d\\u6587"}',
            '{"a":"中文"}',
            '{"a\\":":1,"b":"\\":"}',
            '{"a b":1,"ab":2}',
            '{"x":1.50,"y":1E5,"z":-0,"w":0.1e1}',
            '{"emoji":"\\ud83d\\ude00"}',
            "[]",
            "0",
            '""',
            "null",
            f"[{2**64 - 1},{-(2**63)}]",
        ],
    )
    def test_reads_what_the_standard_parser_reads(self, text: str) -> None:
        """RPC-01: any spelling of the same JSON is the same value."""
        assert load(text.encode()) == json.loads(text)

    @pytest.mark.parametrize("number", [BIG, -BIG, 2**64, -(2**63) - 1])
    @pytest.mark.parametrize("form", ['{{"a":{}}}', '{{ "a" : {} }}', '{{"中":"\\u4e2d","a":{}}}'])
    def test_keeps_every_digit_of_an_integer(self, number: int, form: str) -> None:
        """RPC-06: an id that came back as a float would match nothing."""
        value = load(form.format(number).encode())["a"]
        assert value == number
        assert type(value) is int

    @pytest.mark.parametrize(
        ("data", "says"),
        [
            (b"", "Parse error"),
            (b"{", "Parse error"),
            (b"{}\x00", "after document"),
            (b"{} {}", "after document"),
            (b"\xef\xbb\xbf{}", "BOM"),
            (b"[NaN]", "Parse error"),
            (b"[Infinity]", "Parse error"),
            (b"[-Infinity]", "Parse error"),
            (b"[1e999]", "Parse error"),
            (b"['a']", "Parse error"),
            (b"[1,]", "Parse error"),
            (b"[01]", "Parse error"),
            (b'["\xff"]', "UTF-8"),
            (b'["\xed\xa0\x80"]', "UTF-8"),
            (b'["\\ud800"]', "surrogate"),
            ("[1]".encode("utf-16"), "Parse error"),
            (b'{"a":1,"a":1}', "same key twice"),
            (b'{"a":1,"a":2}', "same key twice"),
            (b'{ "a" :1, "a" : 2 }', "same key twice"),
            (b'{"a":1,"\\u0061":2}', "same key twice"),
            (b'{"x":{"a":1,"b":2,"a":"\\u0022:"}}', "same key twice"),
            (b'{"x":[{"a":{}},{"a":[],"a":[]}]}', "same key twice"),
            (b"[1" + b"0" * 5000 + b".5]", "Parse error"),
            (b"[" + b"[" * 2000 + b"]" * 2000 + b"]", "Parse error"),
        ],
    )
    def test_refuses_what_is_no_acceptable_json(self, data: bytes, says: str) -> None:
        """TR-01, RPC-13, CVE-2026-27896: -32700, and no input raises anything else."""
        with pytest.raises(ParseError, match=says):
            load(data)

    def test_refuses_a_number_of_thousands_of_digits(self) -> None:
        """RPC-13: reading it exactly would take quadratic time."""
        with pytest.raises(ParseError):
            load(b'{"a":' + b"9" * 250 + b',"b":' + b"0." + b"1" * 5000 + b',"a":1}')
        with pytest.raises(ParseError):
            load(b"[" + b"1" * 5000 + b"]")

    @pytest.mark.parametrize("opening", ["[", '{"a":'])
    def test_counts_depth_and_not_brackets(self, opening: str) -> None:
        """RPC-13: 64 levels are read, 65 are not, and brackets in strings or side by side are no levels."""
        closing = "]" if opening == "[" else "}"
        allowed = opening * 64 + "1" + closing * 64
        assert load(allowed.encode()) == json.loads(allowed)
        with pytest.raises(ParseError, match="64 levels"):
            load(f"{opening}{allowed}{closing}".encode())
        wide = json.dumps({"flat": [[], {}] * 500, "text": "[{" * 500})
        assert load(wide.encode()) == json.loads(wide)

    def test_depth_is_a_setting(self) -> None:
        """RPC-13."""
        assert load(b"[[]]", Limits(depth=2)) == [[]]
        with pytest.raises(ParseError):
            load(b"[[]]", Limits(depth=1))
        with pytest.raises(ParseError):
            load(b"[]", Limits(depth=0))
        assert load(b'"["', Limits(depth=0)) == "["

    def test_a_limit_beyond_the_fast_writer_s_own(self) -> None:
        """RPC-13: 500 levels are read where 512 are allowed, and duplicate keys found below them."""
        deep = "[" * 499 + '{"a":1}' + "]" * 499
        assert load(deep.encode(), Limits(depth=512)) == json.loads(deep)
        with pytest.raises(ParseError, match="same key twice"):
            load(deep.replace('"a":1', '"a":1,"a":1').encode(), Limits(depth=512))

    def test_nesting_hidden_below_a_duplicate_key_is_refused_too(self) -> None:
        """RPC-13: the fast parser drops the deep value, the exact one must not fall over it."""
        deep = b"[" * 1000 + b"]" * 1000
        with pytest.raises(ParseError):
            load(b'{"a":' + deep + b',"a":1}')


class TestParse:
    @pytest.mark.parametrize("id", [0, 1, -1, BIG, "", "1", "é", "a b"])
    def test_a_request_keeps_its_id_as_it_is(self, id: str | int) -> None:
        """RPC-02, RPC-06: a string or an integer, value and type."""
        message = decode(encode_request(id, "m", {"a": 1}))
        assert message == Request(id, "m", {"a": 1})
        assert isinstance(message, Request)
        assert type(message.id) is type(id)

    @pytest.mark.parametrize("id", ["null", "true", "1.0", "1.5", "[]", "{}", "[1]"])
    def test_an_id_of_another_type_is_refused(self, id: str) -> None:
        """RPC-02, RPC-03, RPC-12: the presence of the member decides, so null is a malformed request."""
        with pytest.raises(InvalidRequest, match="id must be") as caught:
            decode(b'{"jsonrpc":"2.0","id":%b,"method":"m"}' % id.encode())
        assert caught.value.id is None
        assert caught.value.code == -32600

    def test_absent_params_are_empty_and_a_missing_id_makes_a_notification(self) -> None:
        """RPC-02, RPC-12."""
        assert decode(body(id=1, method="ping")) == Request(1, "ping", {})
        assert decode(body(method="n")) == Notification("n", {})
        assert decode(body(method="n", params={"a": 1})) == Notification("n", {"a": 1})

    def test_unknown_members_are_tolerated(self) -> None:
        """RPC-16; a method wins over a stray result."""
        assert decode(body(id=1, method="m", extra=[1], result={})) == Request(1, "m", {})

    @pytest.mark.parametrize("params", [[], [1], "x", 1, None, True])
    def test_params_that_are_no_object_are_invalid_params(self, params: Any) -> None:
        """RPC-15: -32602 with the id; it is an InvalidRequest too, so one except clause answers both."""
        with pytest.raises(BadParams) as caught:
            decode(body(id="x", method="m", params=params))
        assert caught.value.code == INVALID_PARAMS
        assert caught.value.id == "x"
        assert isinstance(caught.value, InvalidParams)
        assert isinstance(caught.value, InvalidRequest)
        with pytest.raises(BadParams) as caught:
            decode(body(method="m", params=params))
        assert caught.value.id is None

    @pytest.mark.parametrize(
        ("message", "says", "id"),
        [
            ({"id": 1, "method": "m"}, 'jsonrpc must be "2.0"', 1),
            ({"jsonrpc": "1.0", "id": "a", "method": "m"}, 'jsonrpc must be "2.0"', "a"),
            ({"jsonrpc": 2.0, "id": 1, "method": "m"}, 'jsonrpc must be "2.0"', 1),
            ({"jsonrpc": "1.0", "id": True, "method": "m"}, 'jsonrpc must be "2.0"', None),
            ({"JSONRPC": "2.0", "id": 1, "method": "m"}, 'jsonrpc must be "2.0"', 1),
            ({"jsonrpc": "2.0", "id": 1, "method": 7}, "method must be a string", 1),
            ({"jsonrpc": "2.0", "id": 1, "method": None, "result": {}}, "method must be a string", 1),
            ({"jsonrpc": "2.0", "id": 1}, "needs a method, a result or an error", 1),
            ({"jsonrpc": "2.0", "id": 1, "Method": "m"}, "needs a method", 1),
            ({}, 'jsonrpc must be "2.0"', None),
        ],
    )
    def test_json_that_is_no_message(self, message: dict[str, Any], says: str, id: Any) -> None:
        """RPC-13, CVE-2026-27896: -32600, keys are exact, the id is echoed where it can be read (RPC-11)."""
        with pytest.raises(InvalidRequest, match=says) as caught:
            parse(message)
        assert caught.value.id == id
        assert caught.value.code == -32600

    @pytest.mark.parametrize("data", [b"1", b'"a"', b"null", b"true"])
    def test_a_scalar_is_no_message(self, data: bytes) -> None:
        """RPC-13."""
        with pytest.raises(InvalidRequest, match="JSON object"):
            decode(data)

    def test_answers(self) -> None:
        """RPC-07, RPC-08, RPC-11: an error's id may be null or missing."""
        assert decode(body(id="a", result={"x": 1})) == Response("a", {"x": 1})
        for members in ({"id": 3}, {"id": None}, {}):
            answer = decode(body(**members, error={"code": -1, "message": "no", "data": [1]}))
            assert isinstance(answer, ErrorResponse)
            assert answer.id == members.get("id")
            assert (answer.error.code, answer.error.message, answer.error.data) == (-1, "no", [1])

    @pytest.mark.parametrize(
        "members",
        [
            {"id": 1, "result": {}, "error": {"code": 1, "message": "m"}},
            {"id": 1, "result": 5},
            {"id": 1, "result": None},
            {"id": 1, "error": None},
            {"id": 1, "error": "text"},
            {"id": 1, "error": {"code": "1", "message": "m"}},
            {"id": 1, "error": {"code": True, "message": "m"}},
            {"id": 1, "error": {"code": 1.5, "message": "m"}},
            {"id": 1, "error": {"code": 1}},
            {"id": 1, "result": {}, "jsonrpc": "1.0"},
        ],
    )
    def test_a_broken_answer_is_never_answered_under_its_id(self, members: dict[str, Any]) -> None:
        """RPC-07, STDIO-21: its id is from our own id space; echoed, it would answer another call of the peer."""
        with pytest.raises(BadAnswer) as caught:
            decode(body(**members))
        assert caught.value.id is None
        assert caught.value.answers == 1

    @pytest.mark.parametrize("id", [None, True, 1.5, [1]])
    def test_an_answer_to_no_id(self, id: Any) -> None:
        """RPC-03."""
        with pytest.raises(BadAnswer) as caught:
            decode(body(id=id, result={}))
        assert caught.value.answers is None
        if id is not None:
            with pytest.raises(BadAnswer):
                decode(body(id=id, error={"code": 1, "message": "m"}))


class TestBatch:
    def test_bad_entries_stand_among_the_good_ones(self) -> None:
        """BAT-04: each entry is judged alone."""
        data = b'[{"jsonrpc":"2.0","id":1,"method":"a"},1,{"jsonrpc":"2.0","id":2,"method":"b","params":[]},[]]'
        batch = decode(data)
        assert isinstance(batch, Batch)
        call, scalar, params, nested = batch.messages
        assert call == Request(1, "a", {})
        assert isinstance(scalar, InvalidRequest)
        assert isinstance(params, BadParams)
        assert params.id == 2
        assert isinstance(nested, InvalidRequest)

    def test_an_empty_batch_and_a_batch_too_long_are_refused_whole(self) -> None:
        """BAT-04, RPC-13."""
        with pytest.raises(InvalidRequest, match="empty batch"):
            decode(b"[]")
        with pytest.raises(InvalidRequest, match="may hold 2 messages, this one has 3"):
            decode(b"[1,2,3]", Limits(batch=2))
        assert isinstance(decode(b"[1,2]", Limits(batch=2)), Batch)
        assert isinstance(decode(b"[" + b",".join([b"{}"] * 100) + b"]"), Batch)

    def test_encode_batch(self) -> None:
        """BAT-05."""
        assert encode_batch([b"1", b"2"]) == b"[1,2]"


class TestEncode:
    def test_messages(self) -> None:
        """RPC-01, RPC-06, RPC-12: compact, ids as they are, empty params left out."""
        assert encode_request("a", "m", {"x": 1}) == b'{"jsonrpc":"2.0","id":"a","method":"m","params":{"x":1}}'
        assert encode_request(7, "m", {}) == b'{"jsonrpc":"2.0","id":7,"method":"m"}'
        assert encode_notification("n", {"x": 1}) == b'{"jsonrpc":"2.0","method":"n","params":{"x":1}}'
        assert encode_notification("n", {}) == b'{"jsonrpc":"2.0","method":"n"}'
        assert encode_result(1, {"x": "中"}) == '{"jsonrpc":"2.0","id":1,"result":{"x":"中"}}'.encode()

    def test_an_encoded_result_is_put_in_as_it_stands(self) -> None:
        """messages.Encoded: cached list pages are never encoded twice."""
        assert encode_result("1", Encoded(b'{"tools":[]}')) == b'{"jsonrpc":"2.0","id":"1","result":{"tools":[]}}'

    def test_errors(self) -> None:
        """RPC-08, RPC-10, RPC-11: no id is no member, unless an old revision asks for null."""
        error = RpcError(-32000, "no", {"a": 1})
        wire = b'"error":{"code":-32000,"message":"no","data":{"a":1}}}'
        assert encode_error(None, error) == b'{"jsonrpc":"2.0",' + wire
        assert encode_error(None, error, null_id=True) == b'{"jsonrpc":"2.0","id":null,' + wire
        assert encode_error("x", error, null_id=True) == b'{"jsonrpc":"2.0","id":"x",' + wire

    @pytest.mark.parametrize(
        ("value", "wire"),
        [
            ({"a": BIG, "b": [-BIG, 2**64 - 1]}, f'{{"a":{BIG},"b":[{-BIG},{2**64 - 1}]}}'),
            (float("nan"), "null"),
            ([float("inf"), BIG], f"[null,{BIG}]"),
            ({"\ud800a": "b\udfff"}, '{"\ufffda":"b\ufffd"}'),
            (["\ud83d\ude00"], '["\U0001f600"]'),
            ((BIG, "x"), f'[{BIG},"x"]'),
            ({"a": None, "b": True, "c": [BIG, True]}, f'{{"a":null,"b":true,"c":[{BIG},true]}}'),
        ],
    )
    def test_writes_only_what_a_strict_reader_accepts(self, value: Any, wire: str) -> None:
        """RPC-01: no NaN, no half surrogate pair, integers exact."""
        assert encode(value) == wire.encode()

    def test_keys_may_be_of_a_kind_of_str(self) -> None:
        """A StrEnum's member as a key is text like any other."""

        class Name(str):
            __slots__ = ()

        assert encode({Name("a"): Name("b")}) == b'{"a":"b"}'

    @pytest.mark.parametrize("value", [object(), {"a": {1, 2}}, {1: 2}, b"bytes"])
    def test_refuses_what_json_does_not_know(self, value: Any) -> None:
        """A TypeError, so that the kernel answers an internal error."""
        with pytest.raises(TypeError):
            encode(value)

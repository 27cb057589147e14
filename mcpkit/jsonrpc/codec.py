"""Bytes to messages and back: the only place that decides what is JSON and what is JSON-RPC.

Strict on the way in (UTF-8 without a BOM, no NaN, no duplicate keys, no number changed, depth and batch bounded),
plain on the way out. What must never stand here: I/O, a method name of MCP, which revision allows a batch.

How strictness stays cheap: values and levels are counted in the bytes, before anything is built. The fast parser keeps
the last of two equal keys and rounds integers above 64 bits, both silently. Writing its value again and finding as many
members, and no long integer in what came in, proves that neither happened; only a body that fails this proof is read a
second time by the exact, slower parser.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

import orjson

from mcpkit.jsonrpc.errors import InvalidParams, InvalidRequest, ParseError, RpcError
from mcpkit.jsonrpc.messages import (
    Batch,
    Encoded,
    ErrorResponse,
    Id,
    JsonObject,
    Message,
    Notification,
    Request,
    Response,
    Result,
)

LIGHT: Final = 1000
"""Bytes of a body that are fewer than the values that any may hold."""
WINDOW: Final = 256 * 1024
"""Bytes that are counted before a look whether that is enough."""
CONTAINER: Final = 3
"""What an array or object counts: making, checking and freeing one takes as much."""
LONG_DIGITS: Final = 4
"""Digits of integers that may not fit 64 bits, for each value that a body may hold."""
LARGE: Final = 64 * 1024
"""Bytes of a body that is looked at closely in any case."""
VALUE_BYTES: Final = 25
"""Of numbers and words, for each value that a body may hold: a double takes as many, and a longer number as its length
says."""
_WHITESPACE: Final = b" \t\r\n"
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_ALL_BUT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_PLAIN: Final = rb'"(jsonrpc|id|method)"[ \t\r\n]*+:[ \t\r\n]*+("[^"\\\x00-\x1f]{0,128}"|-?[0-9]{1,18})[ \t\r\n]*+'
_MEMBER: Final = re.compile(_PLAIN)
_FIRST_MEMBERS: Final = re.compile(rb"[ \t\r\n]*+\{[ \t\r\n]*+(?:%b,[ \t\r\n]*+){1,3}+" % _PLAIN)
_LAST_MEMBERS: Final = re.compile(rb"(?:,[ \t\r\n]*+%b){1,3}+\}[ \t\r\n]*+\Z" % _PLAIN)
_OUTCOME: Final = re.compile(rb'"(?:result|error)"')
EDGE: Final = 512
"""Bytes at the end of a message in which its id is looked for."""
_LONG_INTEGER: Final = re.compile(rb"(?<![0-9.eE+])[0-9]{19,}+(?![.eE])")
"""What may not fit 64 bits."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How deep a body may nest (arrays and objects), how many messages a batch and how many values a body may hold.

    Values are counted by what stands between them: a member of an object counts twice, for its name; an array or object
    counts three times.
    """

    depth: int = 64
    batch: int = 100
    values: int = 1 << 40


DEFAULT_LIMITS: Final = Limits()


class BadParams(InvalidRequest, InvalidParams):
    """The message is a call, but its ``params`` are no object, or too long a one: -32602.

    ``id`` is None for a notification.
    """

    def __init__(self, id: Id | None, message: str = "Invalid params: params must be an object") -> None:
        InvalidParams.__init__(self, message)
        self.id = id


class BadCall(InvalidRequest):
    """The message names a method and has an ``id``, and is no request: -32600."""


class BadAnswer(InvalidRequest):
    """A response that is none; its ``id`` is ours, not the sender's, so it must not be echoed: see ``answers``."""

    def __init__(self, message: str, answers: Any) -> None:
        super().__init__(f"Invalid response: {message}")
        self.answers: Id | None = answers if _is_id(answers) else None


def too_many_values(data: bytes, most: int) -> InvalidRequest:
    """The refusal of a message that would become more values; its id is read where it stands at either edge."""
    text = f"the message holds more than {most} values, the limit is MCP_MAX_JSON_VALUES; send less at a time"
    members = _members_at_the_edges(data)
    if "method" in members and _is_id(members.get("id")):
        return BadParams(members["id"], f"Invalid params: {text}")
    if "id" in members and _OUTCOME.search(data, 0, EDGE):
        return BadAnswer(text, members["id"])
    return InvalidRequest(f"Invalid request: {text}")


def _members_at_the_edges(data: bytes) -> JsonObject:
    """Plain members of a message before and behind what is large in it: there they can't belong to anything else."""
    found: JsonObject = {}
    for edge in (_FIRST_MEMBERS.match(data), _LAST_MEMBERS.search(data, max(0, len(data) - EDGE))):
        for name, value in _MEMBER.findall(edge[0]) if edge is not None else ():
            with suppress(orjson.JSONDecodeError):
                found.setdefault(name.decode(), orjson.loads(value))
    return found


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def decode(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Message | Batch:
    """The message, or the batch of messages, in ``data`` (JSON-RPC 2.0 §4 to §6).

    Raises: ParseError for bytes that are no acceptable JSON; InvalidRequest (or its kinds BadParams and BadAnswer)
    for JSON that is no message, with the request's ``id`` where one could be read.
    """
    value = load(data, limits)
    if type(value) is list:
        return _parse_batch(value, limits.batch)
    return parse(value)


def parse(value: Any) -> Message:
    """The message in an already decoded JSON value.

    Raises: InvalidRequest, BadParams, BadAnswer.
    """
    if type(value) is not dict:
        raise InvalidRequest("Invalid request: a message must be a JSON object")
    called = "method" in value and type(value["method"]) is str
    if not called or "jsonrpc" not in value or value["jsonrpc"] != "2.0":
        return _parse_answer(value)
    method, params = value["method"], value["params"] if "params" in value else {}  # noqa: SIM401 - no call
    if "id" not in value:
        if type(params) is not dict:
            raise BadParams(None)
        return Notification(method, params)
    id = value["id"]
    if type(id) is not int and type(id) is not str:
        raise InvalidRequest("Invalid request: id must be a string or an integer")
    if type(params) is not dict:
        raise BadParams(id)
    return Request(id, method, params)


def load(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Any:
    """The JSON value in ``data``, exactly: nothing rounded, nothing dropped, nothing guessed.

    Raises: ParseError; InvalidRequest for more values than the limit, with its kinds as ``decode`` has them.
    """
    outside = None
    if len(data) > LIGHT or data.count(b"[") + data.count(b"{") > limits.depth:
        outside = _checked_outside(data, limits)
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ParseError(f"Parse error: {error}") from None
    if outside is not None and len(outside) < len(data) // 2:  # long texts are not written again
        return value if _is_exact(outside, _members(value), limits) else _load_exactly(data)
    try:
        compact = orjson.dumps(value)
    except TypeError:  # nested deeper than the fast writer goes
        return _load_exactly(data)
    if compact == data or compact.translate(None, _WHITESPACE) == data.translate(None, _WHITESPACE):
        return value
    members = _outside_texts(compact).count(b":")
    return value if _is_exact(_outside_texts(data), members, limits) else _load_exactly(data)


def _is_exact(outside: bytes, members: int, limits: Limits) -> bool:
    """Whether as many members were read as stand there, and no integer that may not fit 64 bits.

    Raises: ParseError where there are too many of these: to read one takes the square of its digits.
    """
    long = sum(map(len, _LONG_INTEGER.findall(outside)))
    if long > LONG_DIGITS * limits.values:
        raise ParseError("Parse error: too many integers are longer than 64 bits; send them as texts")
    return not long and outside.count(b":") == members


def _checked_outside(data: bytes, limits: Limits) -> bytes | None:
    """Count values and levels in the bytes; what stands outside of texts, where a closer look was needed.

    Raises: ParseError; InvalidRequest.
    """
    most = limits.values
    many = _weight(data, most) > most
    flat = not many and _count(data, b"[{", limits.depth + 1) <= limits.depth
    if flat and (len(data) <= LARGE or data.count(b"\\") > len(data) // 4):  # escapes are sooner written again
        return None
    bare = _bare(data)
    if _count(bare, b'"', 2 * most + 1) > 2 * most:  # as many texts
        raise too_many_values(data, most)
    outside = b"".join(bare.split(b'"')[::2])
    if many and _weight(outside, most) > most:
        raise too_many_values(data, most)
    if len(outside) > VALUE_BYTES * most and len(outside.translate(None, _WHITESPACE)) > VALUE_BYTES * most:
        raise too_many_values(data, most)
    if _is_deeper(outside.translate(_ONE_KIND, _ALL_BUT_BRACKETS), limits.depth):
        raise ParseError(f"Parse error: nested more than {limits.depth} levels deep")
    return outside


def _weight(data: bytes, most: int) -> int:
    """How many values these bytes become, as the limit counts them, or more than ``most``; no less in any case."""
    marks = _count(data, b",:[{", most + 1)
    return marks if CONTAINER * marks <= most else marks + (CONTAINER - 1) * _count(data, b"[{", most + 1)


def _count(data: bytes, marks: bytes, enough: int) -> int:
    """How often these bytes stand there together; no further than to ``enough``."""
    found = 0
    for at in range(0, len(data), WINDOW):
        piece = data[at : at + WINDOW]
        found += len(piece) - len(piece.translate(None, marks))  # one pass; ``count`` takes one for each mark
        if found >= enough:
            break
    return found


def _members(value: Any) -> int:
    """How many members all objects have together."""
    found, nodes = 0, [value]
    while nodes:
        node = nodes.pop()
        if type(node) is dict:
            found += len(node)
            nodes += node.values()
        elif type(node) is list:
            nodes += node
    return found


def _bare(data: bytes) -> bytes:
    """The same without what is escaped and matters to where a text ends."""
    return data.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in data else data


def _outside_texts(data: bytes) -> bytes:
    """What stands outside of texts: brackets, commas, colons, numbers, words, blanks."""
    return b"".join(_bare(data).split(b'"')[::2])


def _is_deeper(brackets: bytes, depth: int) -> bool:
    """Whether brackets nest deeper: each round takes the innermost ones away. The parser tells if some don't match."""
    for _ in range(depth):
        fewer = brackets.replace(b"[]", b"")
        if len(fewer) == len(brackets):
            return False
        brackets = fewer
    return bool(brackets) and b"[]" in brackets


def _load_exactly(data: bytes) -> Any:
    """Read what the fast parser has found well-formed once more, keeping big integers and refusing duplicate keys."""
    try:
        return json.loads(data.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError):  # a number of thousands of digits; nesting hidden below a duplicate key
        raise ParseError("Parse error: a number is too long or the nesting too deep") from None


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ParseError("Parse error: an object has the same key twice")
    return members


# ── telling messages apart ──────────────────────────────────────────────────────────────────────────────────────────


def _parse_answer(value: JsonObject) -> Message:
    """The response in ``value``, which is no call; otherwise say what is wrong with it."""
    if "method" in value or not ("result" in value or "error" in value):
        called = "method" in value and not ("result" in value or "error" in value)
        raise (BadCall if called else InvalidRequest)(f"Invalid request: {_fault(value)}", id=_readable_id(value))
    id = value.get("id")
    if value.get("jsonrpc") != "2.0":
        raise BadAnswer('jsonrpc must be "2.0"', id)
    if "error" in value:
        if "result" in value:
            raise BadAnswer("it has both a result and an error", id)
        return _parse_error(id, value["error"])
    if not _is_id(id):
        raise BadAnswer("id must be a string or an integer", id)
    if type(value["result"]) is not dict:
        raise BadAnswer("result must be an object", id)
    return Response(id, value["result"])


def _parse_error(id: Any, error: Any) -> ErrorResponse:
    if id is not None and not _is_id(id):
        raise BadAnswer("id must be a string or an integer", id)
    if type(error) is not dict or type(error.get("code")) is not int or type(error.get("message")) is not str:
        raise BadAnswer("error must be an object with an integer code and a text message", id)
    return ErrorResponse(id, RpcError(error["code"], error["message"], error.get("data")))


def _parse_batch(values: list[Any], most: int) -> Batch:
    if not values:
        raise InvalidRequest("Invalid request: an empty batch")
    if len(values) > most:
        raise InvalidRequest(f"Invalid request: a batch may hold {most} messages, this one has {len(values)}")
    return Batch([_parse_entry(value) for value in values])


def _parse_entry(value: Any) -> Message | InvalidRequest:
    try:
        return parse(value)
    except InvalidRequest as error:
        return error


def _fault(value: JsonObject) -> str:
    if value.get("jsonrpc") != "2.0":
        return 'jsonrpc must be "2.0"'
    if "method" in value:
        return "method must be a string"
    return "a message needs a method, a result or an error"


def _readable_id(value: JsonObject) -> Id | None:
    id = value.get("id")
    return id if _is_id(id) else None


def _is_id(id: Any) -> TypeGuard[Id]:
    return type(id) is int or type(id) is str  # a bool is an int to isinstance, but no id


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def encode(value: Any) -> bytes:
    """Compact JSON that every strict reader accepts: NaN is null, half a surrogate pair is U+FFFD, integers are exact.

    Raises: TypeError for a value that JSON doesn't know.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_plain(value))


def encode_result(id: Id, result: Result) -> bytes:
    """A successful answer; a result that is :class:`Encoded` already is put in as it stands."""
    if type(result) is Encoded:
        return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (encode(id), result)
    answer = {"jsonrpc": "2.0", "id": id, "result": result}
    try:
        return orjson.dumps(answer)
    except TypeError:
        return encode(answer)


def encode_error(id: Id | None, error: RpcError, *, null_id: bool = False) -> bytes:
    """A failed answer; without an id the member is left out, or null where ``null_id`` (old revisions, RPC-11)."""
    if id is None and not null_id:
        return encode({"jsonrpc": "2.0", "error": error.to_wire()})
    return encode({"jsonrpc": "2.0", "id": id, "error": error.to_wire()})


def encode_request(id: Id, method: str, params: JsonObject) -> bytes:
    """A call that wants an answer; empty params are left out."""
    call: JsonObject = {"jsonrpc": "2.0", "id": id, "method": method}
    return encode({**call, "params": params} if params else call)


def encode_notification(method: str, params: JsonObject) -> bytes:
    """A call that wants none; empty params are left out."""
    if not params:
        return encode({"jsonrpc": "2.0", "method": method})
    return encode({"jsonrpc": "2.0", "method": method, "params": params})


def encode_batch(messages: Iterable[bytes]) -> bytes:
    """An array of messages that are encoded already."""
    return b"[%b]" % b",".join(messages)


def _plain(value: Any) -> Any:
    """The same value with the parts that the fast writer refuses put so that it takes them."""
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if type(value) is int and not -(1 << 63) <= value < 1 << 64:
        return orjson.Fragment(b"%d" % value)
    return value

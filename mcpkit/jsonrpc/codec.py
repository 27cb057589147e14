"""Bytes to messages and back: the only place that decides what is JSON and what is JSON-RPC.

Strict on the way in (UTF-8 without a BOM, no NaN, no duplicate keys, no number changed, depth and batch bounded),
plain on the way out. What must never stand here: I/O, a method name of MCP, which revision allows a batch.

How strictness stays cheap: the fast parser keeps the last of two equal keys and rounds integers above 64 bits, both
silently. Writing its value again and finding the very bytes that came in proves that neither happened; only a body
that fails this proof is read a second time by the exact, slower parser.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
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

_WHITESPACE: Final = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """How deep a body may nest (arrays and objects) and how many messages a batch may hold."""

    depth: int = 64
    batch: int = 100


DEFAULT_LIMITS: Final = Limits()


class BadParams(InvalidRequest, InvalidParams):
    """The message is a call, but its ``params`` are no object, or too long a one: -32602.

    ``id`` is None for a notification.
    """

    def __init__(self, id: Id | None, message: str = "Invalid params: params must be an object") -> None:
        InvalidParams.__init__(self, message)
        self.id = id


class BadAnswer(InvalidRequest):
    """A response that is none; its ``id`` is ours, not the sender's, so it must not be echoed: see ``answers``."""

    def __init__(self, message: str, answers: Any) -> None:
        super().__init__(f"Invalid response: {message}")
        self.answers: Id | None = answers if _is_id(answers) else None


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

    Raises: ParseError.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ParseError(f"Parse error: {error}") from None
    # Fewer brackets than levels proves the depth without looking at the nesting.
    if data.count(b"[") + data.count(b"{") > limits.depth and _deeper(value, limits.depth):
        raise ParseError(f"Parse error: nested more than {limits.depth} levels deep")
    try:
        compact = orjson.dumps(value)
    except TypeError:  # nested deeper than the fast writer goes
        return _load_exactly(data)
    if compact == data or compact.translate(None, _WHITESPACE) == data.translate(None, _WHITESPACE):
        return value
    return _load_exactly(data)


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


def _deeper(value: Any, depth: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(depth):
        children = (child for node in level for child in (node.values() if type(node) is dict else node))
        level = [child for child in children if type(child) is dict or type(child) is list]
    return bool(level)


# ── telling messages apart ──────────────────────────────────────────────────────────────────────────────────────────


def _parse_answer(value: JsonObject) -> Message:
    """The response in ``value``, which is no call; otherwise say what is wrong with it."""
    if "method" in value or not ("result" in value or "error" in value):
        raise InvalidRequest(f"Invalid request: {_fault(value)}", id=_readable_id(value))
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

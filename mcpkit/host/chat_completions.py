"""The chat completions format of OpenAI, which most model servers speak: values out, values in, no I/O.

It is read leniently, since its many speakers differ in small things, but never guessed: what is broken is an error.
What must never stand here: HTTP, keys, retries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mcpkit.host.model import ChatMessage, Completion, ModelError, ToolCall, ToolOffer, Usage, Wishes
from mcpkit.jsonrpc.codec import encode, load
from mcpkit.jsonrpc.errors import ParseError
from mcpkit.jsonrpc.messages import JsonObject

DONE: Final = "[DONE]"
MAX_TOOL_CALLS: Final = 128
GARBLED: Final = "The model's endpoint answered something that is no chat completion"

# ── to the model ────────────────────────────────────────────────────────────────────────────────────────────────────


def request_body(
    model: str,
    messages: Sequence[ChatMessage],
    tools: Sequence[ToolOffer],
    wishes: Wishes,
    *,
    stream: bool,
    reasons: bool = False,
) -> bytes:
    """The body of a request for a completion; models that reason have another bound, and a temperature of their own."""
    body: JsonObject = {"model": model, "messages": [_message(message) for message in messages]}
    if tools:
        body["tools"] = [_offer(tool) for tool in tools]
    if wishes.max_tokens is not None:
        body["max_completion_tokens" if reasons else "max_tokens"] = wishes.max_tokens
    if wishes.temperature is not None and not reasons:
        body["temperature"] = wishes.temperature
    if wishes.stop:
        body["stop"] = list(wishes.stop)
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return encode(body)


def _message(message: ChatMessage) -> JsonObject:
    wire: JsonObject = {"role": message.role, "content": message.content}
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        wire["content"] = message.content or None
        wire["tool_calls"] = [_call(call) for call in message.tool_calls]
    return wire


def _call(call: ToolCall) -> JsonObject:
    function = {"name": call.name, "arguments": encode(call.arguments).decode()}
    return {"id": call.id, "type": "function", "function": function}


def _offer(tool: ToolOffer) -> JsonObject:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


# ── from the model, at once ─────────────────────────────────────────────────────────────────────────────────────────


def read_completion(body: bytes, asked_model: str) -> Completion:
    """The answer in the body of a response.

    Raises: ModelError.
    """
    reader = CompletionReader(asked_model)
    answer = _object(_loaded(body))
    choice = _first_choice(answer)
    if choice is None:
        raise ModelError(GARBLED)
    message = _object(choice.get("message"))
    # Entries of a whole message are calls of their own, whatever index or id they carry.
    calls = [{**_object(call), "index": number} for number, call in enumerate(_list(message.get("tool_calls")))]
    reader.take(answer, {**message, "tool_calls": calls})
    return reader.completion()


# ── from the model, piece by piece ──────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Fragments:
    """A tool call underway."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """It is named, and its arguments could end here."""
        return bool(self.name) and _arguments("".join(self.arguments))[1] is None

    def call(self, number: int) -> ToolCall:
        if not self.name:
            raise ModelError("The model called a tool without naming it")
        arguments, fault = _arguments("".join(self.arguments))
        return ToolCall(self.id or f"call_{number}", self.name, arguments, fault)


class CompletionReader:
    """Puts an answer together from what is said of it, in one message or in many fragments."""

    def __init__(self, asked_model: str) -> None:
        self._model = asked_model
        self._text: list[str] = []
        self._calls: list[_Fragments] = []
        self._by_index: dict[int, _Fragments] = {}
        self._usage = Usage()
        self._finish_reason: str | None = None
        self.done = False
        """The end was announced."""

    def feed(self, data: str) -> str:
        """One event of a streamed answer; returns the piece of text in it.

        Raises: ModelError.
        """
        if data.strip() == DONE:
            self.done = True
            return ""
        chunk = _object(_loaded(data.encode("utf-8", "surrogatepass")))
        if chunk.get("error"):
            raise ModelError("The model's endpoint failed in the middle of its answer", retryable=True)
        choice = _first_choice(chunk)
        return self.take(chunk, _object(choice.get("delta") or {}) if choice else {})

    def take(self, answer: Mapping[str, Any], message: Mapping[str, Any]) -> str:
        """Note what one chunk, or the whole answer, says; returns its text."""
        if isinstance(answer.get("model"), str) and answer["model"]:
            self._model = answer["model"]
        if isinstance(answer.get("usage"), dict):
            self._usage = _usage(answer["usage"])
        choice = _first_choice(answer) or {}
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:  # some servers send an empty one with every fragment
            self._finish_reason = reason
        for fragment in _list(message.get("tool_calls")):
            self._take_call(_object(fragment))
        text = _text(message.get("content"))
        self._text.append(text)
        return text

    def completion(self) -> Completion:
        """The whole answer.

        Raises: ModelError when its end never came.
        """
        if self._finish_reason is None and not self.done and not self._calls and not any(self._text):
            raise ModelError("The model's endpoint broke off before it answered", retryable=True)
        calls = tuple(call.call(number) for number, call in enumerate(self._calls))
        reason = self._finish_reason or ("tool_calls" if calls else "stop")
        return Completion("".join(self._text), self._model, calls, self._usage, reason)

    def finished(self) -> Completion:
        """The whole answer of a stream that has ended.

        Raises: ModelError when it ended too early.
        """
        if self._finish_reason is None and not self.done:
            raise ModelError("The model's endpoint broke off in the middle of its answer", retryable=True)
        return self.completion()

    def _take_call(self, fragment: Mapping[str, Any]) -> None:
        call = self._underway(fragment)
        function = _object(fragment.get("function") or {})
        name = _string(function.get("name"))
        call.name += name if name != call.name else ""  # some servers repeat it in every fragment
        arguments = function.get("arguments")
        # Some servers send the arguments as an object, not as text that holds one.
        call.arguments.append(encode(arguments).decode() if isinstance(arguments, dict) else _string(arguments))

    def _underway(self, fragment: Mapping[str, Any]) -> _Fragments:
        """The call that a fragment belongs to: by index, unless its id or name says that another call begins."""
        index, call_id = fragment.get("index"), _string(fragment.get("id"))
        if isinstance(index, int):
            known = self._by_index.get(index)
        else:
            known = self._calls[-1] if self._calls else None
            if known is not None and _names_one(fragment) and known.complete and not call_id:
                known = None
        if known is None or (call_id and known.id and call_id != known.id):
            known = _Fragments()
            self._calls.append(known)
        if len(self._calls) > MAX_TOOL_CALLS:
            raise ModelError(f"The model called more than {MAX_TOOL_CALLS} tools at once")
        known.id = known.id or call_id
        if isinstance(index, int):
            self._by_index[index] = known
        return known


def complaint_in(body: bytes) -> str:
    """What a body that goes with an error says, in any of the forms that servers have for it; else nothing."""
    try:
        value = load(body)
    except ParseError:
        return ""
    for name in ("error", "detail", "message"):
        value = value.get(name, value) if isinstance(value, dict) else value
    return value if isinstance(value, str) else ""


# ── reading leniently ───────────────────────────────────────────────────────────────────────────────────────────────


def _loaded(data: bytes) -> Any:
    try:
        return load(data)
    except ParseError as error:
        raise ModelError(GARBLED) from error


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ModelError(GARBLED)
    return value


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ModelError(GARBLED)
    return value


def _string(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ModelError(GARBLED)
    return value


def _names_one(fragment: Mapping[str, Any]) -> bool:
    function = fragment.get("function")
    return isinstance(function, dict) and bool(function.get("name"))


def _first_choice(answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The first of the choices; None in a chunk that only counts tokens."""
    choices = _list(answer.get("choices"))
    return _object(choices[0]) if choices else None


def _text(content: Any) -> str:
    """The text of a message: a string, or the text among a list of parts."""
    if isinstance(content, list):
        return "".join(_string(part.get("text")) for part in content if isinstance(part, dict))
    return _string(content)


def _arguments(text: str) -> tuple[JsonObject, str | None]:
    """A call's arguments, or what is wrong with them, told so that the model can mend it."""
    if not text.strip():
        return {}, None
    try:
        arguments = load(text.encode("utf-8", "surrogatepass"))
    except ParseError:
        return {}, "the arguments were not valid JSON"
    if not isinstance(arguments, dict):
        return {}, "the arguments must be a JSON object"
    return arguments, None


def _usage(usage: Mapping[str, Any]) -> Usage:
    prompt, completion, total = (
        value if isinstance(value, int) and value >= 0 else 0
        for value in map(usage.get, ("prompt_tokens", "completion_tokens", "total_tokens"))
    )
    return Usage(prompt, completion, total or prompt + completion)

"""The answers of the chat completions format, whole or streamed, put together as a Completion: values in, no I/O.

They are read leniently, since the many speakers of the format differ in small things, but never guessed: what is
broken is an error, and so is an error that came with HTTP 200. What must never stand here: HTTP, keys, retries.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from mcpkit.framing.sse import Event, EventDecoder, EventTooLarge
from mcpkit.host.call_assembly import GARBLED, CallAssembly
from mcpkit.host.complaints import Complaint, complaint_of
from mcpkit.host.model import Completion, ModelError, Usage, is_cut_short
from mcpkit.host.reasoning import Reasoning
from mcpkit.jsonrpc.codec import encode, load
from mcpkit.jsonrpc.errors import ParseError

DONE: Final = "[DONE]"
MAX_EVENT_BYTES: Final = 1024 * 1024
WEB_PAGE: Final = "The model's endpoint answered a web page: check BASE_URL; most end in /v1"
ANSWERED_AN_ERROR: Final = "The model's endpoint answered an error"
BROKE_OFF: Final = "The model's endpoint broke off in the middle of its answer"
NEVER_ANSWERED: Final = "The model's endpoint broke off before it answered"
CUT: Final = (
    "not called: the answer was cut off ({reason}), so the arguments may be incomplete; answer in smaller steps"
)
ERROR_EVENT: Final = "error"
CUT_EVENT: Final = "cut off"
"""The kind of an event that a stream ended in the middle of; none that is sent, since readers hand it on alone."""
_EVENT_FIELDS: Final = (b"data", b"event", b"id", b"retry", b":")


class EndpointFailed(ModelError):
    """The endpoint answered an error where an answer should be, under HTTP 200."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(ANSWERED_AN_ERROR, retryable=True)
        self.complaint = complaint


def read_completion(body: bytes, asked_model: str, known: Collection[str] = (), *, framed: bool = False) -> Completion:
    """The answer in the body of a response, be it one value or, of a server that streams unasked, an event stream.

    ``known`` are the names of the tools that the model was offered; ``framed`` says that HTTP told where the body ends.
    Raises: ModelError.
    """
    reader = CompletionReader(asked_model, known)
    if is_event_stream(body[:64]):
        for event in events_in(body):
            if not reader.done:
                reader.feed_event(event)
        return reader.finished(framed=framed)
    if not body.strip():
        raise ModelError(NEVER_ANSWERED, retryable=True)
    reader.whole(body)
    return reader.completion()


def is_event_stream(start: bytes) -> bool:
    """Whether what begins so is an event stream, whatever the endpoint calls it; JSON and HTML are none."""
    return start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(_EVENT_FIELDS)


def is_framed(headers: Mapping[str, str]) -> bool:
    """Whether HTTP tells where the body ends, so that one which was read to its end is whole."""
    return "content-length" in headers or "transfer-encoding" in headers


def events_in(body: bytes) -> list[Event]:
    """All events in a body.

    Raises: ModelError.
    """
    decoder = EventDecoder(MAX_EVENT_BYTES)
    try:
        return decoder.feed(body) + last_event(decoder)
    except EventTooLarge:
        raise ModelError("The model's endpoint sent more at once than fits") from None


def last_event(decoder: EventDecoder) -> list[Event]:
    """The event that a stream ends with where its last blank line is missing, or a half one, of kind ``CUT_EVENT``."""
    return [
        event if event.event == ERROR_EVENT or is_end(event.data) or _is_json(event.data) else Event("", CUT_EVENT)
        for event in decoder.feed(b"\n\n")
    ]


class CompletionReader:
    """Puts an answer together from what is said of it, in one message or in many fragments."""

    def __init__(self, asked_model: str, known: Collection[str] = ()) -> None:
        self._model = asked_model
        self._text: list[str] = []
        self._half = ""
        self._refusal: list[str] = []
        self._calls = CallAssembly(known)
        self._reasoning = Reasoning()
        self._usage = Usage()
        self._finish_reason: str | None = None
        self._last_calls = ""
        """The chunk that held calls and the reason to finish."""
        self.done = False
        """The end was announced."""
        self._cut = False
        """It ended in the middle of an event."""
        self.steps = 0
        """How many chunks have said something."""

    def feed_event(self, event: Event) -> str:
        """One event of a streamed answer, be it an error's; returns the piece of text in it.

        Raises: ModelError.
        """
        self._cut = self._cut or event.event == CUT_EVENT
        if event.event == ERROR_EVENT and not is_end(event.data):
            raise EndpointFailed(_complaint_in_event(event.data))
        return self.feed(event.data)

    def feed(self, data: str) -> str:
        """One event of a streamed answer; returns the piece of text in it.

        Raises: ModelError.
        """
        said = data.strip()
        if is_end(said):
            self.done = True
            return ""
        if said in {"", "null"}:
            return ""
        if said == self._last_calls:  # its last chunk, which some send twice
            return ""
        return "".join(self._chunk(value, said) for value in _values(data))

    def whole(self, body: bytes) -> None:
        """The answer in one body.

        Raises: ModelError.
        """
        answer = _answer(_loaded(body))
        choice = _first_choice(answer)
        if choice is None:
            raise ModelError(GARBLED)
        self._head(answer, choice)
        message = choice.get("message", choice.get("delta"))
        # Azure's filters leave nothing of a message but the reason.
        self._message(_object(message or {} if self._finish_reason else message), whole=True)

    def _chunk(self, value: Any, said: str) -> str:
        chunk = _answer(value)
        choice = _first_choice(chunk) or {}
        begins = not self.steps
        self._head(chunk, choice)
        delta = choice.get("delta")
        if delta is None and isinstance(choice.get("message"), dict):
            # A server that sends its whole answer as one event, or once more at its end.
            return self._message(choice["message"] if begins else self._unsaid(choice["message"]), whole=True)
        delta = _object(delta or {})
        if choice.get("finish_reason") and delta.get("tool_calls"):
            self._last_calls = said
        return self._message(delta, whole=False)

    def _unsaid(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a whole message says that its fragments haven't."""
        known = {"tool_calls", "function_call"} if self._calls else set()
        known |= {"content"} if any(self._text) else set()
        known |= {"refusal"} if any(self._refusal) else set()
        known |= set(self._reasoning.kept)
        return {name: value for name, value in message.items() if name not in known}

    def _head(self, answer: Mapping[str, Any], choice: Mapping[str, Any]) -> None:
        if isinstance(answer.get("model"), str) and answer["model"]:
            self._model = answer["model"]
        if isinstance(answer.get("usage"), dict):
            self._usage = _usage(answer["usage"])
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:  # some servers send an empty one with every fragment
            self._finish_reason = reason.lower()
            self.steps += 1

    def _message(self, message: Mapping[str, Any], *, whole: bool) -> str:
        calls = _calls(message.get("tool_calls"))
        if isinstance(message.get("function_call"), dict) and not calls:  # as OpenAI had it before tools
            calls = [{"function": message["function_call"]}]
        (self._calls.whole if whole else self._calls.take)(calls)
        text = self._characters(text_of(message.get("content")))
        refusal = _string(message.get("refusal"))
        self._text.append(text)
        self._refusal.append(refusal)
        thought = self._reasoning.take(message, whole=whole)
        self.steps += bool(calls or text or refusal or thought)
        return text

    def _characters(self, text: str) -> str:
        """The characters of a text; half of one that servers written in JavaScript cut in two waits for the other."""
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def completion(self) -> Completion:
        """The whole answer.

        Raises: ModelError when its end never came.
        """
        if self._finish_reason is None and not self.done and not self._calls and not any(self._text + self._refusal):
            raise ModelError(NEVER_ANSWERED, retryable=True)
        reason = self._finish_reason
        calls = self._calls.calls(CUT.format(reason=reason) if reason is not None and is_cut_short(reason) else None)
        text = "".join(self._text) or "".join(self._refusal)
        reason = reason or ("tool_calls" if calls else "stop")
        return Completion(text, self._model, calls, self._usage, reason, self._reasoning.kept)

    def finished(self, *, framed: bool = False) -> Completion:
        """The whole answer of a stream that has ended; ``framed`` where HTTP told its end, which few don't announce.

        Raises: ModelError when it ended too early.
        """
        if self._finish_reason is None and not self.done and not (framed and self._is_answer()):
            raise ModelError(BROKE_OFF if self.steps else NEVER_ANSWERED, retryable=True)
        return self.completion()

    def _is_answer(self) -> bool:
        """What has come may be all: a text, or calls with all of their arguments."""
        return not self._cut and self._calls.complete and bool(self._calls or any(self._text + self._refusal))


# ── reading leniently ───────────────────────────────────────────────────────────────────────────────────────────────


def _loaded(data: bytes) -> Any:
    """The JSON value in ``data``; the exact parser first, then one that takes a BOM, equal keys, half an emoji.

    Raises: ModelError.
    """
    try:
        return load(data)
    except ParseError as error:
        if data.lstrip()[:1] == b"<":
            raise ModelError(WEB_PAGE) from error
        try:
            value = json.loads(data.decode("utf-8-sig", "replace"), parse_constant=lambda constant: None)
            encode(value)  # what can't be written again is nested too deeply
            return value
        except (ValueError, TypeError, RecursionError):
            raise ModelError(GARBLED) from error


def _values(data: str) -> list[Any]:
    """The value in an event; of servers that leave out the blank line between events, each line's."""
    try:
        return [_loaded(data.encode("utf-8", "surrogatepass"))]
    except ModelError:
        lines = [line for line in data.split("\n") if line.strip() and not is_end(line)]
        if len(lines) < 2:
            raise
    return [_loaded(line.encode("utf-8", "surrogatepass")) for line in lines]


def _is_json(data: str) -> bool:
    try:
        return bool(_values(data))
    except ModelError:
        return False


def _complaint_in_event(data: str) -> Complaint:
    """What an event that is named an error says, in JSON or in plain words."""
    try:
        found = complaint_of(_loaded(data.encode("utf-8", "surrogatepass")))
    except ModelError:
        found = None
    return found or complaint_of({"error": data}) or Complaint()


def _answer(value: Any) -> Mapping[str, Any]:
    """An answer, or a chunk of one.

    Raises: EndpointFailed for an error in its place, ModelError.
    """
    complaint = complaint_of(value)
    if complaint is not None:
        raise EndpointFailed(complaint)
    return _object(value)


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


def _calls(value: Any) -> list[Any]:
    """The entries of ``tool_calls``: a list, one alone, or an object that numbers them."""
    if isinstance(value, dict):
        numbered = all(name.isdigit() for name in value)
        value = [{"index": name, **_object(one)} for name, one in value.items()] if numbered else [value]
    return [entry for entry in _list(value) if entry is not None]


def is_end(data: str) -> bool:
    """Whether the data of an event says that the answer has ended."""
    return data.strip().strip('"').upper() == DONE


def _string(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ModelError(GARBLED)
    return value


def _first_choice(answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The first of the choices; None in a chunk that only counts tokens, or goes on with another choice."""
    choices = [_object(choice) for choice in _list(answer.get("choices")) if choice is not None]
    first = next((choice for choice in choices if choice.get("index") in {None, 0, "0"}), None)
    if first is None or first.get("index") is not None:
        return first
    for other in choices[1:]:  # Copilot sends text and calls as two choices without numbers
        for name in ("message", "delta"):
            said, more = first.get(name), other.get(name)
            if other.get("index") is None and isinstance(more, dict) and more.get("tool_calls"):
                first = {**first, name: {**more, **{key: value for key, value in (said or {}).items() if value}}}
    return first


def text_of(content: Any) -> str:
    """The text of a message: a string, or the text among a list of parts; what was thought is none."""
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return _string(content)
    return "".join(_part_text(part) for part in content)


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict) or part.get("type") not in {None, "text", "output_text", "refusal"}:
        return ""
    return _string(part.get("text", part.get("refusal")))


def _usage(usage: Mapping[str, Any]) -> Usage:
    prompt, completion, total = (
        value if type(value) is int and value >= 0 else 0
        for value in map(usage.get, ("prompt_tokens", "completion_tokens", "total_tokens"))
    )
    return Usage(prompt, completion, total or prompt + completion)

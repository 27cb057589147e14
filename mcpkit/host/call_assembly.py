"""Tool calls put together from the fragments of a streamed answer, whatever an endpoint does with ids and indexes.

OpenAI numbers the calls of an answer and gives each an id with its first fragment. Others send index 0 for all, no
index, no id, the same id twice, another id with every fragment, or the name again and again. So a fragment belongs to
the call that its id or index names unless it must be another one: a call whose arguments are complete takes no more of
them. What must never stand here: the rest of an answer, running a call.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mcpkit.host.model import ModelError, ToolCall
from mcpkit.jsonrpc.codec import encode, load
from mcpkit.jsonrpc.errors import ParseError
from mcpkit.jsonrpc.messages import JsonObject

MAX_TOOL_CALLS: Final = 128
GARBLED: Final = "The model's endpoint answered something that is no chat completion"
_SIGNS: Final = re.compile(r'\\.|["{}\[\]]', re.DOTALL)
KEPT: Final = ("extra_content", "provider_specific_fields")
"""Members of a call that endpoints want back: Gemini signs its thoughts in the first, LiteLLM in the second."""
ARGUMENTS: Final = ("arguments", "input", "parameters")
NOTHING: Final = frozenset({"{}", "[]", "null", '"{}"'})
"""Arguments that are none."""


@dataclass(slots=True, eq=False)
class Call:
    """A tool call underway."""

    index: int | None = None
    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    """Its arguments, as far as they have come."""
    extra: JsonObject = field(default_factory=dict)
    named: int = 0
    """How many fragments have named it."""
    again: bool = False
    """It was named once more after its arguments were complete, without any."""
    _scanned: int = 0
    _depth: int = 0
    _within_string: bool = False
    _escape: str = ""

    @property
    def begun(self) -> bool:
        """Some of its arguments have come."""
        return any(piece.strip() for piece in self.pieces)

    @property
    def complete(self) -> bool:
        """Its arguments are there and can't go on: every bracket is closed. Each piece is looked at once."""
        while self._scanned < len(self.pieces):
            self._scan(self.pieces[self._scanned])
            self._scanned += 1
        return self._depth == 0 and not self._within_string and self.begun

    @property
    def text(self) -> str:
        """Its arguments as far as they have come."""
        return "".join(self.pieces)

    @property
    def empty(self) -> bool:
        """Its arguments are there and say nothing, as some begin every call."""
        return self.complete and len(self.pieces) < 8 and self.text.strip() in NOTHING

    def begin_again(self, text: str) -> None:
        """Other arguments in place of those that have come."""
        self.pieces = [text]
        self._scanned, self._depth, self._within_string, self._escape = 0, 0, False, ""

    def _scan(self, piece: str) -> None:
        piece, self._escape = self._escape + piece, ""
        if (len(piece) - len(piece.rstrip("\\"))) % 2:  # what it escapes comes with the next piece
            piece, self._escape = piece[:-1], "\\"
        for found in _SIGNS.finditer(piece):
            sign = found[0]
            if sign == '"':
                self._within_string = not self._within_string
            elif not self._within_string and len(sign) == 1:
                self._depth += 1 if sign in "{[" else -1


@dataclass(frozen=True, slots=True)
class Fragment:
    """What one entry of ``tool_calls`` says."""

    index: int | None
    id: str
    name: str
    text: str
    extra: JsonObject
    object: JsonObject | None = None
    """Its arguments, of servers that send them as an object."""

    @classmethod
    def of(cls, entry: Any) -> Fragment:
        """Read an entry.

        Raises: ModelError.
        """
        if not isinstance(entry, dict):
            raise ModelError(GARBLED)
        function = entry.get("function")
        named = entry if function is None else function
        if not isinstance(named, dict):
            raise ModelError(GARBLED)
        extra = {key: entry[key] for key in KEPT if isinstance(entry.get(key), dict)}
        text, value = _arguments(named)
        return cls(_index(entry.get("index")), _id(entry.get("id")), _text(named.get("name")), text, extra, value)


class CallAssembly:
    """The calls of one answer; ``known`` are the names of the tools that the model was offered."""

    def __init__(self, known: Collection[str] = ()) -> None:
        self._known = known
        self._calls: list[Call] = []
        self._by_index: dict[int, Call] = {}
        self._begun: set[int] = set()
        """By ``id()``, the calls that an entry of the same chunk has named."""

    def __bool__(self) -> bool:
        return bool(self._calls)

    @property
    def complete(self) -> bool:
        """No call is in the middle of its arguments."""
        return all(call.complete or not call.begun for call in self._calls)

    def take(self, entries: list[Any]) -> None:
        """Note the entries of one chunk.

        Raises: ModelError.
        """
        self._begun.clear()
        for entry in entries:
            self._take(Fragment.of(entry))

    def whole(self, entries: list[Any]) -> None:
        """Note the entries of a whole message: each is a call of its own.

        Raises: ModelError.
        """
        for entry in entries:
            self._extend(self._new(None), Fragment.of(entry))

    def calls(self, fault: str | None = None) -> tuple[ToolCall, ...]:
        """All calls, each with an id of its own; with a ``fault`` that keeps all from being made."""
        made: list[ToolCall] = []
        ids: set[str] = set()
        for number, call in enumerate(self._calls):
            arguments, wrong = arguments_of(call.text)
            name = call.name.strip()
            wrong = wrong if name else "the call named no tool"
            own = call.id or f"call_{number}"
            while own in ids:
                own = f"{own}_{number}"
            ids.add(own)
            made.append(ToolCall(own, name, arguments, fault or wrong, call.extra))
        return tuple(made)

    def _take(self, fragment: Fragment) -> None:
        call = self._candidate(fragment)
        if call is not None and call.again and not fragment.name and fragment.text.strip():
            name, call = call.name, self._new(fragment.index)  # what named it again was the head of another
            call.name = name
        elif call is None or self._begins_another(fragment, call):
            call = self._new(fragment.index)
        if fragment.index is not None:
            self._by_index[fragment.index] = call
        if fragment.name:
            self._begun.add(id(call))
        self._extend(call, fragment)

    def _new(self, index: int | None) -> Call:
        if len(self._calls) >= MAX_TOOL_CALLS:
            raise ModelError(f"The model called more than {MAX_TOOL_CALLS} tools at once")
        self._calls.append(Call(index))
        return self._calls[-1]

    def _candidate(self, fragment: Fragment) -> Call | None:
        """The call that a fragment seems to belong to; None where it surely begins another."""
        same_id = [call for call in self._calls if fragment.id and call.id == fragment.id]
        at_index = None if fragment.index is None else self._by_index.get(fragment.index)
        if fragment.name and fragment.index is not None:
            # An id that stands for several calls tells nothing; a new index does.
            same_id = [call for call in same_id if call.index == fragment.index]
            return same_id[-1] if same_id else at_index
        if same_id:
            return same_id[-1]
        if at_index is None and fragment.id and (fragment.name or fragment.index is not None):
            return None
        # An index may count fragments rather than calls: what has neither id nor name goes on with the last call.
        return at_index or (self._calls[-1] if self._calls else None)

    def _begins_another(self, fragment: Fragment, call: Call) -> bool:
        """Whether a fragment can't belong to the call that it seems to belong to."""
        another_id = bool(fragment.id and call.id and fragment.id != call.id)
        if not fragment.name:
            # Some send the id first, and the name and the arguments with the next fragment.
            return another_id and call.complete
        if not call.name:
            return False
        if id(call) in self._begun:  # within one chunk each entry that is named is a call
            return True
        if fragment.name != call.name:
            return not self._name_goes_on(fragment, call)
        if another_id:
            # Some make up an id for every fragment: then its arguments can't begin here.
            return call.complete or not call.begun or fragment.text.lstrip()[:1] in {"", "{"}
        if call.complete:
            # The same call once more, as some repeat it at its end; or the same tool again.
            same_id = fragment.id == call.id != ""
            if fragment.text.strip():
                return not (same_id and (call.empty or fragment.text == call.text))
            return not same_id and call.named == 1  # where names aren't repeated, one begins a call
        whole = fragment.index is None and not fragment.id
        return whole and not call.begun and not fragment.text.strip()

    def _name_goes_on(self, fragment: Fragment, call: Call) -> bool:
        """A name in fragments is known by what it becomes: that of a tool on offer."""
        if not call.begun and call.name not in self._known and fragment.name.startswith(call.name):
            return True  # some send all of the name that has come
        if call.begun or fragment.name in self._known:
            return False
        return any(name.startswith(call.name + fragment.name) for name in self._known)

    def _extend(self, call: Call, fragment: Fragment) -> None:
        call.id = call.id or fragment.id
        call.named += bool(fragment.name)
        call.again = bool(fragment.name) and call.complete and not fragment.text.strip()
        call.extra.update(fragment.extra)
        if call.name and fragment.name.startswith(call.name):  # some repeat it in every fragment
            call.name = fragment.name
        else:
            call.name += fragment.name
        if fragment.text.strip() and call.complete:
            self._add_to_complete(call, fragment)
        elif fragment.text:
            call.pieces.append(fragment.text)

    def _add_to_complete(self, call: Call, fragment: Fragment) -> None:
        """More arguments where there are some: the same once more, members of the object, or what the empty began."""
        had = _value(call.text)
        if fragment.object is not None and isinstance(had, dict):
            call.begin_again(encode({**had, **fragment.object}).decode())
        elif call.empty:
            call.begin_again(fragment.text)
        elif fragment.text != call.text:
            call.pieces.append(fragment.text)


def arguments_of(text: str) -> tuple[JsonObject, str | None]:
    """A call's arguments, or what is wrong with them, told so that the model can mend it."""
    if not text.strip():
        return {}, None
    value = _value(text)
    if isinstance(value, str):  # encoded twice
        value = _value(value)
    if text.strip() in NOTHING:  # PHP writes an empty object so
        return {}, None
    if value is None:
        return {}, "the arguments were not valid JSON"
    if not isinstance(value, dict):
        return {}, "the arguments must be a JSON object"
    return value, None


def _value(text: str) -> Any:
    """The JSON value in a text; None where there is none."""
    try:
        return load(text.encode("utf-8", "surrogatepass"))
    except ParseError:
        return None


def _index(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:9])
    return value if type(value) is int else None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ModelError(GARBLED)
    return value


def _id(value: Any) -> str:
    return str(value) if type(value) is int else _text(value)


def _arguments(function: Mapping[str, Any]) -> tuple[str, JsonObject | None]:
    """The arguments as text, and the object where they are one; Anthropic calls them input, Cohere parameters."""
    arguments = next((function[name] for name in ARGUMENTS if function.get(name) is not None), None)
    if isinstance(arguments, dict):
        return encode(arguments).decode(), arguments
    return arguments if isinstance(arguments, str) else "" if arguments is None else encode(arguments).decode(), None

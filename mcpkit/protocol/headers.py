"""HTTP headers that repeat what the body says, so that intermediaries can route: reading, checking, writing them.

The body is the truth, a header that differs refuses the request (transports SHM-20…SHM-35, XHDR-02…XHDR-11).
Header names are given in lower case; a transport joins repeated fields with ", ", so that none passes unseen (SHM-25).
What must never stand here: HTTP itself, looking up a tool.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from mcpkit.protocol.errors import HeaderMismatch
from mcpkit.protocol.types import META_PROTOCOL_VERSION

VERSION_HEADER: Final = "mcp-protocol-version"
METHOD_HEADER: Final = "mcp-method"
NAME_HEADER: Final = "mcp-name"
SESSION_HEADER: Final = "mcp-session-id"
PARAM_PREFIX: Final = "mcp-param-"

ROUTED_NAME: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tools/call": "name",
        "prompts/get": "name",
        "resources/read": "uri",
        "tasks/get": "taskId",
        "tasks/update": "taskId",
        "tasks/cancel": "taskId",
    }
)
"""Method → the member of its params that ``Mcp-Name`` repeats."""

LARGEST_INTEGER: Final = 2**53 - 1
"""What an annotated integer may be at most, and at least when negated (XHDR-03)."""

_ENCODED_START: Final = "=?base64?"
_ENCODED_END: Final = "?="
_BLANKS: Final = " \t"
_LITERAL: Final = re.compile(r"(?!=\?base64\?)[ -~]*")
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_INTEGER: Final = re.compile(r"(-?[0-9]{1,24})(?:\.0{1,24})?")
_ANNOTATION: Final = "x-mcp-header"
_TYPES: Final = frozenset({"string", "integer", "boolean"})
_DATA: Final = frozenset({"const", "default", "enum", "examples"})
_SCHEMAS_BY_NAME: Final = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "dependencies"})


def encode_value(value: str | int | bool) -> str:
    """A value as a header carries it (SHM-30, SHM-31).

    Raises: ValueError for a text that is no Unicode (a lone surrogate).
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if value.isascii() and value.isprintable() and value.strip(" ") == value and not _looks_encoded(value):
        return value
    return f"{_ENCODED_START}{b64encode(value.encode()).decode('ascii')}{_ENCODED_END}"


def decode_value(header: str) -> str:
    """The text that a header carries; only a value with both exact marks is encoded (SHM-33, SHM-34).

    Raises: HeaderMismatch for a character that no header may hold, and for marks around bad base64.
    """
    text = header.strip(_BLANKS)
    if not _looks_encoded(text):
        if text.isascii() and (text.isprintable() or text.replace("\t", " ").isprintable()):
            return text
        raise HeaderMismatch("a header holds characters that it may not; send the value as =?base64?…?= of its UTF-8")
    payload = text[len(_ENCODED_START) : -len(_ENCODED_END)]
    try:
        raw = b64decode(payload, validate=True)
        value = raw.decode()
    except (binascii.Error, ValueError):
        raise _bad_base64() from None
    if b64encode(raw).decode("ascii") != payload:
        raise _bad_base64()
    return value


def check_routing(headers: Mapping[str, str], method: str, params: Mapping[str, Any]) -> None:
    """That version, method and name say in the headers what they say in the body (SHM-20…SHM-26).

    ``params`` must have an envelope.

    Raises: HeaderMismatch.
    """
    declared = params["_meta"][META_PROTOCOL_VERSION]
    if headers.get(VERSION_HEADER) != declared:
        _check(headers, VERSION_HEADER, declared, "the version in params._meta")
    if headers.get(METHOD_HEADER) != method:
        _check(headers, METHOD_HEADER, method, "method")
    if method in ROUTED_NAME:
        name, member = headers.get(NAME_HEADER), ROUTED_NAME[method]
        if name is None or member not in params or name != params[member] or not _LITERAL.fullmatch(name):
            _check_name(name, member, params)


def routing_headers(method: str, params: Mapping[str, Any]) -> dict[str, str]:
    """The headers that a client sends with a request or notification of the envelope era (SHM-20)."""
    headers = {"MCP-Protocol-Version": str(params["_meta"][META_PROTOCOL_VERSION]), "Mcp-Method": method}
    name = params.get(ROUTED_NAME.get(method, ""))
    if isinstance(name, str):
        headers["Mcp-Name"] = encode_value(name)
    return headers


@dataclass(frozen=True, slots=True)
class ParamHeader:
    """One argument of a tool that its callers repeat in a header."""

    name: str
    """As annotated: ``Region`` for ``Mcp-Param-Region``."""
    path: tuple[str, ...]
    type: str

    @property
    def header(self) -> str:
        """The header's name in lower case."""
        return PARAM_PREFIX + self.name.lower()


class ParamHeaders(tuple[ParamHeader, ...]):
    """All arguments of one tool that are repeated in headers; almost always none."""

    __slots__ = ()

    @classmethod
    def compile(cls, input_schema: Mapping[str, Any]) -> ParamHeaders:
        """Read the ``x-mcp-header`` annotations of an input schema.

        Raises: ValueError that names the fault (XHDR-02…XHDR-04); such a tool may not be registered or shown.
        """
        found = list(_annotations(input_schema))
        seen: set[str] = set()
        for param in found:
            if param.header in seen:
                raise ValueError(f"{_ANNOTATION} {param.name!r} stands twice; header names differ in more than case")
            seen.add(param.header)
        return cls(found)


def check_params(
    param_headers: Iterable[ParamHeader], headers: Mapping[str, str], arguments: Mapping[str, Any]
) -> None:
    """That every annotated argument stands in its header, and nothing stands there without one (XHDR-09, XHDR-10).

    Raises: HeaderMismatch.
    """
    for param in param_headers:
        value, header = _value_at(arguments, param.path), headers.get(param.header)
        if header is None:
            if isinstance(value, str | int) or _is_whole(value):
                raise HeaderMismatch(f"Mcp-Param-{param.name} is missing; send {'.'.join(param.path)} in it too")
        elif not _agrees(decode_value(header), value):
            raise HeaderMismatch(f"Mcp-Param-{param.name} does not match arguments.{'.'.join(param.path)}")


def mirror(param_headers: Iterable[ParamHeader], arguments: Mapping[str, Any]) -> dict[str, str]:
    """The ``Mcp-Param-*`` headers of a call; absent, null and unfit arguments have none (XHDR-06).

    Raises: ValueError for an integer that no header may carry.
    """
    mirrored: dict[str, str] = {}
    for param in param_headers:
        value = _value_at(arguments, param.path)
        if _is_whole(value):
            value = int(value)
        if isinstance(value, str | int):
            if not isinstance(value, str) and abs(value) > LARGEST_INTEGER:
                raise ValueError(f"{'.'.join(param.path)} is beyond ±(2^53-1) and can't be sent in a header")
            mirrored[f"Mcp-Param-{param.name}"] = encode_value(value)
    return mirrored


def _looks_encoded(text: str) -> bool:
    return (
        text.startswith(_ENCODED_START)
        and text.endswith(_ENCODED_END)
        and len(text) >= len(_ENCODED_START) + len(_ENCODED_END)
    )


def _bad_base64() -> HeaderMismatch:
    return HeaderMismatch("a header is marked =?base64?…?= but does not hold padded standard base64 of UTF-8")


def _check(headers: Mapping[str, str], name: str, expected: str, source: str) -> None:
    """The careful comparison, once the quick one failed."""
    shown = {VERSION_HEADER: "MCP-Protocol-Version", METHOD_HEADER: "Mcp-Method"}[name]
    value = headers.get(name)
    if value is None:
        raise HeaderMismatch(f"the header {shown} is missing; send {source} in it")
    if value.strip(_BLANKS) != expected:
        raise HeaderMismatch(f"the header {shown} does not match {source}")


def _check_name(header: str | None, member: str, params: Mapping[str, Any]) -> None:
    value = params.get(member)
    if header is None:
        if isinstance(value, str):
            raise HeaderMismatch(f"the header Mcp-Name is missing; send params.{member} in it")
        return
    if decode_value(header) != value:
        raise HeaderMismatch(f"the header Mcp-Name does not match params.{member}")


def _annotations(schema: Mapping[str, Any]) -> Iterator[ParamHeader]:
    """Every annotation, in the order of the schema; walks without recursion, for schemas come from strangers."""
    todo: list[tuple[Any, tuple[str, ...] | None]] = [(schema, ())]
    while todo:
        part, path = todo.pop()
        if isinstance(part, list):
            todo.extend((item, None) for item in reversed(part))
        if not isinstance(part, Mapping):
            continue
        if _ANNOTATION in part:
            yield _annotation(part, path)
        todo.extend(reversed(list(_parts(part, path))))


def _parts(schema: Mapping[str, Any], path: tuple[str, ...] | None) -> Iterator[tuple[Any, tuple[str, ...] | None]]:
    for keyword, part in schema.items():
        if keyword == "properties" and isinstance(part, Mapping):
            for name, property_schema in part.items():
                yield property_schema, None if path is None else (*path, name)
        elif keyword in _SCHEMAS_BY_NAME and isinstance(part, Mapping):
            yield from ((named, None) for named in part.values())
        elif keyword not in _DATA:
            yield part, None


def _annotation(schema: Mapping[str, Any], path: tuple[str, ...] | None) -> ParamHeader:
    name, kind = schema[_ANNOTATION], schema.get("type")
    if not path:
        raise ValueError(f"{_ANNOTATION} {name!r} stands where only `properties` may lead to; annotate a property")
    where = ".".join(path)
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise ValueError(f"{_ANNOTATION} of {where} must be a header name: letters, digits and !#$%&'*+-.^_`|~")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise ValueError(f"{_ANNOTATION} of {where} needs the type string, integer or boolean")
    return ParamHeader(name, path, kind)


def _value_at(arguments: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = arguments
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _agrees(header: str, value: Any) -> bool:
    if isinstance(value, bool):
        return header == ("true" if value else "false")
    if isinstance(value, str):
        return header == value
    if isinstance(value, int) or _is_whole(value):
        number = _INTEGER.fullmatch(header)
        return number is not None and abs(value) <= LARGEST_INTEGER and int(number[1]) == value
    return False

"""A resource's contents: what an author's value becomes when the resource is read (RSRC-04, RSRC-05).

What must never stand here: which resource it is, who may read it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from mcpkit.features.content import Audio, EmbeddedResource, Image, as_text, contents_of, decoded
from mcpkit.features.errors import BadReturn
from mcpkit.features.json_values import fault_of
from mcpkit.features.media import guess_by_bytes, guess_by_name
from mcpkit.features.signature import EMPTY
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.types import CacheScope

JSON: Final = "application/json"
_BYTES: Final = (bytes, bytearray, memoryview)


@dataclass(frozen=True, slots=True)
class ResourceContents:
    """One content of a resource, when it needs a MIME type, a URI or ``_meta`` of its own."""

    content: Any
    """Text, bytes, or any value, which is sent as JSON."""
    mime_type: str | None = None
    uri: str | None = None
    """A sub-resource's URI, for a resource with several contents (a directory)."""
    meta: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ResourceResult:
    """A whole result of reading: its contents, and how long they may be kept."""

    contents: Any
    """Anything a resource may return, or a list of :class:`ResourceContents`."""
    ttl_ms: int | None = None
    cache_scope: CacheScope | None = None
    meta: Mapping[str, Any] | None = None


_UNSURE: Final = (ResourceContents, ResourceResult, Audio, EmbeddedResource, Image, list, tuple, *_BYTES)
"""Types whose values tell only themselves what they are."""


_SEPARATE: Final = (ResourceContents, Audio, EmbeddedResource, Image)
"""In a list each of these is a content of its own."""


def contents_list(value: Any, uri: str, mime_type: str | None) -> list[JsonObject]:
    """The ``contents`` for a value; ``mime_type`` is what its author says of it; the value tells it otherwise.

    Raises: BadReturn when it has no JSON form.
    """
    several = isinstance(value, list | tuple) and any(isinstance(item, _SEPARATE) for item in value)
    try:
        return [_one(item, uri, mime_type) for item in (value if several else [value])]
    except ValueError as error:
        raise fault_of(value) or BadReturn(f"the returned value has no JSON form: {error}") from None


def _one(value: Any, uri: str, mime_type: str | None) -> JsonObject:
    if isinstance(value, ResourceContents):
        wire = _one(value.content, value.uri or uri, value.mime_type or mime_type)
        return {**wire, "_meta": dict(value.meta)} if value.meta else wire
    if isinstance(value, Audio | EmbeddedResource | Image):
        return value.as_contents(uri, mime_type)
    if isinstance(value, str):
        return contents_of(uri, value, None, mime_type or "text/plain")
    if isinstance(value, _BYTES):
        value = bytes(value)
        mime_type = mime_type or guess_by_bytes(value) or guess_by_name(uri) or "application/octet-stream"
        text = decoded(value, mime_type)
        return contents_of(uri, text, value if text is None else None, mime_type)
    return contents_of(uri, as_text(value), None, mime_type or JSON)


def constant(value: Any) -> Callable[[], Any]:
    """A function for data that is no function: it is returned as it is, a file's path as what the file holds then."""

    def content() -> Any:
        return value.read_bytes() if isinstance(value, Path) else value

    content.__doc__ = None
    return content


def size_of(value: Any) -> int | None:
    """The size of text or bytes, in bytes; None for what has no size of its own."""
    return (
        len(value.encode("utf-8", "replace"))
        if isinstance(value, str)
        else len(value)
        if isinstance(value, bytes | bytearray)
        else None
    )


def declared_mime(returns: Any) -> str | None:
    """The MIME type that every value of a return annotation has, if there is one."""
    origin = get_origin(returns)
    if origin in (Annotated, Awaitable, Coroutine):
        return declared_mime(get_args(returns)[0 if origin is Annotated else -1])
    if origin in (Union, UnionType):
        [*said] = {declared_mime(part) for part in get_args(returns) if part is not NoneType}
        return said[0] if len(said) == 1 else None
    kind = origin or returns
    if kind in (EMPTY, Any, object, NoneType) or not isinstance(kind, type):
        return None
    if issubclass(kind, str):
        return "text/plain"
    unsure = issubclass(kind, _UNSURE) or hasattr(kind, "__mcp_result__")
    return None if unsure else JSON

"""Content blocks: what tools, prompts and messages are made of, as values that know their wire form (TCON-01…07).

What must never stand here: what a tool declared (returns.py), an old revision's view (protocol/revisions).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final, TypeAlias

from mcpkit.features.json_values import check_json
from mcpkit.features.media import checked_mime, guess_by_bytes, guess_by_name, is_text, to_base64
from mcpkit.features.option_values import annotated, mapping
from mcpkit.features.suggestions import clipped
from mcpkit.jsonrpc.messages import JsonObject

BLOCK_TYPES: Final = frozenset({"text", "image", "audio", "resource", "resource_link"})

Data: TypeAlias = bytes | str
"""Bytes, or base64 text."""


@dataclass(frozen=True, slots=True)
class Annotations:
    """For whom a block is, how much it matters (0 to 1), and when it last changed (ISO 8601)."""

    audience: Sequence[str] | None = None
    priority: float | None = None
    last_modified: str | None = None

    def __post_init__(self) -> None:
        """Refuse one text as the audience, which would be read letter by letter. Raises: TypeError."""
        if isinstance(self.audience, str):
            raise TypeError(f'audience is a list, as ["user"], not {self.audience!r}')

    def to_wire(self) -> JsonObject:
        """As it is sent."""
        members = {"priority": self.priority, "lastModified": self.last_modified}
        audience = {"audience": list(self.audience)} if self.audience is not None else {}
        return {**audience, **{name: member for name, member in members.items() if member is not None}}


class Content(ABC):
    """One content block."""

    __slots__ = ("annotations", "meta")

    def __init__(self, annotations: Annotations | Mapping[str, Any] | None, meta: Mapping[str, Any] | None) -> None:
        """Raises: TypeError for annotations that the specification doesn't have, and for what is no object."""
        if annotations is not None or meta is not None:
            _check_extras(annotations, meta)
        self.annotations = annotations
        self.meta = meta

    @abstractmethod
    def members(self) -> JsonObject:
        """What this kind of block has, ``type`` first."""

    def to_wire(self) -> JsonObject:
        """The block as it is sent."""
        return {**self.members(), **wire_extras(self.annotations, self.meta)}


def _check_extras(given: Annotations | Mapping[str, Any] | None, meta: Mapping[str, Any] | None) -> None:
    for name, value, check in (("annotations", given, annotated), ("meta", meta, mapping)):
        accepted = check(value) if value is not None else None
        if accepted is not None:
            raise TypeError(f"{name} must be {accepted}, not {clipped(repr(value))}")


def wire_extras(annotations: Annotations | Mapping[str, Any] | None, meta: Mapping[str, Any] | None) -> JsonObject:
    """``annotations`` and ``_meta``, where there are any."""
    extras: JsonObject = {}
    if annotations:
        extras["annotations"] = annotations.to_wire() if isinstance(annotations, Annotations) else dict(annotations)
    if meta:
        extras["_meta"] = dict(meta)
    return extras


class Text(Content):
    """A text block, for a text that needs annotations; else a plain ``str`` does."""

    __slots__ = ("text",)

    def __init__(
        self,
        text: str,
        *,
        annotations: Annotations | Mapping[str, Any] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(annotations, meta)
        self.text = text

    def members(self) -> JsonObject:
        """The text."""
        return {"type": "text", "text": self.text}


class _Media(Content):
    """Bytes with a MIME type, from memory or from a file that is read at once."""

    __slots__ = ("data", "mime_type")
    kind: str
    fallback: str

    def __init__(
        self,
        data: Data | None = None,
        *,
        path: str | PathLike[str] | None = None,
        format: str | None = None,
        mime_type: str | None = None,
        annotations: Annotations | Mapping[str, Any] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        """Give ``data`` or ``path``. ``format`` is the second half of a MIME type; without either it is guessed.

        Raises: ValueError, OSError.
        """
        super().__init__(annotations, meta)
        raw = _read(data, path)
        self.data = to_base64(raw)
        named = mime_type or (f"{self.kind}/{format.lower()}" if format else None) or guess_by_name(str(path or ""))
        self.mime_type = checked_mime(named or self._told_by(raw) or self.fallback)

    def as_contents(self, uri: str, mime_type: str | None) -> JsonObject:
        """As the contents of a resource."""
        return {"uri": uri, "mimeType": mime_type or self.mime_type, "blob": self.data}

    @staticmethod
    def _told_by(raw: Data) -> str | None:
        return guess_by_bytes(raw) if isinstance(raw, bytes) else None

    def members(self) -> JsonObject:
        """The data and what it is."""
        return {"type": self.kind, "data": self.data, "mimeType": self.mime_type}


class Image(_Media):
    """An image block."""

    __slots__ = ()
    kind = "image"
    fallback = "image/png"


class Audio(_Media):
    """An audio block."""

    __slots__ = ()
    kind = "audio"
    fallback = "audio/wav"


class EmbeddedResource(Content):
    """A resource's content inside a result: ``text``, or ``data`` for bytes."""

    __slots__ = ("resource",)

    def __init__(
        self,
        uri: str,
        text: str | None = None,
        *,
        data: Data | None = None,
        mime_type: str | None = None,
        annotations: Annotations | Mapping[str, Any] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        """Raises: ValueError unless exactly one of ``text`` and ``data`` is given."""
        super().__init__(annotations, meta)
        self.resource = contents_of(uri, text, data, mime_type)

    def as_contents(self, uri: str, mime_type: str | None) -> JsonObject:
        """As the contents of a resource, under the URI of its own."""
        return {**self.resource, **({"mimeType": mime_type} if mime_type else {})}

    def members(self) -> JsonObject:
        """The contents, under ``resource``."""
        return {"type": "resource", "resource": self.resource}


class File(EmbeddedResource):
    """A file, or bytes with a file's name, as an embedded resource."""

    __slots__ = ()

    def __init__(
        self,
        data: bytes | None = None,
        *,
        path: str | PathLike[str] | None = None,
        name: str | None = None,
        mime_type: str | None = None,
        annotations: Annotations | Mapping[str, Any] | None = None,
    ) -> None:
        """Text files are sent as text. Raises: ValueError, OSError."""
        raw = _read(data, path)
        assert isinstance(raw, bytes)
        named = name or (Path(path).name if path else "file")
        mime_type = mime_type or guess_by_name(named) or guess_by_bytes(raw) or "application/octet-stream"
        text = decoded(raw, mime_type)
        uri = f"file:///{named}"
        super().__init__(uri, text, data=raw if text is None else None, mime_type=mime_type, annotations=annotations)

    def as_contents(self, uri: str, mime_type: str | None) -> JsonObject:
        """As the contents of a resource, whose URI is the file's."""
        return {**super().as_contents(uri, mime_type), "uri": uri}


class ResourceLink(Content):
    """A pointer to a resource, which need not be listed but should be readable (TCON-03)."""

    __slots__ = ("link",)

    def __init__(
        self,
        uri: str,
        name: str,
        *,
        mime_type: str | None = None,
        annotations: Annotations | Mapping[str, Any] | None = None,
        meta: Mapping[str, Any] | None = None,
        title: str | None = None,
        description: str | None = None,
        size: int | None = None,
    ) -> None:
        """``size`` is in bytes."""
        super().__init__(annotations, meta)
        given = {"title": title, "description": description, "size": size}
        members = {member: value for member, value in given.items() if value is not None}
        said = {"mimeType": checked_mime(mime_type)} if mime_type else {}
        self.link: JsonObject = {"uri": uri, "name": name, **said, **members}

    def members(self) -> JsonObject:
        """The link."""
        return {"type": "resource_link", **self.link}


def contents_of(uri: str, text: str | None, data: Data | None, mime_type: str | None) -> JsonObject:
    """A resource's contents on the wire (RSRC-04).

    Raises: ValueError unless exactly one of ``text`` and ``data`` is given.
    """
    if (text is None) == (data is None):
        raise ValueError("give text or data, one of the two")
    said: JsonObject = {"uri": uri, **({"mimeType": checked_mime(mime_type)} if mime_type else {})}
    return {**said, "text": text} if data is None else {**said, "blob": to_base64(data)}


def decoded(raw: bytes, mime_type: str) -> str | None:
    """Bytes of a textual type as text; None where they are none."""
    if not is_text(mime_type):
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _read(data: Data | None, path: str | PathLike[str] | None) -> Data:
    if data is not None and path is None:
        return data
    if path is not None and data is None:
        return Path(path).read_bytes()
    raise ValueError("give data or path, one of the two")


# ── from any value ───────────────────────────────────────────────────────────────────────────────────────────────────


def as_json(value: Any) -> Any:
    """Any value that pydantic knows as JSON: models, dataclasses, dates, sets…

    Raises: BadReturn for what has no JSON form, ValueError for what pydantic can't write.
    """
    check_json(value)
    from pydantic_core import to_jsonable_python  # noqa: PLC0415 - texts and numbers do without it

    return to_jsonable_python(value, by_alias=True, inf_nan_mode="null")


def as_text(value: Any) -> str:
    """Any value as the text that a model reads: texts as they are, all else as JSON.

    Raises: BadReturn, ValueError.
    """
    if isinstance(value, str):
        return value
    check_json(value)
    return spelled(value)


def spelled(value: Any) -> str:
    """The text of a value that is known to have a JSON form.

    Raises: ValueError.
    """
    if isinstance(value, str):
        return value
    from pydantic_core import to_json  # noqa: PLC0415 - as above

    return to_json(value, by_alias=True, inf_nan_mode="null").decode()


def as_block(value: Any) -> JsonObject:
    """Any value as one content block.

    Raises: ValueError.
    """
    if isinstance(value, Content):
        return value.to_wire()
    if isinstance(value, dict) and is_block(value):
        check_json(value)
        return value
    return {"type": "text", "text": as_text(value)}


def is_block(value: Mapping[str, Any]) -> bool:
    """Whether a dict is a content block on the wire already."""
    return value.get("type") in BLOCK_TYPES and not {"text", "data", "resource", "uri"}.isdisjoint(value)


def as_blocks(value: Any) -> list[JsonObject]:
    """Any value as content blocks: a list that holds blocks gives one each, None gives none.

    Raises: ValueError.
    """
    if value is None:
        return []
    if isinstance(value, list | tuple) and holds_content(value):
        return [as_block(item) for item in value]
    return [as_block(value)]


def holds_content(value: Any) -> bool:
    """Whether a value is content to show, not data."""
    if isinstance(value, list | tuple):
        return any(isinstance(item, Content) for item in value)
    return isinstance(value, Content)

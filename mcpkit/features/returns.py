"""Returned values: what a tool declares of them, and the result they become (TOUT-01…07).

Decided when the tool is offered: which schema is published, and by which shortest way a value becomes a result.
What must never stand here: the function, its exceptions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import cache, partial
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Union, get_args, get_origin

from mcpkit.features.content import Content, as_block, as_blocks, as_json, holds_content, spelled
from mcpkit.features.errors import BadReturn, told
from mcpkit.features.json_values import BYTES, BYTES_FIX, check_json, check_kept, fault_of, fix_for, is_finite, name_of
from mcpkit.features.plain import NAMES
from mcpkit.features.problems import from_pydantic
from mcpkit.features.signature import EMPTY, Signature
from mcpkit.jsonrpc.messages import JsonObject

if TYPE_CHECKING:  # loaded for whoever needs them: tools that return texts and numbers do not
    from pydantic import TypeAdapter

    from mcpkit.features.schema import Schema

_SCALARS: Final[Mapping[type, Callable[[Any], str]]] = {
    int: str,
    str: str,
    bool: lambda value: "true" if value else "false",
}
"""Types whose own values need no check, and their JSON."""


@dataclass(slots=True)
class ToolResult:
    """A tool's whole result, for when a returned value can't say it: own content, ``_meta``, an error with content."""

    content: Any = None
    """Anything; a list that holds content blocks gives one block each. None: the JSON of ``structured_content``."""
    structured_content: Any = None
    meta: Mapping[str, Any] | None = None
    is_error: bool = False

    def to_wire(self) -> JsonObject:
        """As it is sent.

        Raises: ValueError when something in it has no JSON form.
        """
        structured = as_json(self.structured_content)
        content = self.content if self.content is not None else structured
        result: JsonObject = {"content": _listed(content)}
        if self.structured_content is not None:
            result["structuredContent"] = structured
        if self.is_error:
            result["isError"] = True
        if self.meta:
            result["_meta"] = dict(self.meta)
        return result


def _listed(content: Any) -> list[JsonObject]:
    """Content given as content: in a list every item is a block of its own."""
    return [as_block(item) for item in content] if isinstance(content, list | tuple) else as_blocks(content)


class _Nothing:
    """The type of no value."""


class Returns:
    """How one tool's values become results; ``document`` is the output schema to publish, or None."""

    __slots__ = (
        "_adapter",
        "_floats",
        "_late",
        "_open",
        "_plain",
        "_scalar",
        "_schema",
        "_spell",
        "_trusted",
        "_wrapped",
        "document",
    )

    def __init__(
        self,
        document: JsonObject | None = None,
        *,
        schema: Schema | None = None,
        adapter: TypeAdapter[Any] | None = None,
        wrapped: bool = False,
        plain: bool = False,
        scalar: type = _Nothing,
        late: Callable[[], Returns] | None = None,
    ) -> None:
        """``scalar``: a value of exactly this type is its own result; ``late`` makes what judges any other.
        ``plain``: values are made of plain types, and what they hold can be looked at cheaply."""
        self.document = document
        self._late = late
        self._schema = schema
        self._adapter = adapter
        self._wrapped = wrapped
        self._plain = plain
        self._scalar = scalar
        self._spell = _SCALARS.get(scalar, spelled)
        # A type's own serialiser can only break the schema by a NaN, so only numbers are looked at again.
        self._trusted = adapter is not None and not _has_numbers(document)
        self._floats = adapter is not None and not plain and _may_hold_floats(document)
        self._open = adapter is not None and not plain and _is_open(adapter.core_schema)

    def result(self, value: Any) -> JsonObject:
        """The result of a call that returned ``value``.

        Raises: BadReturn when it is not what the tool declares, or has no JSON form.
        """
        if type(value) is self._scalar:
            return {"content": [{"type": "text", "text": self._spell(value)}], "structuredContent": {"result": value}}
        raw = getattr(value, "__mcp_result__", None)
        if raw is not None:
            return raw()  # type: ignore[no-any-return]  # the object's own promise
        if self._late is not None:
            return self._late().result(value)
        try:
            if isinstance(value, ToolResult):
                return self._checked(value.to_wire())
            if self._schema is not None and not holds_content(value):
                return self._declared(value)
            return self._checked(self._undeclared(value))
        except ValueError as error:  # what pydantic can't serialise
            raise fault_of(value) or BadReturn(f"the returned value has no JSON form: {error}") from None

    def _declared(self, value: Any) -> JsonObject:
        if self._adapter is None:
            known, data = None, as_json(value)
        else:
            known, data = self._dumped(self._adapter, value)
        text = spelled(data)
        if self._floats and "null" in text:
            self._check_numbers(known)
        structured = {"result": data} if self._wrapped else data
        if not self._trusted:
            self._check(structured)
        return {"content": [{"type": "text", "text": text}], "structuredContent": structured}

    def _dumped(self, adapter: TypeAdapter[Any], value: Any) -> tuple[Any, Any]:
        """The value as its type makes it, and its JSON.

        Raises: BadReturn; ValueError for what pydantic can't write.
        """
        from pydantic import ValidationError  # noqa: PLC0415 - see above

        if self._plain:
            check_json(value)
        try:
            known = adapter.validate_python(value)
        except ValidationError as error:
            fault = BadReturn(
                f"the returned value is not what the tool declares: {told(from_pydantic(error))}",
                f"its result is not what it declares: it returned a value of type {name_of(type(value))}",
            )
            raise fault_of(value) or fault from None
        written = adapter.dump_python(known, mode="json", by_alias=True)
        if self._open:
            check_kept(adapter.dump_python(known, by_alias=True), written)
        return known, written

    def _check_numbers(self, known: Any) -> None:
        """Check that no null in the JSON was NaN or infinity, which pydantic writes so.

        Raises: BadReturn.
        """
        assert self._adapter is not None
        data = self._adapter.dump_python(known, by_alias=True)
        fault = None if is_finite(data) else fault_of(data, numbers_only=True)
        if fault is not None:
            raise fault

    def _undeclared(self, value: Any) -> JsonObject:
        """Objects are structured even where nothing was declared; scalars, lists and content are only content."""
        if value is None or isinstance(value, str) or holds_content(value):
            return {"content": as_blocks(value)}
        data = as_json(value)
        result: JsonObject = {"content": [{"type": "text", "text": spelled(data)}]}
        if isinstance(data, dict) and self._schema is None:
            result["structuredContent"] = data
        return result

    def _checked(self, result: JsonObject) -> JsonObject:
        """A result that was put together by hand keeps the declaration too, unless it is an error (TOUT-01)."""
        if self._schema is not None and not result.get("isError"):
            if "structuredContent" not in result:
                raise BadReturn("the tool declares an output schema but returned no structured content")
            self._check(result["structuredContent"])
        return result

    def _check(self, structured: Any) -> None:
        assert self._schema is not None
        if not self._schema.valid(structured):
            raise BadReturn(f"the returned value breaks the output schema: {told(self._schema.problems(structured))}")


# ── at registration ──────────────────────────────────────────────────────────────────────────────────────────────────


def returns_of(
    signature: Signature, output_schema: JsonObject | None = None, *, structured: bool | None = None
) -> Returns:
    """How a function's values become results.

    ``output_schema`` is the author's own, published as it is. ``structured`` False publishes none, True insists.
    Raises: RegistrationError.
    """
    _check_type(signature, signature.returns)
    if structured is False:
        if output_schema is not None:
            raise signature.refuse("output_schema does nothing beside structured_output=False: leave one of them out")
        return Returns()
    if output_schema is not None:
        return Returns(output_schema, schema=_compiled(signature, output_schema))
    annotation = _data_part(signature.returns)
    if annotation is EMPTY:
        return _none(signature, structured, "its return type is data of no declared kind")
    if isinstance(annotation, type) and annotation in _SCALARS:
        late = cache(partial(_returns_as, signature, annotation, structured))
        return Returns(_wrapper({"type": NAMES[annotation]}), scalar=annotation, late=late)
    return _returns_as(signature, annotation, structured)


def _returns_as(signature: Signature, annotation: Any, structured: bool | None) -> Returns:
    """By an annotation of which pydantic knows what JSON it becomes.

    Raises: RegistrationError.
    """
    from pydantic import TypeAdapter  # noqa: PLC0415 - see above
    from pydantic.errors import PydanticUserError  # noqa: PLC0415
    from pydantic_core import SchemaError  # noqa: PLC0415

    from mcpkit.features.schema import schema_of  # noqa: PLC0415

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        document = schema_of(adapter, "serialization")
    except (PydanticUserError, SchemaError, TypeError, ValueError, NameError) as error:
        from mcpkit.features.type_faults import fault_of, is_undefined  # noqa: PLC0415 - needed only for a fault

        fault = f"its return type {fault_of(annotation, error)}"
        if is_undefined(error):
            raise signature.refuse(fault) from None
        return _none(signature, structured, fault)
    if document.get("title") == getattr(annotation, "__name__", None):
        document.pop("title", None)
    if (place := _bytes_in(document, "")) is not None:
        raise signature.refuse(
            f"its return type {_shown(annotation)} holds bytes{place}, which JSON does not have: {BYTES_FIX}, or let a "
            'model write them as base64 (model_config = ConfigDict(ser_json_bytes="base64"))'
        )
    wrapped = document.get("type") != "object"
    if wrapped:
        document = _wrapper(document)
    return Returns(
        document, schema=_compiled(signature, document), adapter=adapter, wrapped=wrapped, plain=_is_plain(annotation)
    )


def _none(signature: Signature, structured: bool | None, why: str) -> Returns:
    if structured:
        raise signature.refuse(f"structured_output needs a return type with a schema ({why}): annotate it")
    return Returns()


def _compiled(signature: Signature, document: JsonObject) -> Schema:
    from mcpkit.features.schema import Schema, SchemaError  # noqa: PLC0415 - see above

    try:
        return Schema(document)
    except SchemaError as error:
        raise signature.refuse(f"its output schema is not usable: {error}") from None


def _wrapper(document: JsonObject) -> JsonObject:
    """Values that are no objects stand under ``result``, in every era, as declared (TOUT-04, TOUT-06)."""
    definitions = document.pop("$defs", None)
    wrapper: JsonObject = {"type": "object", "properties": {"result": document}, "required": ["result"]}
    return {**wrapper, "$defs": definitions} if definitions else wrapper


def _data_part(annotation: Any) -> Any:
    """What an annotation says of returned data: EMPTY when it promises content, raw results, nothing or anything."""
    if get_origin(annotation) in (Awaitable, Coroutine):
        annotation = get_args(annotation)[-1]
    if get_origin(annotation) in (Union, UnionType):
        parts = [part for part in get_args(annotation) if not hasattr(part, "__mcp_result__")]
        if any(part is not NoneType and _data_part(part) is EMPTY for part in parts) or set(parts) <= {NoneType}:
            return EMPTY
        return Union[tuple(parts)]  # noqa: UP007  # made from data
    return EMPTY if annotation in (EMPTY, None, NoneType) or _is_content(annotation) else annotation


def _is_content(annotation: Any) -> bool:
    """Whether values of this type are, or may be, shown and not structured: content, or anything at all."""
    if annotation in (Any, object, list, tuple):
        return True
    origin = get_origin(annotation)
    if origin is Annotated or origin in (list, tuple):
        return any(_is_content(part) for part in get_args(annotation))
    if origin in (Union, UnionType):
        return any(_is_content(part) for part in get_args(annotation))
    kind = origin or annotation
    return isinstance(kind, type) and (issubclass(kind, Content | ToolResult) or hasattr(kind, "__mcp_result__"))


def _may_hold_floats(document: Any) -> bool:
    """Whether a value of this schema may hold a number that is no integer: it says so, or it leaves it open."""
    if isinstance(document, list):
        return any(map(_may_hold_floats, document))
    if not isinstance(document, dict):
        return document is True
    kind = document.get("type")
    if kind == "number" or (kind is None and _SAYS_MORE.isdisjoint(document)):
        return True
    if (kind == "array" and "items" not in document and "prefixItems" not in document) or (
        kind == "object" and "properties" not in document and "additionalProperties" not in document
    ):
        return True
    members = [part for name in ("properties", "$defs") for part in document.get(name, {}).values()]
    return any(_may_hold_floats(part) for part in [*members, *(document.get(name, False) for name in _PARTS)])


_CLOSED_KEYS: Final = frozenset({"str", "int", "bool", "date", "datetime", "uuid", "enum", "literal"})
"""Types of which no two values are one key in JSON."""


def _is_open(schema: Any) -> bool:
    """Whether pydantic's schema of a type leaves parts open, so that JSON may lose something of a value unseen.

    Parts that may be anything may be bytes; keys of several types may be equal as texts.
    """
    if isinstance(schema, list | tuple):
        return any(map(_is_open, schema))
    if not isinstance(schema, Mapping):
        return False
    if schema.get("type") == "any" or schema.get("extra_behavior") == "allow":
        return True
    if schema.get("type") == "dict" and schema.get("keys_schema", {}).get("type") not in _CLOSED_KEYS:
        return True
    return any(_is_open(part) for name, part in schema.items() if name not in ("metadata", "serialization"))


_PARTS: Final = ("items", "prefixItems", "additionalProperties", "anyOf", "oneOf", "allOf")
_SAYS_MORE: Final = frozenset({"$ref", "anyOf", "oneOf", "allOf", "enum", "const", "properties", "$defs"})


def _has_numbers(document: Any) -> bool:
    if isinstance(document, Mapping):
        return document.get("type") == "number" or any(_has_numbers(value) for value in document.values())
    return isinstance(document, list) and any(_has_numbers(value) for value in document)


# ── types without a JSON form ────────────────────────────────────────────────────────────────────────────────────────


def _check_type(signature: Signature, annotation: Any) -> None:
    """Refuse a return type whose values have no JSON form, wherever it stands in the annotation.

    Raises: RegistrationError.
    """
    origin = get_origin(annotation)
    if origin is Annotated:  # what stands beside the type may write its values; the schema tells
        return
    kind = origin or annotation
    if isinstance(kind, type) and kind is not EMPTY and not hasattr(kind, "__mcp_result__"):
        fix = None if issubclass(kind, str | int | float) else fix_for(kind)
        if fix is not None and (issubclass(kind, BYTES) or not _has_schema(annotation)):
            raise signature.refuse(
                f"its return type is {_shown(signature.returns)}, and {name_of(kind)} has no JSON form: {fix}"
            )
    for part in get_args(annotation):
        _check_type(signature, part)


def _has_schema(annotation: Any) -> bool:
    """Whether pydantic can write values of this type."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - see above

    try:
        TypeAdapter(annotation)
    except Exception:  # why, is said elsewhere
        return False
    return True


def _bytes_in(document: Any, name: str) -> str | None:
    """Where a schema has raw bytes: `` in 'data'``; None where nowhere."""
    if isinstance(document, list):
        return next((place for part in document if (place := _bytes_in(part, name)) is not None), None)
    if not isinstance(document, dict):
        return None
    if document.get("type") == "string" and document.get("format") == "binary":
        return f" in {name!r}" if name else ""
    for key, part in document.items():
        inner = part.items() if key in ("properties", "$defs") and isinstance(part, dict) else [(name, part)]
        for named, child in inner:
            place = _bytes_in(child, named)
            if place is not None:
                return place
    return None


_JSON_TYPES: Final = (str, int, float, bool, list, dict, tuple, NoneType, Any)


def _is_plain(annotation: Any) -> bool:
    """Whether a type is made of what JSON has itself, so that its values are plain too."""
    if get_origin(annotation) is Annotated:
        return _is_plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType, list, dict, tuple):
        return all(part is ... or _is_plain(part) for part in get_args(annotation))
    return annotation in _JSON_TYPES


def _shown(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)

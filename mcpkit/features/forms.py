"""What an elicitation form may ask for: a Python type becomes a flat JSON Schema, the answer becomes a value again.

Scalars, Literal, Enum, a list or dict of choices, lists of choices, dataclasses, TypedDicts and pydantic models
of such fields (spec 2025-11-25 and later, client/elicitation; ELIC-10…13). What must never stand here: how a
question reaches the client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from mcpkit.features.problems import from_pydantic, is_long
from mcpkit.features.schema import Schema, SchemaError
from mcpkit.jsonrpc.messages import JsonObject

SCALARS: Final = (str, int, float, bool)
_FIELD_TYPES: Final = frozenset({"string", "number", "integer", "boolean"})
_FORMATS: Final = frozenset({"email", "uri", "date", "date-time"})
"""What a text may be declared as; other formats are checked in the answer only (ELIC-11)."""
_DROPPED: Final = frozenset({"additionalProperties", "$defs", "$schema", "pattern"})


class Form:
    """A question's schema, and the way from the accepted answer to a value of the asked type."""

    __slots__ = ("_convert", "_wrapped", "schema")

    def __init__(self, schema: JsonObject, convert: Callable[[Any], Any], *, wrapped: bool) -> None:
        """``convert`` makes a value of the accepted content, or raises ValueError in one line."""
        self.schema = schema
        self._convert = convert
        self._wrapped = wrapped

    @classmethod
    def of(cls, wanted: Any) -> Form:
        """The form that asks for a value of ``wanted``.

        Raises: TypeError when it can't be asked in one flat form.
        """
        if isinstance(wanted, Mapping) and "properties" in wanted:
            return cls.of_schema({"type": "object", **wanted})
        wanted = _choices(wanted)
        adapter: TypeAdapter[Any] = TypeAdapter(wanted)
        schema = adapter.json_schema()
        schema = _resolve(schema, schema.get("$defs", {}))
        if schema.get("type") == "object" and "properties" in schema:
            return cls(_flat_object(schema), partial(_typed, adapter), wrapped=False)
        return cls(_flat_object(_boxed(_titled(schema, wanted))), partial(_typed, adapter), wrapped=True)

    @classmethod
    def of_schema(cls, schema: JsonObject) -> Form:
        """The form that the author wrote, sent as it stands.

        Raises: TypeError when it is none.
        """
        _flat_object(schema)
        try:
            return cls(schema, partial(_fitting, Schema(schema, formats=True)), wrapped=False)
        except SchemaError as error:
            raise TypeError(f"a form can't ask for this: {error}") from None

    def read(self, content: Any) -> Any:
        """The accepted content as a value of the asked type.

        Raises: ValueError, in one line, when the content doesn't fit the form.
        """
        if not isinstance(content, dict):
            raise ValueError("the accepted form has no content object")
        return self._convert(content.get("value") if self._wrapped else content)


def _typed(adapter: TypeAdapter[Any], value: Any) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        if is_long(error):
            raise ValueError(str(from_pydantic(error)[0])) from None
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "value"
        raise ValueError(f"{place}: {first['msg']}") from None


def _fitting(schema: Schema, content: Any) -> Any:
    problems = schema.problems(content)
    if problems:
        raise ValueError(str(problems[0]))
    return content


def _choices(wanted: Any) -> Any:
    """Lists and dicts of choices, the short ways to write a Literal or a titled enum."""
    if isinstance(wanted, dict):
        return Annotated[Literal[tuple(wanted)], _Titles(wanted)]
    if isinstance(wanted, list) and wanted and all(isinstance(item, str) for item in wanted):
        return Literal[tuple(wanted)]
    if isinstance(wanted, list) and len(wanted) == 1 and isinstance(wanted[0], list | dict):
        return list[_choices(wanted[0])]  # type: ignore[misc]  # built from data, not written as a type
    return wanted


class _Titles:
    """The titles that people see in place of the bare choices."""

    def __init__(self, titles: Mapping[str, Any]) -> None:
        self._titles = {
            value: title.get("title", value) if isinstance(title, dict) else str(title)
            for value, title in titles.items()
        }

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> JsonObject:
        handler(core)
        return {"type": "string", "oneOf": [{"const": value, "title": title} for value, title in self._titles.items()]}


def _titled(schema: JsonObject, wanted: Any) -> JsonObject:
    """Enums whose member names differ from their values show the names."""
    if isinstance(wanted, type) and issubclass(wanted, Enum) and issubclass(wanted, str):
        return {"type": "string", "enum": [member.value for member in wanted]}
    if get_origin(wanted) is Literal:
        return {"type": "string", "enum": list(get_args(wanted))} if "enum" in schema or "const" in schema else schema
    return schema


def _boxed(schema: JsonObject) -> JsonObject:
    return {"type": "object", "properties": {"value": schema}, "required": ["value"]}


def _resolve(schema: Any, defs: Mapping[str, Any]) -> Any:
    """The schema with its local references written out: a form has no ``$defs``."""
    if isinstance(schema, list):
        return [_resolve(item, defs) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        target = defs.get(str(schema["$ref"]).removeprefix("#/$defs/"))
        if target is None:
            raise TypeError("a form can't ask for a recursive type; ask for a flat one")
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return {**_resolve(target, {}), **rest}
    return {key: _resolve(value, defs) for key, value in schema.items() if key != "$defs"}


def _flat_object(schema: JsonObject) -> JsonObject:
    fields = {name: _field(name, field) for name, field in schema["properties"].items()}
    form: JsonObject = {"type": "object", "properties": fields}
    if required := schema.get("required"):
        form["required"] = required
    return form


def _field(name: str, field: JsonObject) -> JsonObject:
    """One field, as the spec's primitive schema definitions allow it."""
    field = {key: value for key, value in _not_null(field).items() if key not in _DROPPED}
    if field.get("format") == "password" or field.get("writeOnly"):
        raise TypeError(
            f"a form can't ask for {name!r}: a secret must not pass through the client; use ctx.elicit_url"  # ELIC-08
        )
    if field.get("format", "date") not in _FORMATS:
        del field["format"]
    if "const" in field:
        field = {**field, "enum": [field["const"]]}
        del field["const"]
    if "enum" in field:
        field.setdefault("type", "string")
    if field.get("type") == "array":
        return _multi_select(name, field)
    if field.get("type") not in _FIELD_TYPES:
        raise TypeError(
            f"a form can't ask for {name!r} of type {field.get('type', 'any')}: "
            "use str, int, float, bool, Literal, Enum or a list of choices"
        )
    return field


def _not_null(field: JsonObject) -> JsonObject:
    """``X | None`` asks for X; being optional is said by ``required``."""
    options = [option for option in field.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) != 1:
        return field
    rest = {key: value for key, value in field.items() if key != "anyOf" and value is not None}
    return {**options[0], **rest}


def _multi_select(name: str, field: JsonObject) -> JsonObject:
    items = field.get("items", {})
    if "oneOf" in items:
        field = {**field, "items": {"anyOf": items["oneOf"]}}
    elif "enum" not in items and "anyOf" not in items:
        raise TypeError(f"a form can't ask for {name!r}: a list must be a list of choices (Literal or Enum)")
    field.pop("uniqueItems", None)
    return field

"""Tools' schemas as every model's endpoint takes them: what of JSON Schema OpenAI, Gemini, DeepSeek and vLLM share.

Servers write any JSON Schema, and one that an endpoint refuses makes every request fail. So a schema is rewritten: each
value has a type, each object properties, each array items; references are put in place; what has no place in the
common part is told in the description. Servers check arguments by their own schema all the same. What must never stand
here: names of tools, a request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from mcpkit.client.display import clean
from mcpkit.jsonrpc.messages import JsonObject

MOST_NODES: Final = 2_000
"""Schemas within one tool's; what would be more is told as any value."""
DEEPEST: Final = 16
LONGEST_DESCRIPTION: Final = 4_000
MOST_CHOICES: Final = 500
LONGEST_CHOICES: Final = 7_500
"""Characters of all the texts to choose from. OpenAI and Gemini refuse more."""
LARGEST_BOUND: Final = 2**53
TYPES: Final = ("string", "number", "integer", "boolean", "object", "array")
ALIASES: Final = {
    "str": "string",
    "text": "string",
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "bool": "boolean",
    "list": "array",
    "tuple": "array",
    "dict": "object",
    "map": "object",
}
FORMATS: Final = {"string": {"date-time", "enum"}, "number": {"float", "double"}, "integer": {"int32", "int64"}}
"""What Gemini takes; other formats are told."""
NUMBERS: Final = {
    "string": ("minLength", "maxLength"),
    "number": ("minimum", "maximum"),
    "integer": ("minimum", "maximum"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}
TOLD: Final = (
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "uniqueItems",
    "patternProperties",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
)
"""Keywords without a place in the common part whose meaning fits in the description."""
CHOICES: Final = ("anyOf", "oneOf")
KIND_OF: Final = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}


def parameters_of(schema: Any) -> JsonObject:
    """The schema of a tool's arguments: an object with properties, and no choice, reference or constant at its top."""
    writer = _Writer(schema)
    whole = writer.resolved(schema)
    top = writer.flattened({**whole, "type": "object"})
    return writer.object_of(top, 0, _Notes(top.get("description")))


class _Notes:
    """A description, and what is added to it."""

    def __init__(self, description: Any) -> None:
        self._parts = [clean(description, LONGEST_DESCRIPTION, lines=True)] if isinstance(description, str) else []

    def add(self, note: str) -> None:
        """Tell something that the schema itself can't."""
        self._parts.append(f"({clean(note, 500)})")

    def onto(self, made: JsonObject) -> JsonObject:
        """The schema with its description."""
        text = " ".join(part for part in self._parts if part)
        return {**made, "description": text} if text else made


class _Writer:
    """Rewrites one tool's schema; ``document`` is what its references point into."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._left = MOST_NODES
        self._own_id = str(document.get("$id", "")).removesuffix("#") if isinstance(document, Mapping) else ""
        self._named = _names_within(document)
        """Definitions by the ``$id`` or ``$anchor`` that they have."""

    # ── references and combinations ─────────────────────────────────────────────────────────────────────────────────

    def resolved(self, schema: Any, within: frozenset[str] = frozenset()) -> JsonObject:
        """A schema without ``$ref`` and ``allOf`` of its own; one that contains itself is any value there."""
        if not isinstance(schema, Mapping):
            return {}
        made = {name: value for name, value in schema.items() if name not in {"$ref", "allOf"}}
        made.setdefault(_WITHIN, within)
        reference = schema.get("$ref", schema.get("$dynamicRef"))
        if isinstance(reference, str):
            if reference in within or len(within) >= DEEPEST:
                return made
            target = self.resolved(self._target(unquote(reference)), within | {reference})
            made = _merged(target, {name: value for name, value in made.items() if name != _WITHIN})
        made = self._with_conditions(made)
        parts = schema.get("allOf")
        together: JsonObject = {}
        for part in parts if isinstance(parts, list) else ():
            self._left -= 1
            if self._left > 0:
                together = _merged(together, self.resolved(part, made[_WITHIN]))
        return _merged(together, made)

    def _with_conditions(self, schema: JsonObject) -> JsonObject:
        """The properties that some values of others allow, none of which is required; the condition is told."""
        dependent = schema.get("dependentSchemas", schema.get("dependencies"))
        parts = [schema.get(name) for name in ("if", "then", "else")]
        parts += dependent.values() if isinstance(dependent, Mapping) else []
        properties: JsonObject = {}
        for part in parts:
            self._left -= 1
            if isinstance(part, Mapping) and self._left > 0:
                found = _properties(self.resolved(part, schema[_WITHIN]))
                properties.update({name: value for name, value in found.items() if not _is_constant(value)})
        if not properties:
            return schema
        return {**schema, "properties": {**properties, **_properties(schema)}}

    def _target(self, reference: str) -> Any:
        """What a reference within the document points to; nothing else is looked at, least of all a URL."""
        base, _, pointer = reference.partition("#")
        value = self._document if base in {"", self._own_id} else self._named.get(base)
        if pointer and not pointer.startswith("/"):
            return self._named.get(f"#{pointer}")
        for step in pointer.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(value, list) and name.isdigit() and int(name[:6]) < len(value):
                value = value[int(name[:6])]
            else:
                value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def flattened(self, schema: JsonObject) -> JsonObject:
        """An object whose choices are put into one: all their properties, of which those that all want are required."""
        for keyword in CHOICES:
            branches = self._branches(schema.pop(keyword, None), schema)
            if not branches:
                continue
            properties: JsonObject = {}
            for branch in branches:
                for name, value in _properties(branch).items():
                    known = properties.get(name)
                    both = {"anyOf": [known, value], _WITHIN: schema[_WITHIN]}
                    properties[name] = value if known is None or known == value else both
            wanted = [_required(branch) for branch in branches]
            common = [name for name in wanted[0] if all(name in others for others in wanted)]
            merged = {**properties, **_properties(schema)}
            schema = {**schema, "properties": merged, "required": [*_required(schema), *common]}
            sets = [", ".join(names) for names in wanted if names]
            if len({*sets}) > 1:
                note = f"Give one of these sets: {'; '.join(dict.fromkeys(sets))}"
                schema["description"] = " ".join(
                    part for part in (schema.get("description"), note) if isinstance(part, str)
                )
        return schema

    def _branches(self, choices: Any, schema: JsonObject) -> list[JsonObject]:
        found = choices if isinstance(choices, list) else []
        made = []
        for choice in found:
            self._left -= 1
            if self._left > 0 and choice is not False:
                made.append(self.flattened(self.resolved(choice, schema[_WITHIN])))
        return made

    # ── one schema ──────────────────────────────────────────────────────────────────────────────────────────────────

    def written(self, schema: Any, within: frozenset[str], depth: int) -> JsonObject:
        """Any schema but the top one."""
        self._left -= 1
        if self._left <= 0 or depth > DEEPEST:
            return {"type": "string"}
        whole = self.resolved(schema, within)
        notes = _Notes(whole.get("description", whole.get("title")))
        if "const" in whole:
            whole["enum"] = [whole.pop("const")]
        choices = self._choices(whole)
        if not choices:
            return notes.onto(_any_value())
        if len(choices) == 1:
            return self._typed(*choices[0], depth, notes)
        made = [self._typed(kind, choice, depth + 1, _Notes(None)) for kind, choice in choices]
        return _combined(made, notes)

    def _choices(self, schema: JsonObject) -> list[tuple[str, JsonObject]]:
        """The types that a value may have, each with what is said of it; null can be left out instead."""
        for keyword in CHOICES:
            branches = schema.get(keyword)
            if isinstance(branches, list) and branches:
                return self._of_branches(schema, keyword, branches)
        return [(kind, schema) for kind in _kinds(schema)]

    def _of_branches(self, schema: JsonObject, keyword: str, branches: list[Any]) -> list[tuple[str, JsonObject]]:
        base = {name: value for name, value in schema.items() if name not in {keyword, "description", "title"}}
        if _properties(base):  # its choices say no more than which properties go together
            return [("object", self.flattened(schema))]
        found: list[tuple[str, JsonObject]] = []
        for branch in branches:
            self._left -= 1
            if self._left > 0 and branch is not False:
                own = self.resolved(branch, schema[_WITHIN])
                if "const" in own:
                    own["enum"] = [own.pop("const")]
                found += self._choices(_merged(base, own))
        return found

    def _typed(self, kind: str, schema: JsonObject, depth: int, notes: _Notes) -> JsonObject:
        if kind == "object":
            return self.object_of(self.flattened(schema), depth, notes)
        made: JsonObject = {"type": kind}
        _add_choices_of_values(made, schema, notes)
        if kind == "array":
            made["items"] = self._items(schema, depth)
        _add_bounds(made, schema, notes)
        return notes.onto(made)

    def _items(self, schema: JsonObject, depth: int) -> JsonObject:
        items = schema.get("prefixItems", schema.get("items"))
        several = items if isinstance(items, list) else [items]
        made = [self.written(item, schema[_WITHIN], depth + 1) for item in several if item is not None]
        return _combined(made, _Notes(None)) if made else _any_value()

    def object_of(self, schema: JsonObject, depth: int, notes: _Notes) -> JsonObject:
        """An object; what each property means stays with it."""
        properties: JsonObject = {}
        required = _required(schema)
        for name, value in _properties(schema).items():
            if value is False or not name:  # no endpoint takes an empty name
                continue
            properties[name] = self.written(value, schema[_WITHIN], depth + 1)
            if isinstance(value, Mapping) and value.get("required") is True:  # as JSON Schema had it long ago
                required.append(name)
        made: JsonObject = {"type": "object", "properties": properties}
        wanted = [name for name in dict.fromkeys(required) if name in properties]
        if wanted:
            made["required"] = wanted
        more = schema.get("additionalProperties")
        if isinstance(more, Mapping) and more:
            kinds = _kinds(self.resolved(more, schema[_WITHIN]))
            notes.add(f"further names are allowed, each with a value of type {' or '.join(kinds) or 'any'}")
        _add_bounds(made, schema, notes)
        return notes.onto(made)


def _names_within(document: Any) -> JsonObject:
    """The definitions of a document by their own names: an ``$id`` as it is written, an anchor after ``#``."""
    named: JsonObject = {}
    for keyword in ("$defs", "definitions"):
        found = document.get(keyword) if isinstance(document, Mapping) else None
        for one in found.values() if isinstance(found, Mapping) else ():
            if isinstance(one, Mapping):
                named.update({one[name]: one for name in ("$id", "id") if isinstance(one.get(name), str)})
                anchors = (one.get(name) for name in ("$anchor", "$dynamicAnchor"))
                named.update({f"#{anchor}": one for anchor in anchors if isinstance(anchor, str)})
    return named


_WITHIN: Final = "\0within"
"""The references that have led to a schema; no keyword can be called so."""


def _merged(one: JsonObject, other: JsonObject) -> JsonObject:
    """A schema that says what both say; where they contradict each other, the second wins."""
    made = {**one, **other}
    if _WITHIN in one and _WITHIN in other:
        made[_WITHIN] = one[_WITHIN] | other[_WITHIN]
    if isinstance(one.get("properties"), Mapping) and isinstance(other.get("properties"), Mapping):
        made["properties"] = {**one["properties"], **other["properties"]}
    if isinstance(one.get("required"), list) and isinstance(other.get("required"), list):
        made["required"] = [*one["required"], *other["required"]]
    return made


def _properties(schema: Mapping[str, Any]) -> JsonObject:
    properties = schema.get("properties")
    return dict(properties) if isinstance(properties, Mapping) else {}


def _required(schema: Mapping[str, Any]) -> list[str]:
    required = schema.get("required")
    return [name for name in required if isinstance(name, str)] if isinstance(required, list) else []


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    """The types that a schema names, or that what it says is of; none for any value."""
    said = schema.get("type")
    names = said if isinstance(said, list) else [said]
    plain = [name.lower() for name in names if isinstance(name, str)]
    kinds = [ALIASES.get(name, name) for name in plain]
    known = [kind for kind in dict.fromkeys(kinds) if kind in TYPES]
    if known or (kinds and set(kinds) == {"null"}):
        return known or ["string"]
    values = schema.get("enum")
    if isinstance(values, list) and values:
        found = [KIND_OF[type(value)] for value in values if type(value) in KIND_OF]
        return list(dict.fromkeys(found))
    for kind, signs in (("object", ("properties",)), ("array", ("items", "prefixItems"))):
        if any(schema.get(sign) is not None for sign in signs):
            return [kind]
    signs_of = {sign: kind for kind in ("string", "array", "object") for sign in NUMBERS[kind]}
    return next(([kind] for sign, kind in signs_of.items() if sign in schema), [])


def _any_value() -> JsonObject:
    """What stands for any value: no endpoint takes a schema that says nothing."""
    plain: list[JsonObject] = [{"type": kind} for kind in ("string", "number", "boolean")]
    return {
        "anyOf": [
            *plain,
            {"type": "object", "properties": {}},
            {"type": "array", "items": {"type": "string"}},
        ]
    }


def _combined(made: list[JsonObject], notes: _Notes) -> JsonObject:
    """One of several schemas; those that are texts to choose from become one."""
    flat: list[JsonObject] = []
    for one in made:
        flat += one["anyOf"] if one.keys() == {"anyOf"} else [one]
    unique = [one for number, one in enumerate(flat) if one not in flat[:number]]
    if len(unique) == 1:
        (only,) = unique
        return notes.onto(only) if "description" not in only else only
    if all(one.keys() == {"type", "enum"} for one in unique):
        return notes.onto({"type": "string", "enum": list(dict.fromkeys(v for one in unique for v in one["enum"]))})
    return notes.onto({"anyOf": unique})


def _add_choices_of_values(made: JsonObject, schema: JsonObject, notes: _Notes) -> None:
    """Texts to choose from; Gemini takes no other values, nor an empty text, so these are told."""
    values = schema.get("enum")
    if not isinstance(values, list) or not values:
        return
    fitting = [value for value in values if KIND_OF.get(type(value)) == made["type"]]
    texts = list(dict.fromkeys(value for value in fitting if isinstance(value, str) and value))
    few = len(texts) <= MOST_CHOICES and sum(map(len, texts)) <= LONGEST_CHOICES
    if texts and few and len(texts) == len({*map(str, fitting)}):
        made["enum"] = texts
    elif fitting:
        shown = ", ".join(json.dumps(value, ensure_ascii=False) for value in fitting[:100])
        notes.add(f"one of {shown}{f' and {len(fitting) - 100} more' if len(fitting) > 100 else ''}")


def _add_bounds(made: JsonObject, schema: JsonObject, notes: _Notes) -> None:
    kind = made["type"]
    for name in NUMBERS.get(kind, ()):
        bound = _bound(schema.get(name), whole=kind not in {"number"})
        if bound is not None and (bound >= 0 or name in {"minimum", "maximum"}):
            made[name] = bound
    _drop_contradiction(made)
    if isinstance(schema.get("format"), str):
        if schema["format"] in FORMATS.get(kind, ()):
            made["format"] = schema["format"]
        else:
            notes.add(f"format: {schema['format']}")
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and kind == "string":
        if _plain(pattern):
            made["pattern"] = pattern
        else:
            notes.add(f"pattern: {pattern}")
    for name in TOLD:
        if schema.get(name) not in (None, False, {}):
            notes.add(f"{name}: {json.dumps(schema[name], ensure_ascii=False, default=str)}")
    default = schema.get("default")
    if KIND_OF.get(type(default)) == kind and default in made.get("enum", [default]):
        made["default"] = default


def _bound(value: Any, *, whole: bool) -> int | float | None:
    """A bound that every endpoint can hold; None for any other."""
    if type(value) is float and value.is_integer() and whole:
        value = int(value)
    kinds = (int,) if whole else (int, float)
    return value if type(value) in kinds and abs(value) < LARGEST_BOUND else None


def _drop_contradiction(made: JsonObject) -> None:
    for least, most in (names for names in NUMBERS.values()):
        if least in made and most in made and made[least] > made[most]:
            del made[least], made[most]


def _is_constant(value: Any) -> bool:
    """What a condition compares a property with; it says nothing of what the property is."""
    return not isinstance(value, Mapping) or not any(name in value for name in ("type", "properties", "$ref", *CHOICES))


def _plain(pattern: str) -> bool:
    """Whether every engine takes a pattern: one without looking around, or back."""
    if re.search(r"\(\?(?!:)|\\[1-9pPkuAZzbB]", pattern):
        return False
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return True

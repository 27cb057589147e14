"""The front matter of a ``SKILL.md``: YAML of version 1.2's core, read strictly, as the JSON that clients compare.

Clients parse the same bytes with other YAML libraries and compare field by field, so what two libraries may read
differently (dates, ``yes``, octal numbers) is read as YAML 1.2 says, and what JSON lacks is refused. What must never
stand here: files.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Any, ClassVar, Final

import yaml  # type: ignore[import-untyped]  # it ships no types

from mcpkit.jsonrpc.messages import JsonObject

NAME: Final = re.compile(r"(?!.*--)[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", re.ASCII)
"""Agent Skills: 1 to 64 lower-case letters, digits and single hyphens, none at the ends."""
LONGEST_DESCRIPTION: Final = 1024
_BLOCK: Final = re.compile(r"---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


class FrontmatterError(ValueError):
    """The front matter is missing, is no YAML mapping, or breaks a rule of Agent Skills; the message says which."""


def read_frontmatter(text: str) -> JsonObject:
    """The front matter at the head of a ``SKILL.md``, every field as its author wrote it.

    Raises: FrontmatterError.
    """
    block = _BLOCK.match(text)
    if block is None:
        raise FrontmatterError("it must begin with YAML front matter between two lines of ---")
    try:
        fields = yaml.load(block[1], _Core)  # a safe loader, with fewer types than SafeLoader
    except (yaml.YAMLError, ValueError, LookupError, RecursionError) as error:
        raise FrontmatterError(f"its front matter is not usable YAML: {_told(error)}") from None
    if not isinstance(fields, dict):
        raise FrontmatterError("its front matter must be a mapping with name and description")
    _check(fields)
    return fields


def _check(fields: JsonObject) -> None:
    name, description = fields.get("name"), fields.get("description")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise FrontmatterError("name must be 1 to 64 lower-case letters, digits and single hyphens, as in pdf-forms")
    if not isinstance(description, str) or not 0 < len(description.strip()) <= LONGEST_DESCRIPTION:
        raise FrontmatterError(f"description must be a text of at most {LONGEST_DESCRIPTION} characters")


def _told(error: Exception) -> str:
    problem = getattr(error, "problem", None) or "it has values that can't be read"
    mark = getattr(error, "problem_mark", None)
    return f"{problem} (line {mark.line + 2})" if mark is not None else str(problem)


class _Core(yaml.SafeLoader):  # type: ignore[misc]  # untyped, as above
    """YAML's JSON-like part: strings, numbers, true, false, null, lists, mappings with string keys."""

    yaml_implicit_resolvers: ClassVar[Any] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """No aliases: they make small files large."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Keys are strings, and each stands once."""
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.constructor.ConstructorError(None, None, "keys must be texts", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _refuse(loader: Any, suffix: Any, node: Any = None) -> Any:
    node = node or suffix
    raise yaml.constructor.ConstructorError(None, None, f"the tag {node.tag} has no JSON form", node.start_mark)


def _int(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node)
    return int(text, 0) if text.startswith(("0x", "0o")) else int(text)


def _float(loader: Any, node: Any) -> Any:
    number = float(loader.construct_scalar(node).replace(".inf", "inf").replace(".nan", "nan"))
    return number if isfinite(number) else _refuse(loader, node)


_RESOLVERS: Final = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", list("-+0123456789.")),
}
for _kind, (_pattern, _first) in _RESOLVERS.items():
    _Core.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"(?:{_pattern})\Z"), _first)
_Core.add_constructor("tag:yaml.org,2002:int", _int)
_Core.add_constructor("tag:yaml.org,2002:float", _float)
for _kind in ("timestamp", "binary", "set", "omap", "pairs"):
    _Core.add_constructor(f"tag:yaml.org,2002:{_kind}", _refuse)
_Core.add_multi_constructor("!", _refuse)

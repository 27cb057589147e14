"""A docstring, read: what the function is for, and a line for each parameter.

Google, NumPy and Sphinx style, or plain prose. What must never stand here: how a description is published.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_PARAMETERS: Final = frozenset({"args", "arguments", "parameters", "params", "other parameters", "keyword args"})
_DROPPED: Final = frozenset({"raises", "yields", "attributes", "warns", "see also", "references", "todo"})
_RETURNS: Final = frozenset({"returns", "return"})
_SECTIONS: Final = _PARAMETERS | _DROPPED | _RETURNS | {"example", "examples", "note", "notes", "warning", "warnings"}

_GOOGLE_HEAD: Final = re.compile(r"([A-Za-z][A-Za-z ]{0,30}):")
_GOOGLE_ITEM: Final = re.compile(r"\*{0,2}(\w+)\s*(?:\(.*?\))?\s*:\s*(.*)")
_NUMPY_ITEM: Final = re.compile(r"\*{0,2}(\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?")
_FIELD: Final = re.compile(r":(\w+)(?:\s+([^:]*))?:\s*(.*)")


@dataclass(frozen=True, slots=True)
class Docstring:
    """What a docstring says, without what is said elsewhere: parameters have their own descriptions."""

    description: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


def read_docstring(text: str | None) -> Docstring:
    """Take a docstring apart; ``None`` is an empty one."""
    if not text:
        return Docstring()
    prose: list[str] = []
    parameters: dict[str, str] = {}
    for section in _sections(inspect.cleandoc(text).split("\n")):
        if section.title in _PARAMETERS:
            parameters.update(_items(section))
        elif section.title in _RETURNS:
            prose += ["", f"Returns: {_joined(section.body)}"]
        elif section.title not in _DROPPED:
            prose += [*([f"{section.title.capitalize()}:"] if section.title else []), *section.body]
    prose, fields = _without_fields(prose)
    return Docstring(re.sub(r"\n{3,}", "\n\n", "\n".join(prose)).strip(), {**parameters, **fields})


@dataclass(slots=True)
class _Section:
    title: str = ""
    underlined: bool = False
    """NumPy style: headings are underlined, names stand on lines of their own."""
    body: list[str] = field(default_factory=list)


def _sections(lines: list[str]) -> Iterator[_Section]:
    """The sections with their titles in lower case; what comes before the first one has none."""
    section, index = _Section(), 0
    while index < len(lines):
        head = _head(lines, index)
        if head is None:
            section.body.append(lines[index])
            index += 1
        else:
            yield section
            section = head
            index += 2 if head.underlined else 1
    yield section


def _head(lines: list[str], index: int) -> _Section | None:
    """The section that begins at this line, if one does."""
    line = lines[index].rstrip()
    below = lines[index + 1] if index + 1 < len(lines) else ""
    name = line.strip().lower()
    if name in _SECTIONS and re.fullmatch(r"\s*(-{3,}|={3,})\s*", below):
        return _Section(name, underlined=True)
    match = _GOOGLE_HEAD.fullmatch(line)
    if match and match[1].lower() in _SECTIONS and (not below.strip() or below.startswith((" ", "\t"))):
        return _Section(match[1].lower())
    return None


def _items(section: _Section) -> dict[str, str]:
    """Names and their descriptions: the least indented lines name, the deeper ones go on."""
    filled = [line for line in section.body if line.strip()]
    least = min((_indent(line) for line in filled), default=0)
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in filled:
        if _indent(line) > least:
            for name in names:
                found[name].append(line.strip())
            continue
        names, first = _named(line.strip(), section.underlined)
        found.update({name: [first] if first else [] for name in names})
    return {name: " ".join(texts) for name, texts in found.items() if texts}


def _named(line: str, underlined: bool) -> tuple[list[str], str]:
    """The names that a line describes, and what it says of them already."""
    match = (_NUMPY_ITEM if underlined else _GOOGLE_ITEM).fullmatch(line)
    if match is None:
        return [], ""
    return [name.strip().lstrip("*") for name in match[1].split(",")], "" if underlined else match[2]


def _without_fields(lines: list[str]) -> tuple[list[str], dict[str, str]]:
    """Sphinx fields (``:param a: …``) out of the prose."""
    prose: list[str] = []
    fields: dict[str, str] = {}
    current: str | None = None
    inside = False
    for line in lines:
        match = _FIELD.fullmatch(line.strip())
        if match:
            inside, current = True, None
            if match[1] in {"param", "parameter", "arg", "argument", "key", "keyword"} and match[2]:
                current = match[2].split()[-1].lstrip("*")
                fields[current] = match[3]
            elif match[1] in _RETURNS and match[3]:
                prose += ["", f"Returns: {match[3]}"]
        elif inside and line.startswith((" ", "\t")):
            if current is not None:
                fields[current] = f"{fields[current]} {line.strip()}".strip()
        else:
            inside = False
            prose.append(line)
    return prose, {name: text for name, text in fields.items() if text}


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())

"""The values of options: what each may be, checked when something is registered, never when it is used.

What must never stand here: which options there are, what an option does.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeAlias

from mcpkit.features.errors import RegistrationError
from mcpkit.features.suggestions import clipped, nearest

Check: TypeAlias = Callable[[Any], str | None]
"""From a value to what is accepted instead; None where the value is fine."""


def check_values(
    what: str, options: Mapping[str, Any], checks: Mapping[str, Check], required: Collection[str] = ()
) -> None:
    """Check the value of every option; None is no value, and fine unless the option is ``required``.

    Raises: RegistrationError, naming the option, its value and what is accepted.
    """
    for name, value in options.items():
        check = checks.get(name)
        accepted = check(value) if check is not None and (value is not None or name in required) else None
        if accepted is not None:
            raise RegistrationError(f"{what}: {name} must be {accepted}, not {clipped(repr(value))}")


def text(value: Any) -> str | None:
    """A text that is not empty."""
    return None if isinstance(value, str) and value else "a text"


def any_text(value: Any) -> str | None:
    """A text, which may be empty."""
    return None if isinstance(value, str) else "a text"


def flag(value: Any) -> str | None:
    """True or False, nothing that merely counts as one."""
    return None if isinstance(value, bool) else "True or False"


def seconds(value: Any) -> str | None:
    """A length of time; 0 is for ever."""
    fine = _is_number(value) and value >= 0
    return None if fine else "a number of seconds, 0 or more (0: no limit)"


def more_seconds(value: Any) -> str | None:
    """A length of time that is more than none."""
    fine = _is_number(value) and value > 0
    return None if fine else "a number of seconds, more than 0, as 60"


def at_least(least: int) -> Check:
    """A whole number that is large enough."""

    def check(value: Any) -> str | None:
        fine = isinstance(value, int) and not isinstance(value, bool) and value >= least
        return None if fine else f"a whole number, {least} or more"

    return check


def one_of(*choices: str) -> Check:
    """One of these texts."""
    accepted = f"one of {', '.join(map(repr, choices))}"
    return lambda value: None if isinstance(value, str) and value in choices else accepted


def texts(value: Any) -> str | None:
    """Several texts: a single one would be read letter by letter."""
    fine = isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping)
    return None if fine and all(isinstance(each, str) and each for each in value) else 'a list of texts, as ["read"]'


def several(value: Any) -> str | None:
    """Several texts, of which some may be empty."""
    fine = isinstance(value, Collection) and not isinstance(value, str | bytes)
    return None if fine and all(isinstance(each, str) for each in value) else "a list of texts"


def items(value: Any) -> str | None:
    """Several things in order, and not one text."""
    fine = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return None if fine else "a list"


def mapping(value: Any) -> str | None:
    """A dict or the like."""
    return None if isinstance(value, Mapping) else "a dict"


def synchronous(value: Any) -> str | None:
    """A function that answers at once: the coroutine of an async one would always count as true."""
    call = getattr(type(value), "__call__", None)  # noqa: B004 - an object may be called by an async method
    fine = callable(value) and not inspect.iscoroutinefunction(value) and not inspect.iscoroutinefunction(call)
    return None if fine else "a function that is not async"


def function(value: Any) -> str | None:
    """Anything that can be called."""
    return None if callable(value) else "a function"


def mime_type(value: Any) -> str | None:
    """A media type, as HTTP writes it."""
    kind, slash, subtype = value.partition("/") if isinstance(value, str) else ("", "", "")
    fine = kind and slash and subtype and value.isprintable() and " " not in kind + subtype.partition(";")[0].strip()
    return None if fine else "a media type, as 'text/plain'"


def tool_hints(value: Any) -> str | None:
    """What a tool says of itself, under the specification's names."""
    return _members(value, _TOOL_HINTS)


def annotated(value: Any) -> str | None:
    """For whom something is, how much it matters, when it changed: under the specification's names."""
    return _members(value, _ANNOTATIONS)


def audience(value: Any) -> str | None:
    """Roles; a single text would be read letter by letter."""
    fine = isinstance(value, list | tuple) and all(each in ("user", "assistant") for each in value)
    return None if fine else 'a list of "user" and "assistant"'


def importance(value: Any) -> str | None:
    """A number from 0 to 1."""
    return None if _is_number(value) and 0 <= value <= 1 else "a number from 0 to 1"


def _members(value: Any, known: Mapping[str, Check]) -> str | None:
    to_wire = getattr(value, "to_wire", None)
    wire = to_wire() if callable(to_wire) else value
    if not isinstance(wire, Mapping):
        return f"a dict with {', '.join(known)}"
    for name, member in wire.items():
        if name not in known:
            near = nearest(str(name), known)
            return f"a dict of {', '.join(known)}{f' (did you mean {near!r}?)' if near else ''}"
        accepted = known[name](member) if member is not None else None
        if accepted is not None:
            return f"with {accepted} as {name}"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_TOOL_HINTS: Final[Mapping[str, Check]] = {
    "title": any_text,
    **dict.fromkeys(("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"), flag),
}
_ANNOTATIONS: Final[Mapping[str, Check]] = {
    "audience": audience,
    "priority": importance,
    "lastModified": text,
}
COMMON: Final[Mapping[str, Check]] = {
    "name": text,
    "title": any_text,
    "description": any_text,
    "icons": items,
    "meta": mapping,
    "tags": texts,
    "enabled": flag,
    "visible": synchronous,
    "scopes": texts,
    "timeout": seconds,
    "concurrency": at_least(1),
    "inline": flag,
    "ttl_ms": at_least(0),
    "cache_scope": one_of("public", "private"),
}
"""What holds for the options of every feature."""
TOOL: Final[Mapping[str, Check]] = {
    **COMMON,
    "annotations": tool_hints,
    "input_schema": mapping,
    "output_schema": mapping,
    "structured_output": flag,
    "cache": more_seconds,
    "task": one_of("optional", "required", "forbidden"),
}
RESOURCE: Final[Mapping[str, Check]] = {
    **COMMON,
    "mime_type": mime_type,
    "annotations": annotated,
    "size": at_least(0),
    "completions": mapping,
}
PROMPT: Final[Mapping[str, Check]] = {**COMMON, "completions": mapping}

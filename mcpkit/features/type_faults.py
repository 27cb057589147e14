"""Why a type has no schema, said to its author: which class, in which file and line, and what to do.

Loaded only when something is wrong. What must never stand here: a library's own words for it.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from types import SimpleNamespace, UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaError
from typing_extensions import is_typeddict  # which knows the standard library's too


def fault_of(annotation: Any, error: Exception) -> str:
    """What is wrong with a type that ``error`` says has no schema, and the fix."""
    classes = list(_classes(annotation))
    for kind in classes:
        for base, field, name in _missing(kind):
            return (
                f"refers to {name!r}, which is not defined yet, in {field!r} of {place_of(base)}: offer the function "
                f"after {name} is defined, and import it outside of `if TYPE_CHECKING:`"
            )
    if is_undefined(error):
        unfinished = next((kind for kind in classes if not getattr(kind, "__pydantic_complete__", True)), None)
        if unfinished is not None:
            return (
                f"needs {place_of(unfinished)}, which is not fully defined: call {unfinished.__name__}.model_rebuild() "
                "once everything that it refers to is defined"
            )
    if getattr(error, "code", "") == "typed-dict-version":
        return "has a typing.TypedDict: import TypedDict from typing_extensions on Python below 3.12"
    for kind in classes:
        if not _has_schema(kind):
            return (
                f"holds {place_of(kind)}, which has no JSON form: make it a dataclass, a TypedDict or a pydantic "
                "model, or use a type that JSON has"
            )
    words = str(error).strip().split("\n")[-1 if isinstance(error, SchemaError) else 0].removeprefix("error: ")
    if not isinstance(error, PydanticUserError) and words:  # about a default, a pattern, a limit
        return f"can't be described in JSON Schema: {words}"
    return f"is {inspect.formatannotation(annotation)}, which has no JSON form: use a type that JSON has"


def is_undefined(error: Exception) -> bool:
    """Whether a class refers to something that isn't there yet."""
    return isinstance(error, NameError) or getattr(error, "code", "") == "class-not-fully-defined"


def place_of(kind: type) -> str:
    """A class with its file and line, as far as they are known."""
    name = f"class {kind.__qualname__.rpartition('<locals>.')[2]}"
    try:
        file, line = inspect.getsourcefile(kind), inspect.getsourcelines(kind)[1]
    except (OSError, TypeError):  # made at run time, or in C
        return f"{name} of {kind.__module__}" if kind.__module__ not in ("builtins", "__main__") else name
    path = Path(str(file))
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return f"{name} ({path}:{line})"


def _classes(annotation: Any, seen: set[Any] | None = None) -> Iterator[type]:
    """The classes that a type is made of, those of their fields too."""
    seen = set() if seen is None else seen
    annotation = getattr(annotation, "__value__", annotation)  # a `type` statement's alias
    origin = get_origin(annotation)
    parts = get_args(annotation)[:1] if origin is Annotated else () if origin is Literal else get_args(annotation)
    for part in parts:
        yield from _classes(part, seen)
    kind = origin or annotation
    if not isinstance(kind, type) or kind in (Annotated, UnionType) or kind in seen:
        return
    seen.add(kind)
    yield kind
    for _, _, field in _fields(kind):
        if not isinstance(field, NameError):
            yield from _classes(field, seen)


def _missing(kind: type) -> Iterator[tuple[type, str, str]]:
    """The fields of a class that refer to a name which isn't there: where each is declared, and that name."""
    for base, field, found in _fields(kind):
        if isinstance(found, NameError):
            yield base, field, found.name or str(found)


def _fields(kind: type) -> Iterator[tuple[type, str, Any]]:
    """The annotated fields of a class that has some, as types, and the class that declares each.

    In place of a type that can't be found stands the NameError.
    """
    if not (issubclass(kind, BaseModel) or is_dataclass(kind) or is_typeddict(kind) or hasattr(kind, "_fields")):
        return
    for base in reversed(kind.__mro__):
        if base.__module__.partition(".")[0] in {"pydantic", "builtins", "typing"}:
            continue
        for field, written in vars(base).get("__annotations__", {}).items():
            yield base, field, _evaluated(base, field, written)


def _evaluated(base: type, field: str, written: Any) -> Any:
    names = {**vars(inspect.getmodule(base) or SimpleNamespace()), base.__name__: base}
    try:
        hints = typing.get_type_hints(
            SimpleNamespace(__annotations__={field: written}), names, _local_names(base), include_extras=True
        )
    except NameError as error:
        return error
    except Exception:  # whatever else is wrong with it, this is not what we look for
        return written
    return hints[field]


def _local_names(base: type) -> Mapping[str, Any]:
    """The names of the function in which a pydantic model was made."""
    names = getattr(base, "__pydantic_parent_namespace__", None) or {}
    return {name: value() if type(value).__name__ == "_PydanticWeakRef" else value for name, value in names.items()}


def _has_schema(kind: type) -> bool:
    try:
        TypeAdapter(kind)
    except PydanticUserError:  # with its kin
        return False
    except (TypeError, ValueError, NameError):
        return True
    return True

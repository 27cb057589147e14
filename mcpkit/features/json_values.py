"""Which values have a JSON form, and what is told of those that have none: where they are, what they are, the fix.

A value that is plain JSON costs one look of a fast writer; only what that stumbles over is walked through. What must
never stand here: a schema, a declaration, a value on the wire.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from math import isfinite, isnan
from types import CoroutineType, ModuleType
from typing import Any, Final, TypeAlias

from mcpkit.features.errors import BadReturn
from mcpkit.features.plain import came_from
from mcpkit.features.problems import path_of
from mcpkit.jsonrpc.codec import encode

Path: TypeAlias = tuple[str | int, ...]

BYTES: Final = (bytes, bytearray, memoryview)
DEEPEST: Final = 200
"""Containers within one another that are sent."""
BYTES_FIX: Final = "return File(data, name=…), Image(data) or Audio(data), or decode() a text"
_PLAIN: Final = (str, bool, int, type(None))
_FINITE: Final = json.JSONEncoder(allow_nan=False, check_circular=False, skipkeys=True)


def check_json(value: Any) -> None:
    """Check that a value has a JSON form, with nothing lost: NaN is not null, bytes are no text.

    Raises: BadReturn, which says where, what and how to mend it.
    """
    if type(value) in _PLAIN or (type(value) is float and isfinite(value)):
        return
    try:
        written = encode(value)
    except (TypeError, ValueError, RecursionError):
        pass
    else:
        if b"null" not in written or is_finite(value):
            return
    fault = fault_of(value)
    if fault is not None:
        raise fault


def is_finite(value: Any) -> bool:
    """Whether a value is plain JSON without NaN and infinity; False where only a walk can tell."""
    try:
        _FINITE.encode(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def fault_of(value: Any, *, numbers_only: bool = False) -> BadReturn | None:
    """What keeps a value from having a JSON form; None where nothing is found. Forgotten coroutines are closed.

    ``numbers_only`` looks for NaN and infinity alone.
    """
    found: tuple[Path, str] | None = None
    for path, fault, part in _faults(value, (), ()):
        if isinstance(part, CoroutineType):
            part.close()  # else Python warns that it was never awaited, wherever its last reference ends
        if found is None and (not numbers_only or isinstance(part, float)):
            found = path, fault
    if found is None:
        return None
    return _bad_return(*found)


def check_kept(data: Any, written: Any) -> None:
    """Check that nothing of ``data`` was lost when it became the JSON value ``written``: no key, no byte.

    ``data`` is what pydantic dumps for Python, ``written`` what it dumps for JSON. Raises: BadReturn.
    """
    try:
        encode(data)
    except (TypeError, ValueError, RecursionError):
        found = next(_losses(data, written, ()), None)
        if found is not None:
            raise _bad_return(*found) from None


def fix_for(kind: type) -> str | None:
    """What to return instead of values of a type that has no JSON form; None where that is not known."""
    if issubclass(kind, BYTES):
        return BYTES_FIX
    if issubclass(kind, BaseException):
        return "raise it"
    if issubclass(kind, range):
        return "return list(…) of it"
    if issubclass(kind, AsyncIterable):
        return "return [item async for item in …]"
    call = next((call for method, call in _CONVERTERS if callable(getattr(kind, method, None))), None)
    return f"return its {call}" if call else None


def name_of(kind: type) -> str:
    """A class's name, with its module where that is a library's."""
    name = kind.__qualname__.rpartition("<locals>.")[2]
    return name if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__.partition('.')[0]}.{name}"


_CONVERTERS: Final = (
    ("tolist", ".tolist()"),
    ("to_dicts", ".to_dicts()"),
    ("to_dict", '.to_dict(), or .to_dict("records") of a table'),
)


def _faults(
    value: Any, path: Path, above: tuple[int, ...], *, bytes_written: bool = False
) -> Iterator[tuple[Path, str, Any]]:
    """Every part without a JSON form: where, in which words (with a gap for the place), and the part.

    ``bytes_written``: the model around it knows how to write bytes.
    """
    if bytes_written and isinstance(value, BYTES):
        return
    parts = _parts(value)
    if isinstance(value, str | float):
        words = _scalar_fault(value)
        if words is not None:
            yield path, words, value
    elif type(value) in _PLAIN:
        return
    elif parts is None:
        words = _leaf_fault(value)
        if words is not None:
            yield path, words, value
    elif id(value) in above:
        yield path, f"a {name_of(type(value))} that holds itself{{place}}: return one without the circle", value
    elif len(above) == DEEPEST:
        yield path[:8], f"something nested more than {DEEPEST} deep{{place}}: return something flatter", value
    else:
        yield from _faults_within(value, parts, path, (*above, id(value)), bytes_written)


def _faults_within(
    value: Any, parts: Iterator[tuple[str | int, Any]], path: Path, above: tuple[int, ...], bytes_written: bool
) -> Iterator[tuple[Path, str, Any]]:
    """The faults of a container itself, then those of its parts."""
    words = _collision(value) if isinstance(value, Mapping) else None
    if words is not None:
        yield path, words, value
    if not bytes_written and came_from("pydantic", "BaseModel", value):
        losses = _losses_of(value, path)
        bytes_written = losses is not None
        yield from ((*found, value) for found in losses or ())
    for key, part in parts:
        if isinstance(key, str) and not _is_sound(key):
            yield path, "a key{place} with half a surrogate pair, which JSON does not have", key
        yield from _faults(part, (*path, key), above, bytes_written=bytes_written)
    yield from ((path, words, value) for words in _container_faults(value))


def _bad_return(path: Path, words: str) -> BadReturn:
    """The error for a fault that is told by ``words``, which have a gap for its place."""
    text = f"it returned {words.format(place=f' at {path_of(path)}' if path else '')}"
    return BadReturn(text, text)


def _losses(data: Any, written: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Each place at which JSON has less than the data: equal keys, bytes as a text."""
    if isinstance(data, BYTES):
        if isinstance(written, str) and bytes(data) == written.encode(errors="replace"):
            yield path, _leaf_fault(data) or ""
    elif isinstance(data, Mapping):
        words = _collision(data)
        if words is not None:
            yield path, words
        elif isinstance(written, dict) and len(written) == len(data):
            for (key, part), text in zip(data.items(), written.values(), strict=True):
                yield from _losses(part, text, (*path, str(key)))
    elif isinstance(data, list | tuple | set | frozenset) and isinstance(written, list):
        for place, (part, text) in enumerate(zip(data, written, strict=False)):
            yield from _losses(part, text, (*path, place))


def _losses_of(model: Any, path: Path) -> list[tuple[Path, str]] | None:
    """What a pydantic model's own way into JSON loses, which may write bytes; None where it can't be written at all."""
    try:
        data, written = model.model_dump(by_alias=True, warnings=False), model.model_dump(mode="json", by_alias=True)
    except (ValueError, TypeError, RecursionError):
        return None
    return list(_losses(data, written, path))


def _collision(value: Mapping[Any, Any]) -> str | None:
    """In which words two keys are told that JSON writes alike, such as 1 and "1"; None where all differ."""
    if all(type(key) is str for key in value):
        return None
    from pydantic_core import to_jsonable_python  # noqa: PLC0415 - needed only for keys that are no texts

    first: dict[str, Any] = {}
    for key in value:
        try:
            text = next(iter(to_jsonable_python({key: None})), "")
        except ValueError:
            continue
        if text in first:
            pair = f"{first[text]!r:.40} and {key!r:.40}".replace("{", "{{").replace("}", "}}")
            return f"a dict{{place}} whose keys {pair} are one key in JSON: return keys that differ as texts"
        first[text] = key
    return None


def _scalar_fault(value: str | float) -> str | None:
    if isinstance(value, str):
        return None if _is_sound(value) else "a text{place} with half a surrogate pair, which JSON does not have"
    if isfinite(value):
        return None
    word = "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return f"{word}{{place}}, which JSON does not have: return None, or a text"


def _container_faults(value: Any) -> Iterator[str]:
    """What keeps a container from being written though its parts may be, or are no concern of ours."""
    if isinstance(value, Mapping) and not isinstance(value, dict):
        fix = "return dict(…) of it"
        if not _is_known(value):
            yield f"a value of type {name_of(type(value))}{{place}}, which has no JSON form: {fix}"


def _is_sound(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parts(value: Any) -> Iterator[tuple[str | int, Any]] | None:
    """What a container holds, by key or place; None for what is no container."""
    if isinstance(value, Mapping):
        return ((str(key), part) for key, part in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return iter(enumerate(value))
    if is_dataclass(value) and not isinstance(value, type):
        return ((each.name, getattr(value, each.name, None)) for each in fields(value))
    if came_from("pydantic", "BaseModel", value):
        return iter({**vars(value), **(getattr(value, "__pydantic_extra__", None) or {})}.items())
    return None


def _leaf_fault(value: Any) -> str | None:
    kind = type(value)
    if isinstance(value, CoroutineType):
        return f"a coroutine{{place}} ({value.__qualname__}): await it"
    if inspect.isawaitable(value):
        return f"an awaitable{{place}} ({name_of(kind)}): await it"
    if isinstance(value, type):
        return f"a class{{place}} ({name_of(value)}): return a value"
    if inspect.isroutine(value) or isinstance(value, ModuleType):
        return f"a {kind.__name__}{{place}} ({value.__name__}): return a value"
    if isinstance(value, Iterator):
        return None  # to look at it would use it up
    if not isinstance(value, BYTES) and _is_known(value):
        return None
    fix = fix_for(kind) or "return a dict, a dataclass or a pydantic model"
    return f"a value of type {name_of(kind)}{{place}}, which has no JSON form: {fix}"


def _is_known(value: Any) -> bool:
    """Whether pydantic can write a value that is no container."""
    from pydantic_core import to_jsonable_python  # noqa: PLC0415 - needed only for what is no plain JSON

    try:
        to_jsonable_python(value)
    except ValueError:
        return False
    return True

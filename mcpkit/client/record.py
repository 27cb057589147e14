"""Results as thin objects over the JSON that came: one dict, read by snake_case or camelCase, nothing copied.

``result.structured_content``, ``result.structuredContent`` and ``result["structuredContent"]`` are the same value, and
members that this library has never heard of are there too (RPC-16). What must never stand here: which members a
particular result has (results.py), validation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self, TypeAlias

from mcpkit.jsonrpc.messages import JsonObject

Reader: TypeAlias = Callable[[Any], Any]

_ABSENT: Mapping[str, Callable[[], Any]] = {"str": str, "int": int, "float": float, "bool": bool, "JsonObject": dict}


_KINDS: Mapping[str, type] = {"str": str, "JsonObject": dict, "list": list}


class Record:
    """A JSON object with named members; a declared member that is absent reads as its type's nothing, or None.

    So does a text, an object or a list that a careless or hostile server sent as something else; :meth:`get` and
    ``[…]`` give what came.
    """

    __slots__ = ("_data",)
    _keys: ClassVar[Mapping[str, str]] = {}
    _absent: ClassVar[Mapping[str, Callable[[], Any]]] = {}
    _kinds: ClassVar[Mapping[str, type]] = {}
    readers: ClassVar[Mapping[str, Reader]] = {}
    """Members (by their wire name) that are records, or lists of them, themselves; called with None where absent."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        declared = {name: kind for name, kind in cls.__annotations__.items() if not kind.startswith("ClassVar")}
        keys = {name: wire_name(name) for name in declared}
        cls._keys = {**cls._keys, **keys, **{key: key for key in keys.values()}}
        cls._absent = {**cls._absent, **{keys[name]: _nothing(kind) for name, kind in declared.items()}}
        kinds = {
            keys[name]: _KINDS.get(kind.removesuffix(" | None").partition("[")[0]) for name, kind in declared.items()
        }
        cls._kinds = {**cls._kinds, **{key: kind for key, kind in kinds.items() if kind is not None}}

    def __init__(self, data: Mapping[str, Any] | None = None, /, **members: Any) -> None:
        made = {self._keys.get(name) or wire_name(name): value for name, value in members.items()}
        self._data: JsonObject = {**(data or {}), **made}

    @classmethod
    def of(cls, data: Any) -> Self:
        """The record over this very dict; anything else (a careless server's) reads as an empty one."""
        record = cls.__new__(cls)
        record._data = data if isinstance(data, dict) else {}
        return record

    def __getattr__(self, name: str) -> Any:
        key = self._keys.get(name) or wire_name(name)
        reader = self.readers.get(key)
        if reader is not None:
            return reader(self._data.get(key))
        if key in self._data:
            value = self._data[key]
            if key not in self._kinds or isinstance(value, self._kinds[key]):
                return value
        elif key not in self._absent:
            raise AttributeError(f"{type(self).__name__} has no member {name!r}")
        return self._absent[key]()

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __contains__(self, key: object) -> bool:
        return key in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Record):
            return self._data == other._data
        return self._data == other

    __hash__ = None  # type: ignore[assignment] # as unhashable as the dict within

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._data!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).of, (self._data,)

    def get(self, key: str, default: Any = None) -> Any:
        """The raw member under its wire name."""
        return self._data.get(key, default)

    def to_dict(self) -> JsonObject:
        """The JSON object itself, as it came; not a copy."""
        return self._data


def many(kind: type[Record]) -> Reader:
    """Reads a list of records, leaving out entries that are no objects."""

    def read(value: Any) -> list[Any]:
        return [kind.of(item) for item in value if isinstance(item, dict)] if isinstance(value, list) else []

    return read


def maybe(kind: type[Record]) -> Reader:
    """Reads a record, or None where there is no object."""

    def read(value: Any) -> Any:
        return kind.of(value) if isinstance(value, dict) else None

    return read


def wire_name(name: str) -> str:
    """``input_schema`` → ``inputSchema``; ``meta`` → ``_meta``."""
    if name == "meta":
        return "_meta"
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest) if first else name


def _nothing(kind: str) -> Callable[[], Any]:
    if kind.startswith("list["):
        return list
    return _ABSENT.get(kind, _none)


def _none() -> None:
    return None

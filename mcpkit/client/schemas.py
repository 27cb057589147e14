"""JSON Schemas of a server, checked without ever following one to the network (JSCH-04, JSCH-07), in bounded time.

What must never stand here: which value is checked against which schema.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from mcpkit.client.schema_work import TooMuchWork, Work
from mcpkit.jsonrpc.codec import encode
from mcpkit.jsonrpc.messages import JsonObject

_LARGEST: Final = 512 * 1024
_MOST_EXPLAINED: Final = 2_000
"""Steps of a check after which it is not told what is wrong, only that something is."""
_LARGEST_PATTERN: Final = 256 * 1024
_KEPT: Final = 256
_SHOWN: Final = 5


class UnusableSchema(ValueError):
    """The schema is none, or refers to something outside itself."""


class UncheckableSchema(UnusableSchema):
    """The schema may well be one, but checking with it is beyond what is done for a server; nothing is checked then."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    validator: Any
    work: Work


_compiled: OrderedDict[bytes, _Compiled] = OrderedDict()


def problems(schema: JsonObject, value: Any) -> list[str]:
    """What is wrong with ``value``, in words; empty when it fits. A few problems are told, not all.

    Raises: UnusableSchema.
    """
    found: list[str] = []
    known = validator(schema)
    try:
        steps = known.work.check(value, len(encode(value)))
    except TooMuchWork as error:
        raise UncheckableSchema(str(error)) from None
    compiled = known.validator
    if compiled.is_valid(value):  # much quicker than gathering errors of which there are none
        return found
    if steps > _MOST_EXPLAINED:  # the checker gathers all that is wrong, with each branch, which takes far longer
        return [_first(known, value)]
    for fault in compiled.iter_errors(value):
        found.append(_told(fault))
        if len(found) == _SHOWN:
            break
    return found


def _first(known: _Compiled, value: Any) -> str:
    if known.work.steps is not None and known.work.steps <= _MOST_EXPLAINED:
        try:
            known.validator.validate(value)
        except ValueError as fault:
            return _told(fault)
    return "it does not fit the schema"


def _told(fault: Any) -> str:
    where = "/".join(str(step) for step in fault.instance_path)
    return f"{where}: {fault.message}" if where else str(fault.message)


def validator(schema: JsonObject) -> _Compiled:
    """The compiled schema; the most recently used ones are kept.

    Raises: UnusableSchema.
    """
    key = encode(schema)
    if len(key) > _LARGEST:
        raise UncheckableSchema(f"it is larger than {_LARGEST} bytes")
    if key in _compiled:
        _compiled.move_to_end(key)
        return _compiled[key]
    compiled = _compiled[key] = _compile(schema)
    if len(_compiled) > _KEPT:
        _compiled.popitem(last=False)
    return compiled


def _compile(schema: JsonObject) -> _Compiled:
    try:
        work = Work(schema)
    except TooMuchWork as error:
        raise UncheckableSchema(str(error)) from None
    import jsonschema_rs  # noqa: PLC0415 # a client that checks nothing need not load it

    make: Callable[..., Any] = jsonschema_rs.validator_for
    try:
        options = jsonschema_rs.RegexOptions(size_limit=_LARGEST_PATTERN)
        return _Compiled(make(schema, retriever=_refuse, pattern_options=options), work)
    except ValueError as error:
        if 'is not a "regex"' in str(error):  # lookaround, or larger than is compiled for a server
            raise UncheckableSchema("it has a pattern that is not supported") from None
        raise UnusableSchema(f"the schema can't be used: {str(error).splitlines()[0]}") from None


def _refuse(uri: str) -> Any:
    raise ValueError(f"it refers to {uri}, and nothing is ever fetched for a schema")

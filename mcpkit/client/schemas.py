"""JSON Schemas of a server, checked without ever following one to the network (JSCH-04, JSCH-07).

What must never stand here: which value is checked against which schema.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from mcpkit.jsonrpc.codec import encode
from mcpkit.jsonrpc.messages import JsonObject

_LARGEST: Final = 512 * 1024
_KEPT: Final = 256
_SHOWN: Final = 5

_compiled: OrderedDict[bytes, Any] = OrderedDict()


class UnusableSchema(ValueError):
    """The schema is none, is too large, or refers to something outside itself."""


def problems(schema: JsonObject, value: Any) -> list[str]:
    """What is wrong with ``value``, in words; empty when it fits. A few problems are told, not all.

    Raises: UnusableSchema.
    """
    found: list[str] = []
    compiled = validator(schema)
    if compiled.is_valid(value):  # much quicker than gathering errors of which there are none
        return found
    for error in compiled.iter_errors(value):
        where = "/".join(str(step) for step in error.instance_path)
        found.append(f"{where}: {error.message}" if where else error.message)
        if len(found) == _SHOWN:
            break
    return found


def validator(schema: JsonObject) -> Any:
    """The compiled schema; the most recently used ones are kept.

    Raises: UnusableSchema.
    """
    key = encode(schema)
    if len(key) > _LARGEST:
        raise UnusableSchema(f"the schema is larger than {_LARGEST} bytes")
    if key in _compiled:
        _compiled.move_to_end(key)
        return _compiled[key]
    compiled = _compiled[key] = _compile(schema)
    if len(_compiled) > _KEPT:
        _compiled.popitem(last=False)
    return compiled


def _compile(schema: JsonObject) -> Any:
    import jsonschema_rs  # noqa: PLC0415 # a client that checks nothing need not load it

    make: Callable[..., Any] = jsonschema_rs.validator_for
    try:
        return make(schema, retriever=_refuse, pattern_options=jsonschema_rs.RegexOptions())
    except ValueError as error:
        raise UnusableSchema(f"the schema can't be used: {str(error).splitlines()[0]}") from None


def _refuse(uri: str) -> Any:
    raise ValueError(f"it refers to {uri}, and nothing is ever fetched for a schema")

"""Where an exception was raised: by a statement of the author's, or somewhere in a library.

What must never stand here: who is told of it.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final

from mcpkit.features.signature import code_of

_RAISE: Final = dis.opmap["RAISE_VARARGS"]
"""The instruction of a ``raise`` statement."""


def raised_in_package_of(function: Callable[..., Any] | None, error: BaseException) -> bool:
    """Whether a ``raise`` statement in the package, or the script, of ``function`` raised the error first.

    An error that came out of a library, or out of a function written in C, stays one however it is raised again.
    """
    names = getattr(code_of(function), "__globals__", None)
    trace = error.__traceback__
    if names is None or trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    return _package(trace.tb_frame.f_globals) == _package(names) and _raises(trace)


def _package(names: Mapping[str, Any]) -> str | int:
    """The top-level package of a module's names; what has no module is alone with its names."""
    name = names.get("__name__")
    if name == "__main__" and names.get("__spec__") is not None:  # python -m package.module
        name = names["__spec__"].name
    return name.partition(".")[0] if isinstance(name, str) else id(names)


def _raises(trace: TracebackType) -> bool:
    """Whether the line that a traceback ends at is a ``raise`` statement, not a call of something that failed."""
    code, place = trace.tb_frame.f_code.co_code, trace.tb_lasti
    return 0 <= place < len(code) and code[place] == _RAISE

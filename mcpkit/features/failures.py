"""What a caller is told when a function failed: its author's words where they were meant for it, else next to nothing.

The details go to the log. What must never stand here: a path, a traceback, a class's name on the wire.
"""

from __future__ import annotations

import logging

from mcpkit.features.errors import BadReturn, ToolError, told
from mcpkit.features.plain import came_from
from mcpkit.features.problems import from_pydantic
from mcpkit.features.running import DeadlineExpired
from mcpkit.features.suggestions import clipped
from mcpkit.protocol.exchange import NoBackChannel

_LONGEST = 2_000


def failure_text(name: str, error: Exception, logger: logging.Logger) -> str:
    """The text for an exception that a function raised (TOOL-24, TSEC-06)."""
    silent = f"{name} failed"
    match error:
        case ToolError() | NoBackChannel():
            return str(error) or silent
        case DeadlineExpired():
            logger.warning("%s %s", name, error)
            return f"{name} {error}; try a smaller request, or try again later"
        case BadReturn():
            logger.error("%s: %s", name, error)
            return f"{silent}: its result is not what it declares"
        case ValueError() if came_from("pydantic_core", "ValidationError", error):
            logger.info("%s failed", name, exc_info=error)
            return f"{silent}: {told(from_pydantic(error))}"  # type: ignore[arg-type]  # as was just asked
        case ValueError():
            logger.info("%s failed", name, exc_info=error)
            return clipped(str(error), _LONGEST) or silent
        case _:
            logger.error("%s failed", name, exc_info=error)
            return silent

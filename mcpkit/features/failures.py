"""What a caller is told when a function failed: its author's words where they were meant for it, else next to nothing.

One rule for tools, resources, prompts and completions (docs/security.md, "What a failure tells"). What is told is
logged too. What must never stand here: a path, a traceback, a class's name on the wire (save where all is told).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, Final, Literal, TypeAlias

from mcpkit.features.errors import BadReturn, ToolError, told
from mcpkit.features.origin import raised_in_package_of
from mcpkit.features.plain import came_from
from mcpkit.features.problems import from_pydantic
from mcpkit.features.running import DeadlineExpired
from mcpkit.features.suggestions import clipped
from mcpkit.protocol.exchange import NoBackChannel

TellErrors: TypeAlias = Literal["own", "all", "tool_errors"]
"""Which exceptions are told: see :class:`ErrorPolicy`."""

_LONGEST: Final = 2_000
"""Characters of a text that is told."""


class ErrorPolicy:
    """Which exceptions callers are told, for all features of one server.

    ``tell`` says of which kinds: ``own``: ToolError, HTTPException, and ValueErrors that a ``raise`` statement in the
    package or script of the failed function raised; ``tool_errors``: the first two only; ``all``: every exception.
    """

    __slots__ = ("tell",)

    def __init__(self, tell: TellErrors = "own") -> None:
        self.tell: TellErrors = tell

    def text(self, name: str, function: Callable[..., Any] | None, error: Exception, logger: logging.Logger) -> str:
        """The text for an exception that ``function``, of the feature ``name``, raised (TOOL-24, TSEC-06)."""
        silent = f"{name} failed"
        match error:
            case DeadlineExpired():
                logger.warning("%s %s", name, error)
                return f"{name} {error}; try a smaller request, or try again later"
            case BadReturn():
                logger.error("%s: %s", name, error)
                return f"{silent}: {error.hint}"
        leaves = list(_leaves(error))
        texts = [self._told(leaf, function) for leaf in leaves]
        words = "; ".join(dict.fromkeys(text for text in texts if text)) or silent
        if None not in texts and all(map(_is_answer, leaves)):  # the usual way to refuse: nothing went wrong
            logger.info("%s failed: %s", name, words)
        elif None not in texts and self.tell == "own":
            logger.warning("%s failed: %s", name, words)
        else:
            logger.error("%s failed", name, exc_info=error)
        return words

    def _told(self, error: Exception, function: Callable[..., Any] | None) -> str | None:
        """The words of one exception as far as a caller may read them; None where they stay here."""
        if _is_http(error):
            return _of_http(error)
        if _is_answer(error):
            return _words(error)
        if self.tell == "all":
            return clipped(_described(error), _LONGEST)
        if self.tell == "own" and isinstance(error, ValueError) and raised_in_package_of(function, error):
            return clipped(_words(error), _LONGEST)
        return None


def says_not_found(error: Exception) -> bool:
    """Whether it is an HTTPException that says that there is nothing here."""
    return _is_http(error) and error.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)  # type: ignore[attr-defined]


def _is_answer(error: Exception) -> bool:
    """Whether it was raised for the caller to read."""
    return isinstance(error, ToolError | NoBackChannel) or _is_http(error)


def _is_http(error: Exception) -> bool:
    """Whether it is Starlette's or FastAPI's HTTPException, which nobody can raise before one of them is loaded."""
    return came_from("starlette.exceptions", "HTTPException", error)


def _leaves(error: Exception) -> Iterator[Exception]:
    """The exceptions in a group, at any depth; the exception itself where it is none."""
    if isinstance(error, ExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


def _words(error: Exception) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001, RUF100 - an author's own __str__, whatever it ends by
        return ""


def _described(error: Exception) -> str:
    """Any exception in words: authors who tell everything want to know which it was."""
    if came_from("pydantic_core", "ValidationError", error):
        return told(from_pydantic(error))  # type: ignore[arg-type]  # as was just asked
    words = _words(error)
    if isinstance(error, ValueError) and words:
        return words
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _of_http(error: Any) -> str:
    """Starlette's and FastAPI's error as a model reads it: status and detail, never its headers."""
    try:
        head = f"{error.status_code} {HTTPStatus(error.status_code).phrase}"
    except ValueError:
        head = str(error.status_code)
    detail = error.detail
    if detail in (None, "") or f"{error.status_code} {detail}" == head:  # which is what Starlette fills in
        return head
    words = detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False, default=str)
    return clipped(f"{head}: {words}", _LONGEST)

"""The options of a server, and what each may be: checked when it is made, never when it serves."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any, Final, get_args

from mcpkit.features.errors import RegistrationError
from mcpkit.features.failures import TellErrors
from mcpkit.features.option_values import (
    Check,
    any_text,
    at_least,
    check_values,
    flag,
    function,
    items,
    mapping,
    one_of,
    seconds,
    several,
    text,
)
from mcpkit.features.options import ExtraArguments
from mcpkit.features.signature import where
from mcpkit.features.suggestions import nearest
from mcpkit.protocol.request_state import SHORTEST_KEY
from mcpkit.protocol.revisions.registry import PLAIN, REVISIONS
from mcpkit.settings import Settings


def check_keywords(unknown: Mapping[str, Any]) -> None:
    """Refuse keywords that don't exist; many are settings, which belong to whoever serves.

    Raises: RegistrationError.
    """
    known = tuple(name for name in OPTION_CHECKS if name not in {"name", "version"})
    settings = {row.name: row.env for row in Settings.table()} if unknown else {}
    for name in unknown:
        near = nearest(name, (*known, *settings))
        if near in settings and near not in known:
            hint = f"; {near!r} is a setting: {settings[near]} in the environment, or serve(server, Settings({near}=…))"
        else:
            hint = f"; did you mean {near!r}?" if near else f"; there are {', '.join(known)}"
        raise RegistrationError(f"Server knows no option {name!r}{hint}")


def _lifespan_function(value: Any) -> str | None:
    wrong = (
        inspect.isasyncgenfunction(value) or inspect.isgeneratorfunction(value) or inspect.iscoroutinefunction(value)
    )
    fine = callable(value) and not wrong
    return None if fine else "a function that returns an async context manager: decorate it with @asynccontextmanager"


def _key(value: Any) -> str | None:
    fine = isinstance(value, bytes) and len(value) >= SHORTEST_KEY
    return None if fine else f"at least {SHORTEST_KEY} bytes; make them with secrets.token_bytes(32)"


def _feed(value: Any) -> str | None:
    fine = callable(getattr(value, "publish", None)) and callable(getattr(value, "subscribe", None))
    return None if fine else "an object with publish() and subscribe()"


def check_callable(what: str, called: Any, *counts: int) -> None:
    """Check that something can be called with one of these numbers of arguments. Raises: RegistrationError."""
    check_values(what, {"function": called}, {"function": function}, ("function",))
    try:
        fits = [count for count in counts if _takes(called, count)]
    except ValueError:  # a builtin that doesn't tell
        return
    if not fits:
        wanted = " or ".join(map(str, counts))
        raise RegistrationError(f"{what}: {getattr(called, '__qualname__', called)!r} must take {wanted} arguments")


def _takes(called: Any, count: int) -> bool:
    try:
        inspect.signature(called).bind(*range(count))
    except TypeError:
        return False
    return True


def check_method(method: str, handler: Any, revisions: Collection[str] | None, replace: Any = False) -> None:
    """Check a method that a program registers: its name, its handler, its revisions. Raises: RegistrationError."""
    given = {"method": method, "revisions": revisions, "replace": replace}
    check_values("register_method", given, _METHOD, ("method", "replace"))
    check_callable(f"the handler of {method}", handler, 1, 2)
    known = [*REVISIONS, PLAIN.name]
    for name in revisions or ():
        if name not in known:
            there = ", ".join(filter(None, known))
            raise RegistrationError(f"register_method: there is no revision {name!r}; there are {there} and '' (plain)")


def check_override(method: str, before: Any, handler: Any) -> None:
    """Check that a method that is registered again is meant to be: it overrides the one that was, or is the same.

    Raises: RegistrationError.
    """
    if handler == before or _overrides(handler, before):
        return
    there = f" ({where(before)})" if before is not None else ""
    raise RegistrationError(
        f"register_method: {method!r} is registered already{there}, and {where(handler)} would take its place; give "
        "it another name, or replace=True where that is meant"
    )


def _overrides(handler: Any, before: Any) -> bool:
    """Whether both are methods of one object, and the class that has the later one is below the other's."""
    owner = getattr(handler, "__self__", None)
    if owner is None or getattr(before, "__self__", None) is not owner:
        return False
    classes = type(owner).__mro__
    homes = [
        next((i for i, cls in enumerate(classes) if each.__func__ in vars(cls).values()), len(classes))
        for each in (handler, before)
    ]
    return homes[0] < homes[1]


DECLARATION_CHECKS: Final[Mapping[str, Check]] = {"capability": text, "settings": mapping}
_METHOD: Final[Mapping[str, Check]] = {"method": text, "revisions": several, "replace": flag}
CONFIGURABLE: Final = ("tool_timeout", "max_calls", "tell_errors", "extra_arguments")
"""Options that the settings say where the constructor was not told."""
OPTION_CHECKS: Final[Mapping[str, Check]] = {
    "name": text,
    "version": text,
    **dict.fromkeys(("title", "description", "website_url", "instructions"), any_text),
    "icons": items,
    "page_size": at_least(1),
    "tool_timeout": seconds,
    "max_calls": at_least(1),
    "state_key": _key,
    "lifespan": _lifespan_function,
    "changes": _feed,
    "tell_errors": one_of(*get_args(TellErrors)),
    "extra_arguments": one_of(*get_args(ExtraArguments)),
    "lenient": flag,
}
"""The options of a server, and what each may be."""

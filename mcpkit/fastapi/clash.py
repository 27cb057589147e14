"""Whether the routes of a server are reached in the application that serves them: two of one path are one too many.

What must never stand here: which routes a server has.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi.routing import iter_route_contexts
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount

from mcpkit.transports.gate import Gate

FREE: Final = "; give it another path, or the server's router a prefix"
logger = logging.getLogger("mcpkit.fastapi")


class RouteClash(ValueError):
    """A route of a server and another one have the same path, so that one of them would never be reached."""


@dataclass(frozen=True, slots=True)
class _Declared:
    """A route as the application has it, in the order of declaration."""

    path: str
    methods: frozenset[str] | None
    """None: all, as a mounted application takes them."""
    endpoint: Any
    pattern: re.Pattern[str]

    def takes(self, path: str, method: str) -> bool:
        """Whether it would be given such a request, were it the only one."""
        return (self.methods is None or method in self.methods) and self.pattern.match(path) is not None

    def has(self, path: str) -> bool:
        """Whether this is its very path, and not one of many that it takes."""
        return self.path == path if self.methods is not None else self.path == path.rstrip("/") != ""

    def __str__(self) -> str:
        if self.methods is None:
            return f"the application mounted at {self.path or '/'}"
        name = getattr(self.endpoint, "__qualname__", repr(self.endpoint))
        return f"the route {'/'.join(sorted(self.methods))} {self.path} ({name})"


def check_routes(app: Any, own: Collection[Any], paths: Mapping[str, Collection[str]] | None = None) -> None:
    """Check that every request for a server is given to it.

    ``own`` are the endpoints of its routes. ``paths`` are the methods that it takes at which path, where these are more
    than its routes say.

    Raises: RouteClash for another route of the same path, whichever was declared first, and for one with variables, or
    an application mounted above, that was declared before and would take the server's requests.
    """
    declared = list(_declared(app.routes))
    others = [(at, each) for at, each in enumerate(declared) if each.endpoint not in own]
    mine = [(at, each) for at, each in enumerate(declared) if each.endpoint in own]
    told: set[str] = set()
    for at, each in mine:
        for method in sorted((paths or {}).get(each.path, each.methods or ())):
            for where, other in others:
                if other.takes(each.path, method):
                    _clash(each.path, other, told, before=where < at)


def _clash(path: str, other: _Declared, told: set[str], *, before: bool) -> None:
    if other.has(path):
        raise RouteClash(f"{path} is the MCP server's, and {other} has the same path{FREE}")
    if before:
        raise RouteClash(f"{other} was declared before {path} and takes its requests: declare it after the MCP server")
    if path not in told:
        told.add(path)
        logger.warning("%s stays the MCP server's: %s, which fits it too, is not asked for it", path, other)


def check_open_paths(app: Any, paths: Iterable[str]) -> None:
    """Check that the paths which are to be open exist.

    Raises: ValueError, naming one that no route has.
    """
    declared = list(_declared(app.routes))
    for path in paths:
        if not any(each.path == path or each.pattern.match(path) for each in declared):
            known = ", ".join(sorted({each.path for each in declared if each.path}))
            raise ValueError(f"open_paths names {path!r}, which no route serves; there are {known}")


def share_origins(app: Any, gate: Gate) -> None:
    """Let pages in that the application's own CORS middleware names: their preflights are answered yes already."""
    for middleware in getattr(app, "user_middleware", ()):
        if middleware.cls is not CORSMiddleware:
            continue
        origins = set(middleware.kwargs.get("allow_origins", ()))
        gate.allow_origins(origins - {"*"})
        if "*" in origins or middleware.kwargs.get("allow_origin_regex"):
            logger.warning(
                "the CORSMiddleware lets in more origins than it names, which says nothing for MCP: pages of other "
                "origins are refused with 403 unless MCP_ALLOWED_ORIGINS names them"
            )


def _declared(routes: Any) -> Iterator[_Declared]:
    for context in iter_route_contexts(routes):
        route = context.original_route
        pattern = getattr(context, "path_regex", None)
        if isinstance(route, Mount) and pattern is not None:
            yield _Declared(context.path or "", None, None, pattern)
        elif pattern is not None and context.methods is not None:  # neither a WebSocket's nor one that goes by host
            yield _Declared(context.path or "", frozenset(context.methods), context.endpoint, pattern)

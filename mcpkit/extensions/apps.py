"""MCP Apps: tools that bring a view, an HTML page that the host shows (extension ``io.modelcontextprotocol/ui``).

    apps = Apps()
    server.install(apps)
    apps.view("ui://clock", Path("clock.html"))

    @apps.tool("ui://clock")
    def clock(zone: str) -> ToolResult: ...     # content for the model, structured_content for the view

The page and the host talk with each other; a server only serves the page and the tools. What must never stand here:
that dialect, and data in a page (pages may be kept and shared: data travels in results, UISEC-04).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from mcpkit.features.contents import ResourceContents, ResourceResult
from mcpkit.features.context import Context
from mcpkit.features.resources import Resource
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.revisions.registry import REVISIONS
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.server import Server

F = TypeVar("F", bound=Callable[..., Any])
Page: TypeAlias = str | Path | Callable[[], str]

IDENTIFIER: Final = "io.modelcontextprotocol/ui"
MIME_TYPE: Final = "text/html;profile=mcp-app"
PERMISSIONS: Final = frozenset({"camera", "microphone", "geolocation", "clipboardWrite"})
MODEL, APP = "model", "app"


def _links(revision: Revision) -> bool:
    """Whether a tool's ``_meta``, where its link stands, comes through to clients of this revision."""
    listed: JsonObject = {"tools": [{"name": "any", "inputSchema": {"type": "object"}, "_meta": {"ui": {}}}]}
    lower = revision.lower.get("tools/list")
    return "_meta" in (lower(listed) if lower else listed)["tools"][0]


LINKING: Final = frozenset(revision.name for revision in REVISIONS.values() if _links(revision))
"""The revisions under which hosts can learn which tool brings which view, and which tools are for views alone."""


@dataclass(frozen=True, slots=True)
class Csp:
    """The origins that a view may use, such as ``https://tiles.example.com``; all others are blocked (APPS-04)."""

    connect: Sequence[str] = ()
    """For fetch, XHR and WebSockets."""
    resource: Sequence[str] = ()
    """For scripts, styles, images, fonts and media."""
    frame: Sequence[str] = ()
    base_uri: Sequence[str] = ()

    def to_wire(self) -> JsonObject:
        """As it is sent."""
        parts = {
            "connectDomains": self.connect,
            "resourceDomains": self.resource,
            "frameDomains": self.frame,
            "baseUriDomains": self.base_uri,
        }
        return {name: list(origins) for name, origins in parts.items() if origins}


class Apps:
    """The extension; install it, then add views, then the tools that bring them."""

    identifier = IDENTIFIER

    def __init__(self) -> None:
        self._server: Server | None = None

    def settings(self, revision: Revision) -> JsonObject | None:
        """There are none to tell; and no extension where a tool can't name its view (APPS-03)."""
        return {} if revision.name in LINKING else None

    def install(self, server: Server) -> None:
        """Remember where views and tools are to be added."""
        self._server = server

    def view(
        self,
        uri: str,
        page: Page,
        *,
        csp: Csp | None = None,
        permissions: Collection[str] = (),
        domain: str | None = None,
        prefers_border: bool | None = None,
        **options: Any,
    ) -> Resource:
        """Serve an HTML page at ``ui://…``: its text, a file, or a function that gives the text. Get its handle.

        ``domain`` is the origin that the host is asked to give it. ``options`` are those of a resource.
        Raises: ValueError, RuntimeError before the extension is installed.
        """
        if not uri.startswith("ui://"):
            raise ValueError(f"a view's URI begins with ui://, not {uri!r}")
        unknown = set(permissions) - PERMISSIONS
        if unknown:
            raise ValueError(f"no permission {', '.join(sorted(unknown))}; there are {', '.join(sorted(PERMISSIONS))}")
        _checked(uri, _text(page))
        said: JsonObject = {
            "csp": csp.to_wire() if csp else None,
            "permissions": {name: {} for name in sorted(permissions)} or None,
            "domain": domain,
            "prefersBorder": prefers_border,
        }
        meta = {"ui": {name: value for name, value in said.items() if value is not None}}

        def read() -> ResourceResult:
            return ResourceResult([ResourceContents(_checked(uri, _text(page)), meta=meta)], cache_scope="public")

        options = {"name": uri.removeprefix("ui://"), "meta": meta, **options}
        return self._installed().add_resource(uri, read, mime_type=MIME_TYPE, **options)

    def tool(self, view: str, *, visibility: Sequence[str] = (MODEL, APP), **options: Any) -> Callable[[F], F]:
        """Offer a function as a tool whose result ``view`` shows; ``options`` are those of a tool.

        ``visibility`` says who may call it. A tool for the view alone exists only for clients that know views, since
        any other would give it to its model (APPS-06). Raises: ValueError when there is no such view.
        """
        server = self._installed()
        if server.resources.find(view) is None:
            raise ValueError(f"there is no view {view!r}; add it first, by apps.view({view!r}, page)")
        if not visibility or not set(visibility) <= {MODEL, APP}:
            raise ValueError('visibility is a list of "model", "app", or both')
        link = {"resourceUri": view, "visibility": list(visibility)}
        options["meta"] = {**options.get("meta", {}), "ui": link}
        if MODEL not in visibility:
            options["visible"] = _also(options.get("visible"))

        def decorate(function: F) -> F:
            server.add_tool(function, **options)
            return function

        return decorate

    def _installed(self) -> Server:
        if self._server is None:
            raise RuntimeError("install the extension first: server.install(apps)")
        return self._server


def shows_views(caller: Context | Exchange) -> bool:
    """Whether the client said that it can show views (APPS-01); where it did not, the text is all that is seen.

    False under the oldest revisions, whatever was said: their tools can't name a view.
    """
    exchange = caller.exchange if isinstance(caller, Context) else caller
    if exchange.revision.name not in LINKING:
        return False
    extensions = exchange.client.capabilities.get("extensions")
    declared = extensions.get(IDENTIFIER) if isinstance(extensions, Mapping) else None
    types = declared.get("mimeTypes") if isinstance(declared, Mapping) else None
    return isinstance(types, list) and MIME_TYPE in types


def _also(visible: Callable[[Exchange], bool] | None) -> Callable[[Exchange], bool]:
    return lambda exchange: shows_views(exchange) and (visible is None or visible(exchange))


def _text(page: Page) -> str:
    if isinstance(page, Path):
        return page.read_text(encoding="utf-8")
    return page if isinstance(page, str) else page()


def _checked(uri: str, html: str) -> str:
    """The page, if it is a whole document (APPS-02).

    Raises: ValueError.
    """
    if not html.lstrip("\ufeff \t\r\n").lower().startswith("<!doctype html"):
        raise ValueError(f"the page of {uri} must be a whole HTML5 document: begin it with <!doctype html>")
    return html


__all__ = ["APP", "IDENTIFIER", "MIME_TYPE", "MODEL", "Apps", "Csp", "shows_views"]

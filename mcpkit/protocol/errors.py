"""The errors that MCP adds to JSON-RPC's five. Their number is the revision's business, not theirs.

What must never stand here: an HTTP status, a number (``revision.codes`` has them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mcpkit.jsonrpc.errors import INVALID_PARAMS, RpcError, excerpt
from mcpkit.protocol.revisions.registry import NEWEST, SUPPORTED
from mcpkit.protocol.revisions.revision import ErrorKind, Revision


class McpRpcError(RpcError):
    """An error whose number depends on the revision in force; until that is said, it has the newest one's."""

    def __init__(self, kind: ErrorKind, message: str, data: Any = None) -> None:
        super().__init__(_number(kind, NEWEST), message, data)
        self.kind = kind

    def under(self, revision: Revision) -> RpcError:
        """The error as it goes out under ``revision``; a kind unknown there is bad params (ERR-11)."""
        return RpcError(_number(self.kind, revision), self.message, self.data)


class HeaderMismatch(McpRpcError):
    """A header is missing, malformed, or says something else than the body (SHM-21)."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorKind.HEADER_MISMATCH, message)


class UnsupportedProtocolVersion(McpRpcError):
    """The request declares a revision that this server doesn't serve (NEG-02, ERR-09)."""

    def __init__(self, requested: str, supported: Sequence[str] = SUPPORTED) -> None:
        super().__init__(
            ErrorKind.UNSUPPORTED_PROTOCOL_VERSION,
            f"Unsupported protocol version; use one of {', '.join(supported)}",
            {"supported": list(supported), "requested": excerpt(requested)},
        )


class MissingClientCapability(McpRpcError):
    """Serving this needs something that the client did not declare (CAP-05, ERR-10).

    ``required`` is shaped like a client's capabilities, objects all the way: ``{"elicitation": {"url": {}}}``.
    """

    def __init__(self, required: Mapping[str, Any]) -> None:
        names = ", ".join(".".join((name, *inside)) for name, inside in required.items())
        super().__init__(
            ErrorKind.MISSING_CLIENT_CAPABILITY,
            f"This needs a client capability that the request does not declare: {names}",
            {"requiredCapabilities": dict(required)},
        )


class ResourceNotFound(McpRpcError):
    """No resource has this URI (ERR-06, ERR-07)."""

    def __init__(self, uri: str, message: str = "Resource not found; resources/list names what there is") -> None:
        super().__init__(ErrorKind.RESOURCE_NOT_FOUND, message, {"uri": excerpt(uri)})


class UrlElicitationRequired(McpRpcError):
    """The request can go on only after the user has opened these URLs (ELIC-23); one revision has a number for it."""

    def __init__(self, elicitations: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(
            ErrorKind.URL_ELICITATION_REQUIRED,
            "The user must open a URL first; open it and send the request again",
            {"elicitations": [dict(elicitation) for elicitation in elicitations]},
        )


def _number(kind: ErrorKind, revision: Revision) -> int:
    return revision.codes.get(kind, INVALID_PARAMS)

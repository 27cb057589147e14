"""The error tree of the library, and the five numbers of JSON-RPC 2.0.

Every exception that may reach the wire is an :class:`RpcError`: a code, one sentence, optional data.
What must never stand here: a code that MCP defines (protocol/errors.py), an HTTP status.

    McpKitError
    ├ RpcError(code, message, data)         goes on the wire
    │ ├ ParseError · InvalidRequest · MethodNotFound · InvalidParams · InternalError
    │ └ McpRpcError(kind)                   protocol/errors.py; its number comes from the revision
    ├ ToolError                             features: becomes isError content, for the model to read
    ├ Refused(status)                       transports: an HTTP refusal before JSON-RPC begins
    ├ NoBackChannel · InputRequired         protocol: how a handler talks back, or can't
    └ ClientError                           client: connection lost, timeout, refused by the server
"""

from __future__ import annotations

from typing import Any, Final

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603


class McpKitError(Exception):
    """The root of everything this library raises on purpose."""


class RpcError(McpKitError):
    """An error that is answered on the wire as a JSON-RPC error object (JSON-RPC 2.0 §5.1)."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def to_wire(self) -> dict[str, Any]:
        """The error object as it is sent; ``data`` stands in it only when there is some."""
        wire: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.data is not None:
            wire["data"] = self.data
        return wire


class ParseError(RpcError):
    """The bytes are not JSON that this server accepts."""

    def __init__(self, message: str = "Parse error: the body is not valid JSON") -> None:
        super().__init__(PARSE_ERROR, message)


class InvalidRequest(RpcError):
    """The JSON is fine, the message is not; ``id`` is the request's id where one could be read."""

    def __init__(self, message: str = "Invalid request", *, id: str | int | None = None, data: Any = None) -> None:
        super().__init__(INVALID_REQUEST, message, data)
        self.id = id


LONGEST_NAME: Final = 200
"""Characters of a caller's name for a thing that are repeated to it."""
LONGEST_VALUE: Final = 500
"""Characters of a URI or another value that are repeated to the caller who sent it."""


def excerpt(text: str, most: int = LONGEST_VALUE) -> str:
    """The text as an error repeats it to its sender: whole, or its beginning and an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


class MethodNotFound(RpcError):
    """No such method under the revision in force."""

    def __init__(self, method: str, *, data: Any = None) -> None:
        super().__init__(METHOD_NOT_FOUND, f"Method not found: {excerpt(method, LONGEST_NAME)}", data)


class InvalidParams(RpcError):
    """The method exists, its params don't fit."""

    def __init__(self, message: str = "Invalid params", *, data: Any = None) -> None:
        super().__init__(INVALID_PARAMS, message, data)


class InternalError(RpcError):
    """Something failed on our side; the message never says what (details go to the log)."""

    def __init__(self, message: str = "Internal error", *, data: Any = None) -> None:
        super().__init__(INTERNAL_ERROR, message, data)

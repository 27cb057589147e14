"""Exit codes of the command line: what became of a command, in a number that a script can use.

What must never stand here: an exception's text, ending the process.
"""

from __future__ import annotations

from typing import Final

from mcpkit.client.errors import (
    AuthorizationFailed,
    ConnectionLost,
    HttpRefused,
    ProtocolViolation,
    ProxyUnusable,
    ServerRefused,
    Timeout,
    ToolFailed,
    Unreachable,
    Unsupported,
)
from mcpkit.host.model import ModelDenied, ModelError

OK, USAGE, AUTHORIZATION, UNREACHABLE, TOOL_ERROR, NOT_MCP, REFUSED, FAILED = 0, 1, 3, 4, 5, 6, 7, 8
UNREAD = 141
EXIT_CODES: Final = """exit codes:
  0  everything worked          5  a tool answered with an error, or could not be called
  1  usage, or a bad setting    6  what answers there is no MCP server
  3  authorization              7  the server refused, or a call was not allowed
  4  nobody there, or it broke  8  anything else
130, 129 and 143: interrupted, by Ctrl-C or a signal; 141: output no longer read"""


def exit_code(error: Exception) -> int:
    """What a failure is to the shell."""
    match error:
        case ProxyUnusable():
            return USAGE
        case AuthorizationFailed() | ModelDenied():
            return AUTHORIZATION
        case HttpRefused() if error.retryable or error.status >= 500:
            return UNREACHABLE
        case Unreachable() | ConnectionLost() | Timeout() | ModelError():
            return UNREACHABLE
        case ToolFailed():
            return TOOL_ERROR
        case ProtocolViolation() | HttpRefused() | Unsupported():
            return NOT_MCP
        case ServerRefused():
            return REFUSED
    return FAILED

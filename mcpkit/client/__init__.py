"""The client half: one server, whatever it speaks, over whatever it is reached."""

from __future__ import annotations

from mcpkit.client.answers import Elicitation, Sampling
from mcpkit.client.blocking import BlockingClient
from mcpkit.client.cache import ResponseCache
from mcpkit.client.client import MCPClient
from mcpkit.client.endpoint import Authorizer, Bearer
from mcpkit.client.era import EraMemory
from mcpkit.client.errors import (
    AuthorizationFailed,
    ClientError,
    ConnectionLost,
    HttpRefused,
    InputUnavailable,
    ProtocolViolation,
    ServerRefused,
    SessionEnded,
    Timeout,
    ToolFailed,
    Unreachable,
    Unsupported,
)
from mcpkit.client.limits import Bounds, Deadlines, Patience, Pauses
from mcpkit.client.listening import Listening
from mcpkit.client.notices import Change, LogMessage, Progress
from mcpkit.client.tasks import TASKS_EXTENSION, TaskHandle
from mcpkit.client.transports.transport import Call, Transport

__all__ = [
    "TASKS_EXTENSION",
    "AuthorizationFailed",
    "Authorizer",
    "Bearer",
    "BlockingClient",
    "Bounds",
    "Call",
    "Change",
    "ClientError",
    "ConnectionLost",
    "Deadlines",
    "Elicitation",
    "EraMemory",
    "HttpRefused",
    "InputUnavailable",
    "Listening",
    "LogMessage",
    "MCPClient",
    "Patience",
    "Pauses",
    "Progress",
    "ProtocolViolation",
    "ResponseCache",
    "Sampling",
    "ServerRefused",
    "SessionEnded",
    "TaskHandle",
    "Timeout",
    "ToolFailed",
    "Transport",
    "Unreachable",
    "Unsupported",
]

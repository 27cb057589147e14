"""mcpkit: an MCP server and client framework. Its public names, by hand.

What must never stand here: an import of FastAPI, uvicorn or httpx (a stdio server starts without them); the names of
the client, and what connects it with a server in memory, come when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcpkit import _start
from mcpkit.features.asking import NeedInput
from mcpkit.features.content import Annotations, Audio, EmbeddedResource, File, Image, ResourceLink, Text
from mcpkit.features.contents import ResourceContents, ResourceResult
from mcpkit.features.context import Context
from mcpkit.features.errors import RegistrationError, ToolError
from mcpkit.features.messages import Message, PromptResult
from mcpkit.features.options import ToolAnnotations
from mcpkit.features.parameters import MirroredHeader
from mcpkit.features.questions import Elicit, Elicitation, ElicitUrl, ListRoots, Root, Sample, Sampled
from mcpkit.features.resolve import Resolve
from mcpkit.features.returns import ToolResult
from mcpkit.jsonrpc.errors import McpKitError, RpcError
from mcpkit.protocol.exchange import Exchange, NoBackChannel
from mcpkit.security.principal import Principal
from mcpkit.server import Extension, Server
from mcpkit.settings import Settings, SettingsError

if TYPE_CHECKING:
    from mcpkit.client import ClientError, MCPClient
    from mcpkit.transports.memory import Memory

__version__ = "0.1.0.dev0"

_start.over()

_CLIENT = ("ClientError", "MCPClient")


def __getattr__(name: str) -> Any:
    """The client's names, imported at their first use."""
    if name not in _CLIENT:
        raise AttributeError(f"module 'mcpkit' has no attribute {name!r}")
    from mcpkit import client  # noqa: PLC0415  # a server needs no HTTP client

    return getattr(client, name)


def _transport(server: Server) -> Memory:
    """A client's way into a server of this process: here, above the floors, of which neither may know the other."""
    from mcpkit.transports.memory import Memory  # noqa: PLC0415  # a server by itself needs no client

    return Memory(server.kernel, around=server.running)


Server.transport = _transport


__all__ = [
    "Annotations",
    "Audio",
    "ClientError",
    "Context",
    "Elicit",
    "ElicitUrl",
    "Elicitation",
    "EmbeddedResource",
    "Exchange",
    "Extension",
    "File",
    "Image",
    "ListRoots",
    "MCPClient",
    "McpKitError",
    "Message",
    "MirroredHeader",
    "NeedInput",
    "NoBackChannel",
    "Principal",
    "PromptResult",
    "RegistrationError",
    "Resolve",
    "ResourceContents",
    "ResourceLink",
    "ResourceResult",
    "Root",
    "RpcError",
    "Sample",
    "Sampled",
    "Server",
    "Settings",
    "SettingsError",
    "Text",
    "ToolAnnotations",
    "ToolError",
    "ToolResult",
    "__version__",
]

"""A server's entry in a configuration file, as each host writes it, in the one form that the client takes.

What must never stand here: reading a file, filling in variables.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mcpkit.jsonrpc.messages import JsonObject

KINDS: Final = {
    "http": "http",
    "remote": "http",
    "streamable-http": "streamable-http",
    "streamablehttp": "streamable-http",
    "streamable_http": "streamable-http",
    "streamable": "streamable-http",
    "http-stream": "streamable-http",
    "sse": "sse",
    "stdio": "stdio",
    "local": "stdio",
}
"""Every spelling of a server's type, and what the client calls it."""

_URLS: Final = ("url", "httpUrl", "serverUrl", "server_url")
_TYPES: Final = ("type", "transport", "transportType")
_MAPS: Final = {"env": ("env", "environment"), "headers": ("headers", "http_headers", "requestInit")}


def normalized(entry: Mapping[str, Any]) -> JsonObject:
    """The entry with ``url`` or ``command`` and ``args``, and ``type``, ``env`` and ``headers`` where it says them.

    What can't be read so stays as it is, for the check that follows to name.
    """
    made: JsonObject = {name: value for name, value in entry.items() if value is not None}
    _move(made, "url", _URLS)
    _move(made, "type", _TYPES)
    for name, names in _MAPS.items():
        _move(made, name, names)
    kind = made.get("type")
    if isinstance(kind, Mapping):  # "transport": {"type": "sse", "url": …}
        del made["type"]
        made = {**made, **normalized(kind)}
    headers = made.get("headers")
    if isinstance(headers, Mapping) and isinstance(headers.get("headers"), Mapping):  # of a "requestInit"
        made["headers"] = dict(headers["headers"])
    return _with_command(made)


def servers_in(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The servers that a whole configuration names, by name; None where it is none."""
    for name in ("mcpServers", "servers", "context_servers"):
        if isinstance(config.get(name), Mapping):
            found: Mapping[str, Any] = config[name]
            return found
    inner = config.get("mcp")
    return servers_in(inner) or inner if isinstance(inner, Mapping) else None


def is_disabled(entry: Any) -> bool:
    """The file keeps the server, and does not want it."""
    return isinstance(entry, Mapping) and (entry.get("disabled") is True or entry.get("enabled") is False)


def _move(made: JsonObject, name: str, names: tuple[str, ...]) -> None:
    found = [made.pop(one) for one in names if one in made]
    if found:
        made[name] = found[0]


def _with_command(made: JsonObject) -> JsonObject:
    command, args = made.get("command"), made.get("args", [])
    if isinstance(command, Mapping):  # {"path": …, "args": […], "env": {…}}
        said = {name: value for name, value in command.items() if value is not None}
        inner = {"command" if name == "path" else name: value for name, value in said.items()}
        return _with_command({**made, **inner}) if isinstance(inner.get("command"), str) else made
    if isinstance(command, str) and not args and len(command.split()) > 1 and not Path(command).exists():
        try:
            command = shlex.split(command)
        except ValueError:
            return made
    if isinstance(command, list) and command and isinstance(args, list):
        return {**made, "command": str(command[0]), "args": [*command[1:], *args]}
    return made

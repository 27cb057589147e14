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
    for name in ("mcpServers", "servers", "context_servers", "mcp_servers", "mcp.servers"):
        found = _by_name(config.get(name))
        if found is not None:
            return found
    inner = config.get("mcp")
    if isinstance(inner, Mapping):
        return servers_in(inner) or inner
    # Nothing around the entries, as in what a page says to paste.
    return config if config and all(_is_entry(entry) for entry in config.values()) else None


def servers_by_folder(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The servers that Claude Code keeps for a folder each, in ``projects.<folder>.mcpServers``; none elsewhere."""
    projects = config.get("projects")
    if not isinstance(projects, Mapping):
        return {}
    named = {folder: _by_name(one.get("mcpServers")) for folder, one in projects.items() if isinstance(one, Mapping)}
    return {folder: servers for folder, servers in named.items() if servers}


def _by_name(servers: Any) -> Mapping[str, Any] | None:
    """Servers by their names; some hosts write a list of entries that name themselves."""
    if isinstance(servers, list) and servers and all(isinstance(entry, Mapping) for entry in servers):
        return {str(entry.get("name", f"server{number}")): entry for number, entry in enumerate(servers)}
    return servers if isinstance(servers, Mapping) else None


def _is_entry(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(value.get(name), str | list) for name in ("command", *_URLS))


def with_token(entry: Mapping[str, Any]) -> JsonObject:
    """The entry with the header that Codex's ``bearer_token_env_var`` means."""
    name, headers = entry.get("bearer_token_env_var"), entry.get("http_headers", {})
    if not isinstance(name, str) or not isinstance(headers, Mapping):
        return dict(entry)
    return {**entry, "http_headers": {"Authorization": f"Bearer ${{{name}}}", **headers}}


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

"""From what the caller calls a server (a URL, a command, an entry of a file, an object) to the doors that lead to it.

What must never stand here: opening one, reading configuration files (the host's), which revision is spoken.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from mcpkit.client.endpoint import Authorizer, Endpoint
from mcpkit.client.era import Door
from mcpkit.client.http import HttpCarrier, HttpxCarrier
from mcpkit.client.http_lanes import LaneCarrier
from mcpkit.client.limits import Patience
from mcpkit.client.transports.http_sse import HttpSse
from mcpkit.client.transports.stdio import Command, Stdio
from mcpkit.client.transports.streamable_http import StreamableHttp
from mcpkit.client.transports.transport import Transport
from mcpkit.client.urls import split_http


@runtime_checkable
class InProcess(Protocol):
    """A server in this process, such as a ``mcpkit.Server``: it makes the transports that lead to it."""

    @property
    def name(self) -> str:
        """What it is called."""

    def transport(self) -> Transport:
        """One way in, not opened yet."""


Target: TypeAlias = str | Sequence[str] | Mapping[str, Any] | InProcess | Transport | Callable[[], Transport]
"""A URL; a command line or its words; ``{"url": …}`` or ``{"command": …}``; a server object; a transport, or what makes
one."""

_HTTP_KINDS: Final = {
    "http": ("http", "sse"),
    "streamable-http": ("http",),
    "streamablehttp": ("http",),
    "sse": ("sse",),
}


@dataclass(frozen=True, slots=True)
class Means:
    """With what a target is reached."""

    patience: Patience
    auth: Authorizer | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    http: Any = None
    """An httpx client or an HttpCarrier of the application's own."""
    stderr: Callable[[str], None] | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """A target understood: its name for people, its key in memories (None where it has no identity), its doors."""

    name: str
    key: str | None
    doors: tuple[Door, ...]


def reach(target: Target, means: Means) -> Reach:
    """How to get to ``target``.

    Raises: ValueError that says what is wrong with it.
    """
    if isinstance(target, str):
        is_url = "://" in target.split(maxsplit=1)[0] if target.strip() else False
        return _by_url(target, means, ("http", "sse")) if is_url else _by_command(_words(target), {}, means)
    if isinstance(target, Mapping):
        return _by_entry(target, means)
    if isinstance(target, Sequence):
        return _by_command(list(target), {}, means)
    return _by_object(target)


def _by_url(url: str, means: Means, kinds: Sequence[str], headers: Mapping[str, str] | None = None) -> Reach:
    parts = split_http(url)
    url = parts._replace(fragment="").geturl()
    sent = {**means.headers, **(headers or {})}

    def endpoint() -> Endpoint:
        return Endpoint(url, _carrier(means), headers=sent, auth=means.auth)

    doors = {
        "http": Door("http", lambda: StreamableHttp(endpoint(), means.patience)),
        "sse": Door("sse", lambda: HttpSse(endpoint(), means.patience)),
    }
    key = parts._replace(fragment="", query="").geturl()
    return Reach(parts.netloc + parts.path, key, tuple(doors[kind] for kind in kinds))


def _by_command(words: Sequence[str], entry: Mapping[str, Any], means: Means) -> Reach:
    if not words or not words[0]:
        raise ValueError("the command is empty")
    env = {str(name): str(value) for name, value in (entry.get("env") or {}).items()}
    cwd = entry.get("cwd")
    command = Command(tuple(map(str, words)), env, None if cwd is None else str(cwd), means.stderr)
    return Reach(command.name, shlex.join(command.arguments), (Door("stdio", lambda: Stdio(command, means.patience)),))


def _by_entry(entry: Mapping[str, Any], means: Means) -> Reach:
    if "mcpServers" in entry or "servers" in entry:
        raise ValueError(
            "this is a whole configuration file: give one of its entries, or all of them to a host's Fleet"
        )
    kind = str(entry.get("type") or entry.get("transport") or ("http" if "url" in entry else "stdio")).lower()
    if kind == "stdio":
        if not isinstance(entry.get("command"), str):
            raise ValueError('a stdio server needs a "command"')
        return _by_command([entry["command"], *(entry.get("args") or [])], entry, means)
    if kind not in _HTTP_KINDS:
        raise ValueError(f"type must be stdio, http, streamable-http or sse, not {kind!r}")
    if not isinstance(entry.get("url"), str):
        raise ValueError(f'a server of type {kind} needs a "url"')
    headers = {str(name): str(value) for name, value in (entry.get("headers") or {}).items()}
    return _by_url(entry["url"], means, _HTTP_KINDS[kind], headers)


def _by_object(target: Any) -> Reach:
    if isinstance(target, InProcess):
        return Reach(target.name, None, (Door("custom", target.transport),))
    if isinstance(target, Transport):
        return Reach(type(target).__name__, None, (Door("custom", lambda: target, single=True),))
    if callable(target):
        return Reach("transport", None, (Door("custom", target),))
    raise ValueError(
        "the target must be a URL, a command, an entry of a configuration file, a Server or a transport, "
        f"not {type(target).__name__}"
    )


def _words(line: str) -> list[str]:
    """The words of a command line; a Python file is run by this Python."""
    words = shlex.split(line, posix=sys.platform != "win32")
    return [sys.executable, *words] if words and words[0].endswith(".py") and Path(words[0]).is_file() else words


def _carrier(means: Means) -> HttpCarrier:
    if means.http is None:
        return LaneCarrier(connect_seconds=means.patience.deadlines.connect)
    return means.http if isinstance(means.http, HttpCarrier) else HttpxCarrier(means.http)

"""From what the caller calls a server (a URL, a command, an entry of a file, an object) to the doors that lead to it.

What must never stand here: opening one, reading configuration files (the host's), which revision is spoken.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable
from urllib.parse import urlsplit

from mcpkit.client.display import clean
from mcpkit.client.endpoint import Authorizer, Endpoint
from mcpkit.client.entries import KINDS, is_disabled, normalized, servers_in
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


Target: TypeAlias = (
    str | os.PathLike[str] | Sequence[str] | Mapping[str, Any] | InProcess | Transport | Callable[[], Transport]
)
"""A URL; a command line or its words; a Python or JavaScript file; an entry of a configuration file, or a configuration
of one server; a server object; a transport, or what makes one."""

_HTTP_KINDS: Final = {"http": ("http", "sse"), "streamable-http": ("http",), "sse": ("sse",)}
_RUN_BY: Final = {".py": sys.executable, ".js": "node", ".mjs": "node", ".cjs": "node"}
_ADDRESS: Final = re.compile(
    r"(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}(?:[/?#]\S*)?"
    r"|(?:localhost|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.]+\])(?:[/?#]\S*)?"
    r"|(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}/\S*"
)


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
    if isinstance(target, os.PathLike):
        return _by_command(_runnable([os.fspath(target)]), {}, means)
    if isinstance(target, str):
        if is_url(target):
            return _by_url(endpoint_of(target), means, ("http", "sse"))
        refuse_address(target)
        return _by_command(_words(target), {}, means)
    if isinstance(target, Mapping):
        return _by_entry(target, means)
    if isinstance(target, Sequence):
        return _by_command(list(target), {}, means)
    return _by_object(target)


def is_url(text: str) -> bool:
    """The text is a URL, of whatever kind, and no command line."""
    return "://" in text.split(maxsplit=1)[0] if text.strip() else False


def endpoint_of(url: str) -> str:
    """The URL; one without a path means the endpoint of this project's servers, ``/api``."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return url  # which is refused where it is used
    return url.strip() if parts.path else parts._replace(path="/api").geturl()


def lacks_scheme(text: str) -> bool:
    """The text is an address, ``localhost:1234`` or ``h.example/mcp``, to which only a scheme is missing."""
    return _ADDRESS.fullmatch(text.strip()) is not None and not Path(text.strip()).exists()


def refuse_address(text: str) -> None:
    """Raises: ValueError that says what to write, for an address without a scheme."""
    if lacks_scheme(text):
        shown = clean(text, 200)
        raise ValueError(f"{shown} is an address without a scheme: write http://{shown}, or https:// where it has TLS")


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
    env = {str(name): _text(value) for name, value in (entry.get("env") or {}).items() if value is not None}
    cwd = entry.get("cwd")
    command = Command(tuple(map(str, words)), env, None if cwd is None else str(cwd), means.stderr)
    return Reach(command.name, shlex.join(command.arguments), (Door("stdio", lambda: Stdio(command, means.patience)),))


def _by_entry(entry: Mapping[str, Any], means: Means) -> Reach:
    servers = servers_in(entry)
    if servers is not None:
        return _by_configuration(servers, means)
    entry = normalized(entry)
    said = str(entry.get("type") or ("http" if "url" in entry else "stdio")).lower()
    kind = KINDS.get(said)
    if kind is None:
        raise ValueError(f"type must be stdio, http, streamable-http or sse, not {said!r}")
    for member, shape, word in (("args", list, "a list"), ("env", dict, "an object"), ("headers", dict, "an object")):
        if not isinstance(entry.get(member, shape()), shape):
            raise ValueError(f'"{member}" must be {word}')
    if kind == "stdio":
        if not isinstance(entry.get("command"), str):
            raise ValueError('a stdio server needs a "command"')
        return _by_command([entry["command"], *entry.get("args", [])], entry, means)
    if not isinstance(entry.get("url"), str):
        raise ValueError(f'a server of type {kind} needs a "url"')
    refuse_address(entry["url"])
    headers = {str(name): _text(value) for name, value in entry.get("headers", {}).items() if value is not None}
    return _by_url(entry["url"], means, _HTTP_KINDS[kind], headers)


def _by_configuration(servers: Mapping[str, Any], means: Means) -> Reach:
    """A whole configuration, which may stand for its only server."""
    wanted = {name: entry for name, entry in servers.items() if not is_disabled(entry)}
    if len(wanted) != 1:
        names = ", ".join(clean(str(name), 60) for name in wanted) or "none"
        raise ValueError(
            "a client has one server, and this configuration names "
            f"{names}: give one of its entries, or all of them to a host's Fleet"
        )
    ((name, entry),) = wanted.items()
    if not isinstance(entry, Mapping):
        raise ValueError(f"the server {clean(str(name), 60)} must be an object")
    return _by_entry(entry, means)


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
    """The words of a command line; a Python file is run by this Python, one of JavaScript by Node.js."""
    if Path(line).is_file():  # its name may have blanks
        return _runnable([line])
    return _runnable(shlex.split(line, posix=sys.platform != "win32"))


def _runnable(words: list[str]) -> list[str]:
    program = _RUN_BY.get(Path(words[0]).suffix.lower()) if words else None
    return [program, *words] if program is not None and Path(words[0]).is_file() else words


def _text(value: Any) -> str:
    """A value of JSON as a variable or a header has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _carrier(means: Means) -> HttpCarrier:
    if means.http is None:
        return LaneCarrier(connect_seconds=means.patience.deadlines.connect)
    return means.http if isinstance(means.http, HttpCarrier) else HttpxCarrier(means.http)

"""Configuration files that name servers: ``mcpServers`` of most hosts, ``servers`` of VS Code, Codex in TOML.

Both are read by one loader, comments and trailing commas too, and the order of the file is kept. Nothing is looked
for: only a file that the user names is read, since it may hold commands. An input that VS Code gets by running one of
its commands is asked for; nothing is run to read a file. What must never stand here: connecting.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from dotenv import dotenv_values

from mcpkit.client.entries import KINDS, is_disabled, normalized, servers_by_folder, servers_in, with_token
from mcpkit.client.target import Target, endpoint_of, is_url, refuse_address
from mcpkit.jsonrpc.codec import load
from mcpkit.jsonrpc.errors import McpKitError, ParseError
from mcpkit.jsonrpc.messages import JsonObject

MAX_BYTES: Final = 8 * 1024 * 1024
"""Claude Code keeps more than servers in its file."""
_VARIABLE: Final = re.compile(r"\$\{([^}]*)\}")
_TEXT: Final = r'("(?:[^"\\]|\\.)*")'
_COMMENT: Final = re.compile(_TEXT + r"|//[^\n]*|/\*.*?\*/", re.DOTALL)
_LAST_COMMA: Final = re.compile(_TEXT + r"|,(?=\s*[}\]])", re.DOTALL)


class ConfigError(McpKitError):
    """The file can't be used; the message is one line that names the place and what is wrong there."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One server: its name for people, how it is reached (all of what the file says), what it is known by."""

    name: str
    target: Target

    written: str = ""
    """The URL or command as the file has it: with ``${TOKEN}``, not with what that stands for."""

    @property
    def place(self) -> str:
        """The URL, or the command: what tells this server from others, whatever it is called; holds no secret."""
        if self.written:
            return self.written
        return self.target if isinstance(self.target, str) else _place(self.target) or self.name


@dataclass(frozen=True, slots=True)
class Input:
    """A value that the file leaves to the user."""

    id: str
    description: str
    secret: bool = False
    default: str | None = None
    options: tuple[str, ...] = ()
    """What may be chosen; anything may be said where there are none."""


Ask: TypeAlias = Callable[[Input], str]
"""Gets a value from the user, or raises ConfigError."""


def read_config(
    path: Path, environment: Mapping[str, str], ask: Ask | None = None, *, only: str | None = None
) -> list[Entry]:
    """The servers of a file (``only`` one), in its order, with ``${…}`` filled in; disabled ones are left out.

    ``ask`` gets the values of ``${input:id}``, each once; without it a file that has one is refused.
    Raises: ConfigError.
    """
    config = _object(_parsed(path), path.name)
    servers = _servers(config, path.name)
    folder = path.resolve().parent
    values = _Values(environment, folder, _inputs(config, path.name), ask)
    return [
        _entry(f"{path.name}: server {name}", name, server, values)
        for name, server in servers.items()
        if only in (None, name) and not is_disabled(server)
    ]


def _servers(config: JsonObject, where: str) -> Mapping[str, Any]:
    """The servers of a file, and before them those that it has for the folder that this runs in, or one around it.

    Raises: ConfigError where it has none.
    """
    servers, by_folder = servers_in(config), servers_by_folder(config)
    if not by_folder:
        if servers is None:
            raise ConfigError(f'{where} names no servers: it needs an object "mcpServers" or "servers"')
        return servers
    here = Path.cwd()
    around = [Path(folder).resolve() for folder in by_folder]
    nearest = max((one for one in around if here.is_relative_to(one)), key=lambda one: len(one.parts), default=None)
    own = {} if nearest is None else [*by_folder.values()][around.index(nearest)]
    if not own and not servers:
        shown = ", ".join([*by_folder][:5]) + (" …" if len(by_folder) > 5 else "")
        raise ConfigError(f"{where} names servers for other folders than {here}: start in one of {shown}")
    return {**(servers or {}), **{name: _within(nearest, server) for name, server in own.items()}}


def _within(folder: Path | None, server: Any) -> Any:
    """The server, whose command runs in that folder unless it says otherwise."""
    if not isinstance(server, Mapping) or "command" not in server:
        return server
    return {"cwd": str(folder), **server}


def _place(target: Any) -> str:
    if not isinstance(target, Mapping):
        return ""
    if isinstance(target.get("url"), str):
        return str(target["url"])
    arguments = target.get("args")
    return " ".join([str(target.get("command", "")), *map(str, arguments if isinstance(arguments, list) else [])])


def _parsed(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} can't be read: it is not UTF-8 text") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_BYTES} bytes")
    if path.suffix == ".toml":
        try:
            return tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise ConfigError(f"{path.name} is no TOML: {error}") from None
    if path.suffix in {".yaml", ".yml"}:
        raise ConfigError(f"{path.name} is YAML, which is not read: write the servers as JSON or TOML")
    try:
        for wrong in (_COMMENT, _LAST_COMMA):
            text = wrong.sub(lambda found: found[1] or "", text)
        return load(text.encode())
    except ParseError as error:
        raise ConfigError(f"{path.name} is no JSON{'' if text.strip() else ', but empty'}: {error}") from None


def _inputs(config: JsonObject, where: str) -> dict[str, Input]:
    inputs = config.get("inputs", [])
    if not isinstance(inputs, list):
        raise ConfigError(f'{where}: "inputs" must be a list')
    read = [_input(_object(one, f"{where}: each of the inputs"), where) for one in inputs]
    return {one.id: one for one in read}


def _input(given: JsonObject, where: str) -> Input:
    name, kind = given.get("id"), given.get("type", "promptString")
    if not isinstance(name, str):
        raise ConfigError(f'{where}: each of the inputs needs an "id"')
    if kind not in {"promptString", "pickString", "command"}:
        raise ConfigError(f"{where}: input {name} is of type {kind}; there are promptString, pickString and command")
    about = str(given.get("description") or name)
    if kind == "command":
        about += f" (VS Code runs its command {given.get('command')} for it; nothing is run here, type the value)"
    default = given.get("default")
    options = given.get("options") if kind == "pickString" else ()
    if not isinstance(options, list | tuple) or (kind == "pickString" and not options):
        raise ConfigError(f'{where}: input {name} needs a list of "options"')
    return Input(
        name,
        about,
        given.get("password") is True,
        default if isinstance(default, str) else None,
        tuple(str(one.get("value", one.get("label")) if isinstance(one, dict) else one) for one in options),
    )


def _entry(where: str, name: str, given: Any, values: _Values) -> Entry:
    server = normalized(values.filled(with_token(_object(given, where)), where))
    said = server.get("type")
    kind = KINDS.get(str(said).lower()) if said else "http" if "url" in server else "stdio"
    if kind is None:
        raise ConfigError(f"{where}: type must be one of http, streamable-http, sse and stdio, not {said!r}")
    needed = "command" if kind == "stdio" else "url"
    if not isinstance(server.get(needed), str) or not server[needed].strip():
        raise ConfigError(f'{where}: a server of type {kind} needs a "{needed}"')
    for member, shape, word in (("args", list, "a list"), ("env", dict, "an object"), ("headers", dict, "an object")):
        if not isinstance(server.get(member, shape()), shape):
            raise ConfigError(f'{where}: "{member}" must be {word}')
    if kind == "stdio":
        server = {**server, **_surroundings(server, values, where)}
    else:
        server["headers"] = {key: value for key, value in server.get("headers", {}).items() if value is not None}
        if not server["headers"]:
            del server["headers"]
        _refuse_address(server["url"], where)
    return Entry(name, {**server, "type": kind}, _place(normalized(given)))


def _refuse_address(text: str, where: str = "") -> None:
    try:
        refuse_address(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}" if where else str(error)) from None


def _surroundings(server: JsonObject, values: _Values, where: str) -> JsonObject:
    """Where a command runs, and the variables it is given: those of its ``envFile``, and over them its ``env``."""
    around: JsonObject = {}
    env: dict[str, Any] = {}
    if "envFile" in server:
        env.update(_env_file(values.path(server["envFile"], f'{where}: "envFile"'), where))
    env.update(server.get("env", {}))
    if env:
        around["env"] = {key: value for key, value in env.items() if value is not None}
    if "cwd" in server:
        around["cwd"] = str(values.path(server["cwd"], f'{where}: "cwd"'))
    elif values.project:
        around["cwd"] = str(values.workspace)
    return around


def _env_file(path: Path, where: str) -> dict[str, str | None]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            return dotenv_values(stream=file, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"{where}: the envFile {path} can't be read: {why}") from None


def _object(value: Any, where: str) -> JsonObject:
    if not isinstance(value, dict):
        raise ConfigError(f"{where} must be an object")
    return value


class _Values:
    """What ``${…}`` stands for."""

    def __init__(
        self, environment: Mapping[str, str], folder: Path, inputs: Mapping[str, Input], ask: Ask | None
    ) -> None:
        """``folder`` is the file's own."""
        self._environment = environment
        self.project = folder.name == ".vscode"
        """The file is one of a project, in which its commands run."""
        self.workspace = workspace = folder.parent if self.project else folder
        self._known = {
            "workspaceFolder": str(workspace),
            "workspaceFolderBasename": workspace.name,
            "userHome": str(Path.home()),
            "cwd": str(Path.cwd()),
            "pathSeparator": os.sep,
            "/": os.sep,
        }
        self._inputs = inputs
        self._ask = ask
        self._answers: dict[str, str] = {}

    def path(self, value: Any, where: str) -> Path:
        """A path as the file means it: from the workspace.

        Raises: ConfigError.
        """
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{where} must be a path")
        return self.workspace / Path(value).expanduser()

    def filled(self, value: Any, where: str) -> Any:
        """The value with every text in it filled in."""
        if isinstance(value, str):
            return _VARIABLE.sub(lambda found: self._value(found[1], where), value)
        if isinstance(value, list):
            return [self.filled(one, where) for one in value]
        if isinstance(value, dict):
            return {name: self.filled(one, where) for name, one in value.items()}
        return value

    def _value(self, name: str, where: str) -> str:
        if name.startswith("input:"):
            return self._answer(name.removeprefix("input:"), where)
        if name in self._known:
            return self._known[name]
        if name.startswith(("command:", "config:")):
            raise ConfigError(f"{where}: ${{{name}}} is known to VS Code alone; write its value or a variable")
        name, has_default, default = name.removeprefix("env:").partition(":-")
        value = self._environment.get(name)
        if has_default:
            return value or default
        if value is None:
            raise ConfigError(f"{where}: the variable {name} is not set; set it, or write ${{{name}:-default}}")
        return value

    def _answer(self, name: str, where: str) -> str:
        if name not in self._inputs:
            raise ConfigError(f'{where}: ${{input:{name}}} is not among the "inputs"')
        if name not in self._answers:
            if self._ask is None:
                raise ConfigError(
                    f"{where}: ${{input:{name}}} must be asked for, and there is no terminal to ask on; "
                    "start this on one, or write a variable, ${NAME}, in its place"
                )
            self._answers[name] = self._ask(self._inputs[name])
        return self._answers[name]


def entries_of(targets: Sequence[str | Sequence[str]]) -> list[Entry]:
    """Servers named by URL or command, as the entries of a file would be: server0, server1 ….

    A URL without a path means the endpoint of this project's servers, ``/api``.
    Raises: ConfigError.
    """
    return [Entry(f"server{number}", _target(target)) for number, target in enumerate(targets)]


def _target(target: str | Sequence[str]) -> str | JsonObject:
    if not isinstance(target, str):
        return {"type": "stdio", "command": target[0], "args": list(target[1:])}
    if not is_url(target):
        _refuse_address(target)
        return target
    try:
        urlsplit(target)
    except ValueError:
        raise ConfigError(f"{target} is no URL") from None
    return {"type": "http", "url": endpoint_of(target)}

"""One question to one server from a shell: list, call, read, prompt, ping; lines for people and pipes, or JSON.

What must never stand here: the words of the command line (mcpkit/cli.py), exit codes of failures (exits.py).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TextIO

from mcpkit.client import MCPClient, ServerRefused
from mcpkit.client.display import clean
from mcpkit.client.record import Record
from mcpkit.client.results import Tool
from mcpkit.host.exits import OK, TOOL_ERROR
from mcpkit.host.readable import content_text, cut
from mcpkit.host.show import Lines
from mcpkit.host.words import Speech
from mcpkit.jsonrpc.codec import load
from mcpkit.jsonrpc.errors import ParseError
from mcpkit.jsonrpc.messages import JsonObject

MOST_CHARACTERS = 50_000_000
KINDS = {
    "tools": ("tools/list", "tool"),
    "resources": ("resources/list", "resource"),
    "templates": ("resources/templates/list", "template"),
    "prompts": ("prompts/list", "prompt"),
}


class UsageError(ValueError):
    """What the user wrote can't be done; the message is one line that says why."""


class Commands:
    """The commands on one connected client."""

    def __init__(self, client: MCPClient, *, as_json: bool, out: TextIO | None = None) -> None:
        self._client = client
        self._as_json = as_json
        self._out = out or sys.stdout

    async def list(self) -> int:
        """Everything that the server offers."""
        found = await self._found()
        if self._as_json:
            return self._print_json({kind: [one.to_dict() for one in records] for kind, records in found.items()})
        rows = [row_of(KINDS[kind][1], record) for kind, records in found.items() for record in records]
        Lines(self._out, Speech("en")).listing("list", rows)
        return OK

    async def call(self, name: str, words: Sequence[str], given: str | None) -> int:
        """Call a tool; TOOL_ERROR when it fails."""
        tools = {tool.name: tool for tool in await self._client.list_tools()}
        arguments = arguments_of(words, tools.get(name), given)
        result = await self._client.call_tool(name, arguments, raise_on_error=False)
        code = TOOL_ERROR if result.is_error else OK
        if self._as_json:
            self._print_json(result.to_dict())
            return code
        text = content_text(result.content)
        if not text and "structuredContent" in result:
            text = json.dumps(result.structured_content, ensure_ascii=False)
        self._print(text, sys.stderr if result.is_error else self._out)
        return code

    async def read(self, uri: str) -> int:
        """A resource; what is no text goes out as its bytes where nobody looks."""
        result = await self._client.read_resource(uri)
        if self._as_json:
            return self._print_json(result.to_dict())
        for part in result.contents:
            if "text" in part:
                self._print(part.text)
            elif self._out.isatty():
                self._print(
                    f"[{part.mime_type or 'binary'}, {len(part.bytes)} bytes; redirect the output to keep them]"
                )
            else:
                self._out.flush()
                self._out.buffer.write(part.bytes)
        return OK

    async def prompt(self, name: str, words: Sequence[str]) -> int:
        """A prompt, filled in."""
        result = await self._client.get_prompt(name, pairs_of(words))
        if self._as_json:
            return self._print_json(result.to_dict())
        for message in result.messages:
            self._print(f"{clean(message.role, 20)}: {content_text([message.content])}")
        return OK

    async def ping(self) -> int:
        """How long the server takes to answer."""
        seconds = await self._client.ping()
        server, revision = self._client.server_info, self._client.protocol_version or "plain JSON-RPC"
        if self._as_json:
            return self._print_json({"server": server.to_dict(), "revision": revision, "ms": round(seconds * 1000, 3)})
        self._print(
            f"{server.display_name} {clean(server.version, 40)} answers in {seconds * 1000:.1f} ms ({revision})"
        )
        return OK

    async def _found(self) -> dict[str, Sequence[Record]]:
        offered = self._client.server_capabilities
        asked: dict[str, Callable[[], Awaitable[Sequence[Record]]]] = {
            "tools": self._client.list_tools,
            "resources": self._client.list_resources,
            "templates": self._client.list_resource_templates,
            "prompts": self._client.list_prompts,
        }
        found: dict[str, Sequence[Record]] = {}
        for kind, ask in asked.items():
            if ("resources" if kind == "templates" else kind) in offered:
                try:
                    found[kind] = await ask()
                except ServerRefused:
                    if kind != "templates":  # many servers with resources know no templates
                        raise
        return found

    def _print(self, text: str, out: TextIO | None = None) -> None:
        """For a terminal without what could deceive; into a pipe as it is."""
        out = out or self._out
        out.write((cut(text, MOST_CHARACTERS) if out.isatty() else text).rstrip("\n") + "\n")

    def _print_json(self, value: Any) -> int:
        terminal = self._out.isatty()
        text = json.dumps(value, ensure_ascii=not terminal, indent=2)
        self._out.write((_seen(text) if terminal else text) + "\n")
        return OK


def _seen(text: str) -> str:
    """JSON in which every character is seen: the others are escaped, which means the same."""
    return "".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text)


def row_of(kind: str, record: Record) -> dict[str, str]:
    """One line of a list."""
    name = record.get("uri") or record.get("uriTemplate") or record.get("name") or ""
    return {
        "kind": kind,
        "name": _signed(name, record),
        "what": clean(record.get("description") or record.get("title")),
    }


def _signed(name: Any, record: Record) -> str:
    if isinstance(record, Tool):
        required = _listed(record.input_schema.get("required"))
        properties = _members(record.input_schema.get("properties"))
        return f"{name}({', '.join(p if p in required else f'{p}?' for p in properties)})"
    return str(name)


def _members(value: Any) -> Mapping[str, Any]:
    """A part of a server's schema that should be an object; an empty one where it is none."""
    return value if isinstance(value, Mapping) else {}


def _listed(value: Any) -> list[Any]:
    """A part of a server's schema that should be a list; an empty one where it is none."""
    return value if isinstance(value, list) else []


def pairs_of(words: Sequence[str]) -> dict[str, str]:
    """``k=v`` words.

    Raises: UsageError.
    """
    for word in words:
        if "=" not in word.lstrip("="):
            raise UsageError(f"{word} is not of the form name=value")
    return dict(word.split("=", 1) for word in words)


def arguments_of(words: Sequence[str], tool: Tool | None, given: str | None = None) -> JsonObject:
    """The arguments of a call: an object as JSON, and ``name=value`` words by the types that the tool's schema has.

    ``name:=value`` is JSON whatever the schema says. Raises: UsageError.
    """
    arguments: JsonObject = {}
    if given is not None:
        arguments = _json(given, "--args")
        if not isinstance(arguments, dict):
            raise UsageError("--args must be a JSON object")
    properties = _members(tool.input_schema.get("properties")) if tool is not None else {}
    for name, text in pairs_of(words).items():
        if name.endswith(":"):
            arguments[name[:-1]] = _json(text, name[:-1])
        else:
            arguments[name] = _typed(text, properties.get(name))
    return arguments


def _typed(text: str, schema: Any) -> Any:
    """A text where the schema wants one, else JSON where it is some, else a text for the server to judge."""
    if "string" in _kinds(schema):
        return text
    try:
        return load(text.encode("utf-8", "surrogatepass"))
    except ParseError:
        return text


def _kinds(schema: Any) -> set[str]:
    if not isinstance(schema, Mapping):
        return set()
    kind = schema.get("type")
    found = {each for each in [kind, *_listed(kind)] if isinstance(each, str)}
    found |= {"string" for value in _listed(schema.get("enum")) if isinstance(value, str)}
    for choice in _listed(schema.get("anyOf")) + _listed(schema.get("oneOf")):
        found |= _kinds(choice)
    return found


def _json(text: str, where: str) -> Any:
    try:
        return load(text.encode("utf-8", "surrogatepass"))
    except ParseError as error:
        raise UsageError(f"{where} is no JSON: {error}") from None

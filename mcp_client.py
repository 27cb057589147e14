"""A client to run and to build on: ``python mcp_client.py`` drives the whole handshake against a server.

It opens the event stream at ``/sse``, takes the announced endpoint, and goes from initialize to shutdown, one printed
line a step. With a command (``chat``, ``list``, ``call`` …) it does what ``mcpkit`` does. What must never stand here:
the protocol (mcpkit/client), the commands (mcpkit/cli.py).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from mcpkit import cli
from mcpkit import client as library
from mcpkit.client.display import clean
from mcpkit.client.results import Tool
from mcpkit.host.ending import code_of_interruption, ended_by_signals
from mcpkit.host.exits import EXIT_CODES, OK, TOOL_ERROR, UNREAD, exit_code
from mcpkit.settings import Settings, SettingsError

NO_MODEL: Final = 1001
"""What ``sample`` answers on a server without a model (routers/sampling_router.py)."""
MADE_UP: Final = {"number": (5, 3, 2), "integer": (5, 3, 2), "boolean": (True,)}
"""Arguments that fit anywhere, for the first parameter, the second …; a made-up text fits nowhere."""


class MCPClient(library.MCPClient):
    """The library's client; without a target it goes to MCP_SERVER_URL."""

    def __init__(self, target: Any = None, **options: Any) -> None:
        super().__init__(Settings.load().server_url + "/api" if target is None else target, **options)


async def drive(url: str) -> int:
    """Every step of the handshake era over HTTP+SSE; the exit code."""
    async with MCPClient({"type": "sse", "url": url}) as client:
        say("connect", url)
        info = client.server_info
        say("initialize", f"{info.display_name} {clean(info.version, 40)} speaks {client.protocol_version}")
        say("initialized", "sent")
        tools = await client.list_tools()
        say("tools/list", f"{len(tools)} tools: {', '.join(tool.display_name for tool in tools[:12])}")
        code = await call_one(client, tools)
        await sample(client)
        status = await client.request("shutdown")
        say("shutdown", clean(status.get("status", "accepted")))
        return code


async def call_one(client: library.MCPClient, tools: Sequence[Tool]) -> int:
    """Call the first tool that can do no harm with made-up arguments."""
    chosen = next(((tool, made) for tool in tools if (made := arguments_for(tool)) is not None), None)
    if chosen is None:
        say("tools/call", "skipped: there is no tool that could be called with made-up arguments")
        return OK
    tool, made = chosen
    result = await client.call_tool(tool.name, made, raise_on_error=False)
    shown = clean(result.text, 200)
    say("tools/call", f"{tool.display_name} {json.dumps(made)} → {shown}{' (a tool error)' if result.is_error else ''}")
    return TOOL_ERROR if result.is_error else OK


def arguments_for(tool: Tool) -> dict[str, Any] | None:
    """Arguments for a tool that only reads, and wants nothing but numbers and flags; None for any other."""
    if tool.annotations.read_only_hint is not True or tool.annotations.open_world_hint is not False:
        return None
    properties, required = tool.input_schema.get("properties", {}), tool.input_schema.get("required", [])
    if not isinstance(required, list) or not isinstance(properties, dict):
        return None
    kinds = {str(name): kind_of(properties.get(str(name))) for name in required}
    if not MADE_UP.keys() >= set(kinds.values()):
        return None
    return {name: MADE_UP[kind][place % len(MADE_UP[kind])] for place, (name, kind) in enumerate(kinds.items())}


def kind_of(schema: Any) -> str:
    """The JSON type that a schema asks for; of several, the first."""
    choices = [schema, *(schema.get("anyOf") or [])] if isinstance(schema, dict) else []
    kinds = [choice.get("type") for choice in choices if isinstance(choice, dict)]
    return next((kind for kind in kinds if isinstance(kind, str)), "")


async def sample(client: library.MCPClient) -> None:
    """Let the server's model speak; a server without one is no failure."""
    try:
        answer = await client.request("sample", {"prompt": "Say hello in one short sentence."})
    except library.ServerRefused as error:
        if error.code != NO_MODEL:
            raise
        say("sample", f"skipped: {clean(error.error.message)}")
    else:
        say("sample", f"{clean(answer.get('model'), 80)} says: {clean(answer.get('content'), 200)}")


def say(step: str, text: str) -> None:
    """One line."""
    print(f"{step:<12} {text}", flush=True)


def place(parser: cli.Parser, words: Sequence[str]) -> str:
    """The event stream that is meant."""
    given = parser.parse_args(words).url
    if given is not None and "://" not in given:
        near = ", ".join(cli.CLIENT_COMMANDS)
        parser.error(f"{clean(given, 40)} is neither a URL, such as http://127.0.0.1:12000, nor a command: {near}")
    try:
        url: str = given or Settings.load().server_url
        return url if urlsplit(url).path.strip("/") else url.rstrip("/") + "/sse"
    except (SettingsError, ValueError) as error:
        parser.error(str(error))


def complaint(error: Exception, url: str) -> str:
    """What went wrong, in one line."""
    if isinstance(error, library.AuthorizationFailed):
        login = f"python mcp_client.py login {clean(url, 200).removesuffix('/sse')}"
        return (
            f"the server wants authorization; {login} signs in, or says which key it wants, for list, call and the like"
        )
    return clean(str(error), 400)


def main(words: Sequence[str] | None = None) -> int:
    """Run the client; the exit code."""
    words = list(sys.argv[1:] if words is None else words)
    if words[:1] and words[0] in cli.CLIENT_COMMANDS:
        return cli.main(words, "mcp_client.py")
    commands = "\n".join(f"  {name:<7} {cli.USES[name]}" for name in cli.CLIENT_COMMANDS)
    parser = cli.Parser(
        description=str(__doc__).partition("\n")[0],
        epilog=f"commands, instead of the handshake:\n{commands}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", nargs="?", help="the server, or its event stream (default: MCP_SERVER_URL)")
    url = place(parser, words)
    try:
        with ended_by_signals():
            return asyncio.run(drive(url))
    except ValueError as error:
        parser.error(str(error))
    except library.ClientError as error:
        print(f"{parser.prog}: {url}: {complaint(error, url)}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        return code_of_interruption()
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD


if __name__ == "__main__":
    sys.exit(main())

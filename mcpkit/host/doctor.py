"""What is wrong with this machine's set-up, and how to mend it: one line a check, each with its fix.

What must never stand here: mending anything.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from errno import EADDRINUSE
from typing import Literal, TextIO

from mcpkit.client import ClientError, MCPClient
from mcpkit.client.display import clean
from mcpkit.client.errors import ProxyUnusable
from mcpkit.client.http import HttpxCarrier
from mcpkit.client.options import ClientOptions
from mcpkit.host.config import Entry
from mcpkit.host.exits import AUTHORIZATION, OK, UNREACHABLE, USAGE, exit_code
from mcpkit.host.holder import holder, how_to_find
from mcpkit.host.model import ModelDenied, ModelError
from mcpkit.host.openai import Refused, models_at
from mcpkit.host.show import painter
from mcpkit.host.sign_in import Access, KeyNeeded, SignInNeeded, advice
from mcpkit.settings import Settings, SettingsError
from mcpkit.settings.contradictions import without_effect
from mcpkit.settings.unknown import explain

OLDEST = (3, 11)
NEEDED = ("fastapi", "uvicorn", "pydantic", "sse_starlette", "httpx", "orjson", "jsonschema_rs", "dotenv")
SECONDS = 5.0
COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; ``code`` is the exit code that it calls for."""

    verdict: Literal["ok", "warn", "fail"]
    subject: str
    text: str
    fix: str = ""
    code: int = OK


async def examine(
    entries: Sequence[Entry],
    settings: Settings | SettingsError,
    *,
    named: bool,
    options: ClientOptions,
    access: Access | None = None,
    unknown: Mapping[str, str | None] | None = None,
) -> AsyncIterator[Finding]:
    """All checks, each as soon as it is done; servers that were not ``named`` by the user may be down.

    ``unknown`` are the variables that look like settings and are none, each with what was probably meant.
    """
    access = access or Access()
    yield python()
    yield packages()
    for name, near in (unknown or {}).items():
        yield Finding("warn", "settings", explain(name, near), f"rename it to {near}" if near else "remove it")
    if isinstance(settings, SettingsError):
        yield Finding("fail", "settings", str(settings), "correct it in .env or the environment", USAGE)
        return
    yield Finding("ok", "settings", "the environment and .env can be read")
    for line in without_effect(settings):
        yield Finding("warn", "settings", line, "see docs/operations.md")
    yield await port(settings)
    yield await model(settings)
    for entry in entries:
        yield await server(entry, options, access, named=named)


async def report(findings: AsyncIterator[Finding], *, as_json: bool, out: TextIO) -> int:
    """Print them; the exit code of the first that failed."""
    paint, code = painter(out), OK
    async for found in findings:
        code = code or found.code
        if as_json:
            line = {"verdict": found.verdict, "subject": found.subject, "text": found.text, "fix": found.fix}
            out.write(json.dumps(line) + "\n")
        else:
            out.write(
                f"{paint(f'{found.verdict:<4}', COLOURS[found.verdict])}  {clean(found.subject)}: {clean(found.text)}\n"
            )
            if found.fix:
                out.write(f"      fix: {found.fix}\n")
        out.flush()
    return code


def python() -> Finding:
    """Is this Python new enough?"""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= OLDEST:
        return Finding("ok", "Python", version)
    wanted = ".".join(map(str, OLDEST))
    return Finding("fail", "Python", version, f"install Python {wanted} or newer", USAGE)


def packages() -> Finding:
    """Is everything installed?"""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        return Finding("fail", "packages", f"missing: {', '.join(missing)}", "pip install -r requirements.txt", USAGE)
    if importlib.util.find_spec("rich") is None:
        return Finding("ok", "packages", "complete; with rich installed, terminals get colours")
    return Finding("ok", "packages", "complete")


async def port(settings: Settings) -> Finding:
    """Can the server of this project listen, or does it already?"""
    subject = f"port {settings.port} on {settings.host}"
    try:
        async with asyncio.timeout(SECONDS):
            listening = await asyncio.start_server(lambda reader, writer: writer.close(), settings.host, settings.port)
    except OSError as error:  # a timeout is one
        if await _answers(settings):
            return Finding("ok", subject, "an MCP server answers there")
        return _not_free(subject, settings.port, error)
    listening.close()
    await listening.wait_closed()
    return Finding("ok", subject, "free; python mcp_server.py starts a server there")


def _not_free(subject: str, number: int, error: OSError) -> Finding:
    if error.errno != EADDRINUSE:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else "it is no address"
        return Finding("warn", subject, f"can't be listened on: {why}", "set MCP_SERVER_HOST or MCP_SERVER_PORT")
    found = holder(number)
    who = f"end {found}" if found else f"end the program that holds it ({how_to_find(number)})"
    return Finding("warn", subject, f"taken{f' by {found}' if found else ''}", f"{who}, or set MCP_SERVER_PORT")


async def _answers(settings: Settings) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    url = f"http://[{host}]:{settings.port}/api" if ":" in host else f"http://{host}:{settings.port}/api"
    try:
        async with asyncio.timeout(SECONDS), MCPClient(url) as client:
            return client.protocol_version is not None
    except (ClientError, TimeoutError):
        return False


async def model(settings: Settings) -> Finding:
    """Does the model's endpoint answer, and know the model?"""
    wanted = {"MODEL_NAME": settings.model_name, "BASE_URL": settings.base_url}
    missing = " and ".join(name for name, value in wanted.items() if not value)
    if missing or not settings.base_url or not settings.model_name:
        fix = f"set {missing}, and API_KEY where the endpoint wants one, in .env"
        return Finding("warn", "model", "not configured; the chat needs one, everything else does not", fix)
    carrier = HttpxCarrier(connect_seconds=SECONDS)
    try:
        names = await models_at(settings.base_url, settings.api_key, carrier=carrier, seconds=SECONDS * 2)
    except ModelDenied as error:
        return Finding("fail", "model", str(error), "check API_KEY", AUTHORIZATION)
    except Refused as error:
        text = f"the endpoint does not list its models (HTTP {error.status})"
        return Finding("warn", "model", text, "check BASE_URL; most end in /v1")
    except ModelError as error:
        return Finding("fail", "model", str(error), "check BASE_URL, and that it runs", UNREACHABLE)
    finally:
        await carrier.close()
    if not {settings.model_name, f"{settings.model_name}:latest"} & set(names):  # as Ollama completes a name
        text = f"{settings.model_name} is not among the endpoint's models: {', '.join(names[:8]) or 'it has none'}"
        return Finding("warn", "model", text, "check MODEL_NAME")
    return Finding("ok", "model", f"{settings.model_name} is there")


async def server(entry: Entry, options: ClientOptions, access: Access, *, named: bool) -> Finding:
    """Does a server answer, and what does it offer?"""
    subject = f"{entry.name} ({entry.place})"
    try:
        async with asyncio.timeout(SECONDS * 4), _client(entry, options, access) as client:
            tools = await client.list_tools() if "tools" in client.server_capabilities else []
            seconds = await client.ping()
            spoken = client.protocol_version or "plain JSON-RPC"
    except TimeoutError:
        return Finding("fail", subject, "it does not answer in time", "is it busy, or no MCP server?", UNREACHABLE)
    except (ClientError, ValueError) as error:
        code = exit_code(error)
        fix = {AUTHORIZATION: advice(access.program, entry)}.get(code, _start(entry))
        text = str(error)
        if isinstance(error, SignInNeeded | KeyNeeded):
            text, fix = error.short, error.fix
        elif isinstance(error, ProxyUnusable):
            fix = "set the proxy right, or take it out of the environment"
        return Finding("fail" if named else "warn", subject, text, fix, code if named else OK)
    return Finding("ok", subject, f"{len(tools)} tools, {spoken}, {seconds * 1000:.0f} ms")


def _client(entry: Entry, options: ClientOptions, access: Access) -> MCPClient:
    return MCPClient(entry.target, auth=access.of(entry), **options)


def _start(entry: Entry) -> str:
    for number, script in (("18080", "examples/math_server.py"), ("18081", "examples/modulo_server.py")):
        if f":{number}/" in entry.place:
            return f"start it: python {script}"
    return "start it, and check its URL or command"

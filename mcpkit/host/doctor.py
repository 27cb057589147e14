"""What is wrong with this machine's set-up, and how to mend it: one line a check, each with its fix.

What must never stand here: mending anything.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, TextIO

from mcpkit.client import ClientError, MCPClient
from mcpkit.client.display import clean
from mcpkit.client.http import HttpRequest, HttpxCarrier, read_body
from mcpkit.client.options import ClientOptions
from mcpkit.host.config import Entry
from mcpkit.host.exits import AUTHORIZATION, OK, UNREACHABLE, USAGE, exit_code
from mcpkit.host.holder import holder, how_to_find
from mcpkit.host.show import painter
from mcpkit.host.sign_in import Access, advice
from mcpkit.settings import Settings, SettingsError

OLDEST = (3, 11)
NEEDED = ("fastapi", "uvicorn", "httpx", "orjson", "jsonschema_rs", "dotenv")
SECONDS = 5.0
MOST_BYTES = 1024 * 1024
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
) -> AsyncIterator[Finding]:
    """All checks, each as soon as it is done; servers that were not ``named`` by the user may be down."""
    access = access or Access()
    yield python()
    yield packages()
    if isinstance(settings, SettingsError):
        yield Finding("fail", "settings", str(settings), "correct it in .env or the environment", USAGE)
        return
    yield Finding("ok", "settings", "the environment and .env can be read")
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
    except (OSError, TimeoutError) as error:
        if await _answers(settings):
            return Finding("ok", subject, "an MCP server answers there")
        found = holder(settings.port)
        who = f"end {found}" if found else f"end the program that holds it ({how_to_find(settings.port)})"
        why = f"taken by {found}" if found else f"not free: {getattr(error, 'strerror', None) or error}"
        return Finding("warn", subject, why, f"{who}, or set MCP_SERVER_PORT (0 takes a free one)")
    listening.close()
    await listening.wait_closed()
    return Finding("ok", subject, "free; python mcp_server.py starts a server there")


async def _answers(settings: Settings) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    url = f"http://[{host}]:{settings.port}/api" if ":" in host else f"http://{host}:{settings.port}/api"
    try:
        async with asyncio.timeout(SECONDS), MCPClient(url) as client:
            return client.protocol_version is not None
    except (ClientError, TimeoutError):
        return False


async def model(settings: Settings) -> Finding:
    """Does the model's endpoint answer?"""
    if not settings.base_url or not settings.model_name:
        wanted = "set MODEL_NAME, BASE_URL and (where the endpoint wants one) API_KEY in .env"
        return Finding("warn", "model", "not configured; the chat needs one, everything else does not", wanted)
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    if settings.api_key:
        headers["Authorization"] = f"Bearer {settings.api_key}"
    carrier = HttpxCarrier(connect_seconds=SECONDS)
    try:
        async with asyncio.timeout(SECONDS * 2):
            answer = await carrier.send(HttpRequest("GET", f"{settings.base_url.rstrip('/')}/models", headers))
            body = await read_body(answer, MOST_BYTES)
    except (ClientError, TimeoutError, ValueError):
        return Finding(
            "fail", "model", "the endpoint can't be reached", "check BASE_URL, and that it runs", UNREACHABLE
        )
    finally:
        await carrier.close()
    return _judged(answer.status, settings.model_name, body)


def _judged(status: int, name: str, body: bytes) -> Finding:
    if status in {401, 403}:
        return Finding("fail", "model", f"the endpoint refuses the key (HTTP {status})", "check API_KEY", AUTHORIZATION)
    if status != 200:
        return Finding("warn", "model", f"the endpoint does not list its models (HTTP {status})", "check BASE_URL")
    if name.encode() not in body:
        return Finding("warn", "model", f"{name} is not among the endpoint's models", "check MODEL_NAME")
    return Finding("ok", "model", f"{name} is there")


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
        return Finding("fail" if named else "warn", subject, str(error), fix, code if named else OK)
    return Finding("ok", subject, f"{len(tools)} tools, {spoken}, {seconds * 1000:.0f} ms")


def _client(entry: Entry, options: ClientOptions, access: Access) -> MCPClient:
    return MCPClient(entry.target, auth=access.of(entry), **options)


def _start(entry: Entry) -> str:
    for number, script in (("18080", "examples/math_server.py"), ("18081", "examples/modulo_server.py")):
        if f":{number}/" in entry.place:
            return f"start it: python {script}"
    return "start it, and check its URL or command"

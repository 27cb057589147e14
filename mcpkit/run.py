"""Running a server as a program: over HTTP with uvicorn, or over the standard streams.

Addresses, exit codes, the log's form. What must never stand here: a rule of the protocol; an import of FastAPI or
uvicorn when the module is loaded (a stdio server starts without them).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from errno import EADDRINUSE
from functools import partial
from threading import Timer
from typing import Any, Final

from mcpkit.aio import run_to_end
from mcpkit.observe.log_lines import LogLines
from mcpkit.observe.logs import JsonLines, remembering
from mcpkit.server import Server
from mcpkit.settings import Settings, SettingsError
from mcpkit.settings.contradictions import without_effect

BAD_START: Final = 2
"""The exit code of a program that could not begin."""
BACKLOG: Final = 2048
EXPOSED: Final = (
    "WARNING: listening on {} without authentication: whoever can reach this machine can use this server, so "
    "`shutdown` is refused. Set MCP_API_KEYS_FILE or MCP_AUTH_ISSUER, or listen on 127.0.0.1."
)
ANSWER_SECONDS: Final = 0.1
"""What the answer to the call that asked for the end has to get out of a pipe."""

logger = logging.getLogger("mcpkit.run")
_stops: list[Callable[[], Any]] = []
_loading: ContextVar[bool] = ContextVar("_loading", default=False)


class CannotStart(Exception):
    """One clear line that says why, and what to do."""


def serve(target: Server | Any, settings: Settings | None = None, *, stdio: bool = False) -> None:
    """Serve until told to stop: by SIGINT, SIGTERM, :func:`request_shutdown` or, with ``stdio``, the end of input.

    ``target`` is a server, or over HTTP any ASGI application. Returns when all went well. Raises: SystemExit with
    code 2, after one clear line on stderr, when it can't begin; RuntimeError within :func:`only_loading`.
    """
    if _loading.get():
        raise RuntimeError('serve() runs while the file is loaded: put it under `if __name__ == "__main__":`')
    try:
        settings = settings or Settings.load()
        _set_up_log(target, settings)
        if stdio:
            for line in without_effect(settings, stdio=True):
                logger.warning("%s", line)
            target.configure(settings)
            _serve_stdio(target, settings)
        else:
            _serve_http(target, settings)
    except (CannotStart, SettingsError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - the one clear line
        raise SystemExit(BAD_START) from None


@contextlib.contextmanager
def only_loading() -> Iterator[None]:
    """Load a file whose server is served afterwards: a `serve` in it would take other settings, and not come back."""
    token = _loading.set(True)
    try:
        yield
    finally:
        _loading.reset(token)


def request_shutdown() -> None:
    """Let what :func:`serve` runs in this process end gracefully, as SIGTERM does. Does nothing when nothing runs."""
    for stop in tuple(_stops):
        stop()


# ── the standard streams ─────────────────────────────────────────────────────────────────────────────────────────────


def _serve_stdio(server: Server, settings: Settings) -> None:
    from mcpkit.transports.stdio import leave, serve_stdio, take_stdio  # noqa: PLC0415 - HTTP needs none of it

    pipes = take_stdio()

    async def conversation() -> None:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        cancel = task.cancel

        def soon() -> None:
            loop.call_later(ANSWER_SECONDS, cancel)

        if os.name == "posix":
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, cancel)
        with _stoppable(lambda: loop.call_soon_threadsafe(soon)):
            async with server.running():
                await serve_stdio(server.kernel, settings=settings, pipes=pipes)

    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        run_to_end(conversation())
    leave()


# ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _serve_http(target: Server | Any, settings: Settings) -> None:
    from mcpkit.fastapi import create_app  # noqa: PLC0415 - a stdio server starts without it
    from mcpkit.transports.program import HttpProgram  # noqa: PLC0415 - as above

    try:
        app = create_app(target, settings) if isinstance(target, Server) else target
    except ValueError as error:
        raise CannotStart(f"MCP_ALLOWED_HOSTS or MCP_ALLOWED_ORIGINS: {error}") from None
    listening = listen(settings.host, settings.port)
    if settings.exposed and not getattr(app, "authenticated", False):
        print(EXPOSED.format(settings.host), file=sys.stderr)  # noqa: T201 - whatever the log's level
    url = url_of(settings.host, listening.getsockname()[1])

    def work(number: int) -> None:
        greeting = partial(greet, url) if number == 0 else _nothing
        program = HttpProgram(app, settings, greeting, alone=settings.workers == 1)
        with _stoppable(program.stop if settings.workers == 1 else _stop_parent):
            program.run(sockets=[listening])

    if settings.workers == 1:
        work(0)
    else:
        _serve_with_workers(settings, work, listening)


def _serve_with_workers(settings: Settings, work: Callable[[int], None], listening: socket.socket) -> None:
    if not hasattr(os, "fork"):
        raise CannotStart("Several workers need fork, which this system doesn't have; set MCP_SERVER_WORKERS to 1")
    from mcpkit.transports.newcomers import turn_away  # noqa: PLC0415 - few need it
    from mcpkit.transports.workers import Workers, WorkersFailed  # noqa: PLC0415 - as above

    def ending() -> None:  # the socket is closed only once all have ended
        Timer(settings.drain_seconds, turn_away, [listening]).start()

    try:
        Workers(settings.workers, work, ending).run()
    except WorkersFailed as failed:
        raise CannotStart(str(failed)) from None


def _stop_parent() -> None:
    os.kill(os.getppid(), signal.SIGTERM)


def _nothing() -> None:
    """One greeting is enough."""


def greet(url: str) -> None:
    """Three lines on stderr: where the server describes itself, where MCP is, and a command to copy."""
    from mcpkit.fastapi import MCP_PATH, curl_line  # noqa: PLC0415 - loaded by now

    lines = (f"Info: {url}/", f"MCP:  {url}{MCP_PATH}", curl_line(f"{url}{MCP_PATH}"))
    print(*lines, sep="\n", file=sys.stderr, flush=True)  # noqa: T201 - meant for people


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one.

    Raises: CannotStart.
    """
    if not 0 <= port <= 65535:  # else the system takes what is left of it
        raise CannotStart(f"{port} is no port: give a number from 0 to 65535; 0 takes a free one")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise CannotStart(f"{host} is no address of this machine; set --host or MCP_SERVER_HOST") from None
    family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    listening = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise CannotStart(_refusal(error, host, port)) from None
    return listening


def _refusal(error: OSError, host: str, port: int) -> str:
    advice = "choose another with --port or MCP_SERVER_PORT; --port 0 takes a free one"
    if error.errno == EADDRINUSE:
        from mcpkit.host.holder import holder, how_to_find  # noqa: PLC0415 - rarely asked

        by = holder(port)
        return f"Port {port} on {host} is taken{f' by {by}' if by else f' (see {how_to_find(port)})'}; {advice}"
    if isinstance(error, PermissionError):
        return f"Port {port} on {host} may not be used by this user; {advice}"
    return f"Can't listen on {host}: {error.strerror}; set --host or MCP_SERVER_HOST"


def url_of(host: str, port: int) -> str:
    """Where a program on this machine finds a server that listens there."""
    name = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


# ── the process ──────────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def _stoppable(stop: Callable[[], Any]) -> Iterator[None]:
    _stops.append(stop)
    try:
        yield
    finally:
        _stops.remove(stop)


def _set_up_log(target: Server | Any, settings: Settings) -> None:
    """The log goes to stderr, unless the program has set one up already."""
    server = getattr(target, "mcp_server", target)
    if settings.log_format == "json" and isinstance(server, Server):
        server.use(remembering)
    handler = logging.StreamHandler()
    text = logging.Formatter("%(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonLines() if settings.log_format == "json" else text)
    handler.addFilter(LogLines(settings.max_log_lines, settings.caller_share))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])

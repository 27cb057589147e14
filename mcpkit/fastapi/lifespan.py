"""From start to end: what runs beside an application that serves a server, and how it comes to rest.

What must never stand here: a request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final

from sse_starlette.sse import AppStatus

from mcpkit.fastapi.startup import Startup
from mcpkit.server import Server
from mcpkit.sessions.choice import replica_for
from mcpkit.sessions.store import SessionStore
from mcpkit.settings import Settings
from mcpkit.settings.contradictions import without_effect
from mcpkit.transports.streamable_http import McpEndpoint

if TYPE_CHECKING:
    from mcpkit.sessions.redis_replica import Replica

logger = logging.getLogger("mcpkit.settings")
EXIT_POLL_SECONDS: Final = 0.5


def lifespan_of(
    server: Server,
    endpoint: McpEndpoint,
    replica: Replica | None,
    startup: Startup,
    check: Callable[[Any], None] = lambda app: None,
) -> Any:
    """The lifespan of whatever serves ``server``: its own resources up and down, and no stream left open.

    ``check`` is called with the application first.
    """
    kernel = server.kernel

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        check(app)
        shared = replica.running(kernel.changes, kernel.sealer.adopt) if replica else nullcontext()
        async with shared, server.running(), startup.entered():
            endpoint.resume()
            watcher = asyncio.create_task(_drain_at_exit(server, endpoint))
            try:
                yield
            finally:
                watcher.cancel()
                drain(server, endpoint)
                with suppress(asyncio.CancelledError):
                    await watcher

    return lifespan


async def _drain_at_exit(server: Server, endpoint: McpEndpoint) -> None:
    """Under a foreign uvicorn nobody tells us that it wants to exit, and it waits for streams that never end."""
    if _exiting():  # left over from an earlier server of this process
        return
    while not _exiting():  # noqa: ASYNC110 - a flag of another library, set in a signal handler
        await asyncio.sleep(EXIT_POLL_SECONDS)
    drain(server, endpoint)


def _exiting() -> bool:
    """Whether uvicorn has been told to exit, as sse-starlette has hooked it."""
    return AppStatus.should_exit


def drain(server: Server, endpoint: McpEndpoint) -> None:
    """Let every stream end gracefully and open no new ones."""
    endpoint.drain()
    server.close_streams()


def check_inputs(where: str, server: Any, settings: Any) -> Settings:
    """The settings to serve ``server`` with: the given ones, else the environment's.

    Raises: TypeError where either is something else; SettingsError.
    """
    if not isinstance(server, Server):
        raise TypeError(f"{where} needs a Server, as Server('name'), not {server!r:.80}")
    if settings is None:
        return Settings.load()
    if not isinstance(settings, Settings):
        raise TypeError(f"{where}: settings must be Settings(…) or Settings.load(), not {settings!r:.80}")
    return settings


def prepare(server: Server, settings: Settings, store: SessionStore | None, *, metrics: bool = True) -> Replica | None:
    """Make the server what the settings say, extensions and limits, and say what it shares with other processes.

    Raises: SettingsError.
    """
    for line in without_effect(settings, metrics=metrics):
        logger.warning("%s", line)
    server.configure(settings)
    return replica_of(server, settings) if store is None else None


def replica_of(server: Server, settings: Settings) -> Replica | None:
    """What this process shares with others; results that are kept, and extensions that can, share too."""
    replica = replica_for(settings)
    if replica is not None:
        server.tools.cached.results = replica.results
        for extension in server.extensions:
            share = getattr(extension, "share", None)
            if share is not None:
                share(replica.link)
    return replica

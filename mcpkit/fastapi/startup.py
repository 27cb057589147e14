"""Whether the lifespan of an application has begun, and its late beginning where nothing else began it.

A mounted application, a sub-application, and a test client without ``with`` get no lifespan events: then the first
request begins it. What must never stand here: what a lifespan does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

from mcpkit.aio import as_exception, is_requested
from mcpkit.jsonrpc.errors import INTERNAL_ERROR
from mcpkit.transports.asgi import Receive, Refused, Scope, Send, refuse
from mcpkit.transports.calls import takes_null_id

Enter: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Any]]
"""From the application that serves the request to the lifespan around it; what it yields is the request's state."""

NOT_STARTED: Final = "The server could not be started; its log says why. Try again later"
LATE: Final = (
    "nothing had run the lifespan of the server %r when the first request came to %s%s: it begins now, and ends with "
    "the event loop, without the code after its yield. To have it run in order, %s"
)
FOR_MOUNTS: Final = (
    "use include_router(mcp_router(server)) instead of mount(), or enter server.running() in the lifespan of the "
    "outer application"
)
FOR_OTHERS: Final = "serve it with lifespan events; in tests write `with TestClient(app) as client:`"

logger = logging.getLogger("mcpkit.lifespan")


class Startup:
    """Has a lifespan entered before the first request is served, once in each event loop."""

    __slots__ = ("_enter", "_late", "_name", "_warned", "idle", "running")

    def __init__(self, name: str, enter: Enter, idle: Callable[[], bool]) -> None:
        """``name`` is the server's; ``idle`` tells whether something would be missed without the lifespan."""
        self._name = name
        self._enter = enter
        self.idle = idle
        self.running = 0
        """How often it has been entered by whoever is there for that: then no request needs to see to it."""
        self._late: WeakKeyDictionary[asyncio.AbstractEventLoop, _Late] = WeakKeyDictionary()
        self._warned = False

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """To be entered by the lifespan itself: from now on it runs."""
        own = any(asyncio.current_task() is late.task for late in self._late.values())
        self.running += not own
        try:
            yield
        finally:
            self.running -= not own

    async def begin(self, scope: Scope) -> None:
        """Have the lifespan run before this request is served.

        Raises: Refused (503) when it fails; the next request tries again.
        """
        loop = asyncio.get_running_loop()
        late = self._late.get(loop)
        if late is None:
            self._warn(scope)
            late = self._late[loop] = _Late(self._enter(scope.get("app")))
        try:
            state = await asyncio.shield(late.state)
        except Exception as error:
            if self._late.get(loop) is late:  # the first of those who waited
                del self._late[loop]
                logger.exception("the lifespan of the server %r could not be entered", self._name, exc_info=error)
            raise Refused(503, NOT_STARTED, [(b"retry-after", b"1")], code=INTERNAL_ERROR) from None
        if state:
            scope.setdefault("state", {}).update(state)

    def _warn(self, scope: Scope) -> None:
        if self._warned or not self.idle():
            return
        self._warned = True
        mount = scope.get("root_path") or ""
        below, fix = (f" below the mount {mount}", FOR_MOUNTS) if mount else ("", FOR_OTHERS)
        logger.warning(LATE, self._name, scope["path"], below, fix)


class _Late:
    """A lifespan that ends with its event loop."""

    def __init__(self, lifespan: AbstractAsyncContextManager[Any]) -> None:
        self.state: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._run(lifespan), name="mcpkit: late lifespan")

    async def _run(self, lifespan: AbstractAsyncContextManager[Any]) -> None:
        try:
            async with lifespan as state:
                self.state.set_result(state if isinstance(state, Mapping) else {})
                await asyncio.get_running_loop().create_future()  # until the loop ends and cancels it
        except BaseException as error:
            if self.state.done():
                raise
            if is_requested(error):
                self.state.cancel()
                raise
            self.state.set_exception(as_exception(error))


async def begun(startup: Startup, scope: Scope, receive: Receive, send: Send) -> bool:
    """Whether the request may be served, with the lifespan running; if not, it has been answered."""
    try:
        await startup.begin(scope)
    except Refused as refusal:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1011})
        else:
            await refuse(send, refusal, null_id=takes_null_id(scope))
        return False
    return True

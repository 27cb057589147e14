"""A client put together from what its caller said: every keyword finds its place here and nowhere else.

What must never stand here: a request of the protocol (client.py).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any, Final

from mcpkit.client import era, handlers
from mcpkit.client.answers import Answers
from mcpkit.client.background import Background, log
from mcpkit.client.cache import ResponseCache
from mcpkit.client.calls import Calls, Habits
from mcpkit.client.connection import Connection
from mcpkit.client.core import Core, Setup
from mcpkit.client.endpoint import Authorizer, Bearer
from mcpkit.client.errors import ClientError, ServerRefused
from mcpkit.client.identity import DEFAULT_INFO, Identity
from mcpkit.client.limits import Patience
from mcpkit.client.listening import Listening, Subjects
from mcpkit.client.notices import Delivery, MessageHandler, change_of, log_message_of
from mcpkit.client.options import ClientOptions, check_client_options
from mcpkit.client.outage import Outage
from mcpkit.client.target import Means, Target, reach
from mcpkit.client.toolbox import Toolbox
from mcpkit.client.underway import Manner
from mcpkit.jsonrpc.messages import Notification
from mcpkit.protocol.types import LOG_LEVELS

_MEMORY: Final = era.EraMemory()
_SET_LEVEL: Final = "logging/setLevel"


@dataclass(slots=True)
class Parts:
    """What a client is made of."""

    core: Core
    calls: Calls
    tools: Toolbox
    options: ClientOptions
    delivery: Delivery
    hears_all: MessageHandler | None = None
    background: Background = field(default_factory=Background)

    async def stop(self) -> None:
        """End everything."""
        await self.background.stop()
        await self.core.close()
        await self.delivery.stop()

    def told(self, connection: Connection, notification: Notification) -> None:
        """Hand what the server says to the cache and to the handlers that want it."""
        change = change_of(notification)
        if change is not None:
            self.calls.changed(change)
        log_handler = self.options.get("log_handler")
        if log_handler is not None and notification.method == "notifications/message":
            self.delivery.put(log_handler, log_message_of(notification.params))
        if self.hears_all is not None:
            self.delivery.put(self.hears_all, notification.method, notification.params)

    def log_level(self, level: str) -> None:
        """Ask for this level on every connection from now on."""
        if level not in LOG_LEVELS:
            raise ValueError(f"the level must be one of {', '.join(LOG_LEVELS)}")
        self.core.setup.identity = replace(self.core.setup.identity, log_level=level)

    async def restore(self, connection: Connection) -> None:
        """A new connection: nothing that was known of the server is certain."""
        self.calls.forget()
        await self.restore_log_level(connection)
        if self.options.get("change_handler") is not None and not len(self.background):
            self.background.start(self._follow(), "follow changes")

    async def restore_log_level(self, connection: Connection) -> None:
        """Tell the server, by its revision's way, which log messages are wanted."""
        level = self.core.setup.identity.log_level
        if level is None:
            return
        connection.identity = self.core.setup.identity
        connection.stamp = era.stamp(connection, connection.spoken)
        if _SET_LEVEL in connection.spoken.requests and "logging" in connection.server.capabilities:
            try:
                await connection.request(_SET_LEVEL, {"level": level}, Manner(repeatable=True))
            except ServerRefused as error:
                log.warning("the server refuses the log level %s: %s", level, error)

    async def _follow(self) -> None:
        """Call the change handler for as long as the client is connected, and again after an outage."""
        outage = Outage(self.core.setup.reach.name, self.core.setup.patience)
        while True:
            try:
                await self._hear_changes(outage)
            except ClientError as error:
                if await outage.waited_out(error):
                    continue
            return

    async def _hear_changes(self, outage: Outage) -> None:
        connection = await self.core.connection()
        offered = connection.server.capabilities
        kinds = {kind: _list_changes(offered, kind) for kind in ("tools", "prompts", "resources")}
        if not any(kinds.values()):
            return
        async with Listening(self.core, Subjects(kinds["tools"], kinds["prompts"], kinds["resources"])) as changes:
            if outage.began or self.core.live is not connection:  # lost before anybody listened on it
                changes.missed()
            outage.over()
            async for change in changes:
                self.delivery.put(self.options["change_handler"], change)


def assembled(target: Target, mode: str, auth: Authorizer | str | None, options: ClientOptions) -> Parts:
    """The parts of a client.

    Raises: ValueError; TypeError for a keyword that there is not.
    """
    era.check_mode(mode)
    check_client_options(options)
    patience = _patience(options)
    answers = Answers(
        handlers.elicitation_handler(options.get("elicitation_handler")),
        handlers.elicitation_handler(options.get("elicitation_url_handler")),
        handlers.sampling_handler(options.get("sampling_handler")),
        options.get("sampling_tools", False),
        options.get("roots"),
    )
    authorizer = Bearer(auth) if isinstance(auth, str) else auth
    means = Means(patience, authorizer, options.get("headers", {}), options.get("http"), options.get("stderr"))
    setup = Setup(
        reach(target, means), _identity(options, answers), answers, patience, mode, options.get("eras", _MEMORY)
    )
    core = Core(setup)
    habits = Habits(
        patience.deadlines.call,
        handlers.progress_handler(options.get("progress_handler")),
        patience.bounds.rounds,
        _context(authorizer, options),
    )
    calls = Calls(core, habits, _cache(options))
    hears_all = handlers.message_handler(options.get("message_handler"))
    parts = Parts(core, calls, Toolbox(), options, Delivery(patience.bounds.notices), hears_all)
    core.told.append(parts.told)
    core.missed.append(calls.changed)
    core.restore.append(parts.restore)
    return parts


def _patience(options: ClientOptions) -> Patience:
    patience = options.get("patience", Patience())
    deadlines, bounds = patience.deadlines, patience.bounds
    if "timeout" in options:
        deadlines = replace(deadlines, call=options["timeout"])
    if "init_timeout" in options:
        seconds = options["init_timeout"]
        deadlines = replace(
            deadlines, handshake=seconds, connect=min(deadlines.connect, seconds), probe=min(deadlines.probe, seconds)
        )
    if "input_required_max_rounds" in options:
        bounds = replace(bounds, rounds=options["input_required_max_rounds"])
    return replace(patience, deadlines=deadlines, bounds=bounds)


def _identity(options: ClientOptions, answers: Answers) -> Identity:
    level = options.get("log_level")
    if level is not None and level not in LOG_LEVELS:
        raise ValueError(f"log_level must be one of {', '.join(LOG_LEVELS)}")
    capabilities: dict[str, Any] = answers.capabilities()
    if options.get("extensions"):
        capabilities["extensions"] = {name: dict(settings) for name, settings in options["extensions"].items()}
    return Identity({**DEFAULT_INFO, **options.get("client_info", {})}, capabilities, level)


def _cache(options: ClientOptions) -> ResponseCache | None:
    wanted = options.get("cache", True)
    return wanted if isinstance(wanted, ResponseCache) else ResponseCache() if wanted else None


def _context(auth: Authorizer | None, options: ClientOptions) -> str:
    """Whose private results these are (CACHE-04): a digest, since it holds credentials."""
    who = [auth.context() if auth is not None else None, sorted(options.get("headers", {}).items())]
    return hashlib.sha256(json.dumps(who).encode()).hexdigest()


def _list_changes(offered: Any, kind: str) -> bool:
    feature = offered.get(kind) if isinstance(offered, dict) else None
    return isinstance(feature, dict) and feature.get("listChanged") is True

"""Many servers at once: each connects, serves, fails and rejoins by itself, and its state can be seen at any time.

The field's word for what keeps the clients of a host together is the host itself; a fleet is its servers. One that is
down keeps nobody from using the others. What must never stand here: a model, consent, a protocol's method beyond lists.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from mcpkit.client import MCPClient
from mcpkit.client.background import Background, log
from mcpkit.client.display import clean
from mcpkit.client.endpoint import Authorizer
from mcpkit.client.errors import ClientError, ConnectionLost, ServerRefused, Timeout, Unreachable
from mcpkit.client.limits import Bounds, Patience, Pauses
from mcpkit.client.notices import Change
from mcpkit.client.options import ClientOptions
from mcpkit.client.results import CallToolResult, GetPromptResult, Prompt, ReadResourceResult, Resource, Tool
from mcpkit.host.config import Entry
from mcpkit.host.exits import UNREACHABLE, exit_code
from mcpkit.host.offers import Offered, offers_of

T = TypeVar("T")

PATIENCE: Final = Patience(pauses=Pauses(first=0.5, most=15.0), bounds=Bounds(attempts=2))
_BROKEN: Final = (ConnectionLost, Timeout, Unreachable)


class State(Enum):
    """How it stands with a server."""

    CONNECTING = "connecting"
    READY = "ready"
    FAILED = "failed"


@dataclass(slots=True, eq=False)
class Member:
    """One server of the fleet."""

    prefix: str
    """``server0``, or its name in the configuration file."""
    entry: Entry
    client: MCPClient
    state: State = State.CONNECTING
    why: str = ""
    """What went wrong, of a server that has failed."""
    code: int = UNREACHABLE
    """The exit code that this amounts to."""
    joined: int = 0
    """How often it has become ready."""
    tools: list[Tool] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)
    resources: list[Resource] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its keeper should look after it: a list has changed, a call broke."""
    changed: set[str] = field(default_factory=set)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after its first attempt to connect."""

    @property
    def offered(self) -> tuple[list[Tool], list[Prompt], list[Resource]]:
        """What it offers, as far as is known."""
        return self.tools, self.prompts, self.resources


class MemberOptions(ClientOptions, total=False):
    """Keywords of the client of one member."""

    auth: Authorizer | None
    """Makes the user known to the server."""


Watcher = Callable[[Member], None]
"""Hears that a member's state or lists have changed; must not wait."""


class UnknownName(ClientError):
    """No server that is ready offers this; the message names what there is."""


class Fleet:
    """``async with Fleet(entries) as fleet``: returns when every server is ready or has failed once.

    ``options`` makes the client options of one member: it is called with its entry before each connection.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        *,
        by_name: bool = False,
        options: Callable[[Entry], MemberOptions] | None = None,
        watch: Watcher | None = None,
        patience: Patience = PATIENCE,
        heartbeat: float = 15.0,
        start_seconds: float = 10.0,
    ) -> None:
        """``heartbeat``: seconds between two looks at a server; ``start_seconds``: the most that the start waits."""
        self._options = options or (lambda entry: MemberOptions())
        self._watch = watch or (lambda member: None)
        self._patience = patience
        self._heartbeat = heartbeat
        self._start_seconds = start_seconds
        self._background = Background()
        prefixes = [entry.name if by_name else f"server{number}" for number, entry in enumerate(entries)]
        self.members = [
            Member(prefix, entry, self._client(prefix, entry)) for prefix, entry in zip(prefixes, entries, strict=True)
        ]
        self.offers: dict[str, Offered] = {}
        """Every tool that can be called now, by the name that the model calls it by."""
        self.left_out: list[str] = []
        """A sentence for what can't be called, though a server offers it."""

    # ── starting and ending ─────────────────────────────────────────────────────────────────────────────────────────

    async def __aenter__(self) -> Self:
        for member in self.members:
            self._background.start(self._keep(member), f"keep {member.prefix}")
        try:
            await self._settled(self._start_seconds)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every connection, and all work."""
        await self._background.stop()
        await asyncio.gather(*(member.client.close() for member in self.members), return_exceptions=True)

    async def _settled(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):  # who takes longer joins later
            async with asyncio.timeout(seconds):
                for member in self.members:
                    await member.settled.wait()

    # ── using it ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def ready(self) -> list[Member]:
        """The servers that can be used now."""
        return [member for member in self.members if member.state is State.READY]

    def member(self, prefix: str) -> Member:
        """The server of that prefix or name.

        Raises: UnknownName.
        """
        for member in self.members:
            if prefix in {member.prefix, member.entry.name}:
                return member
        raise UnknownName(
            f"there is no server {clean(prefix, 80)}; there are {_listed(m.prefix for m in self.members)}"
        )

    async def call(self, offered: Offered, arguments: Mapping[str, Any]) -> CallToolResult:
        """Call a tool by what is offered; a tool's own error is a result too.

        Raises: ClientError.
        """
        member = self._usable(offered.prefix)
        return await self._looked_after(
            member, member.client.call_tool(offered.tool.name, arguments, raise_on_error=False)
        )

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> GetPromptResult:
        """A prompt by ``server0_name``, or by its own name where only one server has it.

        Raises: ClientError.
        """
        found = [
            (member, prompt)
            for member in self.ready
            for prompt in member.prompts
            if name in {prompt.name, f"{member.prefix}_{prompt.name}"}
        ]
        if not found:
            raise UnknownName(f"no server has a prompt {clean(name, 80)}; /prompts lists them")
        if len(found) > 1:
            names = _listed(f"{member.prefix}_{prompt.name}" for member, prompt in found)
            raise UnknownName(f"several servers have a prompt {clean(name, 80)}: say {names}")
        ((member, prompt),) = found
        return await self._looked_after(member, member.client.get_prompt(prompt.name, arguments))

    async def read(self, uri: str) -> tuple[Member, ReadResourceResult]:
        """A resource, from the server that lists it, else from the first one that knows it.

        Raises: ClientError.
        """
        able = [member for member in self.ready if "resources" in member.client.server_capabilities]
        able.sort(key=lambda member: all(resource.uri != uri for resource in member.resources))
        for member in able:
            try:
                return member, await self._looked_after(member, member.client.read_resource(uri))
            except ServerRefused as error:
                log.debug("%s does not read %s: %s", member.prefix, uri, error)
        raise UnknownName(f"no server that is ready can read {clean(uri, 200)}")

    def _usable(self, prefix: str) -> Member:
        member = self.member(prefix)
        if member.state is not State.READY:
            raise ConnectionLost(f"{prefix} is not connected: {member.why or member.state.value}", sent=False)
        return member

    async def _looked_after(self, member: Member, work: Awaitable[T]) -> T:
        try:
            return await work
        except _BROKEN:
            member.news.set()
            raise

    # ── keeping one server ──────────────────────────────────────────────────────────────────────────────────────────

    async def _keep(self, member: Member) -> None:
        """Connect it, stay until it is lost, and again, for ever."""
        failures = 0
        while True:
            try:
                await self._join(member)
                failures = 0
                await self._stay(member)
            except ClientError as error:
                member.code = exit_code(error)
                self._now(member, State.FAILED, clean(str(error), 300) or type(error).__name__)
            except Exception as error:  # whatever a strange server provokes, the others go on
                log.exception("%s failed in a way that nobody foresaw", member.prefix)
                self._now(member, State.FAILED, type(error).__name__)
            await asyncio.sleep(self._patience.pauses.before(failures))
            failures += 1
            await self._retire(member)

    async def _retire(self, member: Member) -> None:
        """Leave the client that has failed; the next one starts afresh."""
        await member.client.close()
        member.client = self._client(member.prefix, member.entry)

    async def _join(self, member: Member) -> None:
        member.news.clear()
        member.changed.clear()
        await member.client.connect()
        member.changed.update(("tools", "prompts", "resources"))
        await self._refresh(member)
        member.joined += 1
        self._now(member, State.READY)

    async def _stay(self, member: Member) -> None:
        """Until the server is gone: refresh what changed, and see now and then whether it is still there.

        Raises: ClientError when it is gone.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._heartbeat):
                    await member.news.wait()
            member.news.clear()
            if not member.changed:
                await member.client.ping(timeout=self._patience.deadlines.probe)
                continue
            before = member.offered
            await self._refresh(member)
            if member.offered != before:
                self._now(member, State.READY)

    async def _refresh(self, member: Member) -> None:
        changed, offered = set(member.changed), member.client.server_capabilities
        member.changed.clear()
        if "tools" in changed:
            member.tools = await member.client.list_tools() if "tools" in offered else []
        if "prompts" in changed:
            member.prompts = await _or_none(member.client.list_prompts()) if "prompts" in offered else []
        if "resources" in changed:
            member.resources = await _or_none(member.client.list_resources()) if "resources" in offered else []

    def _client(self, prefix: str, entry: Entry) -> MCPClient:
        options = self._options(entry)
        options.setdefault("patience", self._patience)
        options["change_handler"] = lambda change: self._changed(prefix, change)
        return MCPClient(entry.target, **options)

    def _changed(self, prefix: str, change: Change) -> None:
        member = self.member(prefix)
        member.changed.add(change.kind)
        member.news.set()

    def _now(self, member: Member, state: State, why: str = "") -> None:
        known = state is not State.READY and (member.state, member.why) == (state, why)
        member.state, member.why = state, why
        self.offers, self.left_out = offers_of(
            [(one.prefix, one.entry.place, one.tools) for one in self.members if one.state is State.READY]
        )
        member.settled.set()
        if not known:
            self._watch(member)


async def _or_none(listing: Awaitable[list[T]]) -> list[T]:
    """A list that the server refuses to give is empty: its tools are of use all the same."""
    try:
        return await listing
    except ServerRefused as error:
        log.warning("a list is refused: %s", error)
        return []


def _listed(names: Any) -> str:
    return ", ".join(clean(name, 80) for name in names) or "none"

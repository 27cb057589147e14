"""The client: every request of the protocol as a method, on one server, in whatever revision it speaks.

``async with MCPClient(target) as client``, or plain calls, which connect by themselves; from any task, thousands at
once. What must never stand here: connections (core.py), how a request is made (calls.py), what a result looks like.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

from mcpkit.client.answers import Roots
from mcpkit.client.assembly import assembled
from mcpkit.client.contents import prompt_result, resource_result
from mcpkit.client.endpoint import Authorizer
from mcpkit.client.errors import Unsupported
from mcpkit.client.listening import Listening, Subjects
from mcpkit.client.options import CallOptions, ClientOptions
from mcpkit.client.record import Record
from mcpkit.client.results import (
    CompleteResult,
    Completion,
    GetPromptResult,
    Implementation,
    Prompt,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    ServerDescription,
)
from mcpkit.client.target import Target
from mcpkit.client.tool_calls import ToolCalls
from mcpkit.jsonrpc.messages import JsonObject


class MCPClient(ToolCalls):
    """A client of one server.

    ``target`` is a URL, a command, ``{"url": …}`` or ``{"command": …}``, a ``Server`` or a transport; ``mode`` is
    ``auto``, ``legacy`` or one revision; ``auth`` a bearer token or an authorizer such as
    ``mcpkit.client.oauth.OAuth``. The other keywords are those of :class:`~mcpkit.client.options.ClientOptions`.

    Raises: ValueError for a target or mode that is none.
    """

    def __init__(
        self,
        target: Target,
        *,
        mode: str = "auto",
        auth: Authorizer | str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        super().__init__(assembled(target, mode, auth, options))

    # ── the connection ──────────────────────────────────────────────────────────────────────────────────────────────

    async def connect(self) -> Self:
        """Connect now rather than at the first call; also after ``close``.

        Raises: ClientError.
        """
        self._core.reopen()
        await self._core.connection()
        return self

    async def close(self) -> None:
        """End the connection; from any task, more than once."""
        await self._parts.stop()

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def server(self) -> ServerDescription:
        """What the server said of itself; empty before the first connection."""
        live = self._core.live
        return live.server if live is not None else ServerDescription()

    @property
    def server_info(self) -> Implementation:
        """Who the server says it is; for display only."""
        return self.server.server_info

    @property
    def server_capabilities(self) -> JsonObject:
        """What the server offers."""
        return self.server.capabilities

    @property
    def protocol_version(self) -> str | None:
        """The revision spoken, once it is agreed."""
        live = self._core.live
        return live.revision.name if live is not None and live.revision is not None else None

    # ── resources ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def list_resources(self, **options: Unpack[CallOptions]) -> list[Resource]:
        """All resources."""
        return [Resource.of(entry) for entry in await self._calls.pages("resources/list", "resources", options)]

    async def list_resource_templates(self, **options: Unpack[CallOptions]) -> list[ResourceTemplate]:
        """All families of resources."""
        entries = await self._calls.pages("resources/templates/list", "resourceTemplates", options)
        return [ResourceTemplate.of(entry) for entry in entries]

    async def read_resource(self, uri: str, **options: Unpack[CallOptions]) -> ReadResourceResult:
        """The contents of a resource.

        Raises: ServerRefused when there is none, and the other ClientErrors.
        """
        return resource_result(await self._calls.kept("resources/read", {"uri": uri}, options))

    # ── prompts and completion ──────────────────────────────────────────────────────────────────────────────────────

    async def list_prompts(self, **options: Unpack[CallOptions]) -> list[Prompt]:
        """All prompts."""
        return [Prompt.of(entry) for entry in await self._calls.pages("prompts/list", "prompts", options)]

    async def get_prompt(
        self, name: str, arguments: Mapping[str, str] | None = None, **options: Unpack[CallOptions]
    ) -> GetPromptResult:
        """A prompt with its arguments filled in."""
        params: JsonObject = {"name": name} if arguments is None else {"name": name, "arguments": dict(arguments)}
        return prompt_result(await self._calls.dialogue("prompts/get", params, options))

    async def complete(
        self,
        ref: Record | Mapping[str, Any],
        argument: Mapping[str, str],
        *,
        context: Mapping[str, str] | None = None,
        **options: Unpack[CallOptions],
    ) -> Completion:
        """Suggestions for one argument ``{"name", "value"}`` of a prompt or resource template.

        ``ref`` is a Prompt or ResourceTemplate, or ``{"type": "ref/prompt", "name": …}``; ``context`` holds the
        arguments that are filled in already.
        """
        params: JsonObject = {"ref": _reference(ref), "argument": dict(argument)}
        if context:
            params["context"] = {"arguments": dict(context)}
        return CompleteResult.of(await self._calls.request("completion/complete", params, options)).completion

    # ── being told, telling ─────────────────────────────────────────────────────────────────────────────────────────

    def listen(
        self,
        *,
        tools: bool = False,
        prompts: bool = False,
        resources: bool = False,
        uris: Sequence[str] = (),
        tasks: Sequence[str] = (),
    ) -> Listening:
        """Be told of changes: ``async with client.listen(tools=True) as changes: async for change in changes: …``

        ``tools``, ``prompts`` and ``resources`` are the lists, ``uris`` single resources, ``tasks`` task ids.
        """
        return Listening(self._core, Subjects(tools, prompts, resources, tuple(uris), tuple(tasks)))

    async def set_log_level(self, level: str) -> None:
        """The least that the server should report from now on."""
        connection = await self._core.connection()
        self._parts.log_level(level)
        await self._parts.restore_log_level(connection)

    async def set_roots(self, roots: Roots) -> None:
        """The folders that the server may work in from now on; the server is told where it wants to be.

        Raises: Unsupported for a client that was made without roots, which it therefore never declared.
        """
        if self._calls.answers.roots is None:
            raise Unsupported("a client that was made without roots can't have some later: the server was not told")
        self._calls.answers.roots = roots
        connection = await self._core.connection()
        if "notifications/roots/list_changed" in connection.spoken.notifications:
            await connection.notify("notifications/roots/list_changed", {})

    async def ping(self, **options: Unpack[CallOptions]) -> float:
        """Seconds that the server takes to answer."""
        connection = await self._core.connection()
        method = "ping" if "ping" in connection.spoken.requests else "server/discover"  # PING-03
        started = asyncio.get_running_loop().time()
        await self._calls.request(method, {}, options)
        return asyncio.get_running_loop().time() - started

    # ── anything else ───────────────────────────────────────────────────────────────────────────────────────────────

    async def request(
        self, method: str, params: Mapping[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> JsonObject:
        """Any method, an application's or an extension's too; the result as it came.

        Raises: ClientError.
        """
        return await self._calls.request(method, dict(params or {}), options)

    async def list_entries(self, method: str, member: str, **options: Unpack[CallOptions]) -> list[JsonObject]:
        """All entries of any paginated list, such as an extension's: the ``member`` of each page's result.

        Raises: ClientError.
        """
        return await self._calls.pages(method, member, options)

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Send any notification.

        Raises: ClientError.
        """
        await self._core.notify(method, dict(params or {}))


def _reference(ref: Record | Mapping[str, Any]) -> JsonObject:
    if isinstance(ref, Prompt):
        return {"type": "ref/prompt", "name": ref.name}
    if isinstance(ref, ResourceTemplate):
        return {"type": "ref/resource", "uri": ref.uri_template}
    return ref.to_dict() if isinstance(ref, Record) else dict(ref)

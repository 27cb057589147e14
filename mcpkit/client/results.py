"""The results of the protocol's methods, by their newest names, whatever revision they came in.

Only the members that callers read are declared; every other one is there under its wire name. What must never stand
here: how a result was fetched, a check of it (client.py drops what is unusable).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, ClassVar

from mcpkit.client.display import clean
from mcpkit.client.record import Reader, Record, many, maybe
from mcpkit.jsonrpc.messages import JsonObject


class Result(Record):
    """Any result; ``meta`` is its ``_meta``."""

    result_type: str
    meta: JsonObject


class Named(Record):
    """What has a programmatic name and a title for people."""

    name: str
    title: str | None
    description: str | None
    icons: list[JsonObject]
    meta: JsonObject

    @property
    def display_name(self) -> str:
        """The name to show (SHAPE-05), without characters that could deceive."""
        annotations = self.get("annotations")
        alias = annotations.get("title") if isinstance(annotations, dict) else None
        return clean(self.title or alias or self.name, 200)

    @property
    def display_description(self) -> str:
        """The description to show, without characters that could deceive."""
        return clean(self.description, lines=True)


class Implementation(Named):
    """Who the other end says it is; for display only (META-14)."""

    version: str
    website_url: str | None


# ── tools ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class ToolAnnotations(Record):
    """What the server says a tool does; hints, not to be trusted (TOOL-09). None means not said."""

    title: str | None
    read_only_hint: bool | None
    destructive_hint: bool | None
    idempotent_hint: bool | None
    open_world_hint: bool | None


class Tool(Named):
    """A tool on offer; ``input_schema`` is byte-faithful to what the server sent."""

    input_schema: JsonObject
    output_schema: JsonObject | None
    annotations: ToolAnnotations
    execution: JsonObject
    readers: ClassVar[Mapping[str, Reader]] = {"annotations": ToolAnnotations.of}

    @property
    def safe_to_repeat(self) -> bool:
        """The server says that calling twice does no more than calling once."""
        says = self.get("annotations")
        return isinstance(says, dict) and (says.get("readOnlyHint") is True or says.get("idempotentHint") is True)


class Content(Record):
    """One block of content; which members it has depends on ``type``: text, image, audio, resource, resource_link."""

    type: str
    text: str
    mime_type: str | None
    uri: str | None
    name: str | None
    resource: ResourceContents | None
    annotations: JsonObject
    meta: JsonObject

    @property
    def bytes(self) -> bytes:
        """The decoded ``data`` or ``blob``; empty where there is none or it is no base64."""
        return _decoded(self.get("data", self.get("blob")))


class CallToolResult(Result):
    """What a tool answered."""

    content: list[Content]
    structured_content: Any
    is_error: bool
    readers: ClassVar[Mapping[str, Reader]] = {"content": many(Content)}

    @property
    def text(self) -> str:
        """All text blocks, one after the other."""
        return "\n".join(block.text for block in self.content if block.type == "text")

    @property
    def data(self) -> Any:
        """The structured content, without the ``{"result": …}`` that servers put around a bare value; else the text."""
        if "structuredContent" not in self:
            return self.text
        value = self.structured_content
        return value["result"] if isinstance(value, dict) and value.keys() == {"result"} else value


class ListToolsResult(Result):
    """One page of tools."""

    tools: list[Tool]
    next_cursor: str | None
    readers: ClassVar[Mapping[str, Reader]] = {"tools": many(Tool)}


# ── resources ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Resource(Named):
    """A resource on offer."""

    uri: str
    mime_type: str | None
    size: int | None
    annotations: JsonObject


class ResourceTemplate(Named):
    """A family of resources by an RFC 6570 template."""

    uri_template: str
    mime_type: str | None
    annotations: JsonObject


class ResourceContents(Record):
    """One piece of a resource: ``text``, or ``bytes`` behind a base64 ``blob``."""

    uri: str
    mime_type: str | None
    text: str
    meta: JsonObject

    @property
    def bytes(self) -> bytes:
        """The contents as bytes, whether they came as text or as a blob."""
        return _decoded(self.get("blob")) if "blob" in self else self.text.encode()


class ReadResourceResult(Result):
    """The contents of a resource."""

    contents: list[ResourceContents]
    readers: ClassVar[Mapping[str, Reader]] = {"contents": many(ResourceContents)}

    @property
    def text(self) -> str:
        """All text contents, one after the other."""
        return "\n".join(part.text for part in self.contents if "text" in part)


class ListResourcesResult(Result):
    """One page of resources."""

    resources: list[Resource]
    next_cursor: str | None
    readers: ClassVar[Mapping[str, Reader]] = {"resources": many(Resource)}


class ListResourceTemplatesResult(Result):
    """One page of resource templates."""

    resource_templates: list[ResourceTemplate]
    next_cursor: str | None
    readers: ClassVar[Mapping[str, Reader]] = {"resourceTemplates": many(ResourceTemplate)}


# ── prompts and completion ──────────────────────────────────────────────────────────────────────────────────────────


class PromptArgument(Named):
    """One argument of a prompt."""

    required: bool


class Prompt(Named):
    """A prompt on offer."""

    arguments: list[PromptArgument]
    readers: ClassVar[Mapping[str, Reader]] = {"arguments": many(PromptArgument)}


class PromptMessage(Record):
    """One message of a prompt."""

    role: str
    content: Content
    readers: ClassVar[Mapping[str, Reader]] = {"content": Content.of}


class GetPromptResult(Result):
    """A prompt with its arguments filled in."""

    description: str | None
    messages: list[PromptMessage]
    readers: ClassVar[Mapping[str, Reader]] = {"messages": many(PromptMessage)}


class ListPromptsResult(Result):
    """One page of prompts."""

    prompts: list[Prompt]
    next_cursor: str | None
    readers: ClassVar[Mapping[str, Reader]] = {"prompts": many(Prompt)}


class Completion(Record):
    """Suggestions for one argument."""

    values: list[str]
    total: int | None
    has_more: bool


class CompleteResult(Result):
    """The answer to ``completion/complete``."""

    completion: Completion
    readers: ClassVar[Mapping[str, Reader]] = {"completion": Completion.of}


# ── the server itself ───────────────────────────────────────────────────────────────────────────────────────────────


class ServerDescription(Result):
    """What the server told of itself: the answer to ``initialize`` or to ``server/discover``, made alike."""

    protocol_version: str
    supported_versions: list[str]
    capabilities: JsonObject
    instructions: str | None
    server_info: Implementation
    readers: ClassVar[Mapping[str, Reader]] = {"serverInfo": Implementation.of}


class TaskState(Result):
    """Where a task stands (both generations of tasks, by the newer one's names)."""

    task_id: str
    status: str
    status_message: str | None
    created_at: str
    last_updated_at: str
    ttl_ms: int | None
    poll_interval_ms: int | None
    result: JsonObject | None
    error: JsonObject | None
    input_requests: JsonObject

    @property
    def done(self) -> bool:
        """The task will not change any more."""
        return self.status in ("completed", "failed", "cancelled")


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return b""


Content.readers = {"resource": maybe(ResourceContents)}

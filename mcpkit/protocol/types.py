"""The dicts of the wire, as types: names and members as in the newest revision's schema, its meta keys and log levels.

They are dicts at run time; nothing is validated by naming them. What must never stand here: how an older revision
spells something (revisions/), a default, a function.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NotRequired, TypeAlias, TypedDict

META_PROTOCOL_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
META_CLIENT_INFO: Final = "io.modelcontextprotocol/clientInfo"
META_CLIENT_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
META_LOG_LEVEL: Final = "io.modelcontextprotocol/logLevel"
META_SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"
META_SUBSCRIPTION_ID: Final = "io.modelcontextprotocol/subscriptionId"
META_RELATED_TASK: Final = "io.modelcontextprotocol/related-task"

LOG_LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""From chatter to catastrophe (LOG-01, RFC 5424)."""

Meta: TypeAlias = dict[str, Any]
Role: TypeAlias = Literal["user", "assistant"]
LoggingLevel: TypeAlias = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
CacheScope: TypeAlias = Literal["public", "private"]

# ── who speaks ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Icon(TypedDict):
    """A picture for a user interface (ICON-01)."""

    src: str
    mimeType: NotRequired[str]
    sizes: NotRequired[list[str]]
    theme: NotRequired[Literal["light", "dark"]]


class Implementation(TypedDict):
    """What a client or server says it is (ICON-05)."""

    name: str
    version: str
    title: NotRequired[str]
    description: NotRequired[str]
    websiteUrl: NotRequired[str]
    icons: NotRequired[list[Icon]]


class ClientCapabilities(TypedDict, total=False):
    """What a client can be asked (protocol-core §9)."""

    experimental: dict[str, dict[str, Any]]
    roots: dict[str, Any]
    sampling: dict[str, dict[str, Any]]
    elicitation: dict[str, dict[str, Any]]
    extensions: dict[str, dict[str, Any]]
    tasks: dict[str, Any]


class ServerCapabilities(TypedDict, total=False):
    """What a server serves (protocol-core §9)."""

    experimental: dict[str, dict[str, Any]]
    logging: dict[str, Any]
    completions: dict[str, Any]
    prompts: dict[str, bool]
    resources: dict[str, bool]
    tools: dict[str, bool]
    extensions: dict[str, dict[str, Any]]
    tasks: dict[str, Any]


# ── content ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Annotations(TypedDict, total=False):
    """Whom something is for, and how much it matters (TCON-04)."""

    audience: list[Role]
    priority: float
    lastModified: str


class _Annotated(TypedDict, total=False):
    annotations: Annotations
    _meta: Meta


class TextContent(_Annotated):
    """A text."""

    type: Literal["text"]
    text: str


class ImageContent(_Annotated):
    """A picture in base64."""

    type: Literal["image"]
    data: str
    mimeType: str


class AudioContent(_Annotated):
    """A sound in base64."""

    type: Literal["audio"]
    data: str
    mimeType: str


class ResourceContents(TypedDict):
    """What reading a resource gives: exactly one of ``text`` and ``blob`` (base64) stands in it (RSRC-04)."""

    uri: str
    mimeType: NotRequired[str]
    text: NotRequired[str]
    blob: NotRequired[str]
    _meta: NotRequired[Meta]


class EmbeddedResource(_Annotated):
    """The contents of a resource, inside a result."""

    type: Literal["resource"]
    resource: ResourceContents


class Resource(TypedDict):
    """A resource as it is listed (RSRC-02); ``size`` in bytes before base64."""

    uri: str
    name: str
    title: NotRequired[str]
    description: NotRequired[str]
    mimeType: NotRequired[str]
    size: NotRequired[int]
    icons: NotRequired[list[Icon]]
    annotations: NotRequired[Annotations]
    _meta: NotRequired[Meta]


class ResourceLink(Resource):
    """A resource that a result points to."""

    type: Literal["resource_link"]


ContentBlock: TypeAlias = TextContent | ImageContent | AudioContent | ResourceLink | EmbeddedResource

# ── what is offered ──────────────────────────────────────────────────────────────────────────────────────────────────


class ResourceTemplate(TypedDict):
    """A family of resources (RSRC-03)."""

    uriTemplate: str
    name: str
    title: NotRequired[str]
    description: NotRequired[str]
    mimeType: NotRequired[str]
    icons: NotRequired[list[Icon]]
    annotations: NotRequired[Annotations]
    _meta: NotRequired[Meta]


class ToolAnnotations(TypedDict, total=False):
    """Hints about a tool, to be believed only of a trusted server (TOOL-09)."""

    title: str
    readOnlyHint: bool
    destructiveHint: bool
    idempotentHint: bool
    openWorldHint: bool


class ToolExecution(TypedDict, total=False):
    """Whether a tool runs as a task; one handshake revision shows it (TASKD-03)."""

    taskSupport: Literal["forbidden", "optional", "required"]


class Tool(TypedDict):
    """A tool as it is listed (TOOL-02)."""

    name: str
    inputSchema: dict[str, Any]
    title: NotRequired[str]
    description: NotRequired[str]
    outputSchema: NotRequired[dict[str, Any]]
    annotations: NotRequired[ToolAnnotations]
    icons: NotRequired[list[Icon]]
    execution: NotRequired[ToolExecution]
    _meta: NotRequired[Meta]


class PromptArgument(TypedDict):
    """A value that a prompt is filled with; always a string."""

    name: str
    title: NotRequired[str]
    description: NotRequired[str]
    required: NotRequired[bool]


class Prompt(TypedDict):
    """A prompt as it is listed (PRMT-01)."""

    name: str
    title: NotRequired[str]
    description: NotRequired[str]
    arguments: NotRequired[list[PromptArgument]]
    icons: NotRequired[list[Icon]]
    _meta: NotRequired[Meta]


class PromptMessage(TypedDict):
    """One message of a prompt."""

    role: Role
    content: ContentBlock


# ── results ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class BareResult(TypedDict):
    """What every result has; ``resultType`` and the server's info are stamped where the revision has them."""

    resultType: NotRequired[str]
    _meta: NotRequired[Meta]


class CacheableResult(BareResult):
    """A result that says how long it may be kept, in milliseconds, and by whom (CACHE-01)."""

    ttlMs: NotRequired[int]
    cacheScope: NotRequired[CacheScope]


class _Page(CacheableResult):
    nextCursor: NotRequired[str]


class ListToolsResult(_Page):
    """A page of ``tools/list``."""

    tools: list[Tool]


class ListResourcesResult(_Page):
    """A page of ``resources/list``."""

    resources: list[Resource]


class ListResourceTemplatesResult(_Page):
    """A page of ``resources/templates/list``."""

    resourceTemplates: list[ResourceTemplate]


class ListPromptsResult(_Page):
    """A page of ``prompts/list``."""

    prompts: list[Prompt]


class ReadResourceResult(CacheableResult):
    """The answer to ``resources/read``."""

    contents: list[ResourceContents]


class CallToolResult(BareResult):
    """The answer to ``tools/call``; the presence of ``structuredContent`` counts, not its truth (TOUT-05)."""

    content: list[ContentBlock]
    structuredContent: NotRequired[Any]
    isError: NotRequired[bool]


class GetPromptResult(BareResult):
    """The answer to ``prompts/get``."""

    messages: list[PromptMessage]
    description: NotRequired[str]


class Completion(TypedDict):
    """At most 100 values (COMP-03)."""

    values: list[str]
    total: NotRequired[int]
    hasMore: NotRequired[bool]


class CompleteResult(BareResult):
    """The answer to ``completion/complete``."""

    completion: Completion


class InputRequest(TypedDict):
    """A question inside a result."""

    method: Literal["elicitation/create", "sampling/createMessage", "roots/list"]
    params: NotRequired[dict[str, Any]]


class InputRequiredResult(BareResult):
    """Questions instead of an answer; at least one of the two members stands in it (MRTR-02)."""

    inputRequests: NotRequired[dict[str, InputRequest]]
    requestState: NotRequired[str]


class DiscoverResult(CacheableResult):
    """The answer to ``server/discover`` (DISC-02)."""

    supportedVersions: list[str]
    capabilities: ServerCapabilities
    instructions: NotRequired[str]


class InitializeResult(TypedDict):
    """The answer to ``initialize`` (INIT-02)."""

    protocolVersion: str
    capabilities: ServerCapabilities
    serverInfo: Implementation
    instructions: NotRequired[str]


# ── what a client answers ────────────────────────────────────────────────────────────────────────────────────────────


class Root(TypedDict):
    """A place that a client lets the server work in."""

    uri: str
    name: NotRequired[str]
    _meta: NotRequired[Meta]


class ListRootsResult(TypedDict):
    """The answer to ``roots/list``."""

    roots: list[Root]


class ElicitResult(TypedDict):
    """The answer to ``elicitation/create``; ``content`` only with an accepted form (ELIC-03)."""

    action: Literal["accept", "decline", "cancel"]
    content: NotRequired[dict[str, str | int | float | bool | list[str]]]


class SamplingMessage(TypedDict):
    """One message for or from a client's model; ``content`` is one block or a list of them (SAMP-09)."""

    role: Role
    content: Any
    _meta: NotRequired[Meta]


class CreateMessageResult(SamplingMessage):
    """The answer to ``sampling/createMessage``."""

    model: str
    stopReason: NotRequired[str]


class SubscriptionFilter(TypedDict, total=False):
    """What a ``subscriptions/listen`` asks for, and what its acknowledgement grants (SUB-01)."""

    toolsListChanged: bool
    promptsListChanged: bool
    resourcesListChanged: bool
    resourceSubscriptions: list[str]
    taskIds: list[str]

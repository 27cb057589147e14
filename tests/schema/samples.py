"""Canonical messages that hold everything the newest model can say, so that every change has something to undo."""

from __future__ import annotations

from typing import Any

SERVER_INFO = "io.modelcontextprotocol/serverInfo"

ICONS = [{"src": "https://example.com/icon.png", "mimeType": "image/png", "sizes": ["48x48"], "theme": "dark"}]
META = {"com.example/note": "kept"}
ANNOTATIONS = {"audience": ["user"], "priority": 0.5, "lastModified": "2026-01-12T15:00:58Z"}
IMPLEMENTATION = {
    "name": "demo",
    "version": "1.0",
    "title": "Demo",
    "description": "A demonstration",
    "websiteUrl": "https://example.com",
    "icons": ICONS,
}
STAMP = {"resultType": "complete", "_meta": {SERVER_INFO: IMPLEMENTATION, **META}}
KEPT = {"ttlMs": 1000, "cacheScope": "public"}

CAPABILITIES = {
    "experimental": {"x": {}},
    "logging": {},
    "completions": {},
    "prompts": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
    "tools": {"listChanged": True},
    "tasks": {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}},
    "extensions": {"io.modelcontextprotocol/ui": {}, "io.modelcontextprotocol/tasks": {}},
}
CLIENT_CAPABILITIES = {
    "roots": {"listChanged": True},
    "sampling": {"context": {}, "tools": {}},
    "elicitation": {"form": {}, "url": {}},
    "tasks": {"requests": {"elicitation": {"create": {}}}},
    "extensions": {"io.modelcontextprotocol/ui": {}},
}

TOOL = {
    "name": "add",
    "title": "Add",
    "description": "Adds",
    "inputSchema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"a": {"type": "integer", "x-mcp-header": "A"}, "any": True, "none": False},
        "required": ["a"],
        "$defs": {"unused": {"$anchor": "unused", "type": "string"}},
        "allOf": [{"anyOf": [{"required": ["a"]}]}],
        "if": {"required": ["any"]},
        "then": {"required": ["a"]},
        "additionalProperties": False,
    },
    "outputSchema": {"type": "object", "properties": {"sum": {"type": "integer"}, "any": True}},
    "annotations": {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False},
    "icons": ICONS,
    "execution": {"taskSupport": "optional"},
    "_meta": META,
}
LISTING_TOOL = {"name": "list", "inputSchema": {"type": "object"}, "outputSchema": {"type": "array"}}
RESOURCE = {
    "uri": "docs://a",
    "name": "a",
    "title": "A",
    "description": "The first",
    "mimeType": "text/plain",
    "size": 3,
    "icons": ICONS,
    "annotations": ANNOTATIONS,
    "_meta": META,
}
TEMPLATE = {
    "uriTemplate": "docs://{name}",
    "name": "docs",
    "title": "Docs",
    "description": "All of them",
    "mimeType": "text/plain",
    "icons": ICONS,
    "annotations": ANNOTATIONS,
    "_meta": META,
}
PROMPT = {
    "name": "greet",
    "title": "Greet",
    "description": "Greets",
    "arguments": [{"name": "who", "title": "Who", "description": "Whom to greet", "required": True}],
    "icons": ICONS,
    "_meta": META,
}

TEXT = {"type": "text", "text": "five", "annotations": ANNOTATIONS, "_meta": META}
IMAGE = {"type": "image", "data": "AAAA", "mimeType": "image/png", "annotations": ANNOTATIONS, "_meta": META}
AUDIO = {"type": "audio", "data": "AAAA", "mimeType": "audio/wav", "annotations": ANNOTATIONS, "_meta": META}
LINK = {**RESOURCE, "type": "resource_link"}
EMBEDDED = {
    "type": "resource",
    "resource": {"uri": "docs://a", "mimeType": "text/plain", "text": "abc", "_meta": META},
    "annotations": ANNOTATIONS,
    "_meta": META,
}
BLOCKS = [TEXT, IMAGE, AUDIO, LINK, EMBEDDED]

TASK = {
    "taskId": "t1",
    "status": "working",
    "statusMessage": "on it",
    "createdAt": "2026-01-12T15:00:58Z",
    "lastUpdatedAt": "2026-01-12T15:00:59Z",
    "ttlMs": 60000,
    "pollIntervalMs": 500,
}
TASK_RESULT = {**STAMP, **TASK, "resultType": "task"}

FORM = {
    "mode": "form",
    "message": "Who are you?",
    "requestedSchema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "name": {"type": "string", "title": "Name", "minLength": 1, "default": "Ada"},
            "mail": {"type": "string", "format": "email"},
            "age": {"type": "integer", "minimum": 0, "default": 36},
            "score": {"type": "number", "maximum": 100, "default": 95.5},
            "sure": {"type": "boolean", "default": True},
            "size": {"type": "string", "enum": ["s", "m"], "default": "s"},
            "colour": {
                "type": "string",
                "oneOf": [{"const": "r", "title": "Red"}, {"const": "g", "title": "Green"}],
                "default": "r",
            },
            "legacy": {"type": "string", "enum": ["a"], "enumNames": ["A"]},
        },
        "required": ["name"],
    },
}
SEVERAL: dict[str, Any] = {
    "message": "Which?",
    "requestedSchema": {
        "type": "object",
        "properties": {"which": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "default": ["a"]}},
    },
}
URL = {"mode": "url", "message": "Sign in", "url": "https://example.com/sign-in", "elicitationId": "e1"}
SAMPLING = {
    "messages": [
        {"role": "user", "content": TEXT, "_meta": META},
        {"role": "user", "content": [IMAGE, AUDIO], "_meta": META},
    ],
    "maxTokens": 100,
    "systemPrompt": "Be brief",
    "modelPreferences": {"hints": [{"name": "small"}], "speedPriority": 1},
    "includeContext": "none",
    "temperature": 0.5,
    "stopSequences": ["."],
    "metadata": {"a": 1},
}
SAMPLING_WITH_TOOLS: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": {"type": "text", "text": "What is the weather?"}},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "u1", "name": "weather", "input": {}}]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "toolUseId": "u1", "content": [{"type": "text", "text": "sun"}]}],
        },
    ],
    "maxTokens": 100,
    "tools": [{"name": "weather", "inputSchema": {"type": "object"}}],
    "toolChoice": {"mode": "auto"},
}
PROGRESS = {"progressToken": "p", "progress": 1, "total": 2, "message": "half"}

RESULTS: dict[str, dict[str, Any]] = {
    "tools/list": {**STAMP, **KEPT, "tools": [TOOL, LISTING_TOOL], "nextCursor": "n"},
    "resources/list": {**STAMP, **KEPT, "resources": [RESOURCE], "nextCursor": "n"},
    "resources/templates/list": {**STAMP, **KEPT, "resourceTemplates": [TEMPLATE]},
    "resources/read": {
        **STAMP,
        **KEPT,
        "contents": [{"uri": "docs://a", "text": "abc", "_meta": META}, {"uri": "docs://b", "blob": "AAAA"}],
    },
    "prompts/list": {**STAMP, **KEPT, "prompts": [PROMPT]},
    "prompts/get": {
        **STAMP,
        "description": "Greets",
        "messages": [{"role": "user", "content": block} for block in BLOCKS],
    },
    "tools/call": {**STAMP, "content": BLOCKS, "structuredContent": {"sum": 5}, "isError": False},
    "completion/complete": {**STAMP, "completion": {"values": ["a", "b"], "total": 2, "hasMore": False}},
}
"""Method → a canonical result with everything in it; these methods stand in every revision."""

DEFINITIONS = {
    "tools/list": "ListToolsResult",
    "resources/list": "ListResourcesResult",
    "resources/templates/list": "ListResourceTemplatesResult",
    "resources/read": "ReadResourceResult",
    "prompts/list": "ListPromptsResult",
    "prompts/get": "GetPromptResult",
    "tools/call": "CallToolResult",
    "completion/complete": "CompleteResult",
}
"""Method → the schema's name for its result."""

EMPTY: dict[str, Any] = {**STAMP, "_meta": {SERVER_INFO: IMPLEMENTATION}}
INITIALIZE: dict[str, Any] = {
    "protocolVersion": "2025-11-25",
    "capabilities": CAPABILITIES,
    "serverInfo": IMPLEMENTATION,
    "instructions": "Ask.",
}
DISCOVER: dict[str, Any] = {
    **STAMP,
    **KEPT,
    "supportedVersions": ["2026-07-28"],
    "capabilities": CAPABILITIES,
    "instructions": "Ask.",
}

EVERYTHING: dict[str, list[dict[str, Any]]] = {
    **{method: [result] for method, result in RESULTS.items()},
    "tools/call": [
        RESULTS["tools/call"],
        {**STAMP, "content": [], "structuredContent": [1, 2]},
        TASK_RESULT,
        {**STAMP, "resultType": "task"},
    ],
    "tasks/get": [{**STAMP, **TASK}],
    "tasks/cancel": [{**STAMP, **TASK}],
    "tasks/list": [{**STAMP, "tasks": [TASK]}],
    "tasks/result": [RESULTS["tools/call"]],
    "ping": [EMPTY],
    "logging/setLevel": [EMPTY],
    "resources/subscribe": [EMPTY],
    "resources/unsubscribe": [EMPTY],
    "initialize": [INITIALIZE],
    "server/discover": [DISCOVER],
    "capabilities": [CAPABILITIES],
    "clientCapabilities": [CLIENT_CAPABILITIES],
    "implementation": [IMPLEMENTATION],
    "elicitation/create": [FORM, URL, SEVERAL],
    "sampling/createMessage": [SAMPLING, SAMPLING_WITH_TOOLS],
    "notifications/progress": [PROGRESS],
    "notifications/tasks/status": [TASK],
}
"""Key of ``lower`` → samples of what it is given."""

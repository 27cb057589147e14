"""The revision 2025-06-18: what its successor, 2025-11-25, changed, told backwards in the order of that changelog.

What must never stand here: a change that an older revision lacks (its own file).
"""

from __future__ import annotations

from typing import Any, Final

from mcpkit.protocol.revisions.blocks import in_blocks
from mcpkit.protocol.revisions.revision import Change, ErrorKind, Fault, HttpRules, Inexpressible, derive
from mcpkit.protocol.revisions.shape import drop, each, within
from mcpkit.protocol.revisions.v2025_11_25 import V2025_11_25

_TASKS: Final = frozenset({"tasks/get", "tasks/cancel", "tasks/list", "tasks/result"})

_without_icons = drop("icons")
_plain_implementation = drop("icons", "description", "websiteUrl")


def _form(question: dict[str, Any]) -> dict[str, Any]:
    """A question as a form of single values; there is no other (ELIC-12, ELIC-18)."""
    if question.get("mode", "form") != "form":
        raise Inexpressible("this client's protocol revision can't be asked to open a URL; ask by a form instead")
    schema = question.get("requestedSchema")
    asked = {name: member for name, member in question.items() if name != "mode"}
    if isinstance(schema, dict):
        asked["requestedSchema"] = _form_schema(schema)
    return asked


def _form_schema(schema: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    plain = {name: member for name, member in schema.items() if name != "$schema"}
    return {**plain, "properties": {name: _field(name, prop) for name, prop in properties.items()}}


def _field(name: str, prop: dict[str, Any]) -> dict[str, Any]:
    if prop.get("type") == "array":
        raise Inexpressible(f"this client's protocol revision can't choose several values; ask for {name} one by one")
    titled = prop.get("oneOf")
    if isinstance(titled, list):
        prop = {member: value for member, value in prop.items() if member != "oneOf"}
        prop["enum"] = [choice.get("const") for choice in titled]
        prop["enumNames"] = [choice.get("title", choice.get("const")) for choice in titled]
    if prop.get("type") != "boolean" and "default" in prop:
        prop = {member: value for member, value in prop.items() if member != "default"}
    return prop


def _sampling(question: dict[str, Any]) -> dict[str, Any]:
    """A sampling question without tools and with one block a message (SAMP-10)."""
    if question.get("tools"):
        raise Inexpressible("this client's protocol revision can't sample with tools; ask without them")
    asked = {name: member for name, member in question.items() if name not in {"tools", "toolChoice"}}
    messages = question.get("messages")
    if isinstance(messages, list):
        asked["messages"] = [single for message in messages for single in _single_blocks(message)]
    return asked


def _single_blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    blocks = content if isinstance(content, list) else [content]
    if any(isinstance(block, dict) and block.get("type") in {"tool_use", "tool_result"} for block in blocks):
        raise Inexpressible("this client's protocol revision can't carry tool calls in messages; tell them as text")
    return [{"role": message.get("role"), "content": block} for block in blocks]


def _bare_modes(declared: dict[str, Any]) -> dict[str, Any]:
    """Client capabilities without modes: ``elicitation`` means forms, ``sampling`` means text, image and audio."""
    bare = {name: member for name, member in declared.items() if name != "tasks"}
    if "sampling" in bare:
        bare["sampling"] = {}
    elicitation = bare.pop("elicitation", None)
    if elicitation is not None and (not elicitation or "form" in elicitation):
        bare["elicitation"] = {}
    return bare


V2025_06_18 = derive(
    V2025_11_25,
    "2025-06-18",
    changes=[
        Change(
            "Icons on tools, resources, templates, prompts and links (SEP-973)",
            lower={
                "tools/list": each("tools", _without_icons),
                "resources/list": each("resources", _without_icons),
                "resources/templates/list": each("resourceTemplates", _without_icons),
                "prompts/list": each("prompts", _without_icons),
                **in_blocks(_without_icons),
            },
        ),
        Change(
            "Implementations have icons, a description and a website",
            lower={
                "implementation": _plain_implementation,
                "initialize": within("serverInfo", _plain_implementation),
            },
            lower_params={"initialize": within("clientInfo", _plain_implementation)},
        ),
        Change(
            "Enums with titles, several choices, defaults for every kind (SEP-1330, SEP-1034); "
            "elicitation by URL and its error (SEP-1036)",
            lower={"elicitation/create": _form},
            set={"codes": {ErrorKind.RESOURCE_NOT_FOUND: -32002}},
        ),
        Change(
            "Sampling with tools, several blocks a message (SEP-1577)",
            lower={"sampling/createMessage": _sampling, "clientCapabilities": _bare_modes},
            lower_params={"initialize": within("capabilities", _bare_modes)},
        ),
        Change(
            "Experimental tasks (SEP-1686)",
            lower={
                "tools/list": each("tools", drop("execution")),
                "capabilities": drop("tasks"),
                "initialize": within("capabilities", drop("tasks")),
            },
            set={
                "requests": V2025_11_25.requests - _TASKS,
                "notifications": V2025_11_25.notifications - {"notifications/tasks/status"},
            },
        ),
        Change("Bad arguments are for the model to read (SEP-1303)", set={"invalid_arguments": Fault.RPC_ERROR}),
        Change("An error for a message whose id can't be read leaves it out", set={"null_ids": True}),
        Change(
            "Streams open with an empty event and may be polled (SEP-1699)",
            set={"http": HttpRules(sessions=True, resumable=True)},
        ),
    ],
)

"""The changes of 2025-11-25, undone one by one."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.protocol.revisions.revision import ErrorKind, Inexpressible
from mcpkit.protocol.revisions.v2025_06_18 import V2025_06_18
from tests.schema.samples import (
    CAPABILITIES,
    CLIENT_CAPABILITIES,
    FORM,
    IMPLEMENTATION,
    INITIALIZE,
    LINK,
    RESULTS,
    SAMPLING,
    SAMPLING_WITH_TOOLS,
    SEVERAL,
    TOOL,
    URL,
)

LOWER = V2025_06_18.lower
PLAIN_IMPLEMENTATION = {"name": "demo", "version": "1.0", "title": "Demo"}


def asked(prop: dict[str, Any]) -> dict[str, Any]:
    """A form's field as it is asked here."""
    question = {"message": "m", "requestedSchema": {"type": "object", "properties": {"f": prop}}}
    field: dict[str, Any] = LOWER["elicitation/create"](question)["requestedSchema"]["properties"]["f"]
    return field


def test_no_icons() -> None:
    """ICON-04: on nothing that is listed or linked; titles stay."""
    for method, items in [
        ("tools/list", "tools"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
        ("prompts/list", "prompts"),
    ]:
        for item in LOWER[method](RESULTS[method])[items]:
            assert "icons" not in item
            assert item.get("title") or item["name"] == "list"
    link = LOWER["tools/call"]({"content": [LINK]})["content"][0]
    assert link == {name: member for name, member in LINK.items() if name != "icons"}
    assert LOWER["prompts/get"]({"messages": [{"role": "user", "content": LINK}]})["messages"][0]["content"] == link


def test_plain_implementations() -> None:
    """SHAPE table: name, version, title; for both sides."""
    assert LOWER["implementation"](IMPLEMENTATION) == PLAIN_IMPLEMENTATION
    assert LOWER["initialize"](INITIALIZE)["serverInfo"] == PLAIN_IMPLEMENTATION
    params = {"clientInfo": IMPLEMENTATION, "capabilities": CLIENT_CAPABILITIES, "protocolVersion": "2025-06-18"}
    assert V2025_06_18.lower_params["initialize"](params) == {
        "clientInfo": PLAIN_IMPLEMENTATION,
        "capabilities": {
            "roots": {"listChanged": True},
            "sampling": {},
            "elicitation": {},
            "extensions": {"io.modelcontextprotocol/ui": {}},
        },
        "protocolVersion": "2025-06-18",
    }


def test_no_tasks() -> None:
    """TASKD-16."""
    assert "execution" not in LOWER["tools/list"]({"tools": [TOOL]})["tools"][0]
    assert "tasks" not in LOWER["capabilities"](CAPABILITIES)
    assert "tasks" not in LOWER["initialize"](INITIALIZE)["capabilities"]


def test_error_numbers() -> None:
    """The URL elicitation error is of one revision only."""
    assert V2025_06_18.codes == {ErrorKind.RESOURCE_NOT_FOUND: -32002}


def test_forms_have_no_mode_and_no_dialect() -> None:
    """ELIC-18."""
    question = LOWER["elicitation/create"](FORM)
    assert set(question) == {"message", "requestedSchema"}
    assert set(question["requestedSchema"]) == {"type", "properties", "required"}


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ({"type": "string", "title": "T", "default": "a"}, {"type": "string", "title": "T"}),
        ({"type": "integer", "default": 1, "minimum": 0}, {"type": "integer", "minimum": 0}),
        ({"type": "boolean", "default": True}, {"type": "boolean", "default": True}),
        (
            {"type": "string", "oneOf": [{"const": "r", "title": "Red"}, {"const": "g"}], "default": "r"},
            {"type": "string", "enum": ["r", "g"], "enumNames": ["Red", "g"]},
        ),
        (
            {"type": "string", "enum": ["a"], "enumNames": ["A"]},
            {"type": "string", "enum": ["a"], "enumNames": ["A"]},
        ),
    ],
)
def test_fields(newer: dict[str, Any], older: dict[str, Any]) -> None:
    """ELIC-12, ELIC-18: titled choices as enumNames, defaults for booleans only."""
    assert asked(newer) == older


@pytest.mark.parametrize("question", [URL, SEVERAL], ids=["url", "several choices"])
def test_questions_without_words(question: dict[str, Any]) -> None:
    """ELIC-18: URLs and several choices can't be asked; the text says what to do instead."""
    with pytest.raises(Inexpressible, match="ask") as refused:
        LOWER["elicitation/create"](question)
    assert refused.value.code == -32602


def test_one_block_a_message() -> None:
    """SAMP-10: several blocks become several messages of the same speaker."""
    lowered = LOWER["sampling/createMessage"](SAMPLING)
    blocks = [message["content"]["type"] for message in lowered["messages"]]
    assert blocks == ["text", "image", "audio"]
    assert {message["role"] for message in lowered["messages"]} == {"user"}
    assert lowered["maxTokens"] == 100


@pytest.mark.parametrize("gone", ["tools", "toolChoice"])
def test_sampling_with_tools(gone: str) -> None:
    """SAMP-10: neither tools to offer nor their calls to tell of."""
    with pytest.raises(Inexpressible):
        LOWER["sampling/createMessage"](SAMPLING_WITH_TOOLS)
    with pytest.raises(Inexpressible):
        LOWER["sampling/createMessage"]({"messages": SAMPLING_WITH_TOOLS["messages"], "maxTokens": 1})
    without = {"messages": [], "maxTokens": 1}
    assert LOWER["sampling/createMessage"]({**without, gone: []}) == without


@pytest.mark.parametrize(
    ("declared", "lowered"),
    [
        ({}, {}),
        ({"elicitation": {}}, {"elicitation": {}}),
        ({"elicitation": {"url": {}}}, {}),
        ({"sampling": {"tools": {}}, "tasks": {}}, {"sampling": {}}),
    ],
)
def test_client_capabilities_without_modes(declared: dict[str, Any], lowered: dict[str, Any]) -> None:
    """The table of protocol-core §9: a client that knows URLs only knows nothing that could be asked here."""
    assert LOWER["clientCapabilities"](declared) == lowered

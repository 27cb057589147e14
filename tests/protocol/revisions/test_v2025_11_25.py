"""The changes of 2026-07-28, undone one by one."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.protocol.revisions.revision import ErrorKind
from mcpkit.protocol.revisions.v2025_11_25 import V2025_11_25
from tests.schema.samples import (
    CAPABILITIES,
    CLIENT_CAPABILITIES,
    IMPLEMENTATION,
    INITIALIZE,
    KEPT,
    META,
    RESULTS,
    SERVER_INFO,
    STAMP,
    TASK,
    TASK_RESULT,
    TOOL,
    URL,
)

LOWER, LIFT = V2025_11_25.lower, V2025_11_25.lift


def tool(**members: Any) -> dict[str, Any]:
    """A tool as it is listed here."""
    listed = LOWER["tools/list"]({"tools": [{"name": "t", "inputSchema": {"type": "object"}, **members}]})
    found: dict[str, Any] = listed["tools"][0]
    return found


def test_error_numbers() -> None:
    """ERR-06, ELIC-23, ERR-11."""
    assert V2025_11_25.codes == {ErrorKind.RESOURCE_NOT_FOUND: -32002, ErrorKind.URL_ELICITATION_REQUIRED: -32042}


@pytest.mark.parametrize("method", RESULTS)
def test_no_stamp(method: str) -> None:
    """RES-05, META-24, CACHE-09; a result's own ``_meta`` stays."""
    lowered = LOWER[method](RESULTS[method])
    assert lowered["_meta"] == META
    assert not {"resultType", "ttlMs", "cacheScope"} & set(lowered)


def test_a_tool_result_without_a_stamp_is_not_copied() -> None:
    """The common case costs a few looks."""
    result = {"content": [{"type": "text", "text": "5"}], "structuredContent": {"sum": 5}}
    assert LOWER["tools/call"](result) is result


@pytest.mark.parametrize("value", [None, False, 0, [], "five"])
def test_structures_are_objects(value: Any) -> None:
    """TOUT-04, TOUT-06."""
    lowered = LOWER["tools/call"]({"content": [{"type": "text", "text": "x"}], "structuredContent": value})
    assert lowered == {"content": [{"type": "text", "text": "x"}]}


@pytest.mark.parametrize("schema", [{"type": "array"}, {"anyOf": []}, {"type": ["object", "null"]}, True])
def test_output_schemas_are_of_objects(schema: Any) -> None:
    """TOUT-04: the root says ``object``."""
    assert "outputSchema" not in tool(outputSchema=schema)
    assert tool(outputSchema={"type": "object", "$schema": "s"})["outputSchema"] == {"type": "object", "$schema": "s"}


def test_property_schemas_are_objects() -> None:
    """SHAPE-06: ``true`` and ``false`` are spelled out, everything else is kept to the letter."""
    listed = LOWER["tools/list"]({"tools": [TOOL]})["tools"][0]
    schema: Any = TOOL["inputSchema"]
    assert listed["inputSchema"] == {
        **schema,
        "properties": {**schema["properties"], "any": {}, "none": {"not": {}}},
    }
    assert list(listed["inputSchema"]) == list(schema)
    assert listed["outputSchema"]["properties"]["any"] == {}


def test_what_2026_took_away_is_here() -> None:
    """SHAPE table, CAP table: execution, tasks, roots.listChanged, elicitationId."""
    assert tool(execution={"taskSupport": "required"})["execution"] == {"taskSupport": "required"}
    assert LOWER["capabilities"](CAPABILITIES)["tasks"] == CAPABILITIES["tasks"]
    assert "clientCapabilities" not in LOWER
    assert CLIENT_CAPABILITIES["roots"] == {"listChanged": True}
    assert LOWER["elicitation/create"](URL) is URL


def test_a_url_without_id_gets_one() -> None:
    """ELIC-20: required here; the same URL has the same id."""
    lower = LOWER["elicitation/create"]
    one = {"mode": "url", "message": "m", "url": "https://example.com/1"}
    other = {"mode": "url", "message": "m", "url": "https://example.com/2"}
    assert lower(one)["elicitationId"] == lower(one)["elicitationId"] != lower(other)["elicitationId"]
    form = {"message": "m", "requestedSchema": {}}
    assert lower(form) is form


def test_the_tasks_extension_is_not_advertised() -> None:
    """CAP-06, CAP-07: other extensions are."""
    assert LOWER["capabilities"](CAPABILITIES)["extensions"] == {"io.modelcontextprotocol/ui": {}}
    assert LOWER["initialize"](INITIALIZE)["capabilities"]["extensions"] == {"io.modelcontextprotocol/ui": {}}
    only: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    assert LOWER["capabilities"](only) == {}


def test_a_created_task_is_wrapped() -> None:
    """TASKD-02 against TASKE-04."""
    spelled = {
        "taskId": "t1",
        "status": "working",
        "statusMessage": "on it",
        "createdAt": TASK["createdAt"],
        "lastUpdatedAt": TASK["lastUpdatedAt"],
        "ttl": 60000,
        "pollInterval": 500,
    }
    assert LOWER["tools/call"](TASK_RESULT) == {"task": spelled, "_meta": META}
    bare = {"resultType": "task", "taskId": "t", "status": "working", "createdAt": "c", "lastUpdatedAt": "l"}
    assert LOWER["tools/call"](bare)["task"]["ttl"] is None


def test_a_task_says_only_how_it_stands() -> None:
    """TASKD-05: what it produced is fetched by tasks/result."""
    done = {**STAMP, **TASK, "status": "completed", "result": {"content": []}}
    lowered = LOWER["tasks/get"](done)
    assert lowered["status"] == "completed"
    assert set(lowered) == {
        "taskId",
        "status",
        "statusMessage",
        "createdAt",
        "lastUpdatedAt",
        "ttl",
        "pollInterval",
        "_meta",
    }
    assert SERVER_INFO not in lowered["_meta"]


def test_implementations_are_the_same() -> None:
    """ICON-05."""
    assert LOWER["initialize"](INITIALIZE)["serverInfo"] == IMPLEMENTATION


def test_lifted_results_say_their_type() -> None:
    """DCLI-08: what says nothing is complete; and it is stale at once (CACHE-05)."""
    assert LIFT["tools/call"]({"content": []}) == {"resultType": "complete", "content": []}
    assert LIFT["tools/list"]({"tools": []}) == {
        "resultType": "complete",
        "ttlMs": 0,
        "cacheScope": "private",
        "tools": [],
    }


def test_lifting_overwrites_nothing() -> None:
    """A server that says more than its revision knows is believed."""
    result = {**KEPT, "resultType": "complete", "tools": []}
    assert LIFT["tools/list"](result) == result


def test_lifted_tasks_are_flat() -> None:
    """TASKE-04, TASKE-20: there and back again."""
    assert LIFT["tools/call"](LOWER["tools/call"](TASK_RESULT)) == {**TASK, "resultType": "task", "_meta": META}
    assert LIFT["tasks/get"](LOWER["tasks/get"](TASK)) == {**TASK, "resultType": "complete"}
    assert LIFT["tasks/list"](LOWER["tasks/list"]({"tasks": [TASK]}))["tasks"] == [TASK]


def test_what_is_no_task_passes() -> None:
    """An application may answer these methods its own way."""
    for method in ("tasks/get", "tasks/cancel"):
        assert LOWER[method]({"odd": 1}) == {"odd": 1}
        assert LIFT[method]({"odd": 1}) == {"resultType": "complete", "odd": 1}

"""Every message, brought into the shape of every revision, fits that revision's official schema.

Both ways of asking: as the schema stands (unknown members allowed), and closed, so that a member which the revision
did not know is a fault too (SHAPE-02, SHAPE-03).
"""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.protocol.revisions.registry import HANDSHAKE_NAMES, NEWEST, NEWEST_HANDSHAKE, REVISIONS, SUPPORTED
from mcpkit.protocol.revisions.revision import Revision
from tests.schema.official import faults
from tests.schema.samples import (
    CAPABILITIES,
    CLIENT_CAPABILITIES,
    DEFINITIONS,
    DISCOVER,
    EMPTY,
    FORM,
    IMPLEMENTATION,
    INITIALIZE,
    PROGRESS,
    RESULTS,
    SAMPLING,
    SAMPLING_WITH_TOOLS,
    SEVERAL,
    STAMP,
    TASK,
    TASK_RESULT,
    URL,
)

OLDEST_FIRST = sorted(SUPPORTED)
HANDSHAKES = sorted(HANDSHAKE_NAMES)
FORMS = [name for name in OLDEST_FIRST if name >= "2025-06-18"]
OPEN_AND_CLOSED = pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])


def lowered(revision: Revision, key: str, value: dict[str, Any]) -> dict[str, Any]:
    lower = revision.lower.get(key)
    return lower(value) if lower else value


def request(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


@OPEN_AND_CLOSED
@pytest.mark.parametrize("method", RESULTS)
@pytest.mark.parametrize("name", OLDEST_FIRST)
def test_results(name: str, method: str, closed: bool) -> None:
    """META-08, SHAPE-01, SHAPE-03: a result with everything in it."""
    result = lowered(REVISIONS[name], method, RESULTS[method])
    assert faults(name, DEFINITIONS[method], result, closed=closed) == []


@pytest.mark.parametrize("value", [None, False, 0, "text", [1, 2], {"a": 1}], ids=repr)
@pytest.mark.parametrize("name", OLDEST_FIRST)
def test_structured_content_of_any_kind(name: str, value: Any) -> None:
    """TOUT-05…TOUT-07: any JSON for the newest, objects or nothing for the older ones."""
    result = lowered(REVISIONS[name], "tools/call", {**STAMP, "content": [], "structuredContent": value})
    assert faults(name, "CallToolResult", result, closed=True) == []


@OPEN_AND_CLOSED
@pytest.mark.parametrize("name", HANDSHAKES)
def test_initialize(name: str, closed: bool) -> None:
    """INIT-02: capabilities and implementation in the session's shape."""
    result = lowered(REVISIONS[name], "initialize", INITIALIZE)
    assert faults(name, "InitializeResult", result, closed=closed) == []
    assert faults(name, "Implementation", lowered(REVISIONS[name], "implementation", IMPLEMENTATION), closed=True) == []


@OPEN_AND_CLOSED
def test_discover(closed: bool) -> None:
    """DISC-02."""
    assert faults(NEWEST.name, "DiscoverResult", lowered(NEWEST, "server/discover", DISCOVER), closed=closed) == []


@pytest.mark.parametrize("method", ["ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"])
@pytest.mark.parametrize("name", HANDSHAKES)
def test_empty_results_are_empty(name: str, method: str) -> None:
    """PING-01, RES-05: nothing remains, not even ``_meta``."""
    assert lowered(REVISIONS[name], method, EMPTY) == {}


@OPEN_AND_CLOSED
@pytest.mark.parametrize("name", OLDEST_FIRST)
def test_progress(name: str, closed: bool) -> None:
    """PROG-02."""
    method = "notifications/progress"
    message = {"jsonrpc": "2.0", "method": method, "params": lowered(REVISIONS[name], method, PROGRESS)}
    if name <= "2025-06-18":
        del message["jsonrpc"]  # these schemas describe method and params only
    assert faults(name, "ProgressNotification", message, closed=closed) == []


@OPEN_AND_CLOSED
@pytest.mark.parametrize("name", OLDEST_FIRST)
def test_sampling(name: str, closed: bool) -> None:
    """SAMP-02, SAMP-10."""
    method = "sampling/createMessage"
    params = lowered(REVISIONS[name], method, SAMPLING)
    message = request(method, params) if name == NEWEST_HANDSHAKE.name else {"method": method, "params": params}
    assert faults(name, "CreateMessageRequest", message, closed=closed) == []


@pytest.mark.parametrize("name", [NEWEST_HANDSHAKE.name, NEWEST.name])
def test_sampling_with_tools(name: str) -> None:
    """SAMP-07, SAMP-09: only the two newest revisions have them."""
    method = "sampling/createMessage"
    params = lowered(REVISIONS[name], method, SAMPLING_WITH_TOOLS)
    message = request(method, params) if name == NEWEST_HANDSHAKE.name else {"method": method, "params": params}
    assert faults(name, "CreateMessageRequest", message, closed=True) == []


@OPEN_AND_CLOSED
@pytest.mark.parametrize("name", FORMS)
def test_forms(name: str, closed: bool) -> None:
    """ELIC-10…ELIC-13, ELIC-18."""
    method = "elicitation/create"
    params = lowered(REVISIONS[name], method, FORM)
    message = request(method, params) if name == NEWEST_HANDSHAKE.name else {"method": method, "params": params}
    # a default of 95.5 is a number by the spec's text; its JSON schemas say integer (SHAPE-04)
    integer = {**message, "params": {**params, "requestedSchema": _whole_defaults(params["requestedSchema"])}}
    assert faults(name, "ElicitRequest", integer, closed=closed) == []


def _whole_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    fields = schema["properties"].items()
    return {
        **schema,
        "properties": {
            name: {**field, "default": int(field["default"])} if isinstance(field.get("default"), float) else field
            for name, field in fields
        },
    }


@pytest.mark.parametrize("question", [SEVERAL, URL], ids=["several", "url"])
@pytest.mark.parametrize("name", [NEWEST_HANDSHAKE.name, NEWEST.name])
def test_newer_questions(name: str, question: dict[str, Any]) -> None:
    """ELIC-13, ELIC-20."""
    method = "elicitation/create"
    params = lowered(REVISIONS[name], method, question)
    message = request(method, params) if name == NEWEST_HANDSHAKE.name else {"method": method, "params": params}
    assert faults(name, "ElicitRequest", message, closed=True) == []


def test_tasks_of_the_core() -> None:
    """TASKD-02, TASKD-05: one handshake revision had tasks in its core."""
    lower, name = NEWEST_HANDSHAKE.lower, NEWEST_HANDSHAKE.name
    assert faults(name, "CreateTaskResult", lower["tools/call"](TASK_RESULT), closed=True) == []
    assert faults(name, "Task", lower["notifications/tasks/status"](TASK), closed=True) == []
    assert faults(name, "GetTaskResult", lower["tasks/get"]({**STAMP, **TASK})) == []
    assert faults(name, "ListTasksResult", lower["tasks/list"]({**STAMP, "tasks": [TASK]}), closed=True) == []


@pytest.mark.parametrize("name", OLDEST_FIRST)
def test_capabilities(name: str) -> None:
    """The table of protocol-core §9."""
    assert faults(name, "ServerCapabilities", lowered(REVISIONS[name], "capabilities", CAPABILITIES)) == []
    declared = lowered(REVISIONS[name], "clientCapabilities", CLIENT_CAPABILITIES)
    assert faults(name, "ClientCapabilities", declared) == []


@pytest.mark.parametrize("method", RESULTS)
@pytest.mark.parametrize("name", HANDSHAKES)
def test_lifted_results_are_canonical(name: str, method: str) -> None:
    """The client's way back: what an older server answered fits the newest schema again."""
    revision = REVISIONS[name]
    lifted = revision.lift[method](lowered(revision, method, RESULTS[method]))
    assert faults(NEWEST.name, DEFINITIONS[method], lowered(NEWEST, method, lifted), closed=True) == []

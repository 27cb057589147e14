"""The revision 2025-11-25: what its successor, 2026-07-28, changed, told backwards.

The newest of the revisions that open by a handshake, and the one that plain JSON-RPC derives from. What must never
stand here: a change that an older revision lacks (its own file), a rule of the newest (v2026_07_28.py).
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from mcpkit.protocol.revisions.blocks import text_instead_of_structure
from mcpkit.protocol.revisions.revision import Asks, Chain, Change, Era, ErrorKind, HttpRules, LogGate, derive
from mcpkit.protocol.revisions.shape import drop, each, for_methods, prune, within
from mcpkit.protocol.revisions.v2026_07_28 import V2026_07_28
from mcpkit.protocol.types import META_SERVER_INFO

_HANDSHAKE: Final = ("initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe")
_CACHEABLE: Final = ("tools/list", "resources/list", "resources/templates/list", "prompts/list", "resources/read")
_UNCACHED: Final = ("tools/call", "prompts/get", "completion/complete")
_TASKS: Final = ("tasks/get", "tasks/cancel", "tasks/list", "tasks/result")
_ALL: Final = (*_HANDSHAKE, *_CACHEABLE, *_UNCACHED, *_TASKS)
_NOTIFICATIONS: Final = ("initialized", "cancelled", "progress", "roots/list_changed", "tasks/status")

_TASK_MEMBERS: Final = {
    "taskId": "taskId",
    "status": "status",
    "statusMessage": "statusMessage",
    "createdAt": "createdAt",
    "lastUpdatedAt": "lastUpdatedAt",
    "ttlMs": "ttl",
    "ttl": "ttl",
    "pollIntervalMs": "pollInterval",
    "pollInterval": "pollInterval",
}
_TASK_NAMES: Final = {"ttl": "ttlMs", "pollInterval": "pollIntervalMs"}
_OBJECT: Final = {"type": "object"}
_BOOLEAN_SCHEMAS: Final[dict[bool, dict[str, Any]]] = {True: {}, False: {"not": {}}}


_without_output = drop("outputSchema")
_without_server_info = prune("_meta", META_SERVER_INFO)
_without_result_type = drop("resultType")
_without_tasks_extension = prune("extensions", "io.modelcontextprotocol/tasks")


def _spelled(state: dict[str, Any]) -> dict[str, Any]:
    """A task as written here: ``ttl`` must be there, null when nothing limits it."""
    return {"ttl": None, **{old: state[new] for new, old in _TASK_MEMBERS.items() if new in state}}


def _task(state: dict[str, Any]) -> dict[str, Any]:
    """A task that is a result itself; what it produced is fetched apart."""
    if "taskId" not in state:
        return state
    return {**_spelled(state), "_meta": state["_meta"]} if "_meta" in state else _spelled(state)


def _task_state(task: dict[str, Any]) -> dict[str, Any]:
    if "taskId" not in task:
        return task
    return {_TASK_NAMES.get(name, name): member for name, member in task.items()}


def _wrapped_task(result: dict[str, Any]) -> dict[str, Any]:
    if "resultType" not in result or result["resultType"] != "task":
        return result
    wrapped = {"task": _spelled(result)}
    return {**wrapped, "_meta": result["_meta"]} if "_meta" in result else wrapped


def _flat_task(result: dict[str, Any]) -> dict[str, Any]:
    task = result.get("task")
    if not isinstance(task, dict) or "content" in result:
        return result
    rest = {name: member for name, member in result.items() if name not in {"task", "resultType"}}
    return {"resultType": "task", **_task_state(task), **rest}


def _unstamped(result: dict[str, Any]) -> dict[str, Any]:
    if "resultType" not in result and "_meta" not in result:
        return result  # where it is not stamped there is nothing to take off
    return _without_server_info(_without_result_type(result))


def _complete(result: dict[str, Any]) -> dict[str, Any]:
    return {"resultType": "complete", **result}


def _stale(result: dict[str, Any]) -> dict[str, Any]:
    return {"ttlMs": 0, "cacheScope": "private", **result}


def _object_structure(result: dict[str, Any]) -> dict[str, Any]:
    if "structuredContent" not in result or isinstance(result["structuredContent"], dict):
        return result
    return text_instead_of_structure(result)


def _object_output(tool: dict[str, Any]) -> dict[str, Any]:
    """An output schema whose root may be something else than an object has no place here (TOUT-06)."""
    schema = tool.get("outputSchema", _OBJECT)
    return tool if isinstance(schema, dict) and schema.get("type") == "object" else _without_output(tool)


def _schema_objects(schema: dict[str, Any]) -> dict[str, Any]:
    """``true`` and ``false`` as a property's schema, spelled as objects (SHAPE-06)."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not any(isinstance(prop, bool) for prop in properties.values()):
        return schema
    objects = {name: _BOOLEAN_SCHEMAS[prop] if isinstance(prop, bool) else prop for name, prop in properties.items()}
    return {**schema, "properties": objects}


def _identified(question: dict[str, Any]) -> dict[str, Any]:
    """A URL to open has an id here (ELIC-20); where the asker gave none it follows from the URL."""
    if question.get("mode") != "url" or "elicitationId" in question:
        return question
    digest = hashlib.sha256(str(question.get("url")).encode("utf-8", "surrogatepass")).hexdigest()
    return {**question, "elicitationId": digest[:32]}


V2025_11_25 = derive(
    V2026_07_28,
    "2025-11-25",
    changes=[
        Change(
            "The handshake, ping and sessions went; every request is its own and says who speaks",
            set={
                "era": Era.HANDSHAKE,
                "requests": frozenset(_ALL),
                "notifications": frozenset(f"notifications/{name}" for name in _NOTIFICATIONS),
                "http": HttpRules(sessions=True, resumable=True, priming=True),
            },
            lower={"server/discover": None},
        ),
        Change(
            "Servers no longer send requests: a question is a result and its answer a retry",
            set={"asks": Asks.SERVER_REQUEST},
        ),
        Change(
            "logging/setLevel went: each request names its own level",
            set={"log_gate": LogGate.SESSION_LEVEL},
        ),
        Change("elicitationId went from URL elicitation", lower={"elicitation/create": None}),
        Change("A URL elicitation needs no id", lower={"elicitation/create": _identified}),
        Change(
            "Tasks left the core and became an extension, flat and in milliseconds by name",
            lower={
                "tools/list": None,
                "capabilities": None,
                "tools/call": _wrapped_task,
                "tasks/get": _task,
                "tasks/cancel": _task,
                "tasks/list": each("tasks", _task),
                "notifications/tasks/status": _task,
            },
            lift={
                "tools/call": _flat_task,
                "tasks/get": _task_state,
                "tasks/cancel": _task_state,
                "tasks/list": each("tasks", _task_state),
            },
        ),
        Change(
            "The extension of that name is another protocol (CAP-06)",
            lower={
                "capabilities": _without_tasks_extension,
                "initialize": within("capabilities", _without_tasks_extension),
            },
        ),
        Change("roots.listChanged went from the client's capabilities", lower={"clientCapabilities": None}),
        Change(
            "Every result says its type and who answered",
            lower=for_methods(_ALL, _unstamped),
            lift=for_methods((*_CACHEABLE, *_UNCACHED, *_TASKS), _complete),
            set={"stamps_results": False},
        ),
        Change(
            "Lists, contents and the discovery say how long they may be kept",
            lower=for_methods(_CACHEABLE, drop("ttlMs", "cacheScope")),
            lift=for_methods(_CACHEABLE, _stale),
        ),
        Change(
            "structuredContent may be any JSON value, outputSchema any schema",
            lower={
                "tools/call": _object_structure,
                "tasks/result": _object_structure,
                "tools/list": each("tools", _object_output),
            },
        ),
        Change(
            "A property's schema may be a boolean",
            lower={
                "tools/list": each(
                    "tools", Chain(within("inputSchema", _schema_objects), within("outputSchema", _schema_objects))
                )
            },
        ),
        Change(
            "Error numbers: a missing resource is bad params, three errors have numbers of their own",
            set={"codes": {ErrorKind.RESOURCE_NOT_FOUND: -32002, ErrorKind.URL_ELICITATION_REQUIRED: -32042}},
        ),
    ],
)

"""The revision 2026-07-28, stated whole: the shape that the code speaks and that every older revision is told from.

The canonical dicts of the code are this revision's, plus the four things that 2025-11-25 had and this one took away:
``Tool.execution``, ``capabilities.tasks``, ``elicitationId`` and a client's ``roots.listChanged``. They are dropped
here and nowhere later (a Change with None brings them back). ``tools/call`` has no entry: the hot path is not adapted.
What must never stand here: anything about an older revision.
"""

from __future__ import annotations

from mcpkit.protocol.revisions.revision import Asks, Era, ErrorKind, Fault, HttpRules, LogGate, Revision
from mcpkit.protocol.revisions.shape import drop, each, within

_WITHOUT_TASKS = drop("tasks")  # the core's; as an extension they stand under "extensions" (CAP-06)

V2026_07_28 = Revision(
    name="2026-07-28",
    era=Era.ENVELOPE,
    requests=frozenset(
        {
            "server/discover",
            "tools/list",
            "tools/call",
            "resources/list",
            "resources/templates/list",
            "resources/read",
            "prompts/list",
            "prompts/get",
            "completion/complete",
            "subscriptions/listen",
            # of the extension io.modelcontextprotocol/tasks; without it there are no rows for them
            "tasks/get",
            "tasks/update",
            "tasks/cancel",
        }
    ),
    notifications=frozenset({"notifications/cancelled"}),
    http=HttpRules(
        routing_headers=True,
        disconnect_cancels=True,
        status={-32700: 400, -32600: 400, -32601: 404, -32020: 400, -32021: 400, -32022: 400},
    ),
    asks=Asks.INPUT_REQUIRED,
    log_gate=LogGate.REQUEST_META,
    invalid_arguments=Fault.TOOL_ERROR,
    open_methods=True,
    stamps_results=True,
    codes={
        ErrorKind.RESOURCE_NOT_FOUND: -32602,
        ErrorKind.HEADER_MISMATCH: -32020,
        ErrorKind.MISSING_CLIENT_CAPABILITY: -32021,
        ErrorKind.UNSUPPORTED_PROTOCOL_VERSION: -32022,
    },
    lower={
        "tools/list": each("tools", drop("execution")),
        "server/discover": within("capabilities", _WITHOUT_TASKS),
        "capabilities": _WITHOUT_TASKS,
        "clientCapabilities": lambda declared: _WITHOUT_TASKS(within("roots", drop("listChanged"))(declared)),
        "elicitation/create": drop("elicitationId"),
    },
)

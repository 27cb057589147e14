"""Served requests for the tests of observers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from mcpkit.observe.events import Served


def served(  # what is not said of it, it has not
    method: str = "tools/call",
    target: Any = "add",
    arguments: dict[str, Any] | None = None,
    error: str | None = None,
    seconds: float = 0.0,
    **told: Any,
) -> Served:
    """One served request."""
    call = SimpleNamespace(
        id=told.get("id", 1),
        method=method,
        params={"name": target} | ({"arguments": arguments} if arguments else {}),
        headers={},
        revision=SimpleNamespace(name=""),
        client=SimpleNamespace(info={"name": told["client"]} if "client" in told else {}),
        principal=SimpleNamespace(id=told["principal"]) if "principal" in told else None,
        session=SimpleNamespace(id=told["session"]) if "session" in told else None,
    )
    return Served(call, error, seconds)

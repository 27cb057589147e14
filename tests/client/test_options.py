"""The keywords of a client and its calls."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mcpkit.client import MCPClient
from mcpkit.client.options import CallOptions, ClientOptions
from tests.client.scripted import FakeTransport, answering
from tests.conftest import ROOT


def named(file: str) -> set[str]:
    """The strings in a file."""
    tree = ast.parse((ROOT / Path("mcpkit/client") / file).read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_keyword_has_its_place() -> None:
    """A keyword that nobody reads would be ignored in silence."""
    assert set(ClientOptions.__annotations__) <= named("assembly.py") | named("tool_calls.py")
    assert set(CallOptions.__annotations__) <= named("calls.py")


@pytest.mark.parametrize(
    "options", [{"mode": "newest"}, {"log_level": "loud"}, {"target": "ftp://h/"}, {"client_inf": {}}, {"timeou": 5}]
)
def test_mistakes_are_told_at_once(options: dict[str, object]) -> None:
    """At the making of a client, not at its first call."""
    with pytest.raises((ValueError, TypeError)):
        MCPClient(**{"target": FakeTransport(answering({})), **options})  # type: ignore[arg-type]


async def test_mistakes_in_a_call_are_told() -> None:
    """Before anything is sent."""
    transport = FakeTransport(answering({}))
    async with MCPClient(transport) as client:
        with pytest.raises(TypeError, match="no option timeou"):
            await client.list_tools(timeou=5)  # type: ignore[call-arg]
    assert transport.methods() == ["server/discover"]

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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": -1}, "timeout must be a number of seconds, more than 0; None waits for ever, not -1"),
        ({"timeout": 0}, "timeout must be a number of seconds"),
        ({"timeout": float("nan")}, "timeout must be a number of seconds"),
        ({"timeout": "5"}, "timeout must be a number of seconds"),
        ({"timeout": True}, "timeout must be a number of seconds"),
        ({"init_timeout": None}, "init_timeout must be a number of seconds"),
        ({"init_timeout": float("inf")}, "init_timeout must be a number of seconds"),
        ({"input_required_max_rounds": -1}, "input_required_max_rounds must be a whole number, 0 or more, not -1"),
        ({"headers": {"X": 5}}, "headers must be a dict of texts"),
        ({"headers": [("X", "y")]}, "headers must be a dict of texts"),
        ({"roots": "/srv"}, "roots must be a list of folders"),
        ({"sampling_handler": "model"}, "sampling_handler must be a function"),
        ({"progress_handler": 5}, "progress_handler must be a function"),
        ({"sampling_tools": "yes"}, "sampling_tools must be True or False"),
        ({"check_output": 1}, "check_output must be True or False"),
        ({"cache": 60}, "cache must be True, False or a ResponseCache"),
        ({"patience": 5}, "patience must be a Patience"),
        ({"client_info": "me"}, "client_info must be a dict"),
        ({"extensions": ["tasks"]}, "extensions must be a dict"),
        ({"eras": {}}, "eras must be an EraMemory"),
        ({"http": "http://proxy"}, "http must be an httpx.AsyncClient"),
        ({"stderr": 2}, "stderr must be a function"),
        ({"log_level": 3}, "log_level must be a text"),
        ({"timeou": 5}, "a client has no option timeou (did you mean timeout?)"),
        ({"elicitation": 5}, "a client has no option elicitation (did you mean elicitation_handler?)"),
    ],
)
def test_what_an_option_cant_be_is_told_in_words(options: dict[str, object], said: str) -> None:
    with pytest.raises((ValueError, TypeError)) as refused:
        MCPClient(FakeTransport(answering({})), **options)  # type: ignore[arg-type]  # as is the point
    assert str(refused.value).startswith(said)


def test_every_keyword_is_checked() -> None:
    """Any option takes an object of no kind at all only where it is what it is."""
    for name in ClientOptions.__annotations__:
        if name != "http":
            with pytest.raises(ValueError, match=f"^{name} must be"):
                MCPClient(FakeTransport(answering({})), **{name: object()})  # type: ignore[arg-type]

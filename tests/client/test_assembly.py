"""A client put together."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.client import Bearer, Bounds, Deadlines, EraMemory, MCPClient, Patience, ResponseCache
from mcpkit.client.assembly import Parts, assembled
from tests.client.scripted import FakeTransport, answering, soon


def parts(**options: Any) -> Parts:
    auth = options.pop("auth", None)
    return assembled(FakeTransport(answering({})), "auto", auth, options)  # type: ignore[arg-type]


def test_deadlines_and_bounds() -> None:
    """The short keywords change the long ones and leave the rest."""
    own = Patience(bounds=Bounds(pages=7), deadlines=Deadlines(goodbye=9.0))
    made = parts(patience=own, timeout=5.0, init_timeout=3.0, input_required_max_rounds=2).core.setup.patience
    assert (made.bounds.pages, made.bounds.rounds) == (7, 2)
    assert (made.deadlines.goodbye, made.deadlines.call) == (9.0, 5.0)
    assert (made.deadlines.handshake, made.deadlines.probe, made.deadlines.connect) == (3.0, 3.0, 3.0)
    assert parts(timeout=None).core.setup.patience.deadlines.call is None


def test_identity() -> None:
    """The application's name over ours; what is handled is declared, extensions with their settings."""
    made = parts(
        client_info={"name": "app", "title": "App"}, extensions={"x/y": {"a": 1}}, sampling_handler=lambda _: None
    ).core.setup.identity
    assert made.info["name"] == "app"
    assert made.info["title"] == "App"
    assert made.info["version"]
    assert made.capabilities == {"sampling": {}, "extensions": {"x/y": {"a": 1}}}


def test_caches_and_memories() -> None:
    """One of its own by default, the application's where it gives one, none where it wants none."""
    assert parts().calls._cache is not None
    assert parts(cache=False).calls._cache is None
    shared = ResponseCache()
    assert parts(cache=shared).calls._cache is shared
    eras = EraMemory()
    assert parts(eras=eras).core.setup.memory is eras
    assert parts().core.setup.memory is parts().core.setup.memory


def test_private_results_belong_to_who_asked() -> None:
    """CACHE-04, LEAK-03: by token and by header; the key tells neither."""

    def context(**options: Any) -> str:
        return parts(**options).calls._habits.context

    contexts = [context(), context(auth="t1"), context(auth="t2"), context(headers={"Authorization": "Bearer t1"})]
    assert len(set(contexts)) == 4
    assert context(auth=Bearer("t1")) == contexts[1]
    assert not any("t1" in one for one in contexts)


@pytest.mark.parametrize("level", ["warning", "debug"])
async def test_a_refused_log_level_is_borne(level: str, caplog: pytest.LogCaptureFixture) -> None:
    """A server that declares logging and refuses it all the same."""

    async def answer(call: Any) -> dict[str, Any]:
        found = await answering({}, modern=False)(call)
        return {**found, "capabilities": {"logging": {}}}

    async with MCPClient(FakeTransport(answer), mode="legacy", log_level=level) as client:
        assert client.protocol_version is not None
    assert "refuses the log level" in caplog.text


async def test_without_changes_to_tell_nothing_is_listened_to() -> None:
    """DISC-05: a server that declares no listChanged is not asked to listen."""

    async def answer(call: Any) -> dict[str, Any]:
        found = await answering({})(call)
        return {**found, "capabilities": {"tools": {}, "prompts": 5}}

    transport = FakeTransport(answer)
    client = MCPClient(transport, change_handler=lambda _: None)
    await soon(client.connect())
    await soon(client._parts.background.finish(5))
    assert transport.methods() == ["server/discover"]
    await soon(client.close())

"""`sample` is answered by a real endpoint or refused by name; `shutdown` ends what the settings say, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from mcpkit.host import openai
from mcpkit.host.openai import OpenAIModel
from mcpkit.jsonrpc.errors import InvalidParams, InvalidRequest, MethodNotFound, RpcError
from mcpkit.server import Server
from mcpkit.settings import Settings
from routers import sampling_router
from routers.base_router import MCPBaseRouter
from routers.sampling_router import MODEL_FAILED, NO_MODEL, Sampler, register_sampling
from tests.exchanges import Recorder, exchange
from tests.fixtures.scripted_peer import ScriptedModel, scripted_model

KEY = "sk-very-secret"


@pytest.fixture(scope="module")
def _peer() -> Iterator[ScriptedModel]:
    with scripted_model() as peer:
        yield peer


@pytest.fixture
def peer(_peer: ScriptedModel) -> ScriptedModel:
    _peer.script()
    return _peer


@pytest.fixture
async def sampler(peer: ScriptedModel) -> AsyncIterator[Sampler]:
    sampler = Sampler(Settings(base_url=peer.base_url, model_name="asked-1", api_key=KEY))
    yield sampler
    await sampler.close()


async def test_sample_answers_with_the_text_the_tokens_and_the_model(sampler: Sampler, peer: ScriptedModel) -> None:
    peer.script({"say": "Hello!", "model": "real-1"})
    assert await sampler.sample({"prompt": "Say hello"}) == {
        "content": "Hello!",
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        "model": "real-1",
    }
    assert peer.asked[0]["body"]["messages"] == [{"role": "user", "content": "Say hello"}]


async def test_sample_passes_on_what_else_is_wished(sampler: Sampler, peer: ScriptedModel) -> None:
    peer.script({"say": "oui"})
    await sampler.sample({"prompt": "hi", "system_prompt": "Speak French.", "max_tokens": 5, "temperature": 0})
    body = peer.asked[0]["body"]
    assert body["messages"][0] == {"role": "system", "content": "Speak French."}
    assert (body["max_tokens"], body["temperature"]) == (5, 0)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"prompt": ""},
        {"prompt": " \n"},
        {"prompt": 5},
        {"prompt": ["hi"]},
        {"prompt": "hi", "system_prompt": 5},
        {"prompt": "hi", "max_tokens": 0},
        {"prompt": "hi", "max_tokens": 1.5},
        {"prompt": "hi", "max_tokens": True},
        {"prompt": "hi", "temperature": "hot"},
        {"prompt": "hi", "temperature": 3},
        {"prompt": "hi", "temperature": False},
    ],
)
async def test_a_question_that_is_none_is_refused_before_the_model_is_asked(
    sampler: Sampler, peer: ScriptedModel, params: dict[str, Any]
) -> None:
    with pytest.raises(InvalidParams):
        await sampler.sample(params)
    assert peer.asked == []


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(base_url="http://127.0.0.1:9/v1"),
        Settings(model_name="m", api_key=KEY),
        Settings(base_url="http://127.0.0.1:9/v1", sample_autodetect=True),
    ],
)
async def test_without_a_model_the_error_names_the_three_variables(settings: Settings) -> None:
    with pytest.raises(RpcError) as refused:
        await Sampler(settings).sample({"prompt": "hi"})
    assert refused.value.code == NO_MODEL
    for name in ("BASE_URL", "API_KEY", "MODEL_NAME"):
        assert name in refused.value.message


async def test_a_local_model_is_looked_for_only_when_wanted(
    peer: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find() -> OpenAIModel:
        return OpenAIModel(peer.base_url, "found-1")

    monkeypatch.setattr(openai, "find_local_model", find)
    peer.script({"say": "local"})
    sampler = Sampler(Settings(sample_autodetect=True))
    assert (await sampler.sample({"prompt": "hi"}))["content"] == "local"
    await sampler.close()
    with pytest.raises(RpcError, match="BASE_URL"):
        await Sampler(Settings()).sample({"prompt": "hi"})


async def test_a_failing_endpoint_is_told_without_key_or_body(sampler: Sampler, peer: ScriptedModel) -> None:
    peer.script({"status": 401, "body": {"error": {"message": f"Incorrect API key: {KEY}"}}})
    with pytest.raises(RpcError, match="check API_KEY") as failed:
        await sampler.sample({"prompt": "hi"})
    assert failed.value.code == MODEL_FAILED
    assert failed.value.data == {"retryable": False}
    assert KEY not in str(failed.value.to_wire())


async def test_a_key_that_can_not_be_sent_is_told_at_the_call() -> None:
    sampler = Sampler(Settings(base_url="http://127.0.0.1:9/v1", model_name="m", api_key="a\nb"))
    with pytest.raises(RpcError, match="API_KEY"):
        await sampler.sample({"prompt": "hi"})


# ── shutdown ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    stops: list[str] = []
    monkeypatch.setattr(sampling_router, "request_shutdown", lambda: stops.append("stopped"))
    return stops


def served(shutdown: Any) -> Server:
    server = Server("test")
    register_sampling(MCPBaseRouter(server), Settings(shutdown=shutdown))
    return server


@pytest.mark.parametrize(("shutdown", "stopped"), [("session", []), ("server", ["stopped"])])
async def test_shutdown_hangs_up_and_stops_the_server_only_where_set(
    stops: list[str], shutdown: str, stopped: list[str]
) -> None:
    channel = Recorder()
    result = await served(shutdown).kernel.serve(exchange("shutdown", revision="", channel=channel))
    assert result == {"status": "shutting_down"}
    assert channel.hung_up
    assert stops == stopped


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        (Settings(host="0.0.0.0", shutdown="server"), True),
        (Settings(host="0.0.0.0", shutdown="session"), True),
        (Settings(host="0.0.0.0", shutdown="server", api_keys_file=Path("keys.json")), False),
        (Settings(host="127.0.0.1", shutdown="server"), False),
    ],
)
async def test_shutdown_is_refused_where_anybody_could_ask(stops: list[str], settings: Settings, refused: bool) -> None:
    """Beyond this machine only callers who have authenticated; over a pipe the one who started the server."""
    server = Server("s")
    register_sampling(MCPBaseRouter(server), settings)
    asked = exchange("shutdown", revision="", channel=Recorder())
    await server.kernel.serve(asked)
    stops.clear()
    asked.headers = {"host": "localhost"}
    if refused:
        with pytest.raises(InvalidRequest, match="MCP_API_KEYS_FILE"):
            await server.kernel.serve(asked)
    else:
        await server.kernel.serve(asked)
    assert stops == ([] if refused else ["stopped"])


async def test_shutdown_can_be_taken_away() -> None:
    with pytest.raises(MethodNotFound):
        await served("off").kernel.serve(exchange("shutdown", revision=""))


async def test_a_server_that_nobody_runs_can_still_be_asked_to_end() -> None:
    assert await served("server").kernel.serve(exchange("shutdown", revision="")) == {"status": "shutting_down"}

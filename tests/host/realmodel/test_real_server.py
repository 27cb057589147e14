"""Our model client against a real server: ``transformers serve`` with a model of a few thousand weights, made here.

Run by ``scripts/realmodel``. What the model says is set in tests/peers/tiny_model.py; everything between its weights
and our words is the server's own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from mcpkit.host.model import ChatMessage, Completion, ModelError, ToolCall, ToolOffer, Wishes
from mcpkit.host.openai import OpenAIModel
from tests.fixtures.started import ROOT, environment, started

pytestmark = [pytest.mark.realmodel, pytest.mark.slow]
SERVING = re.compile(r"Uvicorn running on (http://127\.0\.0\.1:\d+)")
SAYS = "Hello from a tiny model"
ADD = ToolOffer("server0_add", "Add two numbers.", {"type": "object", "properties": {"a": {"type": "integer"}}})
ASKS = [ChatMessage("user", "5 plus 3?")]


def program(name: str) -> str:
    """A program of the environment that scripts/realmodel makes."""
    found = [path for path in (ROOT / ".venv-realmodel").glob(f"*/{name}*") if path.stem == name]
    assert found, "the server is not installed; run: scripts/realmodel"
    return str(found[0])


@dataclass(frozen=True)
class Endpoint:
    """The running server."""

    base_url: str
    folder: Path


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    folder = tmp_path_factory.mktemp("model")
    (folder / "home" / "hub").mkdir(parents=True)
    offline = {"HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    env = {**os.environ, **offline}
    made = [program("python"), str(ROOT / "tests/peers/tiny_model.py"), "tiny"]
    subprocess.run(made, cwd=folder, env=env, check=True, timeout=120, capture_output=True)
    serve = [program("transformers"), "serve", "tiny", "--host", "127.0.0.1", "--port", "0", "--device", "cpu"]
    log = folder / "log"
    with ExitStack() as stack:
        pipe = stack.enter_context(
            subprocess.Popen(
                [*serve, "--log-level", "info"],
                cwd=folder,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        stack.callback(pipe.kill)
        assert pipe.stdout is not None
        found = next(filter(None, map(SERVING.search, pipe.stdout)), None)
        assert found, "it ended before it served"
        with log.open("w") as rest:  # so that it never waits for a reader
            drain = subprocess.Popen(["cat"], stdin=pipe.stdout, stdout=rest)
        stack.callback(drain.wait, 10)
        stack.callback(pipe.kill)
        yield Endpoint(f"{found[1]}/v1", folder)


async def streamed(model: OpenAIModel, *tools: ToolOffer) -> tuple[list[str], Completion]:
    pieces = [piece async for piece in model.stream(ASKS, tools=tools)]
    *texts, whole = pieces
    assert isinstance(whole, Completion)
    return [text for text in texts if isinstance(text, str)], whole


def counted(answer: Completion) -> bool:
    usage = answer.usage
    return 0 < usage.prompt_tokens < usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


async def test_a_whole_answer(endpoint: Endpoint) -> None:
    model = OpenAIModel(endpoint.base_url, "tiny")
    answer = await model.complete(ASKS)
    short = await model.complete(ASKS, wishes=Wishes(max_tokens=2, temperature=0.0))
    await model.close()
    assert (answer.content, answer.model, answer.finish_reason, answer.tool_calls) == (SAYS, "tiny@main", "stop", ())
    assert counted(answer)
    assert (short.content, short.finish_reason) == ("Hello from", "length")


async def test_a_streamed_answer_comes_in_pieces(endpoint: Endpoint) -> None:
    model = OpenAIModel(endpoint.base_url, "tiny")
    texts, whole = await streamed(model)
    await model.close()
    assert len(texts) > 1
    assert "".join(texts) == whole.content == SAYS
    assert counted(whole)


async def test_tools_are_taken_and_called_and_thoughts_are_no_answer(endpoint: Endpoint) -> None:
    model = OpenAIModel(endpoint.base_url, "tiny")
    whole = await model.complete(ASKS, tools=[ADD])
    texts, last = await streamed(model, ADD)
    for answer in (whole, last):
        (call,) = answer.tool_calls
        assert (call.name, call.arguments, call.fault) == ("server0_add", {"a": 5, "b": 3}, None)
        assert (answer.content, answer.finish_reason) == ("", "tool_calls")
        assert counted(answer)
    assert texts == []
    call = ToolCall(last.tool_calls[0].id, "server0_add", {"a": 5, "b": 3})
    told = [*ASKS, ChatMessage("assistant", "", (call,)), ChatMessage("tool", "8", tool_call_id=call.id)]
    assert (await model.complete(told, tools=[ADD])).content == "The tool has added"
    await model.close()


async def test_another_model_is_refused_with_what_to_check(endpoint: Endpoint) -> None:
    model = OpenAIModel(endpoint.base_url, "large")
    with pytest.raises(ModelError, match="MODEL_NAME") as failed:
        await model.complete(ASKS)
    with pytest.raises(ModelError, match="MODEL_NAME"):
        await streamed(model)
    await model.close()
    assert "'tiny'" in failed.value.said


def test_the_chat_calls_a_tool_and_tells_what_came_of_it(endpoint: Endpoint) -> None:
    env = environment(MODEL_NAME="tiny", BASE_URL=endpoint.base_url, XDG_STATE_HOME=str(endpoint.folder))
    with started("examples/math_server.py", "--port", "0", cwd=endpoint.folder) as sums:
        chat = [sys.executable, str(ROOT / "mcp_client.py"), "chat", sums.url, "--lang", "zh", "--once", "计算 5 加 3"]
        done = subprocess.run(
            chat, cwd=endpoint.folder, env=env, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        '[调用工具 server0_add 参数: {"a": 5, "b": 3}]',
        "工具结果: 8",
        "The tool has added",
    ]


def test_the_server_samples_from_it(endpoint: Endpoint) -> None:
    env = environment(MODEL_NAME="tiny", BASE_URL=endpoint.base_url)
    with started("mcp_server.py", "--port", "0", cwd=endpoint.folder, env=env) as server:
        answer = server.ask("sample", prompt="Say hello.")["result"]
    assert (answer["content"], answer["model"]) == (SAYS, "tiny@main")
    usage = answer["usage"]
    assert 0 < usage["completion_tokens"] < usage["total_tokens"]

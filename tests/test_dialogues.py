"""The dialogues of the mission, end to end: a user's line, a model, both example servers, each a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.scripted_peer import ScriptedModel, scripted_model
from tests.fixtures.started import ROOT, environment, started


@dataclass(frozen=True)
class Scene:
    """The two servers, in order, and the model."""

    urls: tuple[str, str]
    model: ScriptedModel
    folder: Path

    def chat(
        self, *arguments: str, said: str = "", locale: str = "zh_CN.UTF-8", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        ours = {
            "MODEL_NAME": "scripted-1",
            "BASE_URL": self.model.base_url,
            "LC_ALL": locale,
            "PYTHONUTF8": "1",
            "XDG_STATE_HOME": str(self.folder / "state"),
            "MCP_SERVER_URLS": ",".join(self.urls),
        }
        env = environment(**{**ours, **variables})
        command = [sys.executable, str(ROOT / "mcp_client.py"), "chat", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=env, input=said, capture_output=True, text=True, timeout=50, check=False
        )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("dialogues")
    with (
        started("examples/math_server.py", "--port", "0", cwd=folder) as sums,
        started("examples/modulo_server.py", "--port", "0", cwd=folder) as rests,
        scripted_model() as model,
    ):
        yield Scene((sums.url, rests.url), model, folder)


def test_the_three_dialogues_in_one_conversation(scene: Scene) -> None:
    done = scene.chat(said="计算 5 加 3\n10 除以 3 的余数是多少\n计算 7 除以 0\nquit\nnever heard\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        '[调用工具 server0_add 参数: {"a": 5, "b": 3}]',
        "工具结果: 8",
        "结果是 8。",
        '[调用工具 server1_modulo 参数: {"a": 10, "b": 3}]',
        "工具结果: 1",
        "结果是 1。",
        '[调用工具 server0_divide 参数: {"a": 7, "b": 0}]',
        "工具出错: Division by zero is not allowed",
        "结果是 The call failed: Division by zero is not allowed。",
    ]


def test_in_english_and_once(scene: Scene) -> None:
    done = scene.chat("--once", "5 plus 3", locale="en_US.UTF-8")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        '[calling tool server0_add with {"a": 5, "b": 3}]',
        "tool result: 8",
        "结果是 8。",
    ]


@pytest.mark.parametrize(
    ("arguments", "locale", "question", "line"),
    [
        (("--lang", "zh"), "en_US.UTF-8", "5 plus 3", "工具结果: 8"),
        (("--lang", "en"), "zh_CN.UTF-8", "计算 5 加 3", "tool result: 8"),
        ((), "C.UTF-8", "计算 5 加 3", "工具结果: 8"),
        ((), "C.UTF-8", "5 plus 3", "tool result: 8"),
    ],
)
def test_the_language_is_the_options_then_the_locales_then_the_users(
    scene: Scene, arguments: tuple[str, ...], locale: str, question: str, line: str
) -> None:
    assert line in scene.chat(*arguments, "--once", question, locale=locale).stdout.splitlines()


def test_a_terminal_that_knows_no_chinese_gets_gaps(scene: Scene) -> None:
    done = scene.chat("--once", "计算 5 加 3", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1] == "????: 8"


def test_for_machines(scene: Scene) -> None:
    done = scene.chat("--json", "--once", "计算 5 加 3")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"event": "call", "name": "server0_add", "arguments": {"a": 5, "b": 3}} in events
    assert {"event": "result", "name": "server0_add", "text": "8", "failed": False} in events
    assert events[-1] == {"event": "answer", "text": "结果是 8。"}


WIPER = """
from mcpkit import Server
from mcpkit.run import serve

server = Server("danger")


@server.tool
def wipe() -> str:
    return "wiped"


serve(server, stdio=True)
"""


def wiper(folder: Path) -> str:
    """The command of a server whose tool needs an approval."""
    file = folder / "danger.py"
    file.write_text(WIPER)
    return f"env PYTHONPATH={ROOT} {sys.executable} {file}"


NOBODY = "http://127.0.0.1:9/api"


ENDS = {
    **{"fine": 0, "no model": 1, "half a model": 1, "one dead": 4, "all dead": 4, "dead and wanted": 4},
    **{"no answer": 4, "not allowed": 7, "never": 7, "allowed": 0, "a tool error": 5, "mended": 0},
    **{"no such tool": 5, "cut off": 5, "the key": 3, "a command": 0, "a command that is none": 1},
}


@pytest.mark.parametrize(("what", "code"), ENDS.items())
def test_once_ends_with_a_code_that_says_what_became_of_it(scene: Scene, what: str, code: int, tmp_path: Path) -> None:
    model = scene.model
    add = {"name": "server0_add", "arguments": {"a": 5, "b": 3}}
    divide = {"name": "server0_divide", "arguments": {"a": 7, "b": 0}}
    scripts: dict[str, list[dict[str, Any]]] = {
        "dead and wanted": [{"call": [add]}, {"say": "it is away"}],
        "no answer": [{"status": 400}] * 3,
        "the key": [{"status": 401}],
        "a tool error": [{"call": [divide]}, {"say": "it can't be done"}],
        "mended": [{"call": [divide]}, {"call": [{**divide, "arguments": {"a": 7, "b": 1}}]}, {"say": "it is 7"}],
        "no such tool": [{"call": [{"name": "nothing"}]}, {"say": "sorry"}],
        "cut off": [{"raw": [cut_off("server0_add")]}, {"say": "sorry"}],
    }
    wipe: list[dict[str, Any]] = [{"call": [{"name": "server0_wipe"}]}, {"say": "so be it"}]
    scripts |= {"not allowed": wipe, "never": wipe, "allowed": wipe}
    model.script(*scripts.get(what, [{"say": "hello"}]))
    servers = {"one dead": [*scene.urls, NOBODY], "all dead": [NOBODY], "dead and wanted": [NOBODY]}.get(what, [])
    if what in {"not allowed", "never", "allowed"}:
        servers = [wiper(tmp_path)]
    approve = {"never": ["--approve", "never"], "allowed": ["--approve", "auto"]}.get(what, [])
    variables = {"no model": {"MODEL_NAME": "", "BASE_URL": ""}, "half a model": {"BASE_URL": ""}}.get(what, {})
    question = {"a command": "/tools", "a command that is none": "/nothing"}.get(what, "5 plus 3")
    done = scene.chat("--once", question, *approve, *servers, locale="en_US.UTF-8", **variables)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def cut_off(name: str) -> str:
    """A stream whose call ends before its arguments."""
    call = {"index": 0, "id": "c1", "function": {"name": name, "arguments": ""}}
    return f"data: {json.dumps({'choices': [{'delta': {'tool_calls': [call]}, 'finish_reason': 'length'}]})}\n\n"


def test_the_default_servers_are_the_two_examples(tmp_path: Path) -> None:
    """Nobody need be there: who is not is named, and the commands work without a model."""
    env = environment(XDG_STATE_HOME=str(tmp_path), LC_ALL="C.UTF-8")
    command = [sys.executable, str(ROOT / "mcp_client.py"), "chat"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=env,
        input="/servers\nhello\n",
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0
    assert [line.split()[2] for line in done.stdout.splitlines()] == [
        "http://127.0.0.1:18080/api",
        "http://127.0.0.1:18081/api",
    ]
    assert all(name in done.stderr for name in ("MODEL_NAME", "BASE_URL", "API_KEY"))

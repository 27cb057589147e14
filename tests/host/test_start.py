"""A whole chat on a terminal: approval, Ctrl-C, a server that dies and comes back, a model that misbehaves."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mcpkit.host.model import ModelError
from mcpkit.host.openai import OpenAIModel
from mcpkit.host.start import configured_model
from mcpkit.settings import Settings
from tests.fixtures.scripted_peer import ScriptedModel
from tests.fixtures.started import ROOT, Started, environment, started
from tests.host.console import CTRL_C, CTRL_D, TAB, Console, console

pytest.importorskip("termios")
ADDS = {"call": [{"name": "server0_add", "arguments": {"a": 5, "b": 3}}]}


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    with started("examples/math_server.py", "--port", "0", cwd=tmp_path_factory.mktemp("sums")) as program:
        yield program


@contextmanager
def chatting(folder: Path, peer: ScriptedModel | None, *arguments: str) -> Iterator[Console]:
    model = {} if peer is None else {"MODEL_NAME": "scripted-1", "BASE_URL": peer.base_url}
    env = environment(**model, LC_ALL="en_US.UTF-8", XDG_STATE_HOME=str(folder), PYTHONUTF8="1")
    with console([str(ROOT / "mcp_client.py"), "chat", *arguments], folder, env) as terminal:
        terminal.until("quit leaves")
        yield terminal


def leave(terminal: Console) -> None:
    terminal.type("quit\n")
    assert terminal.ended() == 0


def test_ctrl_c_cancels_the_turn_and_not_the_program(tmp_path: Path, sums: Started, peer: ScriptedModel) -> None:
    with chatting(tmp_path, peer, sums.url) as terminal:
        peer.script({"say": "first"})
        terminal.type("one\n")
        terminal.until("first")
        peer.script({"hang": True}, ADDS, {"say": "it is 8"})
        terminal.type("two\n")
        terminal.until("two\n")
        while not peer.asked:  # bounded by the test's own limit; asking takes its time
            pass
        terminal.press(CTRL_C, "cancelled")
        terminal.press(CTRL_C, "quit leaves")
        terminal.type("5 + 3\n")
        terminal.until("it is 8")
        leave(terminal)


def test_a_tool_that_changes_things_is_asked_about(tmp_path: Path, peer: ScriptedModel) -> None:
    server = tmp_path / "danger.py"
    server.write_text(
        "from mcpkit import Server\nfrom mcpkit.run import serve\nserver = Server('danger')\n"
        "@server.tool\ndef wipe() -> str:\n    return 'wiped'\nserve(server, stdio=True)\n"
    )
    command = f"{server}"
    call = {"call": [{"name": "server0_wipe", "arguments": {}}]}
    with chatting(tmp_path, peer, "--", *python(command)) as terminal:
        peer.script(call, {"say": "so be it"}, call, {"say": "done"}, call, {"say": "again"})
        terminal.type("wipe\n")
        terminal.until("Allow? [y]es, [n]o, [a]lways: ")
        terminal.type("n\n")
        assert "tool error: not called: the user does not allow it" in terminal.until("so be it")
        terminal.type("wipe\n")
        terminal.until("[a]lways: ")
        terminal.type("a\n")
        assert "tool result: wiped" in terminal.until("done")
        terminal.type("wipe\n")
        assert "Allow?" not in terminal.until("again")
        leave(terminal)


def test_a_question_is_asked_until_it_is_answered(tmp_path: Path, peer: ScriptedModel) -> None:
    """What is typed meanwhile goes neither to the tool nor to the model; the end of input is a no."""
    server = tmp_path / "danger.py"
    server.write_text(
        "from mcpkit import Server\nfrom mcpkit.run import serve\nserver = Server('danger')\n"
        "@server.tool\ndef wipe() -> str:\n    return 'wiped'\nserve(server, stdio=True)\n"
    )
    call = {"call": [{"name": "server0_wipe", "arguments": {}}]}
    with chatting(tmp_path, peer, "--", *python(str(server))) as terminal:
        peer.script(call, {"say": "so be it"}, call, {"say": "at its end"}, call, {"say": "never"})
        terminal.type("wipe\n")
        terminal.until("[a]lways: ")
        terminal.type("what would that do?\n")
        terminal.until("Please answer y, n or a.")
        terminal.until("[a]lways: ")
        terminal.type("n\n")
        assert "tool error: not called: the user does not allow it" in terminal.until("so be it")
        terminal.type("wipe\n")
        terminal.until("[a]lways: ")
        terminal.press(CTRL_D, "at its end")
        terminal.type("wipe\n")
        terminal.until("[a]lways: ")
        terminal.press(CTRL_C, "cancelled")
        leave(terminal)
    assert "wiped" not in terminal.shown
    assert "what would that do?" not in json.dumps(peer.asked)


def python(script: str) -> list[str]:
    return ["env", f"PYTHONPATH={ROOT}", sys.executable, script]


ASKING = """
from mcpkit import Context, Server, ToolAnnotations
from mcpkit.run import serve

server = Server("travel")


@server.tool(annotations=ToolAnnotations(read_only=True))
async def book(city: str, ctx: Context) -> str:
    seats = await ctx.elicit(f"How many seats to {city}?", int)
    verse = await ctx.sample("Write a verse.", max_tokens=20)
    return f"{seats.data if seats else 'no'} seats; {verse.text}"


serve(server, stdio=True)
"""


def test_a_server_asks_the_user_and_the_model_in_the_middle_of_a_call(tmp_path: Path, peer: ScriptedModel) -> None:
    """ELIC-07, SAMP-11: it is named, and nothing is answered without consent."""
    server = tmp_path / "travel.py"
    server.write_text(ASKING)
    with chatting(tmp_path, peer, "--", *python(str(server))) as terminal:
        call = {"call": [{"name": "server0_book", "arguments": {"city": "Chengdu"}}]}
        peer.script(call, {"say": "Roses"}, {"say": "all is booked"})
        terminal.type("book\n")
        terminal.until("travel asks: How many seats to Chengdu?")
        terminal.until("Answer? [y]es, [n]o: ")
        terminal.type("y\n")
        terminal.until("value: ")
        terminal.type("2\n")
        terminal.until("travel wants your model to answer: Write a verse.")
        terminal.until("Allow? [y]es, [n]o: ")
        terminal.type("y\n")
        assert "tool result: 2 seats; Roses" in terminal.until("all is booked")
        leave(terminal)


def test_a_definition_that_changes_is_warned_about(tmp_path: Path, sums: Started) -> None:
    with chatting(tmp_path, None, sums.url) as terminal:
        leave(terminal)
    file = tmp_path / "mcpkit" / "tools.json"
    pins = json.loads(file.read_text())
    pins["servers"][f"{sums.url}/api"]["add"]["hash"] = "another"
    file.write_text(json.dumps(pins))
    env = environment(LC_ALL="en_US.UTF-8", XDG_STATE_HOME=str(tmp_path), PYTHONUTF8="1")
    with console([str(ROOT / "mcp_client.py"), "chat", sums.url], tmp_path, env) as terminal:
        terminal.until("Warning: the definition of server0_add has changed")
        terminal.until("quit leaves")
        leave(terminal)


def test_a_server_that_dies_is_shown_and_rejoins(tmp_path: Path, peer: ScriptedModel) -> None:
    with started("examples/math_server.py", "--port", "0", cwd=tmp_path) as first:
        port = first.url.rpartition(":")[2]
        with chatting(tmp_path, peer, first.url) as terminal:
            first.process.kill()
            first.process.wait(10)
            peer.script(ADDS, {"say": "it is away"})
            terminal.type("5 + 3\n")
            assert "tool error: " in terminal.until("it is away")
            terminal.until("server0 is not connected")
            with started("examples/math_server.py", "--port", port, cwd=tmp_path):
                terminal.until("server0 is ready")
                peer.script(ADDS, {"say": "it is 8"})
                terminal.type("5 + 3\n")
                assert "tool result: 8" in terminal.until("it is 8")
                leave(terminal)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"raw": ["data: {broken\n\n"]}, "answered something that is no chat completion"),
        ({"status": 429, "retry_after": "100"}, "busy or a quota is used up (HTTP 429)"),
        ({"status": 401}, "does not accept the key (HTTP 401): check API_KEY"),
        ({"say": ["half"], "end": "close"}, "broke off in the middle"),
    ],
)
def test_a_model_that_misbehaves_is_told_and_the_chat_goes_on(
    tmp_path: Path, sums: Started, peer: ScriptedModel, step: dict[str, object], said: str
) -> None:
    with chatting(tmp_path, peer, sums.url) as terminal:
        peer.script(step, {"say": "fine again"})
        terminal.type("hello\n")
        terminal.until("The model failed: ")
        assert said in terminal.until("\n")
        terminal.type("hello\n")
        terminal.until("fine again")
        leave(terminal)


def test_tab_completes_commands_and_history_is_kept(tmp_path: Path, sums: Started) -> None:
    pytest.importorskip("readline")
    with chatting(tmp_path, None, sums.url) as terminal:
        terminal.type(f"/serv{TAB}\n")
        terminal.until("/servers")
        terminal.until(f"{sums.url}/api")
        leave(terminal)
    assert "/servers" in (tmp_path / "mcpkit" / "history").read_text()


async def test_the_settings_name_the_model(peer: ScriptedModel) -> None:
    assert await configured_model(Settings()) is None
    assert await configured_model(Settings(base_url=peer.base_url)) is None
    model = await configured_model(Settings(base_url=peer.base_url, model_name="m"))
    assert isinstance(model, OpenAIModel)
    assert model.name == "m"
    with pytest.raises(ModelError, match="API_KEY"):
        await configured_model(Settings(base_url=peer.base_url, model_name="m", api_key="a\nb"))

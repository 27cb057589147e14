"""What the user sees: the mission's lines, nothing unseen, colours on a terminal only, JSON for machines."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from mcpkit.client.results import Tool
from mcpkit.host.config import Entry
from mcpkit.host.fleet import Fleet, Member, State
from mcpkit.host.show import JsonLines, Lines, painter
from mcpkit.host.words import Speech


class Screen(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def lines(language: Any = "zh") -> tuple[Lines, io.StringIO, list[str]]:
    out, aside = io.StringIO(), list[str]()
    return Lines(out, Speech(language), aside=aside.append), out, aside


def member(state: State, why: str = "") -> Member:
    (made,) = Fleet([Entry("math", "http://127.0.0.1:1/api")]).members
    made.state, made.why = state, why
    made.tools = [Tool.of({"name": f"t{number}\u202e"}) for number in range(9)]
    return made


def test_a_call_and_its_result() -> None:
    show, out, _ = lines()
    show.calling("server0_add", {"a": 5, "b": "八"})
    show.result("server0_add", "8", failed=False, alone=True)
    show.result("server0_add", "", failed=True, alone=False)
    assert out.getvalue().splitlines() == [
        '[调用工具 server0_add 参数: {"a": 5, "b": "八"}]',
        "工具结果: 8",
        "工具出错: (没有内容)  (server0_add)",
    ]


def test_text_streams_and_a_line_after_it_begins_anew() -> None:
    show, out, _ = lines("en")
    show.text("it ")
    show.text("is")
    show.calling("x", {})
    show.text("8\n")
    show.text_ends("8\n")
    assert out.getvalue() == "it is\n[calling tool x with {}]\n8\n"


def test_nothing_unseen_reaches_the_terminal() -> None:
    show, out, aside = lines("en")
    evil = "\x1b]0;x\x07\u202e\r\x9b"
    show.text(evil)
    show.calling(evil, {evil: evil})
    show.result("x", evil, failed=True, alone=False)
    show.notice("left_out", why=evil)
    show.server(member(State.FAILED, evil))
    show.listing("tools", [{"name": evil, "what": evil}])
    assert all(character.isprintable() or character == "\n" for character in out.getvalue() + "".join(aside))


def test_news_stand_beside_the_conversation_and_replies_within() -> None:
    show, out, aside = lines("en")
    show.server(member(State.READY))
    show.server(member(State.FAILED, "gone"))
    show.notice("no_model")
    show.notice("cleared")
    assert aside[0] == "server0 is ready: t0, t1, t2, t3, t4, t5, t6, t7, … (http://127.0.0.1:1/api)"
    assert "gone" in aside[1]
    assert "MODEL_NAME, BASE_URL and API_KEY" in aside[2]
    assert out.getvalue() == "The conversation is forgotten\n"


def test_a_list_stands_in_columns() -> None:
    show, out, _ = lines("en")
    show.listing("tools", [{"name": "a", "what": "one"}, {"name": "long", "what": "two"}])
    show.listing("tools", [])
    assert out.getvalue().splitlines() == ["a     one", "long  two", "there is nothing"]


def test_for_machines_every_line_is_an_object() -> None:
    out = io.StringIO()
    show = JsonLines(out)
    show.text("你")
    show.text_ends("你好")
    show.calling("x", {"a": 1})
    show.result("x", "8", failed=False, alone=True)
    show.server(member(State.READY))
    show.notice("rounds", rounds=3)
    show.listing("tools", [{"name": "a"}])
    assert [json.loads(line) for line in out.getvalue().splitlines()] == [
        {"event": "text", "text": "你"},
        {"event": "answer", "text": "你好"},
        {"event": "call", "name": "x", "arguments": {"a": 1}},
        {"event": "result", "name": "x", "text": "8", "failed": False},
        {
            "event": "server",
            "server": "server0",
            "state": "ready",
            "place": "http://127.0.0.1:1/api",
            "what": "9 tools",
        },
        {"event": "notice", "notice": "rounds", "rounds": "3"},
        {"event": "list", "kind": "tools", "entries": [{"name": "a"}]},
    ]


def test_a_pipe_gets_plain_lines() -> None:
    assert painter(io.StringIO())("x", "red") == "x"


def test_a_terminal_gets_colours_where_rich_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    painted = painter(Screen())("[x] 8", "red")
    assert painted != "[x] 8"
    assert "[x] 8" in painted

"""From words to servers."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from mcpkit.host import targets
from mcpkit.host.commands import UsageError
from mcpkit.host.config import ConfigError, Input
from mcpkit.host.targets import connection, headers_of, many_servers, names_a_server, one_server
from mcpkit.settings import Settings


def said(*words: str, **changes: object) -> argparse.Namespace:
    given = {"words": list(words), "config": None, "server": None, "header": [], "timeout": None}
    return argparse.Namespace(**{**given, **changes})


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("http://x", True),
        ("python a.py", True),
        ("a.py", False),
        ("add", False),
        ("a=http://x", False),
        ("a=b c", False),
        ("localhost:1234", True),
        ("h.example/mcp", True),
        ("a=localhost:1234", False),
    ],
)
def test_what_names_a_server(word: str, names: bool) -> None:
    assert names_a_server(word) is names


def test_the_target_may_stand_first_or_last_but_is_no_argument() -> None:
    for words in (["http://x", "add", "a=http://y"], ["add", "a=http://y", "http://x"]):
        entry = one_server(said(), words, [], spare=0)
        assert (entry.place, words) == ("http://x/api", ["add", "a=http://y"])
    uri = ["file://x"]
    one_server(said(server="http://s"), uri, [], spare=1)
    assert uri == ["file://x"]
    assert one_server(said(server="http://s"), uri, ["cat", "-"], spare=1).place == "cat -"


def test_a_chat_has_the_servers_that_are_named_else_the_settings_else_the_examples() -> None:
    assert [one.place for one in many_servers(said("http://x/a"), ["cat"], Settings())[0]] == ["http://x/a", "cat"]
    entries, named = many_servers(said(), [], Settings(server_urls=("http://y/b",)))
    assert ([one.place for one in entries], named) == (["http://y/b"], True)
    entries, named = many_servers(said(), [], Settings())
    assert ([one.place for one in entries], named) == (list(targets.EXAMPLES), False)


def test_headers_and_patience() -> None:
    assert connection(said(header=["X-A: b:c"], timeout=5.0)) == {
        "headers": {"X-A": "b:c"},
        "timeout": 5.0,
        "init_timeout": 5.0,
    }
    with pytest.raises(UsageError, match="'Name: value'"):
        headers_of(said(header=[": x"]))


@pytest.mark.parametrize(
    ("wanted", "typed", "value"),
    [
        (Input("i", "which"), "a", "a"),
        (Input("i", "which"), "", ""),
        (Input("i", "which", default="d"), "", "d"),
        (Input("i", "which", options=("a", "b")), "b", "b"),
        (Input("i", "which", options=("a", "b"), default="a"), "", "a"),
        (Input("i", "which", options=("a", "b")), "c", None),
        (Input("i", "which", options=("a", "b")), "", None),
        (Input("i", "which"), None, None),
        (Input("i", "which", secret=True), "s", "s"),
        (Input("i", "which", secret=True), None, None),
    ],
)
def test_an_input_is_asked_for_beside_the_output(
    wanted: Input,
    typed: str | None,
    value: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def answer(question: str = "") -> str:
        if typed is None:
            raise EOFError
        return typed

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr(targets, "ask_hidden", lambda question: typed)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    file = tmp_path / "mcp.json"
    file.write_text('{"servers": {"s": {"url": "http://x/${input:i}"}}, "inputs": [{"id": "i"}]}')
    if value is None:
        with pytest.raises(ConfigError, match="the input i "):
            targets._ask_input(wanted)
    else:
        assert targets._ask_input(wanted) == value
    out, err = capsys.readouterr()
    assert out == ""
    assert wanted.secret or err.startswith("which")

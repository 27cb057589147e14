"""A tool that is not what it was is noticed, also by the next run; a file that is broken costs no more than that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcpkit.client.results import Tool
from mcpkit.host.offers import Offered
from mcpkit.host.pins import Pins


def offered(description: str = "x", name: str = "add", place: str = "http://x/api") -> Offered:
    return Offered("n", "server0", place, Tool.of({"name": name, "description": description, "inputSchema": {}}))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "tools.json"


def test_a_definition_is_new_then_the_same_then_changed(file: Path) -> None:
    assert Pins(file).see(offered()) == "new"
    assert Pins(file).see(offered()) == "same"
    assert Pins(file).see(offered("y")) == "changed"
    assert Pins(file).see(offered("y")) == "changed"
    assert Pins(file).see(offered("y", place="http://other/api")) == "new"


def test_a_change_that_is_accepted_is_the_definition(file: Path) -> None:
    pins = Pins(file)
    pins.see(offered())
    pins.accept(offered("y"))
    assert Pins(file).see(offered("y")) == "same"
    assert Pins(file).see(offered("x")) == "changed"


def test_approval_holds_for_one_definition(file: Path) -> None:
    pins = Pins(file)
    assert not pins.approved(offered())
    pins.accept(offered(), approved=True)
    assert Pins(file).approved(offered())
    assert not Pins(file).approved(offered("y"))


@pytest.mark.parametrize(
    "change",
    [
        {"title": "T"},
        {"annotations": {"readOnlyHint": True}},
        {"annotations": {"title": "T"}},
        {"outputSchema": {"type": "object"}},
        {"inputSchema": {"type": "object"}},
    ],
)
def test_everything_that_a_server_says_of_a_tool_is_its_definition(file: Path, change: dict[str, Any]) -> None:
    def saying(**members: Any) -> Offered:
        tool = {"name": "add", "description": "x", "inputSchema": {}, **members}
        return Offered("n", "server0", "http://x/api", Tool.of(tool))

    Pins(file).accept(saying(), approved=True)
    assert Pins(file).approved(saying(icons=[{"src": "x"}], _meta={"a": 1}))
    assert Pins(file).see(saying(**change)) == "changed"
    assert not Pins(file).approved(saying(**change))


def test_two_runs_at_once_keep_what_the_other_wrote(file: Path) -> None:
    one, other = Pins(file), Pins(file)
    one.see(offered(name="a"))
    other.see(offered(name="b"))
    assert (Pins(file).see(offered(name="a")), Pins(file).see(offered(name="b"))) == ("same", "same")


def test_the_file_is_the_users_alone(file: Path) -> None:
    Pins(file).see(offered())
    assert file.stat().st_mode & 0o077 == 0
    assert [path.name for path in file.parent.iterdir()] == ["tools.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"servers": 5}', "[" * 100_000, '{"servers": {"http://x/api": 5}}'])
def test_a_broken_file_makes_every_tool_new(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    assert Pins(file).see(offered()) == "new"
    assert json.loads(file.read_text())["version"] == 2


def test_where_nothing_can_be_written_memory_does(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    pins = Pins(tmp_path / "file" / "tools.json")
    assert pins.see(offered()) == "new"
    assert pins.see(offered("y")) == "changed"

"""Options and the checks of names, icons and hints."""

from __future__ import annotations

import pytest

from mcpkit import Server
from mcpkit.features.errors import RegistrationError
from mcpkit.features.options import ToolAnnotations, ToolOptions, check_options, check_tool_name, icons_of
from mcpkit.testing import connect


def test_an_unknown_option_is_told_the_nearest() -> None:
    with pytest.raises(RegistrationError, match="did you mean 'title'"):
        check_options("a tool", {"titel": "x"}, ToolOptions.__annotations__)
    with pytest.raises(RegistrationError, match="there are annotations, "):
        check_options("a tool", {"zebra": "x"}, ToolOptions.__annotations__)
    check_options("a tool", {"title": "x", "timeout": 1, "annotations": {}}, ToolOptions.__annotations__)


@pytest.mark.parametrize("name", ["a", "get_user", "admin.tools.list", "DATA-export_v2", "x" * 64])
def test_names_that_every_client_takes(name: str) -> None:
    """TOOL-06, AMB-11."""
    assert check_tool_name(name, "app.py:1") == name


async def test_names_that_many_hosts_do_not_take_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """TOOL-06: the specification allows 128 characters."""

    def function() -> str:
        return "done"

    server = Server("x")
    for length in (64, 65, 128):
        server.add_tool(function, name="t" * length).update(title="again")
        server.add_prompt(function, name="p" * length)
    async with connect(server) as client:
        assert (await client.call_tool("t" * 128)).text == "done"
    warned = [record.getMessage() for record in caplog.records]
    assert [message.split(" (")[0][-6:] for message in warned] == ["ttttt'", "ppppp'", "ttttt'", "ppppp'"]
    assert all(message.endswith("characters; many hosts take at most 64") for message in warned)


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("get user", "get_user"),
        ("a/b", "a_b"),
        ("天气", "a_name"),
        ("x" * 129, "x" * 64),
        ("", "a_name"),
        ("<lambda>", "lambda"),
    ],
)
def test_other_names_are_refused_with_a_better_one(name: str, better: str) -> None:
    """TOOL-06."""
    with pytest.raises(RegistrationError) as caught:
        check_tool_name(name, "app.py:1")
    assert f"name={better!r}" in str(caught.value)
    assert "app.py:1" in str(caught.value)


def test_icons() -> None:
    """ICON-01, ICON-02."""
    icon = {"src": "data:image/png;base64,iVBO", "sizes": ["48x48"]}
    assert icons_of(["https://a.example/i.png", icon], "app.py:1") == [{"src": "https://a.example/i.png"}, icon]
    assert icons_of(None, "app.py:1") == []
    for bad in ("javascript:alert(1)", "data:text/html,x", "i.png"):
        with pytest.raises(RegistrationError, match=r"app\.py:1"):
            icons_of([bad], "app.py:1")


def test_hints_on_the_wire() -> None:
    """TOOL-09: only what was said."""
    assert ToolAnnotations(title="T", read_only=True, open_world=False).to_wire() == {
        "title": "T",
        "readOnlyHint": True,
        "openWorldHint": False,
    }
    assert ToolAnnotations(destructive=False, idempotent=True).to_wire() == {
        "destructiveHint": False,
        "idempotentHint": True,
    }

"""Options and the checks of names, icons and hints."""

from __future__ import annotations

import pytest

from mcpkit.features.errors import RegistrationError
from mcpkit.features.options import ToolAnnotations, ToolOptions, check_options, check_tool_name, icons_of


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


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("get user", "get_user"),
        ("a/b", "a_b"),
        ("天气", "a_name"),
        ("x" * 65, "x" * 64),
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

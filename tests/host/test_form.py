"""A server's question becomes a form of lines; the user may leave at every one of them (ELIC-07, ELIC-27)."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.client.answers import Elicitation
from mcpkit.host.form import Form, choices, label, value_of
from mcpkit.host.words import Speech
from tests.host.stage import Asking

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Your name", "description": "As printed\x1b[0m"},
        "seats": {"type": "integer", "minimum": 1, "default": 2},
        "window": {"type": "boolean"},
        "class": {"type": "string", "enum": ["first", "second"]},
    },
    "required": ["name", "class"],
}


def asked(schema: dict[str, Any] | None = None, url: str | None = None) -> Elicitation:
    return Elicitation("travel", "Where to?\u202e", schema or SCHEMA, "url" if url else "form", url, {})


async def filled(*answers: str | None) -> tuple[Any, list[str]]:
    ask = Asking(*answers)
    return await Form(ask, Speech("en")).fill(asked()), ask.asked


async def test_a_form_is_filled_line_by_line() -> None:
    content, questions = await filled("y", "Ada", "3", "yes", "first")
    assert content == {"name": "Ada", "seats": 3, "window": True, "class": "first"}
    assert questions == [
        "travel asks: Where to?\nAnswer? [y]es, [n]o: ",
        "  Your name (As printed[0m): ",
        "  seats [2]: ",
        "  window []: ",
        "  class (first, second): ",
    ]


async def test_what_may_be_left_out_is() -> None:
    assert (await filled("y", "Ada", "", "", "first"))[0] == {"name": "Ada", "class": "first"}


async def test_what_does_not_fit_is_asked_again() -> None:
    content, questions = await filled("y", "Ada", "many", "0", "4", "perhaps", "n", "third", "second")
    assert content == {"name": "Ada", "seats": 4, "window": False, "class": "second"}
    assert sum("that does not fit" in question for question in questions) == 4


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ((None,), "cancel"),
        (("n",), "decline"),
        (("", "what?", "否"), "decline"),
        (("y", None), "cancel"),
        (("y", "A", None), "cancel"),
    ],
)
async def test_the_user_may_leave_at_every_step(answers: tuple[str | None, ...], outcome: str) -> None:
    assert (await filled(*answers))[0] == outcome


@pytest.mark.parametrize(("answer", "outcome"), [("y", True), ("n", False), (None, "cancel")])
async def test_a_page_is_named_in_full_and_never_opened(answer: str | None, outcome: Any) -> None:
    ask = Asking(answer)
    assert await Form(ask, Speech("en")).open(asked(url="https://pay.example/x?y=1")) == outcome
    assert "https://pay.example/x?y=1 (host: pay.example)" in ask.asked[0]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ({"enum": ["a", "b"]}, ["a", "b"]),
        ({"oneOf": [{"const": "a", "title": "A"}]}, ["a"]),
        ({"type": "array", "items": {"anyOf": [{"const": "x"}]}}, ["x"]),
        ({"type": "string"}, []),
    ],
)
def test_choices_are_shown(field: dict[str, Any], expected: list[str]) -> None:
    assert choices(field) == expected


@pytest.mark.parametrize(
    ("typed", "kind", "value"),
    [
        (" 5 ", "integer", 5),
        ("1.5", "number", 1.5),
        ("five", "integer", "five"),
        ("a, b,,", "array", ["a", "b"]),
        (" kept ", "string", " kept "),
        ("是", "boolean", True),
    ],
)
def test_what_is_typed_has_the_type_of_the_field(typed: str, kind: str, value: Any) -> None:
    assert value_of(typed, {"type": kind}) == value


def test_a_label_shows_the_default() -> None:
    assert label("x", {"default": 5}, True) == "  x [5]: "

"""Docstrings in the three styles, and in none."""

from __future__ import annotations

import pytest

from mcpkit.features.docstrings import read_docstring

GOOGLE = """Add two numbers.

    Both may be negative.

    Args:
        a: The first number.
        b (int, optional): The second,
            if there is one.
        *rest: More of them.

    Returns:
        Their sum.

    Raises:
        ValueError: Never.
    """

NUMPY = """Add two numbers.

    Both may be negative.

    Parameters
    ----------
    a : int
        The first number.
    b : int, optional
        The second,
        if there is one.
    *rest
        More of them.

    Returns
    -------
    int
        Their sum.

    Raises
    ------
    ValueError
        Never.
    """

SPHINX = """Add two numbers.

    Both may be negative.

    :param a: The first number.
    :param int b: The second,
        if there is one.
    :type a: int
    :param rest: More of them.
    :returns: Their sum.
    :raises ValueError: Never.
    """


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_the_three_styles_say_the_same(text: str) -> None:
    read = read_docstring(text)
    assert read.parameters == {
        "a": "The first number.",
        "b": "The second, if there is one.",
        "rest": "More of them.",
    }
    assert read.description.startswith("Add two numbers.\n\nBoth may be negative.\n\nReturns: ")
    assert read.description.endswith("Their sum.")
    assert "ValueError" not in read.description


def test_plain_prose_is_the_description() -> None:
    text = "Look it up.\n\nNote that this may take: a while.\nExamples follow elsewhere."
    assert read_docstring(text).description == text


def test_other_sections_stay_in_the_description() -> None:
    read = read_docstring("Add.\n\nExample:\n    add(1, 2)\n\nArgs:\n    a: First.\n")
    assert "Example:\n    add(1, 2)" in read.description
    assert read.parameters == {"a": "First."}


def test_names_that_share_a_description() -> None:
    read = read_docstring("Add.\n\nParameters\n----------\na, b : int\n    A number.\n")
    assert read.parameters == {"a": "A number.", "b": "A number."}


@pytest.mark.parametrize("text", [None, "", "\n"])
def test_no_docstring_says_nothing(text: str | None) -> None:
    read = read_docstring(text)
    assert (read.description, read.parameters) == ("", {})


def test_a_colon_at_a_line_end_is_no_section() -> None:
    text = "Do this:\n- one\n- two"
    assert read_docstring(text).description == text


def test_a_type_in_brackets_may_hold_brackets() -> None:
    assert read_docstring("X.\n\nArgs:\n    a (dict[str, (int)]): Things.").parameters == {"a": "Things."}

"""Front matter: what every YAML 1.2 reader reads, and nothing that two of them may read differently."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.extensions.skills_frontmatter import FrontmatterError, read_frontmatter


def head(*lines: str) -> str:
    """A SKILL.md with these lines of front matter, besides what must be there."""
    return "\n".join(["---", "name: pdf-forms", "description: Fill in forms.", *lines, "---", "# Body", ""])


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("x: text", "text"),
        ("x: yes", "yes"),
        ("x: 2026-01-01", "2026-01-01"),
        ("x: 12:30", "12:30"),
        ("x: 1_000", "1_000"),
        ("x: 012", 12),
        ("x: 0o14", 12),
        ("x: 0xff", 255),
        ("x: -5", -5),
        ("x: 1.2", 1.2),
        ("x: .5", 0.5),
        ("x: 1e3", 1000.0),
        ('x: "1.2"', "1.2"),
        ("x: true", True),
        ("x: ~", None),
        ("x:", None),
        ("x: [1, two]", [1, "two"]),
        ("x: {a: {b: c}}", {"a": {"b": "c"}}),
        ("x: |\n  one\n  two", "one\ntwo\n"),
        ("x: 中文", "中文"),
    ],
)
def test_values_are_read_as_yaml_1_2_says(line: str, value: Any) -> None:
    """SEP-2640, Frontmatter: the entry must equal what a client reads from the file."""
    read = read_frontmatter(head(line))
    assert read == {"name": "pdf-forms", "description": "Fill in forms.", "x": value}
    assert type(read["x"]) is type(value)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("x: &a [1]\ny: *a", "aliases"),
        ("x: 1\nx: 2", "stands twice"),
        ("m: {a: 1, a: 2}", "stands twice"),
        ("1: one", "keys must be texts"),
        ("? [a]\n: b", "keys must be texts"),
        ("x: .inf", "no JSON form"),
        ("x: .nan", "no JSON form"),
        ("x: 1e999", "no JSON form"),
        ("x: !!binary aGk=", "no JSON form"),
        ("x: !!timestamp 2026-01-01", "no JSON form"),
        ("x: !own thing", "no JSON form"),
        ("x: !!python/object/apply:os.system [ls]", "constructor"),
        ("x: !!int nine", "can't be read"),
        ("x: !!int [9]", "scalar"),  # these five were found by fuzzing: bare AttributeErrors and their like
        ("x: !!float {a: 1}", "scalar"),
        ("x: !!bool perhaps", "can't be read"),
        ("x: !!map [1]", "mapping"),
        ("x: !!seq {a: 1}", "sequence"),
        ("x: [", "line 5"),
        ("x: " + "[" * 3000, "can't be read"),
    ],
)
def test_what_has_no_one_meaning_is_refused(line: str, why: str) -> None:
    """Aliases grow, tags run code, numbers without a JSON form compare as nothing."""
    with pytest.raises(FrontmatterError, match=why):
        read_frontmatter(head(line))


@pytest.mark.parametrize(
    "text",
    ["", "# Body", "---\nname: a\n", " ---\nname: a\ndescription: b\n---\n", "---\n---\n", "---\n- a\n---\n"],
)
def test_front_matter_stands_at_the_head(text: str) -> None:
    """Agent Skills: SKILL.md begins with it."""
    with pytest.raises(FrontmatterError):
        read_frontmatter(text)


@pytest.mark.parametrize("name", ["", "-a", "a-", "a--b", "A", "a_b", "a" * 65, "ä", "5.5", "a/b"])
def test_names_keep_to_the_rules(name: str) -> None:
    """Agent Skills, name."""
    with pytest.raises(FrontmatterError, match="name must"):
        read_frontmatter(f"---\nname: '{name}'\ndescription: b\n---\n")


@pytest.mark.parametrize("name", ["a", "pdf-forms", "a1-b2-c3", "a" * 64])
def test_good_names_are_taken(name: str) -> None:
    assert read_frontmatter(f"---\nname: {name}\ndescription: b\n---\n")["name"] == name


@pytest.mark.parametrize("description", ["", "'  '", "5", "[a]", "x" * 1025])
def test_a_description_is_a_text(description: str) -> None:
    """Agent Skills, description."""
    with pytest.raises(FrontmatterError, match="description must"):
        read_frontmatter(f"---\nname: a\ndescription: {description}\n---\n")


def test_lines_may_end_as_on_windows() -> None:
    assert read_frontmatter("---\r\nname: a\r\ndescription: b\r\n---\r\n# Body\r\n") == {
        "name": "a",
        "description": "b",
    }

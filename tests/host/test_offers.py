"""Tools as a model is offered them: named for its endpoint, told apart, without hidden characters (TSEC-03)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mcpkit.client.results import Tool
from mcpkit.host.offers import LONGEST_DESCRIPTION, LONGEST_NAME, MOST_TOOLS, Offered, offered_name, offers_of


def tool(name: str = "add", **members: Any) -> Tool:
    return Tool.of({"name": name, "inputSchema": {"type": "object"}, **members})


@pytest.mark.parametrize(
    ("prefix", "name", "offered"),
    [
        ("server0", "add", "server0_add"),
        ("server1", "files/read.text", "server1_files_read_text"),
        ("我的", "加", "____"),
    ],
)
def test_a_name_is_one_that_endpoints_take(prefix: str, name: str, offered: str) -> None:
    made = offered_name(prefix, name)
    assert made == (offered if made.isascii() and set(made) != {"_"} else made)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", made)


def test_long_names_stay_apart() -> None:
    one, other = offered_name("server0", "x" * 100 + "1"), offered_name("server0", "x" * 100 + "2")
    assert one != other
    assert len(one) == len(other) == LONGEST_NAME


def test_what_the_model_reads_holds_nothing_unseen() -> None:
    schema = {
        "type": "object",
        "description": "top\u202e",
        "properties": {
            "a": {"description": "x\x1b[31m", "enum": ["k\u200e"]},
            "b": {"type": "string", "title": "t\u2066"},
        },
    }
    offer = Offered("n", "server0", "p", tool(description="Add\u202e.\x1b\nTwo", inputSchema=schema)).offer
    assert offer.description == "Add.\nTwo"
    assert offer.parameters == {
        "type": "object",
        "description": "top",
        "properties": {
            "a": {"type": "string", "description": "x[31m", "enum": ["k\u200e"]},
            "b": {"type": "string", "description": "t"},
        },
    }


def test_a_fingerprint_changes_with_what_is_told_and_with_nothing_else() -> None:
    def fingerprint(**members: Any) -> str:
        return Offered("n", "server0", "p", tool(**members)).fingerprint

    same = fingerprint(description="Add.", inputSchema={"type": "object", "x": 1})
    assert fingerprint(description="Add.", inputSchema={"x": 1, "type": "object"}, icons=[]) == same
    assert fingerprint(description="Add!", inputSchema={"type": "object", "x": 1}) != same
    assert fingerprint(description="Add.", inputSchema={"type": "object", "x": 2}) != same


CLASHES: dict[str, tuple[list[tuple[str, list[str]]], list[str]]] = {
    "a mark that is replaced": ([("s", ["issue.get", "issue_get"])], ["s_issue_get=issue_get", "s_issue_get_"]),
    "the other order": ([("s", ["issue_get", "issue.get"])], ["s_issue_get=issue_get", "s_issue_get_"]),
    "two marks": (
        [("s", ["issue.get", "issue/get", "issue get"])],
        ["s_issue_get=issue.get", "s_issue_get_", "s_issue_get_"],
    ),
    "prefix and name": ([("a", ["b_c"]), ("a_b", ["c"])], ["a_b_c=b_c", "a_b_c_"]),
    "capitals": ([("s", ["Get", "get"])], ["s_Get=Get", "s_get_"]),
    "capitals of two servers": ([("S", ["get"]), ("s", ["get"])], ["S_get=get", "s_get_"]),
    "prefixes in Chinese": ([("我的", ["get"]), ("你的", ["get"])], ["___get=get", "___get_"]),
    "long names": ([("s", ["x" * 100 + "1", "x" * 100 + "2"])], ["s_" + "x" * 53 + "_"] * 2),
    "long prefixes": ([("p" * 80 + "1", ["get"]), ("p" * 80 + "2", ["get"])], ["p" * 55 + "_"] * 2),
}


@pytest.mark.parametrize("clash", CLASHES)
def test_tools_whose_names_would_be_one_are_both_offered(clash: str) -> None:
    servers, expected = CLASHES[clash]
    given = [(prefix, f"place of {prefix}", [tool(name) for name in names]) for prefix, names in servers]
    offers, left_out = offers_of(given)
    assert left_out == []
    assert sorted(one.tool.name for one in offers.values()) == sorted(name for _, names in servers for name in names)
    assert len({name.lower() for name in offers}) == len(offers)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in offers)
    for wanted, (name, one) in zip(expected, offers.items(), strict=True):
        start, exact, own = wanted.partition("=")
        assert (name, one.tool.name) == (start, own) if exact else re.fullmatch(start + "[0-9a-f]{8}", name)
    assert offers.keys() == offers_of(given)[0].keys()


def test_a_tool_that_is_listed_twice_is_told() -> None:
    offers, left_out = offers_of([("s", "p", [tool("a"), tool("a"), tool("b"), tool("b")])])
    assert [*offers] == ["s_a", "s_b"]
    assert left_out == ["s lists more than one tool called a, b: the first is offered"]


def test_a_long_description_is_told_whole() -> None:
    """Endpoints count the characters of a tool's description, and not those of its schema's."""
    text = "".join(f"{number:04} " for number in range(500))
    offer = Offered("n", "server0", "p", tool(description=text)).offer
    assert len(offer.description) == LONGEST_DESCRIPTION
    assert offer.description[:-1] + offer.parameters["description"][1:] == text


def test_a_model_is_offered_no_more_than_it_takes() -> None:
    offers, left_out = offers_of([("s", "p", [tool(f"t{number}") for number in range(MOST_TOOLS + 2)])])
    assert len(offers) == MOST_TOOLS
    assert left_out == [
        f"2 of {MOST_TOOLS + 2} tools are left out, since models take no more than {MOST_TOOLS}: 2 of s; "
        "name fewer servers, or put those that matter first"
    ]


@pytest.mark.parametrize(
    ("prefix", "name"), [("1st", "_1st_add"), ("-x", "_-x_add"), ("日本", "___add"), ("a", "a_add")]
)
def test_a_name_begins_as_every_endpoint_wants_it(prefix: str, name: str) -> None:
    assert offered_name(prefix, "add") == name

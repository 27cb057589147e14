"""Tools as a model is offered them: named for its endpoint, told apart, without hidden characters (TSEC-03)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mcpkit.client.results import Tool
from mcpkit.host.offers import LONGEST_NAME, MOST_TOOLS, Offered, offered_name, offers_of


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
        "properties": {"a": {"description": "x\x1b[31m", "enum": ["k\u200e"], "title": "t\u2066"}},
    }
    offer = Offered("n", "server0", "p", tool(description="Add\u202e.\x1b\nTwo", inputSchema=schema)).offer
    assert offer.description == "Add.\nTwo"
    assert offer.parameters == {
        "type": "object",
        "description": "top",
        "properties": {"a": {"description": "x[31m", "enum": ["k\u200e"], "title": "t"}},
    }


def test_a_fingerprint_changes_with_what_is_told_and_with_nothing_else() -> None:
    def fingerprint(**members: Any) -> str:
        return Offered("n", "server0", "p", tool(**members)).fingerprint

    same = fingerprint(description="Add.", inputSchema={"type": "object", "x": 1})
    assert fingerprint(description="Add.", inputSchema={"x": 1, "type": "object"}, icons=[]) == same
    assert fingerprint(description="Add!", inputSchema={"type": "object", "x": 1}) != same
    assert fingerprint(description="Add.", inputSchema={"type": "object", "x": 2}) != same


def test_the_first_server_keeps_a_name_that_two_would_have() -> None:
    offers, collisions = offers_of([("a", "p", [tool("b_c")]), ("a_b", "q", [tool("c")])])
    assert offers["a_b_c"].place == "p"
    assert collisions == ["a_b_c would be both b_c of a and c of a_b: the second is left out"]


def test_a_model_is_offered_no_more_than_it_takes() -> None:
    offers, left_out = offers_of([("s", "p", [tool(f"t{number}") for number in range(MOST_TOOLS + 2)])])
    assert len(offers) == MOST_TOOLS
    assert left_out[0] == f"s_t{MOST_TOOLS} is left out: a model takes no more than {MOST_TOOLS} tools"

"""Every kind of content becomes text that can be read safely, and no more of it than fits."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mcpkit.client.results import CallToolResult, Content, ReadResourceResult
from mcpkit.host.readable import content_text, cut, resource_text, result_text

BLOB = base64.b64encode(b"12345").decode()


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ({"type": "text", "text": "hi"}, "hi"),
        ({"type": "text", "text": 5}, "5"),
        ({"type": "image", "data": BLOB, "mimeType": "image/png"}, "[image image/png, 5 bytes]"),
        ({"type": "resource", "resource": {"uri": "a://b", "text": "inside"}}, "inside"),
        ({"type": "resource", "resource": {"uri": "a://b", "blob": BLOB}}, "[resource a://b , 5 bytes]"),
        ({"type": "resource_link", "uri": "a://b", "name": "n"}, "[resource a://b]"),
        ({"type": "resource"}, "[resource , 0 bytes]"),
        ({}, "[content , 0 bytes]"),
    ],
)
def test_a_block_becomes_text(block: dict[str, Any], text: str) -> None:
    assert content_text([Content.of(block)]) == text


def test_structured_content_speaks_where_no_text_does() -> None:
    result = CallToolResult.of({"content": [], "structuredContent": {"和": 8}})
    assert result_text(result, 100) == '{"和": 8}'


def test_what_is_cut_says_so() -> None:
    assert cut("x" * 10, 10) == "x" * 10
    assert cut("x" * 11, 10) == "x" * 10 + "… [cut: 11 characters in all]"


def test_lines_stay_and_the_unseen_goes() -> None:
    assert cut("a\n\tb\x00\x1b[1m\u202e\ufeffc", 100) == "a\n\tb[1mc"


def test_a_resource_is_read_as_text() -> None:
    result = ReadResourceResult.of({"contents": [{"uri": "a", "text": "one"}, {"uri": "b", "blob": BLOB}]})
    assert resource_text(result, 100) == "one\n[resource b , 5 bytes]"

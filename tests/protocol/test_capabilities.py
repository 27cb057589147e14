"""What is declared against what is needed."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.protocol.capabilities import lacks

UI = "io.modelcontextprotocol/ui"


@pytest.mark.parametrize(
    ("declared", "required", "missing"),
    [
        ({}, {}, {}),
        ({}, {"sampling": {}}, {"sampling": {}}),
        ({"sampling": {}}, {"sampling": {}}, {}),
        ({"sampling": {"context": {}}}, {"sampling": {}}, {}),
        ({"sampling": {}}, {"sampling": {"tools": {}}}, {"sampling": {"tools": {}}}),
        ({"sampling": {"tools": {}}}, {"sampling": {"tools": {}}}, {}),
        ({"sampling": {}}, {"sampling": {}, "roots": {}}, {"roots": {}}),
        ({"roots": {"listChanged": True}}, {"roots": {}}, {}),
        ({"extensions": {UI: {}}}, {"extensions": {UI: {}}}, {}),
        ({"extensions": {"other": {}}}, {"extensions": {UI: {}}}, {"extensions": {UI: {}}}),
        ({}, {"extensions": {UI: {}}}, {"extensions": {UI: {}}}),
    ],
)
def test_lacks(declared: dict[str, Any], required: dict[str, Any], missing: dict[str, Any]) -> None:
    """CAP-04, CAP-05, ERR-10: what is missing, in the shape of the error's data."""
    assert lacks(declared, required) == missing


@pytest.mark.parametrize(
    ("elicitation", "forms", "urls"),
    [
        ({}, True, False),
        ({"form": {}}, True, False),
        ({"url": {}}, False, True),
        ({"form": {}, "url": {}}, True, True),
        ({"later": {}}, True, False),
    ],
)
def test_elicitation_modes(elicitation: dict[str, Any], forms: bool, urls: bool) -> None:
    """CAP-03, ELIC-01: no mode means forms."""
    declared = {"elicitation": elicitation}
    assert lacks(declared, {"elicitation": {}}) == {}
    assert (not lacks(declared, {"elicitation": {"form": {}}})) is forms
    assert (not lacks(declared, {"elicitation": {"url": {}}})) is urls


@pytest.mark.parametrize("declared", [True, None, [], "yes", 1])
def test_anything_but_an_object_declares_nothing(declared: Any) -> None:
    """META-15: capabilities are objects all the way down."""
    assert lacks({"sampling": declared}, {"sampling": {}}) == {"sampling": {}}
    assert lacks({"elicitation": {"form": declared}}, {"elicitation": {"form": {}}}) == {"elicitation": {"form": {}}}

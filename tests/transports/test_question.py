"""A question and its one answer, over any transport."""

from __future__ import annotations

import asyncio

import pytest

from mcpkit.jsonrpc.errors import McpKitError
from mcpkit.transports.question import Question


async def test_a_question_is_answered_once() -> None:
    """STDIO-44: whatever comes first counts; what comes after it does no harm."""
    answered, refused = Question(), Question()
    answered.resolve({"a": 1})
    answered.resolve({"a": 2})
    answered.reject(McpKitError("late"))
    assert await answered.answer == {"a": 1}
    refused.reject(McpKitError("no"))
    refused.resolve({})
    with pytest.raises(McpKitError, match="no"):
        await refused.answer


async def test_a_dropped_question_waits_for_nothing_and_hides_nothing() -> None:
    """Dropped before an answer it is cancelled; after one, the answer's error counts as seen."""
    waiting, refused = Question(), Question()
    waiting.drop()
    with pytest.raises(asyncio.CancelledError):
        await waiting.answer
    refused.reject(McpKitError("no"))
    refused.drop()
    waiting.resolve({})
    assert waiting.answer.cancelled()

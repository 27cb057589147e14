"""The values that the host and a model exchange: neutral, frozen, and an error that may be shown to anyone."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from mcpkit.host.model import ChatMessage, Completion, Model, ModelError, Usage
from mcpkit.host.openai import OpenAIModel


def test_an_endpoint_is_a_model() -> None:
    model: Model = OpenAIModel("http://127.0.0.1:1/v1", "any")
    assert callable(model.complete)
    assert callable(model.stream)


def test_a_message_can_not_be_changed_once_it_was_said() -> None:
    message = ChatMessage("user", "hello")
    with pytest.raises(FrozenInstanceError):
        message.content = "something else"  # type: ignore[misc]


def test_an_answer_that_says_nothing_more_is_whole() -> None:
    answer = Completion("text", "model")
    assert (answer.tool_calls, answer.usage, answer.finish_reason) == ((), Usage(0, 0, 0), "stop")


def test_an_error_says_whether_asking_again_may_help() -> None:
    assert not ModelError("no").retryable
    assert ModelError("busy", retryable=True).retryable

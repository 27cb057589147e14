"""Questions as values: their params, what the client must know for them, how answers are read."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.features.questions import Elicit, ElicitUrl, ListRoots, Root, Sample


def test_an_elicitation_asks_by_a_form() -> None:
    """ELIC-05, ELIC-10."""
    question = Elicit("What is your name?", {"properties": {"name": {"type": "string"}}})
    assert question.params() == {
        "mode": "form",
        "message": "What is your name?",
        "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}},
    }
    assert question.needs() == {"elicitation": {"form": {}}}


@pytest.mark.parametrize(
    ("answer", "action", "data"),
    [
        ({"action": "accept", "content": {"value": 3}}, "accept", 3),
        ({"action": "decline"}, "decline", None),
        ({"action": "cancel"}, "cancel", None),
    ],
)
def test_all_three_actions_are_outcomes(answer: Any, action: str, data: Any) -> None:
    """ELIC-03, ELIC-04: only an accepted form carries data."""
    outcome = Elicit("How many?", int).read(answer)
    assert (outcome.action, outcome.data, bool(outcome)) == (action, data, action == "accept")


@pytest.mark.parametrize("answer", [{}, {"action": "yes"}, {"action": "accept"}, {"action": "accept", "content": {}}])
def test_senseless_answers_to_a_form_are_refused(answer: Any) -> None:
    """MRS-05: answers are untrusted input."""
    with pytest.raises(ValueError, match=r"\w"):
        Elicit("How many?", int).read(answer)


def test_a_url_is_asked_with_an_unguessable_id() -> None:
    """ELIC-20."""
    first, second = ElicitUrl("Connect", "https://e.example/x"), ElicitUrl("Connect", "https://e.example/x")
    assert first.params()["mode"] == "url"
    assert first.elicitation_id != second.elicitation_id
    assert first.needs() == {"elicitation": {"url": {}}}
    assert first.read({"action": "accept"})


@pytest.mark.parametrize(
    "url",
    ["", "e.example", "javascript:alert(1)", "file:///etc/passwd", "https://", "https://e.example/a b", "//e.example"],
)
def test_only_web_pages_are_opened(url: str) -> None:
    """ELIC-20."""
    with pytest.raises(ValueError, match="https://"):
        ElicitUrl("Connect", url)


def test_a_url_carries_no_secrets() -> None:
    """ELIC-25."""
    with pytest.raises(ValueError, match="password"):
        ElicitUrl("Connect", "https://ada:secret@e.example/")


def test_sampling_says_only_what_was_given() -> None:
    """SAMP-02."""
    assert Sample("Capital of France?", max_tokens=100).params() == {
        "messages": [{"role": "user", "content": {"type": "text", "text": "Capital of France?"}}],
        "maxTokens": 100,
    }
    full = Sample(["Hi"], temperature=0.0, model_preferences="small", tool_choice="auto", tools=[{"name": "t"}])
    assert full.params()["temperature"] == 0.0
    assert full.params()["modelPreferences"] == {"hints": [{"name": "small"}]}
    assert full.params()["toolChoice"] == {"mode": "auto"}
    assert full.needs() == {"sampling": {"tools": {}}}
    assert Sample("x").needs() == {"sampling": {}}


def test_a_sampling_answer_reads_as_text() -> None:
    """SAMP-03, SAMP-09: one block or a list."""
    answer = {"role": "assistant", "content": {"type": "text", "text": "Paris"}, "model": "m", "stopReason": "endTurn"}
    said = Sample("x").read(answer)
    assert (said.text, said.model, said.stop_reason) == ("Paris", "m", "endTurn")
    assert Sample("x").read({**answer, "content": [answer["content"], {"type": "image"}]}).text == "Paris"
    with pytest.raises(ValueError, match="role and content"):
        Sample("x").read({"role": "assistant"})


def test_roots_are_read_as_values() -> None:
    """ROOT-01."""
    assert ListRoots().read({"roots": [{"uri": "file:///a", "name": "a"}, {"uri": "file:///b"}]}) == [
        Root("file:///a", "a"),
        Root("file:///b"),
    ]
    for senseless in ({}, {"roots": {}}, {"roots": [{}]}):
        with pytest.raises(ValueError, match="uri"):
            ListRoots().read(senseless)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Elicit(5), "Elicit: message must be a text, not 5"),
        (lambda: Elicit(""), "Elicit: message must be a text, not ''"),
        (lambda: ElicitUrl(None, "https://x.example"), "ElicitUrl: message must be a text, not None"),
        (lambda: ElicitUrl("m", 5), "ElicitUrl: url must be a text, not 5"),
        (lambda: Sample("hi", max_tokens=-1), "Sample: max_tokens must be a whole number, 1 or more, not -1"),
        (lambda: Sample("hi", max_tokens=1.5), "Sample: max_tokens must be a whole number"),
        (lambda: Sample("hi", max_tokens=None), "Sample: max_tokens must be a whole number"),
        (lambda: Sample([]), "Sample: messages must be a text, or a list of messages"),
        (lambda: Sample(5), "Sample: messages must be a text, or a list of messages"),
        (lambda: Sample("hi", temperature=float("nan")), "Sample: temperature must be a number, 0 or more"),
        (lambda: Sample("hi", temperature="hot"), "Sample: temperature must be a number, 0 or more"),
        (lambda: Sample("hi", stop_sequences="END"), "Sample: stop_sequences must be a list of texts"),
        (lambda: Sample("hi", tool_choice="any"), "Sample: tool_choice must be 'auto', 'required' or 'none'"),
        (lambda: Sample("hi", include_context="all"), "Sample: include_context must be one of 'none', "),
        (lambda: Sample("hi", system_prompt=5), "Sample: system_prompt must be a text"),
    ],
)
def test_what_cant_be_asked_is_refused_where_it_is_written(make: Any, said: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is looked at
        make()
    assert str(refused.value).startswith(said)

"""A task as a value: steps, terminal statuses, shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcpkit.extensions.tasks_state import CANCELLED, COMPLETED, FAILED, INPUT_REQUIRED, WORKING, Task


def task(**fields: Any) -> Task:
    """A task that was made at second 1000."""
    known = {"id": "t1", "face": "extension", "owner": None, "created": 1000.0, "updated": 1000.0, "ttl": 60.0}
    return Task(**{**known, "poll_ms": 500, **fields})


def asking(*methods: str) -> Task:
    """A task that asks."""
    state = task()
    for method in methods:
        _, state = state.asking(method, {"message": method}, 1001.0)
    return state


def test_a_new_task_works() -> None:
    """TASKD-04, TASKE-04: flat, with the time in milliseconds, ISO 8601 dates, and nothing of its outcome."""
    assert task().seed() == {
        "taskId": "t1",
        "status": "working",
        "createdAt": "1970-01-01T00:16:40.000Z",
        "lastUpdatedAt": "1970-01-01T00:16:40.000Z",
        "ttlMs": 60_000,
        "pollIntervalMs": 500,
    }


def test_it_lives_for_its_ttl_and_no_shorter() -> None:
    """TASKE-17."""
    assert not task().expired(1059.999)
    assert task().expired(1060)


def test_a_key_is_never_used_again() -> None:
    """TASKE-09: not even after its question was answered and taken."""
    first, state = task().asking("elicitation/create", {}, 1001)
    state = state.answered({first: {"result": {}}}, 1002).taken(first)
    second, _ = state.asking("elicitation/create", {}, 1003)
    assert first != second


def test_all_open_questions_are_shown() -> None:
    """TASKE-06."""
    state = asking("elicitation/create", "roots/list")
    assert state.detailed()["status"] == INPUT_REQUIRED
    assert [asked["method"] for asked in state.detailed()["inputRequests"].values()] == [
        "elicitation/create",
        "roots/list",
    ]
    assert "inputRequests" not in state.seed()


def test_answers_may_come_in_parts() -> None:
    """TASKE-08: answered keys vanish, unknown ones are ignored, the rest stays open."""
    state = asking("elicitation/create", "roots/list")
    one, two = state.questions
    part = state.answered({one: {"result": {}}, "nonsense": {"result": {}}}, 1002)
    assert (part.status, list(part.questions), list(part.answers)) == (INPUT_REQUIRED, [two], [one])
    whole = part.answered({two: {"result": {}}, one: {"result": {"late": True}}}, 1003)
    assert (whole.status, whole.answers[one]) == (WORKING, {"result": {}})
    assert whole.answered({one: {"result": {}}}, 1004) is whole


def test_a_question_can_be_withdrawn() -> None:
    state = asking("elicitation/create")
    assert state.taken(*state.questions).status == WORKING


@pytest.mark.parametrize("status", [COMPLETED, FAILED, CANCELLED])
def test_a_terminal_status_stays(status: str) -> None:
    """TASKD-04: never changes; open questions are closed by it."""
    state = asking("roots/list").ended(status, 1005, result={"content": []})
    assert state.terminal
    assert not state.questions
    assert state.ended(WORKING, 1006) is state
    assert state.telling("more", 1006) is state
    assert state.answered({"roots-list-1": {"result": {}}}, 1006) is state
    assert state.asking("roots/list", {}, 1006)[1] is state


def test_a_status_shows_what_belongs_to_it() -> None:
    """TASKE-06: result when completed, error when failed, neither when cancelled."""
    done = task().ended(COMPLETED, 1001, result={"content": []}).detailed()
    assert done["result"] == {"content": []}
    assert "error" not in done
    failed = task().ended(FAILED, 1001, error={"code": -32603, "message": "no"}, message="no").detailed()
    assert failed["error"] == {"code": -32603, "message": "no"}
    assert failed["statusMessage"] == "no"
    assert "result" not in failed
    cancelled = task().ended(CANCELLED, 1001).detailed()
    assert cancelled.keys().isdisjoint({"result", "error", "inputRequests"})


def test_it_survives_being_written_down() -> None:
    """For stores that keep bytes."""
    state = asking("roots/list").telling("half", 1003)
    assert Task.from_json(json.loads(json.dumps(state.to_json()))) == state

"""The changes of 2025-03-26, undone one by one."""

from __future__ import annotations

from mcpkit.protocol.revisions.v2024_11_05 import V2024_11_05
from tests.schema.samples import AUDIO, CAPABILITIES, IMAGE, INITIALIZE, PROGRESS, SAMPLING, TOOL

LOWER = V2024_11_05.lower
NOTE = "[audio/wav left out: this client's protocol revision carries no audio]"


def test_no_batches() -> None:
    """BAT-02."""
    assert not V2024_11_05.batch


def test_no_tool_annotations() -> None:
    """SHAPE table: a title that moved there goes with them."""
    listed = LOWER["tools/list"]({"tools": [TOOL]})["tools"][0]
    assert set(listed) == {"name", "description", "inputSchema"}


def test_progress_has_no_message() -> None:
    """PROG-02."""
    assert LOWER["notifications/progress"](PROGRESS) == {"progressToken": "p", "progress": 1, "total": 2}


def test_audio_is_a_note() -> None:
    """SHAPE table: in results, prompts and questions."""
    note = {"type": "text", "text": NOTE, "annotations": {"audience": ["user"], "priority": 0.5}}
    lowered = LOWER["tools/call"]({"content": [AUDIO, IMAGE]})["content"]
    assert lowered[0] == note
    assert lowered[1]["type"] == "image"
    assert LOWER["prompts/get"]({"messages": [{"role": "user", "content": AUDIO}]})["messages"][0]["content"] == note
    assert LOWER["sampling/createMessage"](SAMPLING)["messages"][-1]["content"] == note


def test_completion_is_no_capability() -> None:
    """CAP-08: not named, but served."""
    assert "completions" not in LOWER["capabilities"](CAPABILITIES)
    assert "completions" not in LOWER["initialize"](INITIALIZE)["capabilities"]
    assert "completion/complete" in V2024_11_05.requests

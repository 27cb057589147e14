"""A log that one caller can't fill."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from mcpkit.observe.log_lines import SECONDS, LogLines
from mcpkit.observe.logs import remembering
from tests.exchanges import exchange


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def written(clock: Clock) -> Iterator[list[str]]:
    """Every line that the log writes: at most 64 in a minute, 16 of one caller and kind."""
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Kept()
    handler.addFilter(LogLines(64, 25, clock))
    root = logging.getLogger("mcpkit")
    root.addHandler(handler)
    try:
        yield lines
    finally:
        root.removeHandler(handler)


def test_one_kind_of_line_hides_no_other(written: list[str], clock: Clock) -> None:
    gate = logging.getLogger("mcpkit.gate")
    for number in range(50):
        gate.warning("refused Host %r", f"evil-{number}")
    assert len(written) == 16
    gate.error("something else")
    assert written[-1] == "something else"
    for number in range(100):
        gate.warning(f"kind {number}")
    assert len(written) == 64
    clock.now = SECONDS
    written.clear()
    gate.warning("refused Host %r", "again")
    assert written[0].startswith("87 lines were left out: 64 may be written in a minute, 16 of one kind for one caller")
    assert written[1:] == ["refused Host 'again'"]


def test_what_is_no_warning_and_the_audit_trail_are_not_cut(written: list[str]) -> None:
    audit, other = logging.getLogger("mcpkit.audit"), logging.getLogger("mcpkit.gate")
    other.setLevel(logging.INFO)
    for _ in range(100):
        audit.warning("a call")
        other.info("a detail")
    other.setLevel(logging.NOTSET)
    assert len(written) == 200


async def test_one_caller_s_lines_leave_room_for_another_s(written: list[str]) -> None:
    async def fail(request: object) -> None:
        logging.getLogger("mcpkit.tools").error("%s failed", "t")

    for caller, times in (("one", 40), ("two", 3)):
        for _ in range(times):
            asked = exchange("tools/call")
            asked.caller = caller
            await remembering(asked, fail)
    assert len(written) == 16 + 3

"""The levels of log messages."""

from __future__ import annotations

import pytest

from mcpkit.protocol.log_levels import is_level, reaches
from mcpkit.protocol.types import LOG_LEVELS


@pytest.mark.parametrize("wanted", LOG_LEVELS)
def test_who_wants_a_level_hears_it_and_what_is_worse(wanted: str) -> None:
    """LOG-01, LOG-02: RFC 5424's order."""
    heard = [level for level in LOG_LEVELS if reaches(level, wanted)]
    assert heard == list(LOG_LEVELS[LOG_LEVELS.index(wanted) :])


def test_an_unknown_level_is_named_with_the_ones_there_are() -> None:
    assert [is_level(level) for level in ("info", "INFO", "warn", 3, None)] == [True, False, False, False, False]
    with pytest.raises(ValueError, match=r"'warn'.*debug, info, notice, warning"):
        reaches("warn", "debug")

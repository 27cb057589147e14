"""These tests are asked for by their marker, or not run at all: what they need is too large for every machine.

What must never stand here: a test.
"""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave them out unless ``-m`` names them."""
    if "realmodel" in config.getoption("markexpr"):
        return
    kept = [item for item in items if HERE not in item.path.parents]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept

"""A scripted model server for every test of the host. Never what it should say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fixtures.scripted_peer import ScriptedModel, scripted_model


@pytest.fixture(scope="session")
def _scripted_model() -> Iterator[ScriptedModel]:
    with scripted_model() as peer:
        yield peer


@pytest.fixture
def peer(_scripted_model: ScriptedModel) -> ScriptedModel:
    """A model server without a script."""
    _scripted_model.script()
    return _scripted_model

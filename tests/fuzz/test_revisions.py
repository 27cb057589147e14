"""Whatever a feature returns: lowering never mutates it, and lowering twice is lowering once."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpkit.protocol.revisions.registry import PLAIN, REVISIONS
from mcpkit.protocol.revisions.revision import Adapt, Inexpressible, Revision
from tests.schema.samples import EVERYTHING

REVISIONS_AND_PLAIN = (*REVISIONS.values(), PLAIN)
LOWERINGS = [(revision, key) for revision in REVISIONS_AND_PLAIN for key in sorted(revision.lower)]
BY_NAME = pytest.mark.parametrize(
    ("revision", "key"), LOWERINGS, ids=[f"{revision.name or 'plain'}-{key}" for revision, key in LOWERINGS]
)


def thinned(value: Any, draw: st.DataObject) -> Any:
    """The value with some members and items left out, anywhere in it."""
    if isinstance(value, dict):
        kept = draw.draw(st.sets(st.sampled_from(sorted(value)))) if value else set()
        return {name: thinned(member, draw) for name, member in value.items() if name in kept}
    if isinstance(value, list):
        return [thinned(item, draw) for item in value if draw.draw(st.booleans())]
    return value


def lowered_or_refused(lower: Adapt, value: Any) -> Any:
    try:
        return lower(value)
    except Inexpressible:
        return None


def check(lower: Adapt, value: dict[str, Any]) -> None:
    before = deepcopy(value)
    once = lowered_or_refused(lower, value)
    assert value == before, "the lowering changed its argument"
    if once is not None:
        again = deepcopy(once)
        assert lower(once) == again
        assert once == again


@BY_NAME
def test_whole_messages(revision: Revision, key: str) -> None:
    """SHAPE-01: everything at once."""
    for sample in EVERYTHING[key]:
        check(revision.lower[key], sample)


@pytest.mark.parametrize("revision", REVISIONS_AND_PLAIN, ids=lambda revision: revision.name or "plain")
@given(draw=st.data())
def test_parts_of_messages(revision: Revision, draw: st.DataObject) -> None:
    """SHAPE-01: any member may be missing, even those that the schema requires."""
    key = draw.draw(st.sampled_from(sorted(revision.lower)))
    sample = draw.draw(st.sampled_from(EVERYTHING[key]))
    check(revision.lower[key], thinned(sample, draw))

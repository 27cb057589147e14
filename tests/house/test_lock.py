"""requirements.lock: exact versions with hashes of all that is declared, from nowhere in particular, and new enough."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.house.tree import none, text

LOCK = Path("requirements.lock")
FLOORS = {
    "starlette": "1.0.1",  # CVE-2026-48710 (a Host that rewrites the path), CVE-2025-62727 (Range)
    "h11": "0.16",  # CVE-2025-43859 (chunks)
}
"""Distribution → the first version without a hole that design and tests rely on being closed."""


def pins() -> dict[str, tuple[Version, list[str]]]:
    """Name → version and hashes, as the lock has them."""
    found: dict[str, tuple[Version, list[str]]] = {}
    for entry in re.split(r"\n(?=\S)", text(LOCK).strip()):
        if not entry.startswith("#"):
            line, *hashes = entry.split(" \\\n")
            [exact] = Requirement(line).specifier
            assert exact.operator == "==", f"{line} is no exact version"
            name = canonicalize_name(Requirement(line).name)
            found[name] = Version(exact.version), [each.strip() for each in hashes]
    return found


def declared() -> list[Requirement]:
    """What requirements.txt asks for, and what the image holds besides."""
    lists = [*text(Path("requirements.txt")).splitlines(), *text(Path("deploy/requirements.txt")).splitlines()]
    lines = [line.partition("#")[0].strip() for line in lists]
    return [Requirement(line) for line in lines if line and not line.startswith("-r ")]


def test_the_lock_holds_what_is_declared() -> None:
    """Lists and lock agree; otherwise run scripts/lock."""
    known = pins()
    stale = [
        f"{wanted}: {known.get(canonicalize_name(wanted.name), ('nothing',))[0]} in the lock"
        for wanted in declared()
        if canonicalize_name(wanted.name) not in known
        or known[canonicalize_name(wanted.name)][0] not in wanted.specifier
    ]
    none(stale, "run scripts/lock:")


def test_every_pin_has_hashes() -> None:
    """No package can be swapped for another of its version (OWASP MCP04)."""
    bare = [
        name
        for name, (_, hashes) in pins().items()
        if not hashes or not all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes)
    ]
    none(bare, "run scripts/lock; these have no hash:")
    assert len(pins()) > len(declared())


def test_the_lock_names_no_place() -> None:
    """Where packages come from is the reader's configuration."""
    odd = [line for line in text(LOCK).splitlines() if re.search(r"://|--(?:index|extra|find|trusted)|^-", line)]
    none(odd, "take it out of the lock:")


@pytest.mark.parametrize("name", FLOORS)
def test_known_holes_are_closed(name: str) -> None:
    """What an advisory asks of a library is asked of the lock."""
    assert pins()[name][0] >= Version(FLOORS[name])

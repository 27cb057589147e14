"""What a fuzz target is: bytes in, silence out, or an exception that says which promise was broken.

The same targets serve scripts/fuzz (atheris, minutes) and tests/fuzz/test_targets.py (a few hundred inputs). What must
never stand here: a fuzzing engine, a promise.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """One seam. ``run`` raises for input on which a promise does not hold; anything else it raises is a finding too."""

    name: str
    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    """Inputs to begin with: sound ones, and those that once broke something."""
    tokens: tuple[bytes, ...] = ()
    """Words that mean something to this seam."""
    longest: int = 2048
    """Bytes of an input."""


def finish(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise AssertionError("it waits for something, though there is nothing to wait for")


def parts(data: bytes, number: int) -> list[bytes]:
    """``number`` parts of an input that are divided by empty lines; missing ones are empty."""
    found = data.split(b"\n\n", number - 1)
    return found + [b""] * (number - len(found))


def cuts(data: bytes) -> list[list[bytes]]:
    """The same bytes in several ways to arrive."""
    return [
        [data],
        [data[at : at + 1] for at in range(len(data))],
        [data[at : at + 7] for at in range(0, len(data), 7)],
    ]

"""Inputs made from a target's seeds, the same ones each time: enough to see that a target still stands.

What must never stand here: coverage, a clock (scripts/fuzz has both).
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.fuzz.targets.target import Target

ODD = (
    b"",
    b"\0",
    b"\xff",
    b"\r",
    b"\n\n",
    b"'",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"-",
    b"1e400",
    b"%",
    b"\xed\xa0\x80",
)


def inputs(target: Target, number: int) -> Iterator[bytes]:
    """The seeds, then ``number`` inputs that are one to four changes away from one."""
    yield from target.seeds
    chance = random.Random(target.name)
    for _ in range(number):
        data = chance.choice(target.seeds)
        for _ in range(chance.randint(1, 4)):
            data = _changed(data, target, chance)
        yield data[: target.longest]


def _changed(data: bytes, target: Target, chance: random.Random) -> bytes:
    """One change: a piece is taken out, doubled, overwritten, or replaced by something that means something."""
    begin = chance.randint(0, len(data))
    end = min(len(data), begin + chance.choice((0, 0, 1, 1, 2, 8, 40)))
    piece = chance.choice(
        (
            b"",
            data[begin:end] * chance.choice((2, 3, 60)),
            chance.choice(ODD),
            chance.choice(target.tokens or ODD),
            bytes(chance.randrange(256) for _ in range(chance.randint(1, 3))),
            chance.choice(target.seeds)[begin:],
        )
    )
    return data[:begin] + piece + data[end:]

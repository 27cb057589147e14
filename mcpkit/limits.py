"""Bounds on what a process holds because callers asked for it: one for all callers together, and one for each.

A caller is a text that says who asks: the id of a principal, else the address that the request comes from. "" stands
for a caller beside whom there is no other (a pipe) or who can't be told from others: then only the bound for all holds.
What must never stand here: what is counted, an answer to whoever is turned away.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

LEAST: Final = 16
"""How many of what is counted one caller may hold, however small the share is."""
TEXT_BYTES: Final = 192
"""What a text takes besides its characters, with its place in a set."""
WHOLE: Final = 100
"""The share, in per cent, with which nobody is bounded apart from the bound for all."""


class BoundReached(Exception):
    """What a caller asks for would be too much; the message says which bound it is and which setting moves it."""

    def __init__(self, message: str, *, of_caller: bool = False) -> None:
        super().__init__(message)
        self.of_caller = of_caller
        """Whether this caller's own share is used up, and others are still served."""


class Bound:
    """So much of one quantity for all callers together, and so much of that for one of them."""

    __slots__ = ("each", "most", "setting", "what")

    def __init__(self, what: str, setting: str, most: int, share: int = WHOLE, *, least: int = LEAST) -> None:
        """``what`` names the quantity in the plural, ``setting`` says ``most``; ``share`` is in per cent of it."""
        self.what = what
        self.setting = setting
        self.most = most
        self.each = min(most, max(least, most * share // WHOLE))
        """What one caller may hold: at least ``least``."""

    def reached(self) -> Exception:
        """The refusal of somebody for whom nothing is left."""
        return self.refusal(f"There may be {self.most} {self.what} in all ({self.setting}); try again later")

    def reached_by_caller(self) -> Exception:
        """The refusal of a caller whose own share is used up."""
        return self.refusal(
            f"One caller may hold {self.each} of {self.most} {self.what} (MCP_CALLER_SHARE, {self.setting}); "
            "end some, or try again later",
            of_caller=True,
        )

    def refusal(self, message: str, *, of_caller: bool = False) -> Exception:
        """What is raised; a subclass may raise something else."""
        return BoundReached(message, of_caller=of_caller)


class Shares:
    """What callers hold of one bounded quantity."""

    __slots__ = ("_held", "bound", "taken")

    def __init__(self, bound: Bound) -> None:
        self.bound = bound
        self.taken = 0
        """What all callers hold together."""
        self._held: dict[str, int] = {}

    def take(self, caller: str, amount: int = 1) -> None:
        """Let the caller hold so much more.

        Raises: BoundReached; then the caller holds what it held.
        """
        bound, taken = self.bound, self.taken + amount
        if taken > bound.most:
            raise bound.reached()
        if caller:
            held = self._held
            own = held[caller] + amount if caller in held else amount
            if own > bound.each:
                raise bound.reached_by_caller()
            held[caller] = own
        self.taken = taken

    def force(self, caller: str, amount: int) -> bool:
        """Let the caller hold so much more, whatever the bound is; whether that is within the bound."""
        self.taken = taken = self.taken + amount
        if not caller:
            return taken <= self.bound.most
        held = self._held
        held[caller] = own = held[caller] + amount if caller in held else amount
        return taken <= self.bound.most and own <= self.bound.each

    def give(self, caller: str, amount: int = 1) -> None:
        """The caller holds so much less: no more than it took."""
        self.taken -= amount
        if caller:
            held = self._held[caller] - amount
            if held:
                self._held[caller] = held
            else:
                del self._held[caller]

    def change(self, caller: str, before: int, after: int) -> None:
        """Let one thing of the caller's that took ``before`` take ``after``.

        Raises: BoundReached when that is more than there is; then it takes what it took.
        """
        if after > before:
            self.take(caller, after - before)
        elif before > after:
            self.give(caller, before - after)

    def held(self, caller: str) -> int:
        """What one caller holds."""
        return self._held.get(caller, 0)


def text_bytes(text: str) -> int:
    """What a text that is kept takes in memory, at most; the same for equal texts, unlike what Python says of them."""
    return TEXT_BYTES + len(text) * (1 if text.isascii() else 4)


def digest_of(caller: str) -> str:
    """A caller as other processes are told of it: equal for equal callers, and no name or address in clear."""
    return sha256(caller.encode("utf-8", "surrogatepass")).hexdigest()[:32] if caller else ""

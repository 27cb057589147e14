"""What goes wrong between a function and its caller: at registration, in the arguments, in the function itself.

What must never stand here: an HTTP status, a text for one feature only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mcpkit.features.problems import Problem
from mcpkit.jsonrpc.errors import INTERNAL_ERROR, INVALID_REQUEST, McpKitError, RpcError

if TYPE_CHECKING:  # whoever comes with one has loaded what it is of
    from jsonschema_rs import ValidationError as Violation

MOST_PROBLEMS: Final = 10
"""How many problems are told at once; a model mends a few at a time anyway."""


class ToolError(McpKitError):
    """A tool failed in a way the model should read: its text becomes the call's content, with ``isError``."""


class RegistrationError(McpKitError, TypeError):
    """A function or option can't be offered as it stands; the message names the place and the fix."""


class BadArguments(McpKitError):
    """The caller's arguments don't fit; ``str()`` is a short text that a model can act on."""

    def __init__(self, problems: Sequence[Problem], violations: Sequence[Violation] = ()) -> None:
        super().__init__(told(problems))
        self.problems = tuple(problems)
        self.violations = violations
        """What the JSON Schema's validator found, where it was that which refused them."""


class BadReturn(McpKitError):
    """A function returned what it did not declare: our own author's mistake, never the caller's.

    ``hint`` is what callers are told of it: no value, since that may be one that the declaration keeps back.
    """

    def __init__(self, message: str, hint: str = "its result is not what it declares") -> None:
        super().__init__(message)
        self.hint = hint


class InsufficientScope(RpcError):
    """The caller's token does not allow this; over HTTP it is answered 403 with a challenge (STEP-01, STEP-03)."""

    def __init__(self, scopes: Sequence[str]) -> None:
        needed = " ".join(scopes)
        super().__init__(
            INVALID_REQUEST, f"Insufficient scope; ask for a token with: {needed}", {"requiredScopes": list(scopes)}
        )
        self.scopes = tuple(scopes)


class Overloaded(RpcError):
    """Too much is held already; over HTTP it is answered 503, or 429 to a caller who holds its share."""

    def __init__(self, message: str, *, of_caller: bool = False) -> None:
        super().__init__(INTERNAL_ERROR, message)
        self.of_caller = of_caller
        """Whether this caller holds too much, and others are still served."""


def told(problems: Sequence[Problem]) -> str:
    """The problems in one line, the first few of many."""
    parts = [str(problem) for problem in problems[:MOST_PROBLEMS]]
    if len(problems) > MOST_PROBLEMS:
        parts.append(f"and {len(problems) - MOST_PROBLEMS} more")
    return "; ".join(parts)

"""Whether a call may be made: what only reads may; what changes things, or does not say, is the user's to allow.

A tool's own words are hints (TOOL-09), so a definition that has changed counts as unknown whatever it says. What must
never stand here: how a question is put to the user, calling.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from mcpkit.client.display import clean
from mcpkit.host.decisions import Ask, decide
from mcpkit.host.offers import Offered
from mcpkit.host.pins import Pins
from mcpkit.host.show import arguments_shown
from mcpkit.host.words import Speech

Policy: TypeAlias = Literal["ask", "auto", "never"]

NOBODY = "it needs the user's approval and there is nobody to ask: start the chat on a terminal, or with --approve auto"
FORBIDDEN = "it may change something, and the chat was started with --approve never"
REFUSED = "the user does not allow it"


class Consent:
    """Decides on each call."""

    def __init__(self, policy: Policy, pins: Pins, ask: Ask | None, speech: Speech) -> None:
        self._policy = policy
        self._pins = pins
        self._ask = ask
        self._speech = speech

    async def refusal(self, offered: Offered, arguments: Mapping[str, Any]) -> str | None:
        """Why the call must not be made; None when it may."""
        doubt = self._doubt(offered)
        if doubt is None or self._pins.approved(offered):
            return None
        if self._policy == "never":
            return FORBIDDEN
        if self._policy == "auto":
            self._pins.accept(offered)
            return None
        if self._ask is None:
            return NOBODY
        return await self._asked(self._ask, offered, arguments, doubt)

    def _doubt(self, offered: Offered) -> str | None:
        """The word for why the user should decide."""
        seen = self._pins.see(offered)
        if seen in {"changed", "older"}:
            return "was_changed" if seen == "changed" else "was_pinned_by_older"
        if offered.harmless:
            return "did_change_things" if self._pins.asked_before(offered) else None
        says = offered.tool.annotations
        return "says_nothing" if says.read_only_hint is None and says.destructive_hint is None else "changes_things"

    async def _asked(self, ask: Ask, offered: Offered, arguments: Mapping[str, Any], doubt: str) -> str | None:
        question = self._speech(
            "approve",
            server=clean(offered.prefix, 60),
            name=offered.name,
            arguments=arguments_shown(arguments),
            why=self._speech(doubt),
        )
        decision = await decide(ask, self._speech, question, always=True)
        if decision in {None, "no"}:
            return REFUSED
        self._pins.accept(offered, approved=decision == "always")
        return None

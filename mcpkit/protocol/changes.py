"""Notices that something on offer has changed, or was logged, and the feed that carries them to whoever listens.

Whoever has news publishes one :class:`Notice`; handshake sessions and ``subscriptions/listen`` streams each forward it
in their own way. What must never stand here: who is connected, how a notice is written to a wire.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

from mcpkit.protocol.exchange import SessionState
from mcpkit.protocol.log_levels import DEFAULT_LEVEL, reaches
from mcpkit.protocol.uri_template import normalize_uri

TOOLS_CHANGED: Final = "notifications/tools/list_changed"
PROMPTS_CHANGED: Final = "notifications/prompts/list_changed"
RESOURCES_CHANGED: Final = "notifications/resources/list_changed"
RESOURCE_UPDATED: Final = "notifications/resources/updated"
LOGGED: Final = "notifications/message"
ELICITED: Final = "notifications/elicitation/complete"
AT_ONCE: Final = 64
"""Who tells thousands lets calls have a turn after so many of them."""
MOST_WAITING: Final = 1_000
"""Notices that wait at one place before a log message gives way."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One piece of news: the notification that tells it, and the key it may be filtered by.

    Two notices with the same method and key say the same, so a slow listener may be told once for both.
    """

    method: str
    key: str | None = None
    """A resource's normal URI, the id of a task or an elicitation, a log message's own name; None for a whole list."""
    params: dict[str, Any] = field(default_factory=dict, compare=False)
    place: str | None = field(default=None, compare=False)
    """Where it stands in a feed that several replicas share; None for one that was published in this process."""

    @classmethod
    def updated(cls, uri: str) -> Notice:
        """The resource at ``uri`` has new contents; whoever watches it may have spelled it in another way."""
        return cls(RESOURCE_UPDATED, normalize_uri(uri), {"uri": uri})

    @classmethod
    def logged(cls, params: dict[str, Any]) -> Notice:
        """A log message that belongs to no request (LOG-06); two that say the same are still two."""
        return cls(LOGGED, secrets.token_hex(8), params)

    @classmethod
    def elicited(cls, id: str) -> Notice:
        """The user has finished on the page that an elicitation sent them to (ELIC-22)."""
        return cls(ELICITED, id, {"elicitationId": id})

    def concerns(self, session: SessionState) -> bool:
        """Whether a handshake session is told: of every list, of resources it watches, of pages that its own user was
        sent to, of what is logged loud enough.

        What else has a key is for whoever may know of it: a session may "watch" any text, also the id of a task.
        """
        if self.method == LOGGED:
            return reaches(self.params["level"], session.log_level or DEFAULT_LEVEL)
        if self.method == ELICITED:
            return self.key in session.elicitations
        return self.key is None or (self.method == RESOURCE_UPDATED and self.key in session.subscriptions)

    def wait(self, waiting: dict[Notice, None]) -> None:
        """Join those that wait, behind them all; where too many do, what was only said gives way to what changed."""
        if self.method != LOGGED or len(waiting) < MOST_WAITING:
            waiting.pop(self, None)
            waiting[self] = None


Listener: TypeAlias = Callable[[Notice], None]


class ChangeFeed(Protocol):
    """Carries notices from the features to the listeners; one process by default, many over an engine."""

    def publish(self, notice: Notice) -> None:
        """Hand the notice to every listener; never blocks, never raises for a listener's fault."""

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Be told of every later notice; the returned function ends that and may be called twice."""


class LocalChanges:
    """The feed within one process: listeners are called in the order in which they came."""

    __slots__ = ("_listeners", "_next")

    def __init__(self) -> None:
        self._listeners: dict[int, Listener] = {}
        self._next = 0

    def publish(self, notice: Notice) -> None:
        """Hand the notice to every listener, at once."""
        for listener in tuple(self._listeners.values()):
            listener(notice)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Be told of every later notice until the returned function is called."""
        key = self._next
        self._next += 1
        self._listeners[key] = listener

        def unsubscribe() -> None:
            self._listeners.pop(key, None)

        return unsubscribe

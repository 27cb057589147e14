"""What tools, resources and prompts have in common: an author's function and options, and the handle to change them.

What must never stand here: what a call's result looks like.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from functools import cached_property, partial
from typing import Any, ClassVar, Final, Protocol, TypeAlias

from mcpkit.features.binding import Bound, MakeContext
from mcpkit.features.errors import InsufficientScope, RegistrationError
from mcpkit.features.option_values import Check, check_values
from mcpkit.features.options import Visible, check_options, icons_of, meta_of
from mcpkit.features.signature import where
from mcpkit.jsonrpc.codec import encode
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.types import CacheScope
from mcpkit.security.scopes import ScopeRules

DEFAULT_TIMEOUT: Final = 60.0
"""Seconds that a call may take where nobody said otherwise."""


SCOPES: Final = ScopeRules()

Call: TypeAlias = Callable[[Mapping[str, Any], Exchange, MakeContext], Coroutine[Any, Any, Any]]


class Shelf(Protocol):
    """Where an offered feature stands (registry.py)."""

    def check_free(self, key: str, feature: Any) -> None:
        """Raises: RegistrationError when another feature has that key."""

    def rekey(self, feature: Any, old_key: str) -> None:
        """The feature has changed, perhaps its key too."""

    def remove(self, key: str) -> None:
        """Take it away."""


class Feature(ABC):
    """A function with its options. Once offered, it is its own handle: update, enable, disable, remove."""

    what: ClassVar[str]
    """What it is called in messages."""
    known_options: ClassVar[frozenset[str]]
    option_checks: ClassVar[Mapping[str, Check]]

    key: str
    """What it is found by: a name or a URI."""
    wire: JsonObject
    """Its entry in the list, in the newest revision's shape."""
    bound: Bound

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        """Raises: RegistrationError, with file, line and the fix."""
        check_options(f"a {self.what}", options, self.known_options)
        self.function = function
        self.options: dict[str, Any] = {name: option for name, option in options.items() if option is not None}
        self.where = where(function)
        check_values(f"{self.what} ({self.where})", self.options, self.option_checks)
        self.enabled: bool = self.options.get("enabled", True)
        self.visible: Visible | None = self.options.get("visible")
        self.tags = frozenset(self.options.get("tags", ()))
        self.scopes = tuple(self.options.get("scopes", ()))
        self.timeout: float | None = self.options.get("timeout")
        self.ttl_ms: int | None = self.options.get("ttl_ms")
        self.cache_scope: CacheScope | None = self.options.get("cache_scope")
        concurrency = self.options.get("concurrency")
        self._shelf: Shelf | None = None
        self.guarded = self.visible is not None or bool(self.scopes)
        """Not everybody may use it: ask :meth:`admits`."""
        self._build()
        self._check_sendable()
        call = self.bound.call
        self.work: Call = partial(_limited, asyncio.Semaphore(concurrency), call) if concurrency else call
        """The call itself, with bound arguments, once there is room for it."""

    @abstractmethod
    def _build(self) -> None:
        """Bind the function; set ``bound``, ``key`` and ``wire``."""

    def _check_sendable(self) -> None:
        """Check that the list entry can be sent: one that can't would take the whole list with it.

        Raises: RegistrationError.
        """
        try:
            encode(self.wire)
        except (TypeError, ValueError) as error:
            raise RegistrationError(f"{self.what} ({self.where}): its options have no JSON form: {error}") from None

    @property
    def name(self) -> str:
        """Its name for programs."""
        return str(self.wire["name"])

    @cached_property
    def wire_bytes(self) -> int:
        """How long its entry in the list is as JSON."""
        return len(encode(self.wire))

    # ── the handle ───────────────────────────────────────────────────────────────────────────────────────────────

    def update(self, function: Callable[..., Any] | None = None, **options: Any) -> None:
        """Change options, or the function, while serving; clients that listen are told.

        Raises: RegistrationError, and then nothing has changed.
        """
        fresh = self._again(function or self.function, {**self.options, **options})
        shelf, old_key = self._shelf, self.key
        if shelf is not None:
            shelf.check_free(fresh.key, self)
        fresh.enabled = options.get("enabled", self.enabled)
        fresh._shelf = shelf
        self.__dict__ = fresh.__dict__  # one assignment: a call in flight sees the old state or the new, never both
        if shelf is not None:
            shelf.rekey(self, old_key)

    def enable(self) -> None:
        """Offer it again."""
        self._switch(True)

    def disable(self) -> None:
        """Keep it, but offer it to nobody."""
        self._switch(False)

    def remove(self) -> None:
        """Take it away; removing it twice is fine."""
        shelf, self._shelf = self._shelf, None
        if shelf is not None:
            shelf.remove(self.key)

    def shelved(self, shelf: Shelf) -> None:
        """Told by the registry that offers it.

        Raises: RegistrationError when another one does already.
        """
        if self._shelf is not None:
            raise RegistrationError(f"{self.what} {self.key!r} ({self.where}) is offered already; make a new one")
        self._shelf = shelf

    def _switch(self, enabled: bool) -> None:
        if self.enabled is not enabled:
            self.enabled = enabled
            if self._shelf is not None:
                self._shelf.rekey(self, self.key)

    def _again(self, function: Callable[..., Any], options: Mapping[str, Any]) -> Feature:
        return type(self)(function, options)

    @property
    def listed_ttl_ms(self) -> int | None:
        """How long its list entry may be kept, in milliseconds; None where it doesn't matter."""
        return self.ttl_ms

    @property
    def listed_scope(self) -> CacheScope | None:
        """Who may keep its list entry."""
        return self.cache_scope

    # ── for whom, and how it runs ────────────────────────────────────────────────────────────────────────────────

    def seen_by(self, exchange: Exchange) -> bool:
        """Whether it exists for this caller."""
        return self.visible is None or self.visible(exchange)

    def admits(self, exchange: Exchange) -> bool:
        """Whether this caller may use it: False where it does not exist for them.

        Raises: InsufficientScope where only their token's scopes are missing, or they have no token.
        """
        if not self.seen_by(exchange):
            return False
        if not SCOPES.permits(exchange.principal, self.scopes):
            raise InsufficientScope(self.scopes)
        return True

    def entry(self, name: str, **members: Any) -> JsonObject:
        """A list entry: what all features have, and ``members`` of its own where they are set."""
        options = self.options
        entry = {
            "name": name,
            "title": options.get("title"),
            "description": options.get("description") or self.bound.signature.doc.description or None,
            **members,
            "icons": icons_of(options.get("icons"), self.where) or None,
            "_meta": meta_of(options.get("meta"), self.where) or None,
        }
        return {member: value for member, value in entry.items() if value is not None}


async def _limited(
    slots: asyncio.Semaphore, call: Call, arguments: Mapping[str, Any], exchange: Exchange, make_context: MakeContext
) -> Any:
    async with slots:
        return await call(arguments, exchange, make_context)

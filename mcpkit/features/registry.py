"""The registry of one kind of feature: names, duplicates, order, pages.

Readers see immutable snapshots that are swapped whole; only writers lock. What must never stand here: what a
feature does.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import RLock
from typing import Final, Generic, TypeVar

from mcpkit.features.errors import RegistrationError
from mcpkit.features.feature import Feature
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.pagination import decode_cursor, encode_cursor

F = TypeVar("F", bound=Feature)

logger = logging.getLogger("mcpkit.features")

LIST_TTL_MS: Final = 30_000
"""How long a list may be kept where nobody said otherwise; those who listen hear of changes at once."""


PAGE_SIZE: Final = 1000
"""Entries on one page where nobody said otherwise: many hosts ask for the first page only."""
PAGE_BYTES: Final = 512 * 1024
"""A page ends before it is longer than this; one entry is always on it."""


@dataclass(frozen=True, slots=True)
class _Snapshot(Generic[F]):
    offered: dict[str, F]
    keys: tuple[str, ...]
    uniform: bool
    """Everybody sees the same."""
    shared: bool
    """Nothing in it is for one caller only."""


class Registry(Generic[F]):
    """Features by key, listed in the order of their keys."""

    def __init__(self, member: str, changed: Callable[[], None], *, page_size: int, ttl_ms: int = LIST_TTL_MS) -> None:
        """``member`` is the list's name in a result; ``changed`` is called after every change."""
        self._member = member
        self._changed = changed
        self._page_size = page_size
        self._ttl_ms = ttl_ms
        self._paged = False
        """Whether the list has been longer than a page."""
        self._lock = RLock()
        self._all: dict[str, F] = {}
        self._now: _Snapshot[F] = _Snapshot({}, (), uniform=True, shared=True)
        self.offered: Mapping[str, F] = self._now.offered
        """What is offered, by key, in the order of the keys; replaced whole, never changed."""

    @property
    def uniform(self) -> bool:
        """Everybody sees the same list, so that its pages can be kept."""
        return self._now.uniform

    def add(self, feature: F) -> F:
        """Offer a feature.

        Raises: RegistrationError when its key is taken; both places are named.
        """
        with self._lock:
            self.check_free(feature.key, feature)
            feature.shelved(self)
            self._all[feature.key] = feature
        self._swap()
        return feature

    def check_free(self, key: str, feature: Feature) -> None:
        """That ``feature`` may have this key.

        Raises: RegistrationError, naming both places.
        """
        other = self._all.get(key)
        if other is not None and other is not feature:
            raise RegistrationError(
                f"{feature.what} {key!r} is offered twice: {other.where} and {feature.where}; "
                "rename one, or remove() the first"
            )

    def remove(self, key: str) -> None:
        """Take a feature away; unknown keys are ignored."""
        with self._lock:
            feature = self._all.pop(key, None)
        if feature is not None:
            self._swap()
            feature.remove()

    def rekey(self, feature: F, old_key: str) -> None:
        """A feature's options changed, perhaps its key too."""
        with self._lock:
            self._all.pop(old_key, None)
            self._all[feature.key] = feature
        self._swap()

    def find(self, key: str) -> F | None:
        """The feature with that key, disabled or not."""
        return self._all.get(key)

    def __iter__(self) -> Iterator[F]:
        """The offered features, by key."""
        return iter(self.offered.values())

    def __len__(self) -> int:
        return len(self.offered)

    def keys_for(self, exchange: Exchange) -> list[str]:
        """The keys that this caller may know."""
        return [feature.key for feature in self if feature.seen_by(exchange)]

    def page_key(self, exchange: Exchange) -> Hashable | None:
        """What a page depends on, for a cache; None when it depends on the caller."""
        cursor = exchange.params.get("cursor")
        return (cursor,) if self.uniform and (cursor is None or isinstance(cursor, str)) else None

    def page(self, exchange: Exchange) -> JsonObject:
        """The page of the list that the exchange asks for (PAGE-01, PAGE-03, CACHE-01, CACHE-02).

        Raises: InvalidParams for a cursor that is none of ours.
        """
        now = self._now
        cursor = exchange.params.get("cursor")
        start = 0 if cursor is None else bisect_right(now.keys, decode_cursor(cursor))
        rest = (now.offered[key] for key in now.keys[start:])
        shown = list(islice((feature for feature in rest if feature.seen_by(exchange)), self._page_size + 1))
        fit = min(self._page_size, _fitting(shown))
        page: JsonObject = {self._member: [feature.wire for feature in shown[:fit]]}
        if len(shown) > fit:
            page["nextCursor"] = encode_cursor(shown[fit - 1].key)
        lasting = [feature.listed_ttl_ms for feature in shown]
        page["ttlMs"] = min([self._ttl_ms, *(ttl for ttl in lasting if ttl is not None)])
        page["cacheScope"] = "public" if now.uniform and now.shared else "private"
        return page

    def _swap(self) -> None:
        """Take new snapshots and tell of it."""
        with self._lock:
            offered = {key: self._all[key] for key in sorted(self._all) if self._all[key].enabled}
            uniform = all(feature.visible is None for feature in offered.values())
            shared = all(feature.listed_scope != "private" for feature in offered.values())
            self._now = _Snapshot(offered, tuple(offered), uniform, shared)
            self.offered = offered
            if len(offered) > self._page_size and not self._paged:
                self._paged = True
                logger.info(
                    "%s: more than %d, so the list has several pages; clients that don't follow nextCursor see the "
                    "first alone, which Server(page_size=…) makes longer",
                    *(self._member, self._page_size),
                )
        self._changed()


def _fitting(features: Sequence[Feature]) -> int:
    """How many of the features are on a page because of their length."""
    size = 0
    for number, feature in enumerate(features):
        size += feature.wire_bytes
        if size > PAGE_BYTES and number:
            return number
    return len(features)

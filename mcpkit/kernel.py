"""The kernel: one table of methods per revision, and the one way a request is served.

Whatever the door, a request ends here: look the row up, call it, stamp and lower its result. What must never
stand here: a feature (rows are functions), a transport, a revision's date.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Hashable
from dataclasses import dataclass, field
from functools import reduce
from time import perf_counter
from typing import Any, TypeAlias

from mcpkit.aio import cancel_requests, contain, is_requested, take_back
from mcpkit.jsonrpc.codec import encode
from mcpkit.jsonrpc.errors import InternalError, InvalidParams, MethodNotFound, RpcError
from mcpkit.jsonrpc.messages import Encoded, JsonObject, Result
from mcpkit.observe.events import Observer, Served
from mcpkit.protocol.changes import ChangeFeed, LocalChanges
from mcpkit.protocol.envelope import META_SERVER_INFO
from mcpkit.protocol.errors import McpRpcError
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.headers import ParamHeader
from mcpkit.protocol.request_state import StateSealer
from mcpkit.protocol.revisions.registry import PLAIN, REVISIONS
from mcpkit.protocol.revisions.revision import Adapt, Revision

logger = logging.getLogger("mcpkit.kernel")

Handler: TypeAlias = Callable[[Exchange], Awaitable[Result]]
Serve: TypeAlias = Callable[[Exchange], Coroutine[Any, Any, Result]]
Listener: TypeAlias = Callable[[Exchange], Awaitable[None]]
Hook: TypeAlias = Callable[[Exchange, Handler], Awaitable[Result]]
CacheKey: TypeAlias = Callable[[Exchange], Hashable | None]

CANCELLED: str | None = "cancelled"
TOOL_ERROR = "tool_error"
ALL_REVISIONS: tuple[Revision, ...] = (*REVISIONS.values(), PLAIN)
MAX_PAGES = 1024
"""Cached results per method: more than real lists have pages, less than a caller with invented cursors could fill."""
SPEC_METHODS: frozenset[str] = frozenset().union(*(revision.requests for revision in ALL_REVISIONS))


@dataclass(frozen=True, slots=True)
class Row:
    """A method as one revision knows it: its handler, and how its result is brought into that revision's shape."""

    handler: Handler
    lower: Adapt | None
    stamp: bool
    cache_key: CacheKey | None


@dataclass(frozen=True, slots=True)
class _Entry:
    handler: Handler
    revisions: Collection[str] | None
    cache_key: CacheKey | None

    def offered_in(self, method: str, revision: Revision) -> bool:
        if self.revisions is not None:
            return revision.name in self.revisions
        return method in revision.requests or method not in SPEC_METHODS


@dataclass(slots=True)
class Kernel:
    """Method tables and :attr:`serve`. Tables are rebuilt on registration and swapped whole: readers never lock."""

    server_info: JsonObject
    changes: ChangeFeed = field(default_factory=LocalChanges)
    sealer: StateSealer = field(default_factory=StateSealer)
    param_headers: Callable[[str], tuple[ParamHeader, ...]] | None = None
    """A tool's name → the arguments that its callers mirror in HTTP headers; None while no tool has any."""
    max_result_bytes: int = 1 << 20
    """The longest result that is sent; whoever encodes results sees to it."""
    serve: Serve = field(init=False)
    """Answers one exchange; raises RpcError only."""
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _tables: dict[str, dict[str, Row]] = field(default_factory=dict)
    _listeners: dict[str, Listener] = field(default_factory=dict)
    _pages: dict[str, dict[Hashable, Encoded]] = field(default_factory=dict)
    _hooks: tuple[Hook, ...] = ()
    _wrapped: dict[str, tuple[tuple[Hook, CacheKey | None], ...]] = field(default_factory=dict)
    _observers: tuple[Observer, ...] = ()

    def __post_init__(self) -> None:
        self._rebuild()

    def register(
        self,
        method: str,
        handler: Handler,
        *,
        revisions: Collection[str] | None = None,
        cache_key: CacheKey | None = None,
    ) -> None:
        """Offer a method. A name of the spec is offered where its revisions know it, any other name everywhere.

        ``revisions`` says instead exactly where. ``cache_key`` makes the result cacheable as bytes until
        :meth:`invalidate`: it maps an exchange to what the result depends on besides the revision, or None.
        """
        self._entries[method] = _Entry(handler, revisions, cache_key)
        self.invalidate(method)
        self._rebuild()

    def unregister(self, method: str) -> None:
        """Withdraw a method; unknown names are ignored."""
        if self._entries.pop(method, None) is not None:
            self._rebuild()

    def offers(self, method: str, revision: Revision) -> bool:
        """Whether the method can be called under that revision."""
        return method in self._tables[revision.name]

    def methods(self) -> tuple[str, ...]:
        """The registered methods, by name."""
        return tuple(sorted(self._entries))

    def knows(self, method: str) -> bool:
        """Whether the method is registered."""
        return method in self._entries

    def wrapped(self) -> tuple[str, ...]:
        """The methods that :meth:`around` was told of, registered or not."""
        return tuple(self._wrapped)

    def on_notification(self, method: str, listener: Listener) -> None:
        """Be told when a client sends that notification (one listener per method)."""
        self._listeners[method] = listener

    def use(self, hook: Hook) -> None:
        """Wrap every request in ``hook(exchange, call)``; hooks run in the order in which they were given."""
        self._hooks = (*self._hooks, hook)
        self._rebuild()

    def around(self, method: str, hook: Hook, *, varies: CacheKey | None = None) -> None:
        """Wrap the handler of one method, now or once it is registered; others pay nothing.

        Unlike :meth:`use`, the result is still in the canonical shape: it is stamped and lowered afterwards.
        The pages of a list are made anew for every request, since nobody knows what the hook's answer depends on,
        unless ``varies`` says it: a function of the exchange, such as ``lambda exchange: exchange.principal``, whose
        equal values mean equal answers; None means that this one is not kept. No page is then for everybody.
        """
        self._wrapped[method] = (*self._wrapped.get(method, ()), (hook, varies))
        self.invalidate(method)
        self._rebuild()

    def observe(self, observer: Observer) -> None:
        """Tell ``observer`` of every request, outside all hooks."""
        self._observers = (*self._observers, observer)
        self._rebuild()

    def invalidate(self, *methods: str) -> None:
        """Forget the cached results of these methods; of all, when none is named."""
        if not methods:
            self._pages.clear()
        for method in methods:
            self._pages.pop(method, None)

    async def notified(self, exchange: Exchange) -> None:
        """Deliver a client's notification; unknown ones are ignored, a listener's failure is logged (RPC-12, -16)."""
        listener = self._listeners.get(exchange.method)
        if listener is None or exchange.method not in exchange.revision.notifications:
            return
        if not isinstance(exchange.params.get("_meta", {}), dict):
            return  # a notification that is none is not answered either
        try:
            await contain(_heard(listener, exchange))
        except asyncio.CancelledError:  # whoever asked for it has what they wanted: it has stopped
            await take_back(cancel_requests())
            logger.warning("the listener of %s was cancelled", exchange.method)
        except BaseException as error:
            if not _logged(error, f"the listener of {exchange.method}"):
                raise

    def _rebuild(self) -> None:
        self._tables = {revision.name: self._table(revision) for revision in ALL_REVISIONS}
        bare: Serve = self._serve
        call = reduce(_wrap, reversed(self._hooks), bare)
        if self._hooks:
            call = _answered(call)
        self.serve = self._observed(call) if self._observers else call

    def _table(self, revision: Revision) -> dict[str, Row]:
        return {
            method: Row(
                self._handler(method, entry),
                revision.lower.get(method),
                revision.stamps_results,
                self._cache_key(method, entry),
            )
            for method, entry in self._entries.items()
            if entry.offered_in(method, revision)
        }

    def _handler(self, method: str, entry: _Entry) -> Handler:
        handler = entry.handler
        wrapped = self._wrapped.get(method, ())
        for hook, _ in reversed(wrapped):
            handler = _wrap(handler, hook)
        return _private(handler) if wrapped and entry.cache_key is not None else handler

    def _cache_key(self, method: str, entry: _Entry) -> CacheKey | None:
        """What a page depends on, with what hooks add to it; None where one doesn't say what it adds."""
        own, added = entry.cache_key, [varies for _, varies in self._wrapped.get(method, ())]
        if own is None or not added:
            return own
        keys = [own, *(varies for varies in added if varies is not None)]
        if len(keys) <= len(added):
            return None

        def cache_key(exchange: Exchange) -> Hashable | None:
            parts = tuple(key(exchange) for key in keys)
            return None if None in parts else parts

        return cache_key

    async def _serve(self, exchange: Exchange) -> Result:
        params = exchange.params
        if "_meta" in params and (type(params["_meta"]) is not dict or "progressToken" in params["_meta"]):
            _check_meta(exchange)
        rows = self._tables[exchange.revision.name]
        if exchange.method not in rows:
            raise MethodNotFound(exchange.method)
        row = rows[exchange.method]
        try:
            if row.cache_key is not None:
                return await self._page(row, exchange)
            result = await row.handler(exchange)
            return self._shaped(row, result)
        except RpcError as error:
            raise _numbered(error, exchange.revision) from None
        except BaseException as error:
            if not _logged(error, exchange.method):
                raise
            raise InternalError from None

    async def _page(self, row: Row, exchange: Exchange) -> Result:
        """A cached result, or a fresh one that is kept when the row says what it depends on."""
        assert row.cache_key is not None
        key = row.cache_key(exchange)
        if key is None:
            return self._shaped(row, await row.handler(exchange))
        pages = self._pages.setdefault(exchange.method, {})
        page = pages.get((exchange.revision.name, key))
        if page is None:
            page = Encoded(encode(self._shaped(row, await row.handler(exchange))))
            if self._pages.get(exchange.method) is pages and len(pages) < MAX_PAGES:
                pages[exchange.revision.name, key] = page
        return page

    def shaped(self, exchange: Exchange, result: JsonObject) -> Result:
        """A result in the shape of the exchange's revision, as if the method's handler had returned it."""
        return self._shaped(self._tables[exchange.revision.name][exchange.method], result)

    def _shaped(self, row: Row, result: Result) -> Result:
        if type(result) is Encoded:
            return result
        if type(result) is not dict and not isinstance(result, dict):
            raise TypeError(f"a handler returns a dict, not {result!r:.100}")
        if row.stamp:
            info = {META_SERVER_INFO: self.server_info}
            meta = {**result["_meta"], **info} if result.get("_meta") else info
            result = {"resultType": "complete", **result, "_meta": meta}
        return row.lower(result) if row.lower else result

    def _observed(self, call: Serve) -> Serve:
        began = tuple(observer.began for observer in self._observers)
        served = tuple(observer.served for observer in self._observers)

        async def serve(exchange: Exchange) -> Result:
            for begin in began:
                try:
                    begin(exchange.method)
                except BaseException as failure:
                    _logged(failure, "an observer")
            start, error = perf_counter(), CANCELLED
            try:
                result = await call(exchange)
                failed = type(result) is dict and "isError" in result and result["isError"]
                error = TOOL_ERROR if failed else None
                return result
            except RpcError as failure:
                error = str(failure.code)
                raise
            finally:
                event = Served(exchange, error, perf_counter() - start)
                for tell in served:
                    try:
                        tell(event)
                    except BaseException as failure:
                        _logged(failure, "an observer")

        return serve


async def _heard(listener: Listener, exchange: Exchange) -> None:
    await listener(exchange)


def _private(handler: Handler) -> Handler:
    """What hooks make of a page is for this caller: no cache between may give it to another (CACHE-02)."""

    async def serve(exchange: Exchange) -> Result:
        result = await handler(exchange)
        if isinstance(result, dict) and result.get("cacheScope") == "public":
            return {**result, "cacheScope": "private"}
        return result

    return serve


def _answered(call: Serve) -> Serve:
    """What hooks make of a request, or an error in JSON-RPC's words."""

    async def serve(exchange: Exchange) -> Result:
        _check_meta(exchange)
        try:
            result = await call(exchange)
            if not isinstance(result, dict | Encoded):
                raise TypeError(f"it returned {result!r:.100}; a hook returns what call(exchange) gives, or a dict")
            return result
        except RpcError:
            raise
        except BaseException as error:
            if not _logged(error, f"a hook around {exchange.method}"):
                raise
            raise InternalError from None

    return serve


def _logged(error: BaseException, what: str) -> bool:
    """Log what something of an author's ended by; False where it is none of its own doing."""
    if is_requested(error) or isinstance(error, GeneratorExit):
        return False
    logger.error("%s failed", what, exc_info=error)
    return True


def _check_meta(exchange: Exchange) -> None:
    """Check ``params._meta``, where there is one: an object (META-01), its progress token a text or integer.

    Raises: InvalidParams.
    """
    params = exchange.params
    if "_meta" not in params:
        return
    meta = params["_meta"]
    if type(meta) is not dict:
        raise InvalidParams("params._meta must be an object; leave it out where it would say nothing")
    if "progressToken" in meta and type(meta["progressToken"]) not in (str, int):
        raise InvalidParams(
            "params._meta.progressToken must be a string or an integer; leave it out to hear no progress"
        )


def _numbered(error: RpcError, revision: Revision) -> RpcError:
    return error.under(revision) if isinstance(error, McpRpcError) else error


def _wrap(call: Handler, hook: Hook) -> Serve:
    async def serve(exchange: Exchange) -> Result:
        return await hook(exchange, call)

    return serve

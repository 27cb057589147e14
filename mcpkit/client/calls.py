"""How every request is made: its deadline, its answer from the cache, its pages, its dialogue.

What must never stand here: a particular method's params or result type (client.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mcpkit.client.answers import Answers
from mcpkit.client.cache import ResponseCache
from mcpkit.client.core import Core
from mcpkit.client.errors import ProtocolViolation, ServerRefused
from mcpkit.client.handlers import progress_handler
from mcpkit.client.notices import Change, ProgressHandler
from mcpkit.client.options import CallOptions
from mcpkit.client.rounds import asked_until_complete, pages_opened
from mcpkit.client.tasks import TASKS_EXTENSION
from mcpkit.client.underway import Manner
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.revisions.revision import ErrorKind

_MAY_ASK: Final = frozenset({"tools/call", "resources/read", "prompts/get"})  # RES-02
_REPEATABLE: Final = frozenset(
    {
        *("server/discover", "ping", "completion/complete", "logging/setLevel", "prompts/get", "prompts/list"),
        *("resources/list", "resources/read", "resources/subscribe", "resources/templates/list"),
        *("resources/unsubscribe", "tasks/cancel", "tasks/get", "tasks/list", "tasks/result", "tasks/update"),
        "tools/list",
    }
)
"""What may be sent again after a connection broke underway: asking twice does what asking once does."""

_OPTIONS: Final = CallOptions.__annotations__.keys()


@dataclass(slots=True)
class Habits:
    """What holds for every call that does not say otherwise."""

    timeout: float | None
    progress: ProgressHandler | None
    rounds: int
    context: str
    """Whose results these are, for the cache."""


class Calls:
    """Requests of one client."""

    def __init__(self, core: Core, habits: Habits, cache: ResponseCache | None) -> None:
        self._core = core
        self._habits = habits
        self._cache = cache
        self._server = core.setup.reach.key or f"#{id(core)}"

    @property
    def answers(self) -> Answers:
        """The handlers of the server's questions."""
        return self._core.setup.answers

    def changed(self, change: Change) -> None:
        """Something changed at the server: what was kept of it is wrong."""
        if self._cache is not None:
            self._cache.changed(self._server, change)

    def forget(self) -> None:
        """Anything may have changed."""
        if self._cache is not None:
            self._cache.clear(self._server)

    async def request(
        self,
        method: str,
        params: JsonObject,
        options: CallOptions,
        *,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> JsonObject:
        """One request and its result, of a type that may be answered to it.

        Raises: ClientError.
        """
        manner = self._manner(options, repeatable or method in _REPEATABLE)
        manner.headers = headers or {}
        result = await self._core.request(method, params, manner)
        self._check_type(method, result)
        return result

    async def kept(self, method: str, params: JsonObject, options: CallOptions) -> JsonObject:
        """The same, or a result that the server allowed to be kept."""
        if self._cache is None:
            return await self._complete(method, params, options)
        found = self._cache.find(self._server, method, params, self._habits.context)
        if found is None:
            found = await self._complete(method, params, options)
            self._cache.keep(self._server, method, params, self._habits.context, found)
        return found

    async def pages(self, method: str, member: str, options: CallOptions) -> list[JsonObject]:
        """All entries of a list, page by page (PAGE-02, PAGE-05).

        Raises: ProtocolViolation for a list without end; ClientError.
        """
        entries: list[JsonObject] = []
        seen: set[str] = set()
        params: JsonObject = {}
        while True:
            page = await self.kept(method, params, options)
            listed = page.get(member)
            entries += [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
            cursor = page.get("nextCursor")
            if not isinstance(cursor, str):
                return entries
            if cursor in seen or len(seen) >= self._core.setup.patience.bounds.pages:
                raise ProtocolViolation(f"the pages of {method} have no end")
            seen.add(cursor)
            params = {"cursor": cursor}

    async def dialogue(
        self,
        method: str,
        params: JsonObject,
        options: CallOptions,
        *,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> JsonObject:
        """A request and its result, after whatever the server wanted to know meanwhile.

        Raises: InputUnavailable when nobody can tell; ClientError.
        """

        async def ask(current: JsonObject) -> JsonObject:
            return await self.request(method, current, options, headers=headers, repeatable=repeatable)

        for _ in range(self._habits.rounds):
            try:
                return await asked_until_complete(ask, params, self.answers, self._habits.rounds)
            except ServerRefused as error:
                if not self._wants_pages(error) or not await pages_opened(error, self.answers):
                    raise
        return await ask(params)

    async def _complete(self, method: str, params: JsonObject, options: CallOptions) -> JsonObject:
        ask = self.dialogue if method in _MAY_ASK else self.request
        return await ask(method, params, options)

    def _manner(self, options: CallOptions, repeatable: bool) -> Manner:
        if not options.keys() <= _OPTIONS:
            raise TypeError(f"a call has no option {', '.join(sorted(options.keys() - _OPTIONS))}")
        silence, habitual = options.get("timeout", self._habits.timeout), self._habits.progress
        whole = self._core.setup.patience.deadlines.whole_call
        return Manner(
            silence=silence,
            whole=None if silence is None or whole is None else max(whole, silence),
            progress=progress_handler(options["progress_handler"]) if "progress_handler" in options else habitual,
            meta=options.get("meta", {}),
            repeatable=repeatable,
        )

    def _wants_pages(self, error: ServerRefused) -> bool:
        live = self._core.live
        codes = live.revision.codes if live is not None and live.revision is not None else {}
        return error.code == codes.get(ErrorKind.URL_ELICITATION_REQUIRED)

    def _check_type(self, method: str, result: JsonObject) -> None:
        """Refuse a result of a type that must not be answered here (DCLI-08, RES-02 to RES-04)."""
        kind = result.get("resultType", "complete")
        if kind == "complete" or (kind == "input_required" and method in _MAY_ASK):
            return
        if kind == "task" and method == "tools/call" and self._knows_tasks():
            return
        raise ProtocolViolation(f"the server answered {method} with a result of type {kind!r}")

    def _knows_tasks(self) -> bool:
        live = self._core.live
        by_method = live is not None and live.revision is not None and "tasks/result" in live.revision.requests
        extensions = self._core.setup.identity.capabilities.get("extensions")
        return by_method or (isinstance(extensions, Mapping) and TASKS_EXTENSION in extensions)

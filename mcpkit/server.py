"""The server: what a program offers to models, put together from the features and the kernel.

A transport needs its :attr:`Server.kernel`, never the server; so nothing here runs, listens or knows a framework.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, ClassVar, Final, Protocol, TypedDict, TypeVar, Unpack, get_args, overload

from mcpkit.features import logging, subscriptions
from mcpkit.features.asking import rounds, settled
from mcpkit.features.completion import Completions
from mcpkit.features.context import Context, Services
from mcpkit.features.errors import RegistrationError
from mcpkit.features.failures import ErrorPolicy, TellErrors
from mcpkit.features.in_flight import CallsInFlight
from mcpkit.features.lifecycle import Lifecycle
from mcpkit.features.lifespan import SharedLifespan
from mcpkit.features.options import ArgumentOptions, ExtraArguments, PromptOptions, ResourceOptions, ToolOptions
from mcpkit.features.prompts import Prompt, Prompts
from mcpkit.features.registry import PAGE_SIZE
from mcpkit.features.resources import Resource, Resources
from mcpkit.features.running import within
from mcpkit.features.subscriptions import Subscriptions
from mcpkit.features.tools import Tool, Tools, error_result
from mcpkit.jsonrpc.errors import InternalError
from mcpkit.jsonrpc.messages import JsonObject, Result
from mcpkit.kernel import Handler, Hook, Kernel
from mcpkit.observe.events import Observer
from mcpkit.protocol.changes import PROMPTS_CHANGED, RESOURCES_CHANGED, TOOLS_CHANGED, ChangeFeed, LocalChanges, Notice
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.request_state import StateSealer
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])
Lifespan = Callable[["Server"], AbstractAsyncContextManager[Any]]


EXTENSION_IDENTIFIER: Final = re.compile(r"[A-Za-z][A-Za-z0-9.-]*/[A-Za-z0-9._-]+", re.ASCII)
"""The grammar of ``_meta`` keys, with a prefix (EXT-01)."""


class Extension(Protocol):
    """What the spec calls an extension: named, negotiated, installed on a server by :meth:`Server.install`."""

    identifier: str

    def settings(self, revision: Revision) -> JsonObject | None:
        """The settings object to advertise under that revision; None where the extension is not offered."""

    def install(self, server: Server) -> None:
        """Register methods, hooks and features, by public names only."""


class Options(TypedDict, total=False):
    """What a server can be told at its making, besides its name and version."""

    title: str
    description: str
    website_url: str
    icons: list[JsonObject]
    instructions: str
    """What a model should know before it uses this server."""
    page_size: int
    """Entries on one page of a list (default 1000: many hosts ask for the first page only); 512 KiB end it sooner."""
    tool_timeout: float
    """Seconds that a tool may take unless it says otherwise (default 60; 0: no limit)."""
    max_calls: int
    """Calls in flight at once; further ones are turned away (default: ``MCP_MAX_CALLS``, 2000)."""
    state_key: bytes | None
    """Seals request states; give every replica the same (default: random, for one process)."""
    lifespan: Lifespan
    """An async context manager around serving; what it yields is ``ctx.lifespan_context``."""
    changes: ChangeFeed
    """Carries change notices; one over an engine reaches all replicas (default: this process)."""
    tell_errors: TellErrors
    """Which exceptions callers are told: ``own`` (default): ToolError, HTTPException, and ValueErrors that a ``raise``
    in the failed function's own package or script raised; ``tool_errors``: the first two; ``all``. The rest is only
    logged. Without it ``MCP_TELL_ERRORS`` says it."""
    extra_arguments: ExtraArguments
    """``refuse`` (default): a call with arguments that its tool doesn't know fails; ``ignore``: they are dropped.
    Without it ``MCP_EXTRA_ARGUMENTS`` says it."""
    lenient: bool
    """False: arguments must fit their schema as they come. True (default): where they fail it, a text that spells an
    integer, a number, a boolean, null, an object or an array is taken for that, unless a text may be meant there."""


class Server:
    """Tools, resources, prompts and methods behind one kernel."""

    transport: ClassVar[Callable[[Server], Any]]
    """Makes a client's way into this very object, which lets it be a client's target; given by ``mcpkit`` itself, since
    neither this file nor the transports may know the other."""

    def __init__(self, name: str, version: str = "0.1.0", **options: Unpack[Options]) -> None:
        self.name = name
        self.version = version
        self.instructions = options.get("instructions")
        self.info = _identity(name, version, options)
        self._lifespan = options.get("lifespan")
        self._running = SharedLifespan(self._run)
        self._extensions: dict[str, Extension] = {}
        self._declared: dict[str, JsonObject] = {}
        self._closing: list[Callable[[], Awaitable[None]]] = []
        key = options.get("state_key")
        changes = options.get("changes") or LocalChanges()
        self.kernel = Kernel(self.info, changes=changes, sealer=StateSealer(key) if key else StateSealer())
        page_size, timeout = options.get("page_size", PAGE_SIZE), options.get("tool_timeout", 60.0)
        self.calls = CallsInFlight(options.get("max_calls"))
        """The calls of tools, resources, prompts, completions and own methods that are being served."""
        self._unsaid = frozenset(name for name in _CONFIGURABLE if options.get(name) is None)
        errors = self._error_policy = ErrorPolicy(
            _one_of("tell_errors", options.get("tell_errors") or "own", TellErrors)
        )
        self._services = Services(self.kernel.changes, self._read_resource)
        self.subscriptions = Subscriptions(self.kernel.changes, hears=self._hears)
        changed = self._tools_changed
        self.tools = Tools(
            self._context, page_size=page_size, timeout=timeout, calls=self.calls, changed=changed, errors=errors
        )
        self.tools.argument_options = ArgumentOptions(
            lenient=options.get("lenient", True),
            extra=_one_of("extra_arguments", options.get("extra_arguments") or "refuse", ExtraArguments),
        )
        self.resources = Resources(self._context, page_size=page_size, changed=self._resources_changed, errors=errors)
        self.prompts = Prompts(self._context, page_size=page_size, changed=self._prompts_changed, errors=errors)
        self.completions = Completions(self.prompts, self.resources, self._context, errors=errors)
        self.kernel.param_headers = self.tools.param_headers
        self._register_opening()

    def configure(self, settings: Settings) -> None:
        """Take from ``settings`` what the constructor was not told; whoever serves it does this."""
        if "tell_errors" in self._unsaid:
            self._error_policy.tell = settings.tell_errors
        if "extra_arguments" in self._unsaid:
            self.tools.argument_options.extra = settings.extra_arguments

    # ── what a program offers ────────────────────────────────────────────────────────────────────────────────────

    @overload
    def tool(self, function: F, /) -> F: ...
    @overload
    def tool(self, name: str | None = None, /, **options: Unpack[ToolOptions]) -> Callable[[F], F]: ...
    def tool(self, function: Any = None, /, **options: Any) -> Any:
        """Offer a function to models: ``@server.tool`` or ``@server.tool("name", title=…, annotations=…, …)``.

        The function is returned unchanged. Options are those of :meth:`~mcpkit.features.tools.Tools.add`.
        Raises: TypeError, with file, line and the fix, when its signature can't become a schema.
        """
        return _decorated(self.add_tool, function, options)

    def add_tool(self, function: Callable[..., Any] | Tool, **options: Unpack[ToolOptions]) -> Tool:
        """Offer a function (or a ready Tool) and get its handle: update, enable, disable, remove it while serving."""
        return self.tools.add(function, **options)

    def resource(self, uri: str, /, **options: Unpack[ResourceOptions]) -> Callable[[F], F]:
        """Offer data at a URI, or at every URI of a template: ``@server.resource("docs://{name}")``."""
        if not isinstance(uri, str):
            raise TypeError('a resource needs its URI: write @server.resource("config://settings")')

        def decorate(function: F) -> F:
            self.add_resource(uri, function, **options)
            return function

        return decorate

    def add_resource(self, uri: str, function: Any, **options: Unpack[ResourceOptions]) -> Resource:
        """Offer data at a URI or template and get its handle."""
        return self.resources.add(uri, function, **options)

    @overload
    def prompt(self, function: F, /) -> F: ...
    @overload
    def prompt(self, name: str | None = None, /, **options: Unpack[PromptOptions]) -> Callable[[F], F]: ...
    def prompt(self, function: Any = None, /, **options: Any) -> Any:
        """Offer a prompt to users: ``@server.prompt`` or ``@server.prompt("name", title=…)``."""
        return _decorated(self.add_prompt, function, options)

    def add_prompt(self, function: Callable[..., Any] | Prompt, **options: Unpack[PromptOptions]) -> Prompt:
        """Offer a prompt and get its handle."""
        return self.prompts.add(function, **options)

    def completion(self, function: F) -> F:
        """Answer every completion that no argument answers itself: ``(ref, argument, context) -> values``."""
        self.completions.fallback = function
        self._offer_completions()
        return function

    def register_method(
        self, method: str, handler: Callable[..., Any], *, revisions: Collection[str] | None = None
    ) -> None:
        """Offer a JSON-RPC method: ``handler(params)`` or ``handler(context, params)``, sync or async, returns a dict.

        A name of the spec replaces that method where the spec knows it; ``revisions`` says instead exactly where.
        """
        self.kernel.register(method, self.calls.counted(self._plain_handler(method, handler)), revisions=revisions)

    def log(self, level: str, data: Any, *, logger: str | None = None) -> None:
        """Tell every session that wants to hear that level any JSON value, outside its requests; from any thread.

        Revisions without sessions hear only what belongs to a request of theirs: there, log with ``ctx.log`` (LOG-06).
        It never waits: where a thousand messages do, further ones are dropped.
        Raises: ValueError when there is no such level; TypeError when ``data`` is not JSON.
        """
        self.kernel.changes.publish(logging.notice(level, data, logger))

    def elicitation_complete(self, id: str) -> None:
        """Tell the client whose user was sent to a page, by ``ctx.elicit_url(…, id=id)``, that they are done with it.

        Only one revision wants to hear it; in others the client simply asks again (ELIC-22). From any thread.
        """
        self.kernel.changes.publish(Notice.elicited(id))

    # ── around every request ─────────────────────────────────────────────────────────────────────────────────────

    def use(self, hook: Hook) -> None:
        """Wrap every request: ``async (exchange, call) -> result``."""
        self.kernel.use(hook)

    def observe(self, observer: Observer) -> None:
        """Tell an observer of every request."""
        self.kernel.observe(observer)

    def install(self, extension: Extension) -> None:
        """Add an extension of the protocol.

        Raises: ValueError when one of that identifier is installed, RegistrationError for what is no extension.
        """
        _check_extension(extension)
        if extension.identifier in self._extensions:
            raise ValueError(f"the extension {extension.identifier} is installed already")
        self._extensions[extension.identifier] = extension
        try:
            extension.install(self)
        except BaseException:
            del self._extensions[extension.identifier]  # what was not installed is not announced
            raise
        self._reopened()

    def installed(self, identifier: str) -> bool:
        """Whether an extension of that identifier is installed."""
        return identifier in self._extensions

    @property
    def extensions(self) -> tuple[Extension, ...]:
        """What has been installed."""
        return tuple(self._extensions.values())

    def declare(self, capability: str, settings: JsonObject) -> None:
        """Declare a capability that doesn't follow from what is registered; revisions without it drop it."""
        self._declared[capability] = settings
        self._reopened()

    def on_close(self, close: Callable[[], Awaitable[None]]) -> None:
        """Call ``close`` when the server ends, before its lifespan does."""
        self._closing.append(close)

    def running(self) -> AbstractAsyncContextManager[None]:
        """The server's lifespan: whoever serves the kernel does so inside of it, all at once inside the same one."""
        return self._running.entered()

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        async with self._lifespan(self) if self._lifespan else nullcontext() as state:
            self._services.lifespan.update(state if isinstance(state, Mapping) else {})
            try:
                yield
            finally:
                for close in reversed(self._closing):
                    await close()
                self._services.lifespan.clear()

    def close_streams(self) -> None:
        """Let every ``subscriptions/listen`` stream end gracefully; part of going down."""
        self.subscriptions.close()

    # ── putting it together ──────────────────────────────────────────────────────────────────────────────────────

    def context(self, exchange: Exchange) -> Context:
        """The context of an exchange, as handlers get it (for extensions)."""
        return self._context(exchange)

    def _context(self, exchange: Exchange) -> Context:
        return Context(exchange, self._services)

    def _plain_handler(self, method: str, handler: Callable[..., Any]) -> Handler:
        wants_context = len(inspect.signature(handler).parameters) > 1

        async def call(exchange: Exchange) -> Result:
            arguments = (self._context(exchange), exchange.params) if wants_context else (exchange.params,)
            result = await within(0, _called(handler, *arguments), method)
            if not isinstance(result, dict):
                raise InternalError(f"the handler of {method} returned no object")
            return result

        return call

    def _register_opening(self) -> None:
        lifecycle = Lifecycle(self.info, self.instructions, self._capabilities)
        register = self.kernel.register
        register("initialize", lifecycle.initialize, cache_key=_constant)
        register("server/discover", lifecycle.discover, cache_key=_constant)
        register("ping", lifecycle.ping)
        register("logging/setLevel", logging.set_level)
        register("subscriptions/listen", self.subscriptions.listen)

    def _capabilities(self, revision: Revision) -> JsonObject:
        capabilities = {**_of_features(self.kernel, revision), **self._declared}
        for extension in self._extensions.values():
            settings = extension.settings(revision)
            if settings is not None:
                capabilities.setdefault("extensions", {})[extension.identifier] = settings
        return capabilities

    def _asking(self, handler: Handler, *unasked: Callable[[str], Result]) -> Handler:
        return rounds(handler, self.kernel.sealer, *unasked)

    def _tools_changed(self) -> None:
        if "tools/list" not in self.kernel.methods():
            self.kernel.register("tools/list", self.tools.list, cache_key=self.tools.page_key)
            self.kernel.register("tools/call", self._asking(self.tools.call, error_result))
            self._reopened()
        self._changed(TOOLS_CHANGED, "tools/list")

    def _resources_changed(self) -> None:
        if "resources/list" not in self.kernel.methods():
            register = self.kernel.register
            register("resources/list", self.resources.list, cache_key=self.resources.page_key)
            register("resources/templates/list", self.resources.list_templates, cache_key=self.resources.page_key)
            register("resources/read", self.calls.counted(self._asking(self.resources.read)))
            register("resources/subscribe", self._subscribe)
            register("resources/unsubscribe", subscriptions.unsubscribe)
            self._offer_completions()
        self._changed(RESOURCES_CHANGED, "resources/list", "resources/templates/list")

    async def _subscribe(self, exchange: Exchange) -> JsonObject:
        """``resources/subscribe``; nothing is heard of what doesn't exist for this caller, as of what doesn't exist.

        Raises: InvalidParams, InsufficientScope.
        """
        uri = subscriptions.subscribed_uri(exchange)
        return await subscriptions.subscribe(exchange) if self.resources.watchable(exchange, uri) else {}

    def _prompts_changed(self) -> None:
        if "prompts/list" not in self.kernel.methods():
            self.kernel.register("prompts/list", self.prompts.list, cache_key=self.prompts.page_key)
            self.kernel.register("prompts/get", self.calls.counted(self._asking(self.prompts.get)))
            self._offer_completions()
        self._changed(PROMPTS_CHANGED, "prompts/list")

    def _hears(self, exchange: Exchange, name: str, key: str) -> bool:
        return name not in subscriptions.KEYED or self.resources.watchable(exchange, key)

    def _offer_completions(self) -> None:
        self.kernel.register("completion/complete", self.calls.counted(self.completions.complete))
        self._reopened()

    def _changed(self, notification: str, *methods: str) -> None:
        self.kernel.invalidate(*methods)
        self.kernel.changes.publish(Notice(notification))

    def _reopened(self) -> None:
        """What the server says of itself has changed."""
        self.kernel.invalidate("initialize", "server/discover")

    async def _read_resource(self, exchange: Exchange, uri: str) -> JsonObject:
        return await self.resources.read_uri(exchange, uri)


async def _called(handler: Callable[..., Any], *arguments: Any) -> Any:
    return await settled(handler(*arguments))


def _check_extension(extension: Any) -> None:
    if isinstance(extension, type):
        raise RegistrationError(f"install() takes an object: write server.install({extension.__name__}())")
    identifier = getattr(extension, "identifier", None)
    if not isinstance(identifier, str) or not EXTENSION_IDENTIFIER.fullmatch(identifier):
        raise RegistrationError(f'an extension has an identifier such as "com.example/usage", not {identifier!r}')
    for method in ("settings", "install"):
        if not callable(getattr(extension, method, None)):
            raise RegistrationError(f"the extension {identifier} has no {method}(); docs/extensions.md shows one")


def _decorated(add: Callable[..., Any], function: Any, options: dict[str, Any]) -> Any:
    if callable(function):
        add(function, **options)
        return function
    if isinstance(function, str):
        options["name"] = function
    elif function is not None:
        raise TypeError(f"expected a function or a name, got {type(function).__name__}")

    def decorate(target: Any) -> Any:
        add(target, **options)
        return target

    return decorate


def _of_features(kernel: Kernel, revision: Revision) -> JsonObject:
    """The capabilities that follow from what is registered (CAP-01)."""
    capabilities: JsonObject = {"logging": {}}
    if kernel.offers("tools/list", revision):
        capabilities["tools"] = {"listChanged": True}
    if kernel.offers("resources/list", revision):
        capabilities["resources"] = {"subscribe": True, "listChanged": True}
    if kernel.offers("prompts/list", revision):
        capabilities["prompts"] = {"listChanged": True}
    if kernel.offers("completion/complete", revision):
        capabilities["completions"] = {}
    return capabilities


def _identity(name: str, version: str, options: Options) -> JsonObject:
    """The ``Implementation`` object of this server (ICON-05)."""
    fields = {
        "title": options.get("title"),
        "description": options.get("description"),
        "websiteUrl": options.get("website_url"),
        "icons": options.get("icons"),
    }
    return {"name": name, "version": version, **{key: value for key, value in fields.items() if value is not None}}


_CONFIGURABLE: Final = ("tell_errors", "extra_arguments")
"""Options that the settings say where the constructor was not told."""


def _one_of(option: str, value: Any, choices: Any) -> Any:
    """The value, if it is one of the choices (a Literal).

    Raises: RegistrationError.
    """
    if value not in get_args(choices):
        raise RegistrationError(f"Server: {option} must be one of {', '.join(get_args(choices))}, not {value!r}")
    return value


def _constant(exchange: Exchange) -> int:
    """A result that depends on the revision alone."""
    return 0

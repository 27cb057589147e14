"""The server: what a program offers to models, put together from the features and the kernel.

A transport needs its :attr:`Server.kernel`, never the server; so nothing here runs, listens or knows a framework.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from logging import getLogger
from typing import Any, ClassVar, Final, Never, Protocol, TypeVar, Unpack, overload

from mcpkit.features import logging, subscriptions
from mcpkit.features.asking import rounds, settled
from mcpkit.features.completion import Completions
from mcpkit.features.context import Context, Services
from mcpkit.features.errors import RegistrationError
from mcpkit.features.failures import ErrorPolicy, TellErrors
from mcpkit.features.feature import DEFAULT_TIMEOUT
from mcpkit.features.in_flight import CallsInFlight
from mcpkit.features.lifecycle import Lifecycle
from mcpkit.features.lifespan import SharedLifespan
from mcpkit.features.option_values import check_values
from mcpkit.features.option_values import function as callable_value
from mcpkit.features.options import (
    ArgumentOptions,
    ExtraArguments,
    PromptOptions,
    ResourceOptions,
    ToolOptions,
    icons_of,
)
from mcpkit.features.prompts import Prompt, Prompts
from mcpkit.features.registry import PAGE_SIZE
from mcpkit.features.resources import Resource, Resources
from mcpkit.features.running import within
from mcpkit.features.server_options import (
    CONFIGURABLE,
    DECLARATION_CHECKS,
    OPTION_CHECKS,
    check_callable,
    check_keywords,
    check_method,
    check_override,
)
from mcpkit.features.subscriptions import Subscriptions
from mcpkit.features.suggestions import did_you_mean
from mcpkit.features.tools import Tool, Tools, error_result
from mcpkit.jsonrpc.errors import InternalError
from mcpkit.jsonrpc.messages import JsonObject, Result
from mcpkit.kernel import SPEC_METHODS, Handler, Hook, Kernel
from mcpkit.observe.events import Observer
from mcpkit.protocol.changes import PROMPTS_CHANGED, RESOURCES_CHANGED, TOOLS_CHANGED, ChangeFeed, LocalChanges, Notice
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.request_state import StateSealer
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.settings import Settings

logger = getLogger("mcpkit.server")

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


class Server:
    """Tools, resources, prompts and methods behind one kernel."""

    transport: ClassVar[Callable[[Server], Any]]
    """Makes a client's way into this very object, which lets it be a client's target; given by ``mcpkit`` itself, since
    neither this file nor the transports may know the other."""

    def __init__(
        self,
        name: str,
        version: str = "0.1.0",
        *,
        title: str | None = None,
        description: str | None = None,
        website_url: str | None = None,
        icons: Sequence[Mapping[str, Any] | str] | None = None,
        instructions: str | None = None,
        page_size: int = PAGE_SIZE,
        tool_timeout: float | None = None,
        max_calls: int | None = None,
        state_key: bytes | None = None,
        lifespan: Lifespan | None = None,
        changes: ChangeFeed | None = None,
        tell_errors: TellErrors | None = None,
        extra_arguments: ExtraArguments | None = None,
        lenient: bool = True,
        **unknown: Never,
    ) -> None:
        """Make a server that offers nothing yet.

        ``title``, ``description``, ``website_url`` and ``icons`` describe it to people, ``instructions`` tell a model
        what it should know first. ``page_size``: entries on one page of a list, which 512 KiB may end sooner (1,000 by
        default, since many hosts ask for the first page only). ``tool_timeout``: seconds that a tool may take unless it
        says otherwise (0: no limit). ``max_calls``: calls in flight at once; further ones are refused. ``state_key``
        seals request states; give every replica the same. ``tell_errors`` says which exceptions callers are told:
        ``own``: ToolError, HTTPException, and ValueErrors that a ``raise`` in the failed function's own package or
        script raised; ``tool_errors``: the first two; ``all``. The rest is only logged. ``extra_arguments`` of a call
        that its tool doesn't know are a reason to ``refuse`` it, or something to ``ignore``. Where one of these five is
        not given, the settings of whoever serves it say it (see :meth:`configure`); without any: 60 s, 2000, random,
        own, refuse. ``lenient=False``: arguments must fit their schema as they come; otherwise, where they fail it, a
        text that spells an integer, a number, a boolean, null, an object or an array is taken for that, unless a text
        may be meant there.
        ``lifespan`` is an async context manager around serving; what it yields is ``ctx.lifespan_context``.
        ``changes`` carries change notices; one over an engine reaches all replicas (default: this process).

        Raises: RegistrationError for a keyword that doesn't exist and for a value that can't be used.
        """
        check_keywords(unknown)
        given = {
            **{"name": name, "version": version, "title": title, "description": description, "icons": icons},
            **{"website_url": website_url, "instructions": instructions, "page_size": page_size},
            **{"tool_timeout": tool_timeout, "max_calls": max_calls, "state_key": state_key},
            **{"lifespan": lifespan, "changes": changes, "tell_errors": tell_errors},
            **{"extra_arguments": extra_arguments, "lenient": lenient},
        }
        check_values("Server", given, OPTION_CHECKS, ("name", "version", "page_size"))
        self.name = name
        self.version = version
        self.instructions = instructions
        self.info = _identity(given)
        self._lifespan = lifespan
        self._running = SharedLifespan(self._run)
        self._extensions: dict[str, Extension] = {}
        self._named: set[str] = set()
        self._methods: dict[str, Callable[..., Any]] = {}
        self._told: set[str] = set()
        self._declared: dict[str, JsonObject] = {}
        self._closing: list[Callable[[], Any]] = []
        self._open_options = frozenset(option for option in CONFIGURABLE if given[option] is None)
        self.kernel = Kernel(self.info, changes=changes or LocalChanges(), sealer=StateSealer(state_key))
        self.calls = CallsInFlight(max_calls)
        """The calls of tools, resources, prompts, completions and own methods that are being served."""
        errors = self._error_policy = ErrorPolicy(tell_errors or "own")
        self._services = Services(self.kernel.changes, self._read_resource)
        self.subscriptions = Subscriptions(self.kernel.changes, hears=self._hears)
        self.tools = Tools(
            self._context,
            page_size=page_size,
            timeout=DEFAULT_TIMEOUT if tool_timeout is None else tool_timeout,
            calls=self.calls,
            changed=self._tools_changed,
            errors=errors,
        )
        self.tools.argument_options = ArgumentOptions(lenient=lenient, extra=extra_arguments or "refuse")
        self.resources = Resources(self._context, page_size=page_size, changed=self._resources_changed, errors=errors)
        self.prompts = Prompts(self._context, page_size=page_size, changed=self._prompts_changed, errors=errors)
        self.completions = Completions(self.prompts, self.resources, self._context, errors=errors)
        self._register_opening()

    def configure(self, settings: Settings) -> None:
        """Take from ``settings`` what the constructor was not told, and the extensions; whoever serves it does this.

        Raises: SettingsError when an extension doesn't exist or can't be loaded.
        """
        if "tool_timeout" in self._open_options:
            self.tools.timeout = settings.tool_seconds
        if "tell_errors" in self._open_options:
            self._error_policy.tell = settings.tell_errors
        if "extra_arguments" in self._open_options:
            self.tools.argument_options.extra = settings.extra_arguments
        if settings.state_key is not None:
            self.kernel.sealer.take_key(settings.state_key.encode())
        self.kernel.max_result_bytes = settings.max_result_bytes
        self._install_named(settings.extensions)
        self.calls.limit(settings.max_calls, settings.caller_share)
        self.subscriptions.limit(settings.max_subscription_bytes, settings.caller_share)
        for extension in self.extensions:
            limit = getattr(extension, "limit_callers", None)
            if limit is not None:
                limit(settings.caller_share)

    def _install_named(self, names: Sequence[str]) -> None:
        wanted = [name for name in names if name not in self._named]
        if wanted:
            from mcpkit.features.named import install_named  # noqa: PLC0415 - slow to load, and few need it

            install_named(self, wanted)
            self._named.update(wanted)  # a second application of the same server makes no second extension

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
        """Answer every completion that no argument answers itself: ``(ref, argument, context) -> values``.

        Raises: RegistrationError for what can't be called, and for a second one: only one would be asked.
        """
        check_values("completion", {"function": function}, {"function": callable_value}, ("function",))
        if self.completions.fallback not in (None, function):
            raise RegistrationError("completion(): there is one already, and only one is asked; put both into it")
        self.completions.fallback = function
        self._offer_completions()
        return function

    def register_method(
        self,
        method: str,
        handler: Callable[..., Any],
        *,
        revisions: Collection[str] | None = None,
        replace: bool = False,
    ) -> None:
        """Offer a JSON-RPC method: ``handler(params)`` or ``handler(context, params)``, sync or async, returns a dict.

        A name of the spec replaces that method where the spec knows it; ``revisions`` says instead exactly where.
        Any other name that is there already is replaced on purpose only: with ``replace=True``, or by a method that
        overrides the one that was registered (of the same object, by a class below).
        Raises: RegistrationError for a handler that takes neither, for a revision that doesn't exist, for a name twice.
        """
        check_method(method, handler, revisions, replace)
        if not replace and self.kernel.knows(method) and method not in SPEC_METHODS:
            check_override(method, self._methods.get(method), handler)
        self._methods[method] = handler
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
        """Wrap every request: ``async (exchange, call) -> result``.

        Raises: RegistrationError for what can't be called with the two.
        """
        check_callable("use", hook, 2)
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
        """Declare a capability that doesn't follow from what is registered; revisions without it drop it.

        Raises: RegistrationError when its settings are no object.
        """
        check_values(
            "declare", {"capability": capability, "settings": settings}, DECLARATION_CHECKS, ("capability", "settings")
        )
        self._declared[capability] = settings
        self._reopened()

    def on_close(self, close: Callable[[], Any]) -> None:
        """Call ``close``, sync or async, when the server ends, before its lifespan does; the last one given first.

        Raises: RegistrationError for what can't be called.
        """
        check_values("on_close", {"close": close}, {"close": callable_value}, ("close",))
        self._closing.append(close)

    def running(self) -> AbstractAsyncContextManager[None]:
        """The server's lifespan: whoever serves the kernel does so inside of it, all at once inside the same one."""
        return self._running.entered()

    @property
    def idle(self) -> bool:
        """Whether there is something to be done when serving begins or ends, and nobody is within :meth:`running`."""
        return (self._lifespan is not None or bool(self._closing)) and not self._running.on

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        for line in without_effect(self.kernel, self.tools):
            if line not in self._told:  # a server may be served more than once
                self._told.add(line)
                logger.warning("%s: %s", self.name, line)
        async with AsyncExitStack() as closing:
            state = await closing.enter_async_context(self._lifespan(self)) if self._lifespan else None
            self._services.lifespan = {} if state is None else state
            closing.callback(self._forget_lifespan)
            for close in self._closing:  # on the stack: one that fails keeps none of the others from their turn
                closing.push_async_callback(_close, close)
            yield

    def _forget_lifespan(self) -> None:
        self._services.lifespan = {}

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
        mirrored = any(tool.param_headers for tool in self.tools)
        self.kernel.param_headers = self.tools.param_headers if mirrored else None
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


def without_effect(kernel: Kernel, tools: Tools) -> Iterator[str]:
    """What was given and does nothing when serving begins, a line each, with the fix."""
    known = {*kernel.methods(), *SPEC_METHODS}
    for method in kernel.wrapped():
        if method not in known:
            hint = did_you_mean(method, known) or "; register it, or wrap another"
            yield f"kernel.around({method!r}, …) wraps a method that nothing has registered{hint}"
    if not kernel.knows("tasks/get"):
        for tool in tools:
            if tool.task in ("optional", "required"):
                yield (
                    f"task={tool.task!r} of the tool {tool.key!r} does nothing without the extension: "
                    "server.install(Tasks()), or MCP_EXTENSIONS=tasks"
                )


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


def _identity(given: Mapping[str, Any]) -> JsonObject:
    """The ``Implementation`` object of this server (ICON-05)."""
    fields = {
        **{name: given[name] for name in ("name", "version", "title", "description")},
        "websiteUrl": given["website_url"],
        "icons": icons_of(given["icons"], "Server") if given["icons"] is not None else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


async def _close(close: Callable[[], Any]) -> None:
    await settled(close())


def _constant(exchange: Exchange) -> int:
    """A result that depends on the revision alone."""
    return 0

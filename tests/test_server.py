"""The server: decorators, handles, methods, capabilities, extensions, lifespan."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Unpack, get_overloads, get_type_hints

import orjson
import pytest

from mcpkit.features.context import Context
from mcpkit.features.errors import RegistrationError
from mcpkit.features.options import PromptOptions, ResourceOptions, ToolOptions
from mcpkit.jsonrpc.errors import InternalError, MethodNotFound, RpcError
from mcpkit.jsonrpc.messages import Encoded, JsonObject
from mcpkit.protocol.changes import PROMPTS_CHANGED, RESOURCES_CHANGED, TOOLS_CHANGED, Notice
from mcpkit.protocol.request_state import StateSealer
from mcpkit.protocol.revisions.registry import HANDSHAKE_NAMES, NEWEST, NEWEST_HANDSHAKE, PLAIN
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.server import Server
from mcpkit.settings import Settings
from mcpkit.testing import connect
from tests.exchanges import exchange


async def ask(server: Server, method: str, params: JsonObject | None = None, revision: Any = NEWEST) -> JsonObject:
    result = await server.kernel.serve(exchange(method, params, revision=revision))
    return orjson.loads(bytes(result)) if isinstance(result, Encoded) else result


def adder() -> Server:
    server = Server("unit", "1.2.3", title="Unit", instructions="Add.")

    @server.tool
    def add(a: int, b: int = 1) -> int:
        """Add two numbers."""
        return a + b

    return server


@pytest.mark.parametrize("revision", [NEWEST, NEWEST_HANDSHAKE, PLAIN], ids=["newest", "handshake", "plain"])
async def test_a_decorated_function_is_listed_and_called(revision: Revision) -> None:
    """TOOL-02, TOOL-21."""
    server = adder()
    listed = await ask(server, "tools/list", revision=revision)
    assert [tool["name"] for tool in listed["tools"]] == ["add"]
    assert listed["tools"][0]["description"] == "Add two numbers."
    result = await ask(server, "tools/call", {"name": "add", "arguments": {"a": 5, "b": 3}}, revision)
    assert result["content"][0]["text"] == "8"


async def test_decorators_work_bare_called_and_named_and_return_the_function() -> None:
    server = Server("unit")

    def plain() -> str:
        return "p"

    def named(c: str) -> str:
        return c

    assert server.tool(plain) is plain
    assert server.tool()(adder) is adder
    assert server.tool("other", title="O")(plain) is plain
    assert server.prompt(plain) is plain
    assert server.prompt("named")(plain) is plain
    assert server.resource("a://b")(plain) is plain
    assert server.resource("a://b/{c}")(named) is named
    assert [tool["name"] for tool in (await ask(server, "tools/list"))["tools"]] == ["adder", "other", "plain"]
    assert [prompt["name"] for prompt in (await ask(server, "prompts/list"))["prompts"]] == ["named", "plain"]
    with pytest.raises(TypeError, match="a function or a name"):
        server.tool(5)  # type: ignore[call-overload]  # the mistake under test
    with pytest.raises(TypeError, match="needs its URI"):
        server.resource(plain)  # type: ignore[arg-type]  # the mistake under test


async def test_capabilities_say_what_is_offered_and_no_more() -> None:
    """CAP-01, DISC-05, DISC-06."""
    empty = Server("unit")
    assert (await ask(empty, "server/discover"))["capabilities"] == {"logging": {}}
    with pytest.raises(MethodNotFound):
        await ask(empty, "tools/list")
    empty.add_prompt(lambda: "x", name="x")
    capabilities = (await ask(empty, "server/discover"))["capabilities"]
    assert capabilities == {"logging": {}, "prompts": {"listChanged": True}, "completions": {}}
    assert set((await ask(adder(), "server/discover"))["capabilities"]) == {"logging", "tools"}


@pytest.mark.parametrize("revision", sorted(HANDSHAKE_NAMES))
async def test_initialize_names_the_server(revision: str) -> None:
    """INIT-02."""
    result = await ask(adder(), "initialize", {"protocolVersion": revision}, revision)
    assert (result["protocolVersion"], result["serverInfo"]["name"]) == (revision, "unit")
    assert result["instructions"] == "Add."


async def test_changes_on_offer_are_announced_and_seen_at_once() -> None:
    """TOOL-05, PRMT-07, CAP-09: adding, removing, enabling and disabling while serving."""
    server = adder()
    heard: list[Notice] = []
    server.kernel.changes.subscribe(heard.append)
    await ask(server, "tools/list")
    handle = server.add_tool(lambda: "x", name="extra")
    assert [tool["name"] for tool in (await ask(server, "tools/list"))["tools"]] == ["add", "extra"]
    handle.disable()
    assert [tool["name"] for tool in (await ask(server, "tools/list"))["tools"]] == ["add"]
    handle.enable()
    handle.remove()
    assert [tool["name"] for tool in (await ask(server, "tools/list"))["tools"]] == ["add"]
    assert heard == [Notice(TOOLS_CHANGED)] * 4
    server.add_prompt(lambda: "x", name="p")
    server.add_resource("a://b", lambda: "x")
    assert heard[-2:] == [Notice(PROMPTS_CHANGED), Notice(RESOURCES_CHANGED)]


@pytest.mark.parametrize("revision", [NEWEST, NEWEST_HANDSHAKE], ids=lambda revision: revision.name)
async def test_what_was_declared_can_be_listed_when_nothing_is_left(revision: Revision) -> None:
    """STATE-06, DISC-05, COMP-01: what was never offered is unknown, also its completion."""
    server = Server("unit")
    for method in ("tools/list", "resources/list", "prompts/list", "completion/complete"):
        with pytest.raises(MethodNotFound):
            await ask(server, method, revision=revision)
    handles = (
        server.add_tool(lambda: "x", name="a"),
        server.add_resource("a://b", lambda: "x"),
        server.add_prompt(lambda: "x", name="p"),
    )
    for handle in handles:
        handle.remove()
    for kind in ("tools", "resources", "prompts"):
        assert (await ask(server, f"{kind}/list", revision=revision))[kind] == []


async def test_what_is_logged_outside_requests_is_published_from_any_thread() -> None:
    """LOG-06."""
    server = adder()
    heard: list[Notice] = []
    server.kernel.changes.subscribe(heard.append)
    server.log("notice", {"stock": 3}, logger="depot")
    await asyncio.to_thread(server.log, "error", "fire")
    assert [notice.method for notice in heard] == ["notifications/message"] * 2
    assert [notice.params for notice in heard] == [
        {"level": "notice", "data": {"stock": 3}, "logger": "depot"},
        {"level": "error", "data": "fire"},
    ]
    with pytest.raises(ValueError, match="the levels are debug"):
        server.log("loud", "x")


async def test_methods_are_registered_as_plain_functions() -> None:
    server = Server("unit")

    async def slow(context: Context, params: JsonObject) -> JsonObject:
        return {"id": context.request_id, **params}

    server.register_method("quick", lambda params: {"got": params})
    server.register_method("slow", slow)
    server.register_method("wrong", lambda params: "text")
    for revision in (NEWEST, NEWEST_HANDSHAKE, PLAIN):
        assert (await ask(server, "quick", {"x": 1}, revision))["got"] == {"x": 1}
        assert (await ask(server, "slow", {"x": 1}, revision))["id"] == 1
        with pytest.raises(InternalError):
            await ask(server, "wrong", revision=revision)


class Greeting:
    identifier = "com.example/greeting"

    def settings(self, revision: Revision) -> JsonObject | None:
        return {"loud": True} if revision is NEWEST else None

    def install(self, server: Server) -> None:
        server.register_method("greeting/say", lambda params: {"text": "hello"}, revisions=[NEWEST.name])


class Unsettled:
    identifier = "com.example/unsettled"

    def install(self, server: Server) -> None: ...


class Misnamed(Greeting):
    identifier = "my greeting"


class Failing(Greeting):
    def install(self, server: Server) -> None:
        raise OSError("no disk")


@pytest.mark.parametrize(
    ("extension", "why"),
    [
        (Greeting, r"write server\.install\(Greeting\(\)\)"),
        (Unsettled(), r"has no settings\(\)"),
        (Misnamed(), "com.example/usage"),
        ("greeting", "com.example/usage"),
    ],
)
async def test_what_is_no_extension_is_refused_when_it_is_installed(extension: Any, why: str) -> None:
    """EXT-01: not when the first client asks for capabilities, and fails."""
    server = adder()
    with pytest.raises(RegistrationError, match=why):
        server.install(extension)
    assert "extensions" not in (await ask(server, "server/discover"))["capabilities"]


async def test_an_extension_whose_installation_fails_is_not_announced() -> None:
    """EXT-01, EXT-02: and may be installed when what failed is mended."""
    server = adder()
    with pytest.raises(OSError, match="no disk"):
        server.install(Failing())
    assert "extensions" not in (await ask(server, "server/discover"))["capabilities"]
    server.install(Greeting())
    assert server.installed(Greeting.identifier)


async def test_an_extension_adds_methods_and_is_advertised() -> None:
    """EXT-01, EXT-03: off until it is installed."""
    server = adder()
    assert "extensions" not in (await ask(server, "server/discover"))["capabilities"]
    server.install(Greeting())
    assert (await ask(server, "server/discover"))["capabilities"]["extensions"] == {
        "com.example/greeting": {"loud": True}
    }
    initialized = await ask(server, "initialize", revision=NEWEST_HANDSHAKE)
    assert "extensions" not in initialized["capabilities"]
    assert (await ask(server, "greeting/say"))["text"] == "hello"
    with pytest.raises(RpcError):
        await ask(server, "greeting/say", revision=NEWEST_HANDSHAKE)
    with pytest.raises(ValueError, match="installed already"):
        server.install(Greeting())


async def test_the_lifespan_reaches_every_context() -> None:
    ended: list[bool] = []

    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncIterator[JsonObject]:
        yield {"db": f"of {server.name}"}
        ended.append(True)

    server = Server("unit", lifespan=lifespan)
    server.register_method("db", lambda context, params: {"db": context.lifespan_context["db"]})
    async with server.running():
        assert (await ask(server, "db"))["db"] == "of unit"
    assert ended == [True]
    async with Server("none").running():
        pass


async def test_a_resource_can_be_read_from_a_tool() -> None:
    server = Server("unit")
    server.add_resource("a://b", lambda: "text")

    @server.tool
    async def reads(ctx: Context) -> str:
        return str((await ctx.read_resource("a://b"))[0]["text"])

    result = await ask(server, "tools/call", {"name": "reads"})
    assert result["content"][0]["text"] == "text"


def test_editors_know_the_options() -> None:
    """Whoever registers is offered the names, and a misspelt one is found before anything runs."""
    decorators = [get_overloads(Server.tool)[1], Server.resource, get_overloads(Server.prompt)[1]]
    adders = [Server.add_tool, Server.add_resource, Server.add_prompt]
    known = [ToolOptions, ResourceOptions, PromptOptions]
    for given in (decorators, adders):
        hints = [get_type_hints(function)["options"] for function in given]
        assert hints == [Unpack[options] for options in known]


class Pool:
    """What a lifespan may yield."""


@pytest.mark.parametrize("yielded", [{"db": "open"}, Pool(), ("a", "b"), 0, ""], ids=repr)
async def test_a_handler_sees_whatever_the_lifespan_yielded(yielded: Any) -> None:
    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncIterator[Any]:
        yield yielded

    server, seen = Server("unit", lifespan=lifespan), []

    def see(context: Context, params: JsonObject) -> JsonObject:
        seen.append(context.lifespan_context)
        return {}

    server.register_method("see", see)
    async with server.running():
        await ask(server, "see", revision=PLAIN)
    await ask(server, "see", revision=PLAIN)
    assert seen[0] is yielded
    assert seen[1] == {}, "it is over"


async def test_a_lifespan_that_yields_nothing_and_none_at_all_look_the_same() -> None:
    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncIterator[None]:
        yield

    for server in (Server("unit", lifespan=lifespan), Server("unit")):
        server.register_method("see", lambda context, params: {"seen": context.lifespan_context})
        async with server.running():
            assert (await ask(server, "see", revision=PLAIN))["seen"] == {}


async def test_every_close_is_called_whatever_the_others_raise() -> None:
    """None of them is left out because another failed, and a sync one counts too."""
    server, closed = Server("unit"), []

    async def first() -> None:
        closed.append("first")

    def second() -> None:
        closed.append("second")
        raise LookupError("second")

    async def third() -> None:
        closed.append("third")
        raise ValueError("third")

    for close in (first, second, third):
        server.on_close(close)
    with pytest.raises(RegistrationError, match="close must be a function, not None"):
        server.on_close(None)  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(LookupError, match="second"):
        async with server.running():
            pass
    assert closed == ["third", "second", "first"]


async def test_settings_hold_where_the_constructor_was_told_nothing() -> None:
    settings = Settings(tool_seconds=0.01, max_calls=7, max_result_bytes=2000, state_key="k" * 32)
    told, untold = Server("unit", tool_timeout=30, max_calls=3, state_key=b"s" * 32), Server("unit")
    for server in (told, untold):
        server.configure(settings)

        @server.tool
        async def wait() -> str:
            await asyncio.sleep(0.05)
            return "waited"

    late = await ask(untold, "tools/call", {"name": "wait", "arguments": {}})
    assert "0.01" in late["content"][0]["text"]
    assert (await ask(told, "tools/call", {"name": "wait", "arguments": {}}))["content"][0]["text"] == "waited"
    assert (untold.calls.bound.most, told.calls.bound.most) == (7, 3)
    assert untold.kernel.max_result_bytes == told.kernel.max_result_bytes == 2000
    other = StateSealer(b"k" * 32)
    sealed = untold.kernel.sealer.seal({}, principal=None, method="m", salient=None)
    other.open(sealed, principal=None, method="m", salient=None)
    with pytest.raises(RpcError):
        other.open(
            told.kernel.sealer.seal({}, principal=None, method="m", salient=None),
            principal=None,
            method="m",
            salient=None,
        )


def test_extensions_of_the_settings_are_made_once_for_several_applications() -> None:
    server = Server("unit")
    server.configure(Settings(extensions=("tasks",)))
    [tasks] = server.extensions
    server.configure(Settings(extensions=("tasks",)))
    assert server.extensions == (tasks,)


@pytest.mark.parametrize(
    ("revisions", "said"),
    [
        (NEWEST.name, "revisions must be a list of texts"),
        ([NEWEST.name, "2025-99-99"], "there is no revision '2025-99-99'; there are 20"),
        ([5], "revisions must be a list of texts"),
    ],
)
def test_a_revision_that_a_method_names_must_exist(revisions: Any, said: str) -> None:
    with pytest.raises(RegistrationError, match=said):
        Server("unit").register_method("m", lambda params: {}, revisions=revisions)
    Server("unit").register_method("m", lambda params: {}, revisions=[NEWEST.name, PLAIN.name])


@pytest.mark.parametrize("handler", [None, "m", lambda: {}, lambda a, b, c: {}, lambda *, params: {}])
def test_a_handler_that_cant_be_called_with_params_is_refused(handler: Any) -> None:
    with pytest.raises(RegistrationError, match="handler of m"):
        Server("unit").register_method("m", handler)
    with pytest.raises(RegistrationError, match="method must be a text"):
        Server("unit").register_method("", lambda params: {})


@pytest.mark.parametrize("hook", [None, 5, lambda exchange: None, lambda: None])
def test_a_hook_takes_the_exchange_and_the_call(hook: Any) -> None:
    with pytest.raises(RegistrationError, match=r"^use: "):
        Server("unit").use(hook)


def test_a_second_completion_function_is_not_taken_for_the_first() -> None:
    server = Server("unit")

    def one(ref: Any, argument: Any, context: Any) -> list[str]:
        return []

    assert server.completion(one) is one
    assert server.completion(one) is one
    with pytest.raises(RegistrationError, match="only one is asked"):
        server.completion(lambda ref, argument, context: [])
    with pytest.raises(RegistrationError, match="must be a function"):
        server.completion(5)  # type: ignore[type-var]  # the mistake under test


@pytest.mark.parametrize("settings", [None, [], "x"])
def test_what_is_declared_is_an_object(settings: Any) -> None:
    with pytest.raises(RegistrationError, match="settings must be a dict"):
        Server("unit").declare("experimental", settings)


# ── what would do nothing ────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_does_nothing_is_told_when_serving_begins(caplog: pytest.LogCaptureFixture) -> None:
    """Once, however often it is served; what may come to something later (a list of the spec) is not told of."""
    server = adder()

    async def hook(exchange: Any, call: Any) -> Any:
        return await call(exchange)

    for method in ("tools/lits", "x/unheard-of", "tools/list", "prompts/get"):
        server.kernel.around(method, hook)
    server.tool("later", task="optional")(lambda: 1)
    server.tool("never", task="forbidden")(lambda: 1)
    with caplog.at_level(logging.WARNING, "mcpkit.server"):
        for _ in range(2):
            async with connect(server) as client:
                assert (await client.call_tool("add", {"a": 1})).data == 2
    assert [record.getMessage() for record in caplog.records if record.name == "mcpkit.server"] == [
        "unit: kernel.around('tools/lits', …) wraps a method that nothing has registered; did you mean 'tools/list'?",
        "unit: kernel.around('x/unheard-of', …) wraps a method that nothing has registered; register it, or wrap "
        "another",
        "unit: task='optional' of the tool 'later' does nothing without the extension: server.install(Tasks()), or "
        "MCP_EXTENSIONS=tasks",
    ]


async def test_nothing_is_told_of_tasks_where_the_extension_is(caplog: pytest.LogCaptureFixture) -> None:
    server = adder()
    server.tool("later", task="required")(lambda: 1)
    server.configure(Settings(extensions=("tasks",)))
    async with connect(server) as client:
        await client.ping()
    assert [record for record in caplog.records if record.name == "mcpkit.server"] == []


def test_an_output_schema_that_nobody_would_see_is_refused() -> None:
    with pytest.raises(RegistrationError, match="output_schema does nothing beside structured_output=False"):
        adder().tool("t", output_schema={"type": "object"}, structured_output=False)(lambda: {})


class Greeter:
    """Registers methods of its own, as a program does that others derive from."""

    def __init__(self, server: Server) -> None:
        server.register_method("hello", self.hello)
        self.register_more(server)

    def register_more(self, server: Server) -> None:
        """For classes below."""

    def hello(self, params: JsonObject) -> JsonObject:
        return {"by": "Greeter"}


class Louder(Greeter):
    def register_more(self, server: Server) -> None:
        server.register_method("hello", self.shout)

    def shout(self, params: JsonObject) -> JsonObject:
        return {"by": "Louder"}


class Mistaken(Greeter):
    def register_more(self, server: Server) -> None:
        server.register_method("hello", Greeter(Server("other")).hello)


def test_a_name_is_not_registered_twice_by_mistake() -> None:
    server = adder()
    for one in (lambda params: {"n": 1}, lambda params: {"n": 2}):
        if server.kernel.knows("x/n"):
            with pytest.raises(
                RegistrationError, match=r"'x/n' is registered already \(.*test_server.py:\d+\), and .*"
            ):
                server.register_method("x/n", one, revisions=[NEWEST.name])
        else:
            server.register_method("x/n", one)
            server.register_method("x/n", one)
    with pytest.raises(RegistrationError, match="replace=True where that is meant"):
        Mistaken(server)


async def test_a_name_is_registered_again_on_purpose() -> None:
    """By a method that overrides, by ``replace=True``, after it was withdrawn; a method of the spec at any time."""
    server = adder()
    Louder(server)
    assert (await ask(server, "hello"))["by"] == "Louder"
    server.register_method("hello", lambda params: {"by": "replaced"}, replace=True)
    assert (await ask(server, "hello"))["by"] == "replaced"
    server.kernel.unregister("hello")
    server.register_method("hello", lambda params: {"by": "new"})
    assert (await ask(server, "hello"))["by"] == "new"
    for answer in ("first", "second"):
        server.register_method("completion/complete", lambda params, answer=answer: {"by": answer})
    assert server.kernel.knows("completion/complete")

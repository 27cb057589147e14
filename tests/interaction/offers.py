"""The server that the matrix talks to: one feature for each behaviour, from public names only.

The server is the same for all tests, its board is cleared in between. Calls that wait are steered by other calls, so
that it can live in another process. What must never stand here: a transport, a revision.
"""

from __future__ import annotations

import asyncio
import base64
from collections import defaultdict
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from mcpkit import (
    Annotations,
    Audio,
    Context,
    Elicit,
    Elicitation,
    EmbeddedResource,
    Image,
    ListRoots,
    Message,
    NeedInput,
    PromptResult,
    Resolve,
    ResourceLink,
    Sample,
    Server,
    Settings,
    ToolAnnotations,
    ToolError,
    ToolResult,
)

SECONDS = 10.0
PIXEL = base64.b64decode(
    b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ICON = {"src": "https://example.org/icon.png", "mimeType": "image/png"}
LEVELS = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
SETTINGS = Settings(send_seconds=5.0, grace_seconds=1.0, retry_ms=20)


@dataclass
class Weather:
    """What the sky does."""

    city: str
    degrees: float


class Board:
    """What the server remembers of a test."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything; what was added to the server is taken away."""
        self.gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.fates: defaultdict[str, asyncio.Queue[str]] = defaultdict(asyncio.Queue)
        self.works: set[asyncio.Task[None]] = set()
        self.waiting = 0
        self.all_there = asyncio.Event()
        self.charged = 0
        self.runs = 0
        for feature in getattr(self, "extra", {}).values():
            feature.remove()
        self.extra: dict[str, Any] = {}


def build(board: Board) -> Server:
    """Everything."""
    server = Server(
        "matrix",
        "1.2.3",
        title="The matrix",
        description="Offers what is tested.",
        website_url="https://example.org/",
        icons=[ICON],
        instructions="Call what you want to test.",
        page_size=8,
        tool_timeout=SECONDS,
    )
    offer_tools(server)
    offer_waiting(server, board)
    offer_questions(server, board)
    offer_changes(server, board)
    offer_data(server)
    offer_methods(server)
    return server


def offer_tools(server: Server) -> None:  # noqa: C901 - a list, however long
    """Tools that return, fail and speak."""

    @server.tool(title="Adder", icons=[ICON], annotations=ToolAnnotations(read_only=True), meta={"example.org/a": 1})
    def add(a: int, b: int) -> int:
        """Add two numbers.

        Args:
            a: The first.
        """
        return a + b

    @server.tool
    def weather(city: str) -> Weather:
        """Tell the weather."""
        return Weather(city, 21.5)

    @server.tool(output_schema={"type": "array", "items": {"type": "integer"}})
    def primes() -> list[int]:
        """Tell some primes."""
        return [2, 3, 5]

    @server.tool
    def contents() -> list[Any]:
        """Return one block of every kind."""
        modified = Annotations(audience=["user"], priority=0.5, last_modified="2026-01-02T03:04:05Z")
        return [
            "text",
            Image(PIXEL, annotations=modified),
            Audio(b"RIFF", mime_type="audio/wav"),
            ResourceLink("memo://text", "memo", title="A memo"),
            EmbeddedResource("memo://inside", "embedded", mime_type="text/plain"),
        ]

    @server.tool
    def fail(text: str) -> str:
        """Fail in a way that the model should know of."""
        raise ToolError(text)

    @server.tool
    def crash() -> str:
        """Fail by mistake."""
        raise RuntimeError("a secret of the house")

    @server.tool
    def partly() -> ToolResult:
        """Fail with something to show."""
        return ToolResult(["half of it"], meta={"example.org/half": True}, is_error=True)

    @server.tool
    async def count(to: int, ctx: Context) -> str:
        """Count, and say so each time."""
        for number in range(1, to + 1):
            await ctx.report_progress(number, to, f"number {number}")
        return f"counted to {to}"

    @server.tool
    async def say(levels: list[LEVELS], ctx: Context) -> str:
        """Log once at each of these levels."""
        for level in levels:
            await ctx.log(level, {"said": level}, logger="parrot")
        return "said"

    @server.tool
    async def announce(levels: list[LEVELS]) -> str:
        """Log once at each of these levels, to everybody."""
        for level in levels:
            server.log(level, {"announced": level}, logger="crier")
        return "announced"

    @server.tool
    async def who(ctx: Context) -> dict[str, Any]:
        """Tell what the server knows of its caller."""
        return {
            "name": ctx.client.info.get("name"),
            "revision": ctx.protocol_version,
            "session": ctx.session_id is not None,
            "can": sorted(ctx.client_capabilities),
            "trace": ctx.meta.get("traceparent"),
        }

    @server.tool(timeout=0.05)
    async def hurry() -> str:
        """Take too long."""
        await asyncio.sleep(SECONDS)
        return "too late"

    @server.tool(visible=lambda exchange: exchange.client.info.get("name") == "friend")
    def secret() -> str:
        """Tell friends something."""
        return "for friends only"


def offer_waiting(server: Server, board: Board) -> None:
    """Tools that wait, and those that say what became of them."""

    @server.tool
    async def hold(name: str, ctx: Context) -> str:
        """Wait to be released."""
        board.fates[name].put_nowait("begun")
        fate = "cancelled"
        try:
            await ctx.report_progress(1)
            await board.gates[name].wait()
            fate = "released"
        finally:
            board.fates[name].put_nowait(fate)
        return f"{name} was released"

    @server.tool
    async def release(name: str) -> str:
        """Let the call of that name go on."""
        board.gates[name].set()
        return "released"

    @server.tool
    async def fate(name: str) -> str:
        """Wait for the next thing that happens to the call of that name."""
        return await board.fates[name].get()

    @server.tool
    async def outlive(name: str, ctx: Context) -> str:
        """Answer, and go on working until released."""

        async def work() -> None:
            await board.gates[name].wait()
            await ctx.info(f"{name} is done")
            board.fates[name].put_nowait("told")

        board.works.add(asyncio.create_task(work()))
        return "answered"

    @server.tool
    async def meet(number: int, of: int) -> int:
        """Wait for all to come, and return one's own number."""
        board.waiting += 1
        if board.waiting == of:
            board.all_there.set()
        await board.all_there.wait()
        return number


def offer_questions(server: Server, board: Board) -> None:  # noqa: C901 - a list, however long
    """Tools that ask, in all three forms."""

    def ask_seats() -> Elicit:
        return Elicit("How many seats?", int)

    @server.tool
    async def book(city: str, ctx: Context) -> str:
        """Ask in the middle of the work."""
        answer = await ctx.elicit(f"How many seats to {city}?", int)
        return f"{answer.data} seats to {city}" if answer else f"{answer.action}: {city}"

    @server.tool
    async def booked(city: str, seats: Annotated[int, Resolve(ask_seats)]) -> str:
        """Have a parameter asked."""
        return f"{seats} seats to {city}"

    @server.tool
    async def outcome(seats: Annotated[Elicitation, Resolve(ask_seats, outcome=True)]) -> str:
        """Have a parameter asked and hear how that went."""
        return f"{seats.action} {seats.data}"

    @server.tool
    async def returned(city: str, ctx: Context) -> Any:
        """Return the question, twice."""
        answers = ctx.input_responses
        if "seats" not in answers:
            return NeedInput({"seats": Elicit("How many seats?", int)}, state={"round": 1})
        if "meal" not in answers:
            state = {"round": ctx.request_state["round"] + 1, **answers["seats"]["content"]}
            return NeedInput({"meal": Elicit("Which meal?")}, state=state)
        meal, state = answers["meal"]["content"]["value"], ctx.request_state
        return f"{state['value']} seats to {city} with {meal} after {state['round']} rounds"

    @server.tool
    async def pay(ctx: Context) -> str:
        """Charge once, however often it is asked."""
        board.runs += 1

        def charge() -> int:
            board.charged += 1
            return board.charged

        receipt = await ctx.once("charge", charge)
        answer = await ctx.elicit("Keep the change?", bool)
        return f"receipt {receipt} of {board.charged}, run {board.runs}: {answer.action}"

    @server.tool
    async def visit(ctx: Context) -> str:
        """Ask the user to open a page."""
        answer = await ctx.elicit_url("Please sign.", "https://example.org/sign", id="page-7")
        return answer.action

    @server.tool
    async def signed(page: str) -> str:
        """Say that somebody has finished on a page."""
        server.elicitation_complete(page)
        return page

    @server.tool
    async def write(topic: str, ctx: Context) -> str:
        """Have the client's model write."""
        answer = await ctx.sample(f"Write about {topic}.", max_tokens=50)
        return f"{answer.model} as {answer.role}: {answer.text}"

    @server.tool
    async def folders(ctx: Context) -> list[str]:
        """Ask for the roots."""
        return [root.uri for root in await ctx.list_roots()]

    @server.tool
    async def everything(ctx: Context) -> str:
        """Ask three questions at once."""
        answers = await ctx.ask({"name": Elicit("Your name?"), "poem": Sample("A poem."), "roots": ListRoots()})
        return f"{answers['name'].data}, {answers['poem'].text}, {len(answers['roots'])} root"


def offer_changes(server: Server, board: Board) -> None:
    """A tool, a resource and a prompt that come and go."""

    def dance() -> str:
        """Dance."""
        return "danced"

    def add(kind: str) -> Any:
        if kind == "tools":
            return server.add_tool(dance)
        return server.add_prompt(dance) if kind == "prompts" else server.add_resource("memo://extra", dance)

    @server.tool
    async def change(
        kind: Literal["tools", "prompts", "resources"], how: Literal["add", "disable", "enable", "remove"]
    ) -> str:
        """Change what is offered."""
        if how == "add":
            board.extra[kind] = add(kind)
        elif how == "remove":
            board.extra.pop(kind).remove()
        else:
            getattr(board.extra[kind], how)()
        return how

    @server.tool
    async def touch(uri: str, ctx: Context) -> str:
        """Say that a resource has changed."""
        ctx.notify_resource_updated(uri)
        return uri


def offer_data(server: Server) -> None:  # noqa: C901 - a list, however long
    """Resources, a prompt for each kind of content, completion."""

    @server.resource("memo://text", title="Text", mime_type="text/plain", size=5, icons=[ICON])
    def text() -> str:
        """Say hello."""
        return "hello"

    @server.resource("memo://blob", mime_type="application/octet-stream")
    def blob() -> bytes:
        """Some bytes."""
        return b"\x00\xff"

    @server.resource("tree://{path*}", completions={"path": ["a/b", "a/c", "b"]})
    def tree(path: str) -> dict[str, str]:
        """Any path."""
        if path.startswith("no"):
            raise ToolError("there is nothing there")
        return {"path": path}

    @server.resource("pair://{left}/{right}")
    def pair(left: str, right: str) -> str:
        """Two parts."""
        return f"{left} and {right}"

    @server.resource("asked://name")
    async def asked(ctx: Context) -> str:
        """Ask for a name."""
        answer = await ctx.elicit("Your name?")
        return f"for {answer.data}"

    @server.prompt(title="Greeting")
    def greet(name: str, tone: Literal["formal", "friendly"] = "friendly") -> str:
        """Greet someone.

        Args:
            name: Whom.
        """
        return f"Greet {name} in a {tone} way."

    @server.prompt
    def show() -> PromptResult:
        """Show a picture."""
        return PromptResult([Message("Look:"), Message(Image(PIXEL), "assistant")], "A picture")

    @server.prompt
    async def personal(ctx: Context) -> str:
        """Ask for a name first."""
        return f"Greet {(await ctx.elicit('Your name?')).data}."

    @server.completion
    def complete(ref: Any, argument: Any, context: Any) -> list[str] | None:
        if argument.name != "name":
            return None
        return [f"{argument.value}-{number}" for number in range(3)] + sorted(context.arguments.values())


def offer_methods(server: Server) -> None:
    """Methods of the application's own."""

    async def leave(ctx: Context, params: dict[str, Any]) -> dict[str, Any]:
        ctx.exchange.channel.hang_up()
        return {"status": "left"}

    server.register_method("app/double", lambda params: {"twice": params["text"] * 2})
    server.register_method("app/leave", leave)

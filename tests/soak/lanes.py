"""Well-behaved clients, one class for each way to talk to the server; each step is one request whose answer is checked.

What must never stand here: misbehaviour (chaos.py), a clock.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Protocol

from mcpkit.protocol.revisions.registry import HANDSHAKES, NEWEST
from mcpkit.protocol.types import META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_PROTOCOL_VERSION
from tests.soak.wire import SECONDS, Answer, Broken, Wire, call, get, post, request

ROOT = Path(__file__).resolve().parents[2]
CLIENT = {"name": "soak", "version": "1"}
META = {META_PROTOCOL_VERSION: NEWEST.name, META_CLIENT_CAPABILITIES: {"elicitation": {}}, META_CLIENT_INFO: CLIENT}
MODERN = f"MCP-Protocol-Version: {NEWEST.name}"
LIFE = 60
"""Steps of one session, or of one connection."""


class Lane(Protocol):
    """One client."""

    async def step(self, number: int) -> None:
        """One request. Raises: Broken."""

    async def leave(self) -> None:
        """Go away, as a good client does."""


def expect(condition: object, what: Any) -> None:
    """Raises: Broken."""
    if not condition:
        raise Broken(f"unexpected: {str(what)[:300]}")


def result_of(answer: Answer) -> Any:
    """The result in a JSON answer."""
    expect(answer.status == 200, (answer.status, answer.body))
    message = json.loads(answer.body)
    expect("result" in message, message)
    return message["result"]


def text_of(result: Any) -> str:
    """What a tool said."""
    expect(not result.get("isError"), result)
    return str(result["content"][0]["text"])


def opening(revision: str) -> dict[str, Any]:
    """The first message of a session."""
    return request(
        "initialize", 0, protocolVersion=revision, capabilities={"elicitation": {}, "roots": {}}, clientInfo=CLIENT
    )


INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


class Connected:
    """A connection that is made when it is needed and changed now and then."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.wire: Wire | None = None

    async def connection(self) -> Wire:
        """The one in use."""
        if self.wire is None:
            self.wire = await Wire.open(self.port)
        return self.wire

    async def leave(self) -> None:
        """Close it."""
        if self.wire is not None:
            self.wire.close()
        self.wire = None


class Newest(Connected):
    """The envelope era: every POST for itself, answered by JSON or by a stream of events."""

    async def step(self, number: int) -> None:
        """An echo; now and then a list, a stream, or a listener that is told something."""
        wire = await self.connection()
        if number % 10 == 3:
            await self._streamed(wire)
        elif number % 10 == 6:
            expect(result_of(await wire.ask(self._request("tools/list", None)))["tools"], "no tools")
        elif number % 20 == 9:
            await self._listen()
        else:
            result = result_of(await wire.ask(self._call("echo", {"text": f"n{number}"})))
            expect(text_of(result) == f"n{number}", result)
        if number % LIFE == 0:
            await self.leave()

    def _request(self, method: str, name: str | None, /, **params: Any) -> bytes:
        fields = [MODERN, f"Mcp-Method: {method}", *([f"Mcp-Name: {name}"] if name else [])]
        return post(request(method, **{**params, "_meta": {**META, **params.get("_meta", {})}}), *fields)

    def _call(self, name: str, arguments: dict[str, Any]) -> bytes:
        meta = {"progressToken": "p"} if name == "announce" else {}
        return self._request("tools/call", name, name=name, arguments=arguments, _meta=meta)

    async def _streamed(self, wire: Wire) -> None:
        answer = await wire.ask(self._call("announce", {"seconds": 0.01}))
        expect(answer.status == 200 and answer.streams, answer)
        heard = [await wire.message() for _ in range(3)]
        expect([message.get("method") for message in heard] == ["notifications/progress"] * 2 + [None], heard)
        expect(text_of(heard[2]["result"]) == "announced", heard)
        try:
            await wire.event()
        except EOFError:
            return
        raise Broken("a stream goes on after its answer")

    async def _listen(self) -> None:
        uri = f"soak://{id(self)}"
        async with await Wire.open(self.port) as ear:
            asked = self._request("subscriptions/listen", None, notifications={"resourceSubscriptions": [uri]})
            answer = await ear.ask(asked)
            expect(answer.streams, (answer.status, answer.body))
            expect((await ear.message())["method"] == "notifications/subscriptions/acknowledged", "no acknowledgement")
            wire = await self.connection()
            text_of(result_of(await wire.ask(self._call("touch", {"uri": uri}))))
            told = await ear.message()
            expect(told.get("params", {}).get("uri") == uri, told)


class Session(Connected):
    """The handshake era over Streamable HTTP: a session, calls, a stream beside them, a question, an end."""

    def __init__(self, port: int, revision: str, asks: bool) -> None:
        super().__init__(port)
        self._revision = revision
        self._asks = asks
        self._fields: list[str] = []
        self._left = 0

    async def step(self, number: int) -> None:
        """An echo in the session; now and then something longer."""
        wire = await self.connection()
        if not self._fields:
            await self._begin(wire)
        if number % 10 == 3:
            await self._streamed(wire, number)
        elif number % 20 == 9:
            await self._told(wire, number)
        elif number % 20 == 16 and self._asks:
            await self._asked(wire, number)
        else:
            result = result_of(await wire.ask(self._post(call("echo", number, text=f"n{number}"))))
            expect(text_of(result) == f"n{number}", result)
        self._left -= 1
        if not self._left:
            await self.leave()

    def _post(self, message: Any) -> bytes:
        return post(message, *self._fields)

    async def _begin(self, wire: Wire) -> None:
        answer = await wire.ask(post(opening(self._revision)))
        expect(result_of(answer)["protocolVersion"] == self._revision, answer.body)
        self._fields = [f"Mcp-Session-Id: {answer.headers['mcp-session-id']}"]
        self._fields += [f"MCP-Protocol-Version: {self._revision}"]
        self._left = LIFE
        expect((await wire.ask(self._post(INITIALIZED))).status == 202, "initialized")

    async def _streamed(self, wire: Wire, number: int) -> None:
        message = call("announce", number, {"progressToken": f"p{number}"}, seconds=0.01)
        expect((await wire.ask(self._post(message))).streams, "no stream")
        heard = await _until_answer(wire, number)
        expect(text_of(heard["result"]) == "announced", heard)

    async def _told(self, wire: Wire, number: int) -> None:
        """A GET stream hears that a resource has changed."""
        uri = f"soak://{id(self)}"
        result_of(await wire.ask(self._post(request("resources/subscribe", number, uri=uri))))
        async with await Wire.open(self.port) as ear:
            answer = await ear.ask(get("/api", *self._fields))
            expect(answer.streams, (answer.status, answer.body))
            text_of(result_of(await wire.ask(self._post(call("touch", f"t{number}", uri=uri)))))
            told = await ear.message()
            expect(told.get("params", {}).get("uri") == uri, told)

    async def _asked(self, wire: Wire, number: int) -> None:
        """The tool asks the user; the answer goes by another POST."""
        expect((await wire.ask(self._post(call("ask", number, question="Well?")))).streams, "no stream")
        question = await wire.message()
        expect(question.get("method") == "elicitation/create", question)
        answer = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}}
        async with await Wire.open(self.port) as other:
            expect((await other.ask(self._post(answer))).status == 202, "answer")
        heard = await _until_answer(wire, number)
        expect("decline" in text_of(heard["result"]), heard)

    async def leave(self) -> None:
        """DELETE the session."""
        if self.wire is not None and self._fields:
            expect((await self.wire.ask(get("/api", *self._fields, method="DELETE"))).status in {200, 204}, "DELETE")
        self._fields = []
        await super().leave()


async def _until_answer(wire: Wire, number: int) -> Any:
    """The answer at the end of a stream, and the stream's end."""
    while "method" in (heard := await wire.message()):
        pass
    expect(heard.get("id") == number, heard)
    try:
        await wire.event()
    except EOFError:
        return heard
    raise Broken("a stream goes on after its answer")


class HttpSse(Connected):
    """HTTP+SSE: one stream, and POSTs that are answered there."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._stream: Wire | None = None
        self._path = ""
        self._left = 0

    async def step(self, number: int) -> None:
        """An echo, heard on the stream."""
        if self._stream is None:
            await self._begin()
        await self._say(call("echo", number, text=f"n{number}"))
        heard = await self._hear(number)
        expect(text_of(heard["result"]) == f"n{number}", heard)
        self._left -= 1
        if not self._left:
            await self.leave()

    async def _begin(self) -> None:
        self._stream = await Wire.open(self.port)
        expect((await self._stream.ask(get("/sse"))).streams, "no stream")
        self._path, _ = await self._stream.event()
        self._left = LIFE
        await self._say(opening(HANDSHAKES[-1].name))
        expect("result" in await self._hear(0), "initialize")
        await self._say(INITIALIZED)

    async def _say(self, message: Any) -> None:
        answer = await (await self.connection()).ask(post(message, path=self._path))
        expect(answer.status == 202, (answer.status, answer.body))

    async def _hear(self, id: Any) -> Any:
        assert self._stream is not None
        while (heard := await self._stream.message()).get("id") != id:
            expect("method" in heard, heard)
        return heard

    async def leave(self) -> None:
        """Close the stream, and with it the session."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None
        await super().leave()


class Plain(Connected):
    """Nothing but JSON-RPC: calls and batches."""

    async def step(self, number: int) -> None:
        """A call, or two in an array."""
        wire = await self.connection()
        if number % 10 == 5:
            batch = [call("echo", 1, text="a"), call("add", 2, a=number, b=1), {"jsonrpc": "2.0", "method": "x"}]
            answer = await wire.ask(post(batch, accept="*/*"))
            expect({each["id"] for each in json.loads(answer.body)} == {1, 2}, answer.body)
        else:
            result = result_of(await wire.ask(post(call("add", number, a=number, b=1), accept="*/*")))
            expect(text_of(result) == str(number + 1), result)
        if number % LIFE == 0:
            await self.leave()


class Stdio:
    """A server of its own behind pipes; every hundredth line is none."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self.process: asyncio.subprocess.Process | None = None

    async def step(self, number: int) -> None:
        """An echo; now and then a line that is no message, or a call that is cancelled."""
        if self.process is None:
            await self._begin()
        if number % 100 == 50:
            await self._say(b'{"jsonrpc": \xff\n')
            expect((await self._hear())["error"]["code"] == -32700, "a broken line")
        if number % 100 == 75:
            await self._say(_line(call("sleep", f"c{number}", seconds=30)))
            cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": f"c{number}"}}
            await self._say(_line(cancel))
        await self._say(_line(call("echo", number, text=f"n{number}")))
        heard = await self._hear()
        expect(heard.get("id") == number and text_of(heard["result"]) == f"n{number}", heard)

    async def _begin(self) -> None:
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / "tests/fixtures/probe_server.py"),
            "--stdio",
            stdin=pipe,
            stdout=pipe,
            env=self._environment,
        )
        await self._say(_line(opening(HANDSHAKES[0].name)))
        expect("result" in await self._hear(), "initialize")
        await self._say(_line(INITIALIZED))

    async def _say(self, line: bytes) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        await self.process.stdin.drain()

    async def _hear(self) -> Any:
        assert self.process is not None
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(SECONDS):
                return json.loads(await self.process.stdout.readline())
        except (TimeoutError, ValueError) as error:
            raise Broken(f"stdio: {type(error).__name__}") from None

    async def leave(self) -> None:
        """Close the pipe; the server ends."""
        if self.process is None:
            return
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            async with asyncio.timeout(SECONDS):
                expect(await self.process.wait() == 0, f"stdio ended with {self.process.returncode}")
        except TimeoutError:
            self.process.kill()
            raise Broken("stdio does not end with its input") from None


def _line(message: Any) -> bytes:
    return json.dumps(message).encode() + b"\n"


def lanes(port: int) -> dict[str, Lane]:
    """A client for each way over HTTP."""
    asking = HANDSHAKES[:2]  # older ones know no questions to the user
    sessions = {
        f"session {revision.name}": Session(port, revision.name, revision in asking) for revision in HANDSHAKES[:-1]
    }
    return {f"POST {NEWEST.name}": Newest(port), **sessions, "HTTP+SSE": HttpSse(port), "plain": Plain(port)}

"""The client for scripts."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from typing import Any

import pytest

from mcpkit import Server
from mcpkit.client import BlockingClient, Change, Listening, MCPClient, TaskHandle
from mcpkit.client.blocking import BlockingListening, BlockingTask, Loop
from mcpkit.client.errors import ConnectionLost, ToolFailed, Unreachable
from tests.client.scripted import HANDSHAKE, FakeTransport, answering
from tests.client.test_client import ROWS


def made(rows: Any = None, **options: Any) -> BlockingClient:
    return BlockingClient(lambda: FakeTransport(answering(rows or ROWS)), **options)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "mcpkit client"]


def test_every_request_waits() -> None:
    """Without an event loop in sight."""
    with made() as client:
        assert client.protocol_version is not None
        assert client.server.server_info.name == "scripted"
        assert [tool.name for tool in client.list_tools()] == ["add"]
        assert client.call_tool("add", {"a": 1}).text == "{'a': 1}"
        assert client.list_resources()[0].uri == "a:b"
        assert client.list_resource_templates()[0].name == "t"
        assert client.read_resource("a:b").text == "hello"
        (prompt,) = client.list_prompts()
        assert client.get_prompt("p", {"x": "1"}).messages[0].role == "user"
        assert client.complete(prompt, {"name": "x", "value": ""}).values
        assert client.ping() >= 0
        assert client.request("x/y", {"a": 1})["echo"] == 1
        client.notify("notifications/x")
    assert threads() == []


@pytest.mark.parametrize(
    ("plain", "waiting"), [(MCPClient, BlockingClient), (TaskHandle, BlockingTask), (Listening, BlockingListening)]
)
def test_it_has_what_the_async_one_has(plain: type, waiting: type) -> None:
    """What comes to the one comes to the other, with the same parameters and the same words."""
    made_otherwise = {"already", "missed", "connect", "close"}
    seen = {name for name, _ in inspect.getmembers(plain) if not name.startswith("_")} - made_otherwise
    assert seen <= set(dir(waiting))
    for name in seen:
        theirs, ours = getattr(plain, name), getattr(waiting, name)
        if inspect.isfunction(theirs):
            assert inspect.signature(ours) == inspect.signature(theirs), name
            assert ours.__doc__ == theirs.__doc__, name


def test_changes_are_waited_for() -> None:
    """With a plain loop; closing ends it."""
    transports: list[FakeTransport] = []

    def make() -> FakeTransport:
        rows: Any = {"resources/subscribe": lambda _: {}, "resources/unsubscribe": lambda _: {}}
        transports.append(FakeTransport(answering(rows, modern=False)))
        return transports[-1]

    with BlockingClient(make, mode=HANDSHAKE) as client:
        with client.listen(tools=True, uris=["a:b"]) as changes:
            assert changes.acknowledged == {"toolsListChanged": True, "resourceSubscriptions": ["a:b"]}
            for _ in range(2):
                client._loop._running().call_soon_threadsafe(transports[0].tell, "notifications/tools/list_changed", {})
                assert next(changes) == Change("tools")
        assert list(changes) == []
    assert threads() == []


def test_tasks_are_waited_for() -> None:
    """A call that the server answers at once is one that is over."""
    with made() as client:
        task = client.start_tool("add", {"a": 1})
        assert task.task_id == ""
        assert task.get() is task.state
        assert task.result().text == "{'a': 1}"


def test_a_handler_that_waits_for_its_own_client() -> None:
    """It would never end, so it is refused, with the way out."""
    refused: list[str] = []

    def heard(change: Change) -> None:
        try:
            client.list_tools()
        except RuntimeError as error:
            refused.append(str(error))

    server = Server("s")
    server.tool(greet)
    with BlockingClient(server, mode=HANDSHAKE, change_handler=heard) as client:
        server.tool(greet_too)
        for _ in range(200):
            client.ping()
            if refused:
                break
    assert refused == ["a handler can't wait for the client that calls it: let it return, or be async"]


def greet() -> str:
    """Greet."""
    return "hello"


def greet_too() -> str:
    """Greet again."""
    return "hello"


def test_errors_come_through_and_threads_end() -> None:
    """A failed connection leaves nothing running."""
    with made({"tools/call": lambda _: {"content": [], "isError": True}}) as client, pytest.raises(ToolFailed):
        client.call_tool("x")
    with pytest.raises(Unreachable), BlockingClient(["no-such-program-at-all"]):
        pass
    assert threads() == []
    client = made()
    client.close()
    assert client.request("x/y", {"a": 2})["echo"] == 2, "the first call connects"
    client.close()
    client.close()
    with pytest.raises(ConnectionLost, match="closed"):
        client.request("x/y")
    assert client.connect().request("x/y", {"a": 3})["echo"] == 3
    client.close()


def test_from_many_threads() -> None:
    """One client, many who wait."""
    with made() as client:
        got: list[Any] = []
        workers = [
            threading.Thread(target=lambda n=n: got.append(client.request("x/y", {"a": n})["echo"])) for n in range(20)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(10)
        assert sorted(got) == list(range(20))


def test_who_still_waits_is_told_of_the_end() -> None:
    """Whatever it waits for, and whoever closes: nobody waits for a thread that is over."""
    loop, begun, told = Loop(), threading.Event(), threading.Event()

    async def never() -> None:
        begun.set()
        await asyncio.Event().wait()

    def waiting() -> None:
        with pytest.raises(ConnectionLost, match="closed"):
            loop.wait(never())
        told.set()

    threading.Thread(target=waiting, daemon=True).start()
    assert begun.wait(10)
    closing = [threading.Thread(target=loop.stop, args=[lambda: asyncio.sleep(0)], daemon=True) for _ in range(4)]
    for thread in closing:
        thread.start()
    for thread in closing:
        thread.join(10)
    assert told.wait(10)
    assert not any(thread.is_alive() for thread in closing)
    assert threads() == []


def test_an_interrupt_cancels_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends the wait and the call, not the client."""
    from concurrent.futures import Future

    real = Future.result
    pressed: list[Future[Any]] = []

    def interrupted(self: Future[Any], timeout: float | None = None) -> Any:
        if not pressed:
            pressed.append(self)
            raise KeyboardInterrupt
        return real(self, timeout)

    async def never(params: Any) -> Any:
        await asyncio.Event().wait()

    client = made({**ROWS, "never/answered": never})
    client.connect()
    monkeypatch.setattr(Future, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        client.request("never/answered")
    assert pressed[0].cancelled()
    assert client.request("x/y", {"a": 1})["echo"] == 1
    client.close()


@pytest.mark.skipif(sys.platform == "win32", reason="as everywhere, but slow")
def test_a_real_process() -> None:
    """Over stdio, from a thread that is not the main one's loop."""
    program = """
import json, sys
def say(message, **answer): print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}), flush=True)
for line in sys.stdin:
    message = json.loads(line)
    if message["method"] == "initialize":
        version = message["params"]["protocolVersion"]
        say(message, result={"protocolVersion": version, "capabilities": {}, "serverInfo": {"name": "p"}})
    elif message["method"] == "server/discover":
        say(message, error={"code": -32601, "message": "?"})
    elif "id" in message:
        say(message, result={"tools": [{"name": "t", "inputSchema": {"type": "object"}}]})
"""
    with BlockingClient([sys.executable, "-c", program]) as client:
        assert client.server.server_info.name == "p"
        assert [tool.name for tool in client.list_tools()] == ["t"]

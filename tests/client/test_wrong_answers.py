"""Every wrong answer there is, at each step, over each transport: a ClientError in time, and the next call works."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcpkit.client import ClientError, MCPClient
from mcpkit.client.limits import Bounds, Deadlines, Patience, Pauses
from tests.client.scripted import HANDSHAKE, MODERN, Asked, Reply, http_peer

PATIENCE = Patience(
    bounds=Bounds(message_bytes=50_000, attempts=2),
    deadlines=Deadlines(call=8.0, whole_call=8.0, probe=2.0, handshake=8.0, listen=0.2, goodbye=0.5, stream_end=0.2),
    pauses=Pauses(first=0.0, most=0.0),
)
SECONDS = 20.0

WRONG: dict[str, str] = {
    "cut off": '{"jsonrpc":"2.0","id":ID,"result":{"content":[',
    "no JSON": "this is no JSON",
    "a brace": "{",
    "nothing": "",
    "null": "null",
    "a number": "5",
    "a text": '"text"',
    "an empty array": "[]",
    "an array of numbers": "[1,2,3]",
    "an array around it": '[{"jsonrpc":"2.0","id":ID,"result":{}}]',
    "an array of two answers": '[{"jsonrpc":"2.0","id":ID,"result":{}},{"jsonrpc":"2.0","id":ID,"result":{}}]',
    "an empty object": "{}",
    "NaN": '{"jsonrpc":"2.0","id":ID,"result":{"n":NaN}}',
    "a huge number": '{"jsonrpc":"2.0","id":ID,"result":{"n":1e999}}',
    "a key twice": '{"jsonrpc":"2.0","id":ID,"result":{"a":1,"a":2}}',
    "half a surrogate": '{"jsonrpc":"2.0","id":ID,"result":{"a":"\\ud800"}}',
    "too deep": '{"jsonrpc":"2.0","id":ID,"result":{"a":' + "[" * 500 + "]" * 500 + "}}",
    "too long": '{"jsonrpc":"2.0","id":ID,"result":{"a":"' + "x" * 60_000 + '"}}',
    "no version": '{"id":ID,"result":{}}',
    "another version": '{"jsonrpc":"1.0","id":ID,"result":{}}',
    "no id": '{"jsonrpc":"2.0","result":{}}',
    "id null": '{"jsonrpc":"2.0","id":null,"result":{}}',
    "id a text": '{"jsonrpc":"2.0","id":"ID","result":{}}',
    "id a float": '{"jsonrpc":"2.0","id":ID.0,"result":{}}',
    "id true": '{"jsonrpc":"2.0","id":true,"result":{}}',
    "id an array": '{"jsonrpc":"2.0","id":[ID],"result":{}}',
    "another id": '{"jsonrpc":"2.0","id":99999,"result":{}}',
    "no result": '{"jsonrpc":"2.0","id":ID}',
    "result null": '{"jsonrpc":"2.0","id":ID,"result":null}',
    "result an array": '{"jsonrpc":"2.0","id":ID,"result":[]}',
    "result a text": '{"jsonrpc":"2.0","id":ID,"result":"ok"}',
    "result empty": '{"jsonrpc":"2.0","id":ID,"result":{}}',
    "result and error": '{"jsonrpc":"2.0","id":ID,"result":{},"error":{"code":1,"message":"x"}}',
    "error null": '{"jsonrpc":"2.0","id":ID,"error":null}',
    "error a text": '{"jsonrpc":"2.0","id":ID,"error":"bad"}',
    "error empty": '{"jsonrpc":"2.0","id":ID,"error":{}}',
    "error code a text": '{"jsonrpc":"2.0","id":ID,"error":{"code":"1","message":"x"}}',
    "error message null": '{"jsonrpc":"2.0","id":ID,"error":{"code":1,"message":null}}',
    "error": '{"jsonrpc":"2.0","id":ID,"error":{"code":-32603,"message":"\\u001b[31mx\\u202e"}}',
    "error without id": '{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"}}',
    "error id null": '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}',
    "error unsupported": '{"jsonrpc":"2.0","id":ID,"error":{"code":-32022,"message":"x","data":{"supported":5}}}',
    "members of wrong types": '{"jsonrpc":"2.0","id":ID,"result":{"protocolVersion":5,"capabilities":[],"serverInfo":1,'
    '"supportedVersions":{},"tools":{},"content":5,"isError":"x","_meta":[],"contents":7,"messages":{},"nextCursor":[],'
    '"resultType":{},"structuredContent":1,"instructions":[]}}',
    "entries of wrong types": '{"jsonrpc":"2.0","id":ID,"result":{"protocolVersion":"x","capabilities":{"tools":1},'
    '"supportedVersions":[1,null],"tools":[1,null,{"name":5},{"name":"t","inputSchema":5},{"name":"t","inputSchema":'
    '{"properties":5,"required":{}},"outputSchema":7,"annotations":[],"execution":5}],"content":[1,{"type":5}],'
    '"contents":[null],"messages":[5,{"content":[]}],"resultType":"complete"}}',
    "wants input of no kind": '{"jsonrpc":"2.0","id":ID,"result":{"resultType":"input_required","inputRequests":'
    '{"a":5,"b":{"method":"tools/call"}},"requestState":5}}',
    "wants input of a method that is none": '{"jsonrpc":"2.0","id":ID,"result":{"resultType":"input_required",'
    '"inputRequests":{"a":{"method":[],"params":{}}}}}',
    "wants a form of a mode that is none": '{"jsonrpc":"2.0","id":ID,"result":{"resultType":"input_required",'
    '"inputRequests":{"a":{"method":"elicitation/create","params":{"message":"x","mode":[],"url":{}}}}}}',
    "wants a model of no kind": '{"jsonrpc":"2.0","id":ID,"result":{"resultType":"input_required","inputRequests":'
    '{"a":{"method":"sampling/createMessage","params":{"messages":[1,{"content":[5]}],"maxTokens":true}}}}}',
    "wants a form that is none": '{"jsonrpc":"2.0","id":ID,"result":{"resultType":"input_required","inputRequests":'
    '{"a":{"method":"elicitation/create","params":{"message":"x","requestedSchema":{"properties":5}}}}}}',
    "a task that is none": '{"jsonrpc":"2.0","id":ID,"result":{"resultType":"task","taskId":5,"status":[]}}',
    "a question for an answer": '{"jsonrpc":"2.0","id":ID,"method":"ping"}',
    "a notification of no kind": '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":{}}}',
}
"""``ID`` stands for the id of the request."""

RIGHT: dict[str, Any] = {
    "server/discover": {"supportedVersions": [MODERN], "capabilities": {"tools": {}}, "resultType": "complete"},
    "initialize": {"protocolVersion": HANDSHAKE, "capabilities": {"tools": {}}, "serverInfo": {"name": "s"}},
    "tools/list": {"tools": [{"name": "t", "inputSchema": {"type": "object"}}], "resultType": "complete"},
    "tools/call": {"content": [{"type": "text", "text": "fine"}], "resultType": "complete"},
    "resources/read": {"contents": [{"uri": "a:b", "text": "fine"}], "resultType": "complete"},
    "prompts/get": {"messages": [], "resultType": "complete"},
    "ping": {},
}
STEPS: dict[str, Callable[[MCPClient], Any]] = {
    "tools/list": lambda client: client.list_tools(),
    "tools/call": lambda client: client.call_tool("t", {}, raise_on_error=False),
    "resources/read": lambda client: client.read_resource("a:b"),
    "prompts/get": lambda client: client.get_prompt("p"),
}

HANDLERS: Any = {"elicitation_handler": lambda asked: asked.defaults(), "sampling_handler": lambda asked: "said"}


class Script:
    """The text to answer with: for each method wrong at first, and right from then on."""

    def __init__(self, wrong: str, modern: bool, *, after_handshake: bool = False) -> None:
        self._wrong = WRONG[wrong]
        self._modern = modern
        self._asked: Counter[str] = Counter()
        self._right_at_once = ("ping", "server/discover", "initialize") if after_handshake else ("ping",)

    def __call__(self, message: dict[str, Any]) -> str:
        method = message["method"]
        self._asked[method] += 1
        if self._asked[method] == 1 and method not in self._right_at_once:
            return self._wrong.replace("ID", str(message["id"]))
        if method not in RIGHT or (method == "server/discover" and not self._modern):
            error = {"code": -32601, "message": "no such method"}
            return json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error})
        return json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": RIGHT[method]})


SILENCE = (
    *("no JSON", "a brace", "nothing", "null", "a number", "a text", "an array of numbers", "an empty object"),
    *("a question for an answer", "a notification of no kind"),
)
"""What may be a banner, a log line or something else that is said unasked, where a pipe carries everything."""


def on_a_pipe(wrong: str) -> Patience:
    """Who gets nothing but that waits for the deadline, which is short here."""
    seconds = 0.3 if wrong in SILENCE else 8.0
    return replace(PATIENCE, deadlines=replace(PATIENCE.deadlines, call=seconds))


async def survives(client: MCPClient, steps: Sequence[str] = tuple(STEPS)) -> None:
    """Connect and ask; whatever comes is a ClientError, and what is asked once more is answered."""
    async with asyncio.timeout(SECONDS):
        for _ in range(4):
            with suppress(ClientError):
                await client.connect()
        for step in map(STEPS.__getitem__, steps):
            for attempt in range(2):
                try:
                    repr(await step(client))
                except ClientError as error:
                    failed = str(error)
                else:
                    failed = ""
                assert not (attempt and failed), failed
        await client.close()


@asynccontextmanager
async def over_http(script: Script, *, streamed: bool) -> AsyncIterator[str]:
    async def serve(asked: Asked, reply: Reply) -> None:
        message = asked.message if asked.method == "POST" else {}
        if asked.method != "POST":
            await reply.send(405)
        elif "id" not in message or "method" not in message:
            await reply.send(202)
        elif streamed:
            await reply.stream()
            await reply.event(script(message))
            await reply.end()
        else:
            await reply.send(200, script(message), content_type="application/json")

    async with http_peer(serve) as peer:
        yield peer.url


@asynccontextmanager
async def over_sse(script: Script) -> AsyncIterator[str]:
    streams: list[Reply] = []

    async def serve(asked: Asked, reply: Reply) -> None:
        message = asked.message if asked.method == "POST" else {}
        if asked.method == "GET":
            streams.append(reply)
            await reply.stream()
            await reply.event("/post", event="endpoint")
            await reply.gone()
        else:
            await reply.send(202)
            if "id" in message and "method" in message:
                await streams[-1].event(script(message))

    async with http_peer(serve) as peer:
        yield peer.url


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("streamed", [True, False])
async def test_over_streamable_http(wrong: str, modern: bool, streamed: bool) -> None:
    async with over_http(Script(wrong, modern), streamed=streamed) as url:
        await survives(MCPClient(url, mode=MODERN if modern else HANDSHAKE, patience=PATIENCE, **HANDLERS))


@pytest.mark.parametrize("wrong", WRONG)
async def test_over_http_sse(wrong: str) -> None:
    async with over_sse(Script(wrong, False, after_handshake=True)) as url:
        await survives(MCPClient({"type": "sse", "url": url}, patience=on_a_pipe(wrong), **HANDLERS), ["tools/call"])


PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from tests.client.test_wrong_answers import Script
script = Script(sys.argv[2], modern=False, after_handshake=True)
for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        print(script(message), flush=True)
"""


@pytest.mark.parametrize("wrong", ["cut off", "NaN", "too long", "error id null", "result an array", "no JSON"])
async def test_over_stdio(wrong: str) -> None:
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", PROGRAM, root, wrong]
    await survives(MCPClient(command, mode=HANDSHAKE, patience=on_a_pipe(wrong)), ["tools/call"])


ASKED = ["ping", "roots/list", "elicitation/create", "sampling/createMessage", "tools/call", "no/such", "", "x" * 5_000]
ASKED_PARAMS: list[Any] = [
    *(None, 5, "text", [], [1], True, {"_meta": 5}, {"message": 5, "requestedSchema": []}),
    {"messages": {}, "maxTokens": "x", "modelPreferences": [], "tools": 5, "stopSequences": {}},
    {"messages": [1, {"role": 5, "content": {"type": []}}], "maxTokens": -1, "systemPrompt": {}, "temperature": []},
    {"mode": "url", "url": 5, "elicitationId": {}, "message": None},
    {"message": "m", "requestedSchema": {"type": "object", "properties": {"a": 5, "b": {"type": []}}, "required": 7}},
]
ASKED_IDS = ["1", "1", '"x"', '"x"', "null", "1.5", "1e400", "1" * 400, "-1", "true", "[]", "{}", '""']


def own_requests() -> list[str]:
    """What a server may ask without reason: each method with params of every kind, and ids of every kind."""
    bodies = [
        {"jsonrpc": "2.0", "id": f"q{number}", "method": method, **({} if params is None else {"params": params})}
        for number, (method, params) in enumerate((one, other) for one in ASKED for other in ASKED_PARAMS)
    ]
    ids = [
        f'{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}' for id in ASKED_IDS for method in ("ping", "roots/list")
    ]
    methods = [f'{{"jsonrpc":"2.0","id":7,"method":{method}}}' for method in ("null", "5", "[]", "{}")]
    return [*map(json.dumps, bodies), *ids, *methods]


@pytest.mark.parametrize("handlers", [{}, {**HANDLERS, "roots": ["file:///a"]}])
async def test_a_servers_own_bad_requests(handlers: dict[str, Any]) -> None:
    """Each is answered once, in the form of JSON-RPC; calls are unharmed."""
    answers: list[dict[str, Any]] = []
    streams: list[Reply] = []
    script = Script("nothing", False, after_handshake=True)
    script._asked.update(list(RIGHT))

    async def serve(asked: Asked, reply: Reply) -> None:
        if asked.method == "GET":
            streams.append(reply)
            await reply.stream()
            await reply.event("/post", event="endpoint")
            await reply.gone()
            return
        await reply.send(202)
        message = json.loads(asked.body)
        if "method" not in message:
            answers.append(message)
        elif "id" in message:
            await streams[-1].event(script(message))

    async with (
        asyncio.timeout(SECONDS),
        http_peer(serve) as peer,
        MCPClient({"type": "sse", "url": peer.url}, patience=PATIENCE, **handlers) as client,
    ):
        for text in own_requests():
            await streams[-1].event(text)
        assert (await client.call_tool("t", {})).text == "fine"
        wanted = len(ASKED) * len(ASKED_PARAMS)
        while sum(str(answer.get("id")).startswith("q") for answer in answers) < wanted:
            await client.ping()
        assert (await client.call_tool("t", {})).text == "fine"
    named = Counter(answer["id"] for answer in answers if str(answer.get("id")).startswith("q"))
    assert set(named.values()) == {1}
    for answer in answers:
        assert ("result" in answer) != ("error" in answer)
        assert "Traceback" not in json.dumps(answer)
        assert answer.get("error", {"code": -32600})["code"] in range(-33_000, 0)


NO_REQUESTS = {
    '{"jsonrpc":"2.0","id":"q","method":"ping","params":5}': -32602,
    '{"jsonrpc":"2.0","id":"q","method":"roots/list","params":"text"}': -32602,
    '{"jsonrpc":"2.0","id":"q","method":"ping","params":[1]}': -32602,
    '{"jsonrpc":"2.0","id":"q","method":"ping","params":null}': -32602,
    '{"jsonrpc":"2.0","id":"q","method":5}': -32600,
    '{"id":"q","method":"ping"}': -32600,
    '[{"jsonrpc":"2.0","id":"q","method":"ping","params":5},5]': -32602,
}
ASKING = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "initialize":
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": json.loads(sys.argv[1])}), flush=True)
    elif message.get("method") == "tools/call":
        print(sys.argv[2].replace('"q"', str(message["id"])), flush=True)
        answer = json.loads(next(sys.stdin))
        content = [{"type": "text", "text": str(answer["error"]["code"] if answer["id"] == message["id"] else answer)}]
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {"content": content}}), flush=True)
    elif "id" in message:
        error = {"code": -32601, "message": "no such method"}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}), flush=True)
"""


@pytest.mark.parametrize(("text", "code"), NO_REQUESTS.items())
async def test_what_is_no_request_is_answered_over_stdio(text: str, code: int) -> None:
    """Under its id, even where that is the id of a call that waits, which is none the worse for it."""
    command = [sys.executable, "-c", ASKING, json.dumps(RIGHT["initialize"]), text]
    async with asyncio.timeout(SECONDS), MCPClient(command, mode=HANDSHAKE, patience=PATIENCE) as client:
        assert (await client.call_tool("t", {})).text == str(code)


@pytest.mark.parametrize(("text", "code"), NO_REQUESTS.items())
async def test_what_is_no_request_is_answered_over_streamable_http(text: str, code: int) -> None:
    """The same on the stream of the call."""
    answered: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def serve(asked: Asked, reply: Reply) -> None:
        message = asked.message if asked.method == "POST" else {}
        if asked.method != "POST":
            await reply.send(405)
        elif "method" not in message:
            await reply.send(202)
            answered.put_nowait(message)
        elif "id" not in message:
            await reply.send(202)
        else:
            await reply.stream()
            if message["method"] == "tools/call":
                await reply.event(text.replace('"q"', str(message["id"])))
                answer = await answered.get()
                assert (answer["id"], answer["error"]["code"]) == (message["id"], code)
            await reply.event({"jsonrpc": "2.0", "id": message["id"], "result": RIGHT[message["method"]]})
            await reply.end()

    async with (
        asyncio.timeout(SECONDS),
        http_peer(serve) as peer,
        MCPClient(peer.url, mode=HANDSHAKE, patience=PATIENCE) as client,
    ):
        assert (await client.call_tool("t", {})).text == "fine"

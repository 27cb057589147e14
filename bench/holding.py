"""How long one message can hold the event loop: ``python -m bench.holding`` prints hostile inputs, the worst on top.

It tries each with both parsers; ``--quick`` measures each once, without a round before that warms up.

Each is of allowed size, and is given to the server's own connection class in this process; what counts is the
processor time of the loop's thread, in its longest turn and from the first byte to the answer, as a ratio to 1,000
plain ``ping``s with the faster parser. What must never stand here: a socket, another process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from bench.hot import DATE, Sink
from mcpkit import Server
from mcpkit.fastapi import create_app
from mcpkit.jsonrpc.codec import CONTAINER
from mcpkit.settings import Settings
from mcpkit.transports.program import HttpProgram

PIECE = 64 * 1024
"""Bytes that a socket gives at a time."""
BODY = 4 * 1024 * 1024
ARGUMENTS = 1024 * 1024 - 100
REVISION = "2025-11-25"
PINGS = 1000
MOST_SECONDS = 5.0
USUAL = {"Host": "127.0.0.1:12000", "Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


class Row(BaseModel):
    """One of many."""

    name: str
    size: int | None = None
    kind: Literal["a", "b"] = "a"


@dataclass
class Priced:
    """One of many whose types say more than their JSON Schema."""

    price: Decimal
    id: UUID | None = None


PARSERS = ("httptools", "h11")


def made() -> Server:  # noqa: C901 - many tools, no branch
    """A server whose tools take all kinds of arguments."""
    server = Server("holding", "1")

    @server.tool
    async def text(value: str) -> str:
        """Take a text."""
        return str(len(value))

    @server.tool
    async def back(value: str) -> str:
        """Give it back."""
        return value

    @server.tool
    async def numbers(values: list[int]) -> str:
        """Take integers."""
        return str(len(values))

    @server.tool
    async def either(values: list[int | str | bool | None]) -> str:
        """Take one of several."""
        return str(len(values))

    @server.tool
    async def rows(values: list[Row]) -> str:
        """Take models."""
        return str(len(values))

    @server.tool
    async def choices(values: list[Row | dict[str, int] | list[str]]) -> str:
        """Take one of several models."""
        return str(len(values))

    @server.tool
    async def anything(values: dict[str, Any]) -> str:
        """Take an object."""
        return str(len(values))

    @server.tool
    async def names(values: dict[str, str]) -> str:
        """Take texts by name."""
        return str(len(values))

    @server.tool
    async def unique(values: set[str]) -> str:
        """Take a set."""
        return str(len(values))

    @server.tool
    async def ids(values: list[UUID]) -> str:
        """Take identifiers."""
        return str(len(values))

    @server.tool
    async def prices(values: list[Priced]) -> str:
        """Take dataclasses."""
        return str(len(values))

    @server.tool
    async def lists(values: list[list[int]]) -> str:
        """Take lists of lists."""
        return str(len(values))

    @server.tool
    async def matching(value: str = Field(pattern="^(a|b|ab)*c$")) -> str:
        """Take a text of a form."""
        return value

    @server.resource("notes://{folder}/{name}")
    async def note(folder: str, name: str) -> str:
        """A note."""
        return folder + name

    @server.resource("paths://{+path}/x{?a,b,c}")
    async def path(path: str, a: str = "", b: str = "", c: str = "") -> str:
        """A path."""
        return path + a + b + c

    @server.prompt
    async def prompt(value: str, number: int = 0, items: list[int] | None = None) -> str:
        """A prompt."""
        return value

    return server


def post(body: bytes, path: str = "/api", **fields: str) -> bytes:
    """A POST as it stands on the wire."""
    given = USUAL | {name.replace("_", "-"): value for name, value in fields.items()}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("latin-1") + body


def in_chunks(body: bytes, size: int) -> bytes:
    """The same with a body in chunks."""
    lines = ["POST /api HTTP/1.1", *(f"{name}: {value}" for name, value in USUAL.items())]
    head = "\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""]).encode()
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def request(method: str, params: bytes) -> bytes:
    """A message."""
    return b'{"jsonrpc":"2.0","id":1,"method":"%b","params":%b}' % (method.encode(), params)


def call(tool: str, name: str, value: bytes) -> bytes:
    """A tool call with one argument."""
    params = b'{"name":"%b","arguments":{"%b":%b}}' % (tool.encode(), name.encode(), value)
    return post(request("tools/call", params), MCP_Protocol_Version=REVISION)


def many(one: bytes, size: int, most: int = 1 << 40, begin: bytes = b"[", end: bytes = b"]") -> bytes:
    """So many of one that they take so many bytes."""
    return begin + b",".join([one] * min(size // (len(one) + 1), most)) + end


def members(value: bytes, size: int, most: int = 1 << 40) -> bytes:
    """An object of as many members."""
    each = min(size // (len(value) + 10), most)
    return b"{" + b",".join(b'"%06x":%b' % (number, value) for number in range(each)) + b"}"


MOST = Settings().max_json_values
VALUES: dict[str, bytes] = {
    "numbers": b"1",
    "long numbers": b"1" * 300,
    "integers of 20 digits": b"1" * 20,
    "floats": b"0.1234567",
    "floats told in another way": b"1.0e1",
    "true": b"true",
    "empty texts": b'""',
    "escaped texts": b'"\\n"',
    "empty arrays": b"[]",
    "empty objects": b"{}",
    "objects with a member": b'{"a":1}',
    "objects with a member told in another way": b'{"a":1.0e1}',
    "arrays 50 deep": b"[" * 50 + b"]" * 50,
    "objects 50 deep": b'{"":' * 50 + b"1" + b"}" * 50,
    "objects with the same key twice": b'{"a":1,"a":1}',
}
TEXTS: dict[str, bytes] = {
    "letters": b"x",
    "two bytes": "é".encode(),
    "four bytes": "😀".encode(),
    "line breaks": b"\\n",
    "escaped letters": b"\\u0041",
    "escaped pairs": b"\\ud83d\\ude00",
    "halves of pairs": b"\\ud83d",
    "escaped quotes": b'\\"',
    "escaped backslashes": b"\\\\",
    "control characters": b"\\u0001",
    "line separators": "\u2028".encode(),
    "commas and brackets": b"[,:{",
}


def inputs() -> Iterator[tuple[str, bytes]]:
    """Hostile requests by name."""
    for name, value in VALUES.items():
        yield f"ping, 4 MiB of {name}", post(request("ping", b'{"_meta":{"a":%b}}' % many(value, BODY - 100)))
        yield f"batch, 4 MiB of {name}", post(many(value, BODY - 2))
        most = MOST // per(value) - 10
        allowed = many(value, ARGUMENTS, most)
        yield f"ping, {name}", post(request("ping", b'{"_meta":{"a":%b}}' % allowed))
        yield f"batch, {name}", post(allowed)
        yield f"anything, {name}", call("anything", "values", b'{"a":%b}' % allowed)
        yield f"anything, members: {name}", call("anything", "values", members(value, ARGUMENTS, most // 2))
        for tool in ("numbers", "either", "rows", "choices", "names", "unique"):
            yield f"{tool}, {name}", call(tool, "values", allowed)
    for name, value in TEXTS.items():
        for size, tool in (
            (ARGUMENTS, "text"),
            (ARGUMENTS, "back"),
            (ARGUMENTS // 2, "back"),
            (ARGUMENTS, "matching"),
            (ARGUMENTS, "numbers"),
        ):
            yield f"{tool}, {size >> 10} KiB of {name}", call(tool, "value", b'"%b"' % (value * (size // len(value))))
        yield (
            f"ping, _meta with 4 MiB of {name}",
            post(request("ping", b'{"_meta":{"a":"%b"}}' % (value * ((BODY - 100) // len(value))))),
        )
        long = value * (ARGUMENTS // len(value))
        for method, params in (
            ("resources/read", b'{"uri":"%b"}'),
            ("resources/read", b'{"uri":"notes://a/%b"}'),
            ("tools/list", b'{"cursor":"%b"}'),
            ("tools/call", b'{"name":"%b"}'),
            ("logging/setLevel", b'{"level":"%b"}'),
            ("prompts/get", b'{"name":"prompt","arguments":{"value":"x","number":"%b"}}'),
            (
                "completion/complete",
                b'{"ref":{"type":"ref/prompt","name":"prompt"},"argument":{"name":"value","value":"%b"}}',
            ),
            (
                "completion/complete",
                b'{"ref":{"type":"ref/resource","uri":"%b"},"argument":{"name":"name","value":"x"}}',
            ),
        ):
            yield (
                f"{method} {params.decode()}: 1 MiB of {name}",
                post(request(method, params % long), MCP_Protocol_Version=REVISION),
            )
    yield from more_inputs()


def more_inputs() -> Iterator[tuple[str, bytes]]:
    """Those that are hostile by something else than one kind of value or text."""
    for tool, value in (("ids", b'"x"'), ("prices", b'{"price":"x"}'), ("lists", b'"%b"' % many(b"[]", 1_000))):
        for wrong in (900, MOST // per(value) - 10):
            yield f"{tool}, {wrong} wrong ones", call(tool, "values", many(value, ARGUMENTS, wrong))
    yield "batch of 100 pings", post(many(PING, BODY, 100))
    yield (
        "batch of 100 calls of 10 KiB",
        post(many(request("tools/call", b'{"name":"text","arguments":{"value":"%b"}}' % (b"x" * 10_000)), BODY, 100)),
    )
    yield "blanks around", post(b" " * (BODY - 100) + PING)
    yield (
        "blanks within",
        post(
            b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"a":[%b]}}}'
            % b",   ".join([b"1"] * (BODY // 6))
        ),
    )
    yield "nothing but brackets", post(b"[" * BODY)
    yield "nothing but quotes", post(b'"' * BODY)
    yield "nothing but backslashes", post(b'"' + b"\\" * (BODY - 2) + b'"')
    yield "base64", call("text", "value", b'"%b"' % b64encode(bytes(ARGUMENTS * 3 // 4 - 10)))
    yield "JSON within a text", call("numbers", "values", json.dumps(many(b"[]", ARGUMENTS // 2).decode()).encode())
    for size in (1, 16, 1024):
        yield (
            f"1 MiB in chunks of {size}",
            in_chunks(request("ping", b'{"_meta":{"a":"%b"}}' % (b"x" * (1 << 20))), size),
        )
    for one, said in ((" ", "blanks"), ("a", "letters"), (",", "commas"), ("%41", "escapes"), ("/", "slashes")):
        for name in (
            "Accept",
            "Host",
            "Origin",
            "Mcp-Name",
            "Mcp-Param-X",
            "Mcp-Session-Id",
            "X-Forwarded-For",
            "Content-Type",
            "Authorization",
        ):
            yield f"{name} of 30 KiB of {said}", post(PING, **{name: f"a{one * (30_000 // len(one))}b"})
        yield f"URI of 8 KiB of {said}", post(PING, "/api?a=" + (one * (8000 // len(one))).replace(" ", "+"))
        yield (
            f"absolute URI, Host of 30 KiB of {said}",
            post(PING, "http://a/api", Host=f"a{one * (30_000 // len(one))}b"),
        )
    yield "Mcp-Name in base64", post(PING, Mcp_Name="=?base64?" + b64encode(bytes(22_000)).decode() + "?=")
    yield "98 fields", post(PING, **{f"X-{number}": "x" * 300 for number in range(95)})
    yield (
        "resources/read of 8 KiB",
        post(
            request("resources/read", b'{"uri":"paths://%b?a=%b"}' % (b"/a" * 2000, b"%41" * 2000)),
            MCP_Protocol_Version=REVISION,
        ),
    )
    yield (
        "a list of 1 MiB in a text argument of a prompt",
        post(
            request(
                "prompts/get", b'{"name":"prompt","arguments":{"value":"x","items":"%b"}}' % many(b"[]", ARGUMENTS)
            ),
            MCP_Protocol_Version=REVISION,
        ),
    )


def per(value: bytes) -> int:
    """How many values one of these is, as the server counts them."""
    return 1 + value.count(b",") + value.count(b":") + CONTAINER * (value.count(b"[") + value.count(b"{"))


class Closing(Sink):
    """Where the server writes to, and what it may close."""

    def close(self) -> None:
        """It has said all."""

    def abort(self) -> None:
        """As above."""

    def can_write_eof(self) -> bool:
        """It closes at once."""
        return False

    def get_write_buffer_size(self) -> int:
        """All has been taken."""
        return 0


class Held:
    """The server on an event loop of this process."""

    def __init__(self, parser: str) -> None:
        settings = Settings(http_parser=parser)
        self._program = HttpProgram(create_app(made(), settings), settings)
        self._program.config.load()
        self._runner = asyncio.Runner(loop_factory=self._program.config.get_loop_factory())
        self.loop = self._runner.get_loop()
        self._program.server_state.default_headers = [DATE]
        self._made: Any = self._program.config.http_protocol_class

    def close(self) -> None:
        """Nothing more is measured."""
        self._runner.close()

    def seconds(self, data: bytes, times: int = 1) -> tuple[float, float, bytes]:
        """The processor time of the longest turn of the loop, that until the answer, and how that begins."""
        sink, left, first = Closing(), times, b""
        longest, took, last, at = 0.0, 0.0, time.thread_time(), 0

        def answered(said: bytes) -> None:
            nonlocal left, first, took, at
            first = first or said[:15]
            left, at = left - 1, 0
            took = time.thread_time() - began
            if left > 0:
                self.loop.call_soon(give)

        def give() -> None:
            nonlocal at
            piece, at = data[at : at + PIECE], at + PIECE
            if at < len(data):
                self.loop.call_soon(give)
            protocol.data_received(piece)

        def look() -> None:
            nonlocal longest, last
            now = time.thread_time()
            longest, last = max(longest, now - last), now
            if left <= 0 or now - began > MOST_SECONDS:
                self.loop.stop()
            else:
                self.loop.call_soon(look)

        sink.heard = answered
        protocol = self._made(self._program.config, self._program.server_state, {}, self.loop)
        protocol.connection_made(sink)
        began = last
        self.loop.call_soon(give)
        self.loop.call_soon(look)
        self.loop.run_forever()
        protocol.connection_lost(None)
        return longest, took, first


def main(arguments: list[str] | None = None, find: Callable[[], Iterator[tuple[str, bytes]]] = inputs) -> None:
    """Measure, and print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--parser", choices=PARSERS, help="only this one")
    options.add_argument("--rounds", type=int, default=2, help="measurements of each, after one that warms up")
    options.add_argument("--quick", action="store_true", help="measure each once")
    options.add_argument("--top", type=int, default=40)
    options.add_argument("--verbose", action="store_true", help="print each as soon as it is measured")
    options.add_argument("--only", default="", help="inputs whose name holds this")
    asked = options.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    parsers = [asked.parser] if asked.parser else PARSERS
    held = {name: Held(name) for name in parsers}
    ping = post(PING)
    unit = float("inf")
    for each in held.values():
        each.seconds(ping, 100)
        unit = min(unit, *(each.seconds(ping, PINGS)[1] for _ in range(5)))
    found, inputs = [], 0
    for name, data in find():
        if asked.only not in name:
            continue
        inputs += 1
        for parser, each in held.items():
            turn, took, answer = measured(each, data, 0 if asked.quick else asked.rounds)
            row = (turn / unit, took / unit, answer[9:12].decode(), len(data), parser, name)
            found.append(row)
            if asked.verbose:
                print(f"{row[0]:6.2f} {row[1]:6.2f} {parser:9} {name}", flush=True)
    for each in held.values():
        each.close()
    print(f"1,000 pings take {unit * 1e3:.1f} ms")
    print(f"{inputs} inputs: longest turn, in all, status, size, parser, input")
    for turn, took, status, size, parser, name in sorted(found, reverse=True)[: asked.top]:
        print(f"{turn:6.2f} {took:6.2f}  {status:3}  {size:9,d} bytes  {parser:9}  {name}")


def measured(held: Held, data: bytes, rounds: int) -> tuple[float, float, bytes]:
    """The best of so many rounds, or of the first one where there is none besides."""
    first = held.seconds(data)
    return min((held.seconds(data) for _ in range(rounds)), default=first)


if __name__ == "__main__":
    main()

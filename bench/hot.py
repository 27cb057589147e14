"""Where the time of a call goes inside the process: ``python -m bench.hot`` prints a table of files and their shares.

The server's own connection class is fed the bytes of a client and hands its answers to a sink, so no system call is
among it; a timer looks every millisecond of processor time which function is at work. What must never stand here: a
socket, another server.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from fastapi import FastAPI

from bench import wire
from bench.server import server
from mcpkit.fastapi import create_app, mcp_router
from mcpkit.settings import Settings
from mcpkit.transports.program import HttpProgram

ROOT = Path(__file__).parent.parent
DATE = (b"date", b"Sun, 29 Nov 2026 12:00:00 GMT")
SHORT = 0.001
HEAD_ENDS = b"\r\n\r\n"
SESSION = "S" * 32
ADDRESSES = {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 12000)}

Step = Callable[[bytes], bytes | None]
"""The last answer → what the client sends next; None once a unit of work is done."""


class Sink:
    """Where the server writes to."""

    def __init__(self) -> None:
        self.heard: Callable[[bytes], None] = lambda data: None

    def write(self, data: bytes) -> None:
        if data:
            self.heard(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ADDRESSES.get(name, default)

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """Nothing comes unasked."""

    def resume_reading(self) -> None:
        """As above."""


class Passing:
    """Middleware that changes nothing."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)


def own() -> FastAPI:
    """An application of the framework's own."""
    return create_app(server, Settings())


def behind_middleware() -> FastAPI:
    """The same, with something standing before it."""
    app = own()
    app.add_middleware(Passing)
    return app


def included() -> FastAPI:
    """Somebody else's application, which includes the router."""
    app = FastAPI()
    app.include_router(mcp_router(server))
    return app


APPS: dict[str, Callable[[], FastAPI]] = {"own": own, "middleware": behind_middleware, "included": included}


class Line:
    """One connection to the benchmarks' server, in this process, on the event loop that it would take."""

    def __init__(self, app: FastAPI | None = None) -> None:
        program = HttpProgram(app or own(), Settings())
        program.config.load()
        self.loop = asyncio.Runner(loop_factory=program.config.get_loop_factory()).get_loop()
        program.server_state.default_headers = [DATE]
        made: Any = program.config.http_protocol_class
        self._protocol = made(program.config, program.server_state, {}, self.loop)
        self._sink = Sink()
        self._protocol.connection_made(self._sink)

    def drive(self, first: bytes, step: Step, units: int) -> float:
        """Send ``first`` and whatever ``step`` says so many times; the seconds that took."""
        left = units

        begun = b""

        def answered(data: bytes) -> None:
            nonlocal left, begun
            if begun or data.endswith(HEAD_ENDS):  # the head alone, perhaps: others than our endpoint write it apart
                begun += data
                if not is_whole(begun):
                    return
                data, begun = begun, b""
            following = step(data)
            if following is None:
                left, following = left - 1, first
            if left:
                self.loop.call_soon(self._protocol.data_received, following)
            else:
                self.loop.call_soon(self.loop.stop)

        self._sink.heard = answered
        self.loop.call_soon(self._protocol.data_received, first)
        began = time.perf_counter()
        self.loop.run_forever()
        return time.perf_counter() - began

    def ask(self, request: bytes) -> bytes:
        """The answer to one request."""
        heard: list[bytes] = []
        self.drive(request, heard.append, 1)
        return heard[0]


def is_whole(answer: bytes) -> bool:
    """Whether an answer has its body."""
    head, _, body = answer.partition(HEAD_ENDS)
    return bool(body) or b"content-length: 0" in head or b" 204 " in head[:14]


def bytes_of(asked: wire.Request) -> bytes:
    """A request as a client writes it."""
    lines = [f"{asked.method} /api HTTP/1.1", "Host: 127.0.0.1:12000"]
    lines += [f"{name}: {value}" for name, value in asked.headers.items()]
    lines += [f"Content-Length: {len(asked.data)}"] if asked.data else []
    return "\r\n".join([*lines, "", ""]).encode() + asked.data


def session_in(answer: bytes) -> str:
    """The id that the answer to ``initialize`` tells."""
    return answer.partition(b"mcp-session-id: ")[2].partition(b"\r\n")[0].decode()


def handshake() -> Step:
    """``initialize``, ``initialized``, DELETE, over and over."""
    told = bytes_of(wire.initialized(SESSION))
    headers = {"MCP-Protocol-Version": wire.SESSION_REVISION, "Mcp-Session-Id": SESSION}
    ended = bytes_of(wire.Request({}, headers, "DELETE"))
    session = b""

    def step(answer: bytes) -> bytes | None:
        nonlocal session
        if b"mcp-session-id: " in answer:
            session = session_in(answer).encode()
            return told.replace(SESSION.encode(), session)
        return ended.replace(SESSION.encode(), session) if b" 202 " in answer[:14] else None

    return step


@contextmanager
def sampled() -> Iterator[Counter[str]]:
    """How often each file was at work, by a timer of processor time."""
    found: Counter[str] = Counter()

    def look(number: int, frame: FrameType | None) -> None:
        if frame is not None:
            found[frame.f_code.co_filename] += 1

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, SHORT, SHORT)
    try:
        yield found
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def name_of(file: str) -> str:
    """How a file is called in the table."""
    path = Path(file)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT / "mcpkit") else path.parent.name + "/" + path.name


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20.0, help="to look at one call of the newest revision")
    parser.add_argument("--app", choices=APPS, default="own", help="how the endpoint hangs in FastAPI")
    asked = parser.parse_args(arguments)
    logging.disable(logging.INFO)
    line = Line(APPS[asked.app]())
    opening = bytes_of(wire.initialize())
    session = session_in(line.ask(opening))
    newest = bytes_of(wire.call("modern", "echo", {"text": "hello"}, None))
    works: dict[str, tuple[bytes, Step]] = {
        "handshake": (opening, handshake()),
        "call in a session": (bytes_of(wire.call("session", "echo", {"text": "hello"}, session)), lambda data: None),
        "call, newest revision": (newest, lambda data: None),
    }
    for name, (first, step) in works.items():
        best = min(line.drive(first, step, 1000) for _ in range(asked.rounds))
        print(f"{name:24} {best * 1e3:6.1f} µs", flush=True)
    until = time.perf_counter() + asked.seconds
    with sampled() as found:
        while time.perf_counter() < until:
            line.drive(newest, lambda data: None, 1000)
    for file, count in found.most_common(24):
        print(f"{count / found.total():6.1%}  {name_of(file)}")


if __name__ == "__main__":
    main()

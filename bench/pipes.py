"""What is measured by the clock from outside: stdio round trips, the first answer after a start, memory at rest.

What must never stand here: load over HTTP, tables.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench import wire
from bench.servers import BENCH, PEERS_BY_NAME, Running, end, plain_environment, running

SEQUENTIAL_SECONDS = 2.0
PIPELINED = 4_000
WINDOW = 64
"""Calls in flight at once; enough that nobody waits for the other, few enough that no pipe fills."""


class Pipe:
    """A server on its standard streams."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self._write, self._read = process.stdin.fileno(), process.stdout.fileno()
        self._rest = b""

    def send(self, *messages: dict[str, Any]) -> None:
        """Write messages in one go."""
        data = b"".join(json.dumps(message, separators=(",", ":")).encode() + b"\n" for message in messages)
        self.write(data)

    def write(self, data: bytes) -> None:
        """Write lines that are bytes already."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._write, view) :]

    def answers(self) -> list[bytes]:
        """The lines that have come, at least one."""
        while True:
            piece = os.read(self._read, 1 << 20)
            if not piece:
                raise RuntimeError("the server closed its pipe")
            *lines, self._rest = (self._rest + piece).split(b"\n")
            if lines:
                return lines

    def initialize(self) -> None:
        """Open the conversation."""
        self.send(wire.initialize().body)
        self.answers()
        self.send(wire.message("notifications/initialized", id=None))


@contextmanager
def piped(name: str) -> Iterator[Pipe]:
    """A server that was just started on its standard streams."""
    peer = PEERS_BY_NAME[name]
    process = subprocess.Popen(
        peer.command,
        env=plain_environment() | {"BENCH_STDIO": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=BENCH.parent,
    )
    try:
        yield Pipe(process)
    finally:
        end(process)


def _call(id: int) -> bytes:
    params = {"name": "echo", "arguments": {"text": "hello"}}
    return json.dumps(wire.message("tools/call", params, id), separators=(",", ":")).encode() + b"\n"


def sequential(name: str) -> float:
    """Round trips a second, one after the other."""
    with piped(name) as pipe:
        pipe.initialize()
        done = 0
        began = time.perf_counter()
        while time.perf_counter() - began < SEQUENTIAL_SECONDS:
            pipe.write(_call(done))
            [line] = pipe.answers()
            assert b"hello" in line
            done += 1
        return done / (time.perf_counter() - began)


def pipelined(name: str) -> float:
    """Calls a second with a window of them in flight."""
    with piped(name) as pipe:
        pipe.initialize()
        calls = [_call(id) for id in range(PIPELINED)]
        answered, sent = 0, WINDOW
        began = time.perf_counter()
        pipe.write(b"".join(calls[:WINDOW]))
        while answered < PIPELINED:
            came = len(pipe.answers())
            answered += came
            pipe.write(b"".join(calls[sent : sent + came]))
            sent += came
        return PIPELINED / (time.perf_counter() - began)


def first_answer(name: str) -> float:
    """Milliseconds from the start of the process to its first answer over stdio."""
    began = time.perf_counter()
    with piped(name) as pipe:
        pipe.send(wire.initialize().body)
        pipe.answers()
        return (time.perf_counter() - began) * 1e3


def ready(name: str) -> float:
    """Milliseconds from the start of the process to its first answer over HTTP."""
    with running(name) as server:
        return server.ready_seconds * 1e3


def rss_http(name: str) -> float:
    """MiB at rest, after one call over HTTP."""
    with running(name) as server:
        session = wire.open_session(server.port) if server.peer.sessions else None
        wire.check(server.port, wire.call("session", "echo", {"text": "x"}, session), "x")
        return server.rss_kib() / 1024


def rss_stdio(name: str) -> float:
    """MiB at rest, after one answer over stdio."""
    with piped(name) as pipe:
        pipe.initialize()
        pipe.write(_call(1))
        pipe.answers()
        return Running(PEERS_BY_NAME[name], pipe.process, 0).rss_kib() / 1024


WHOLE = ("ours", "typescript", "sdk-low", "sdk-high", "fastmcp")
MEASURES = {
    "stdio, calls a second, one after the other": (sequential, WHOLE),
    "stdio, calls a second, 64 in flight": (pipelined, WHOLE),
    "stdio, first answer after start, ms": (first_answer, WHOLE),
    "HTTP, first answer after start, ms": (ready, ("limit", "fastapi", *WHOLE)),
    "resident memory, HTTP, MiB": (rss_http, ("limit", "fastapi", *WHOLE)),
    "resident memory, stdio, MiB": (rss_stdio, WHOLE),
}
"""What → how it is measured, and of which servers."""

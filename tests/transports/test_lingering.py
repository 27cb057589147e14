"""Closing so that the last words arrive: a refusal is read by clients that are still sending."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.transports import lingering
from mcpkit.transports.lingering import LingeringTransport
from tests.transports.doors import House, call
from tests.transports.sockets import serving


@pytest.mark.parametrize("http", ["httptools", "h11"])
async def test_a_refusal_arrives_while_the_client_is_sending(http: str) -> None:
    """A reset in place of the answer would leave the client to guess."""
    async with serving(House().endpoint, http=http) as place:
        connection = await place.connect()
        connection.send(b"POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
        connection.send(b"Content-Length: 99999999\r\n\r\n" + b" " * (8 << 20))
        answer = await connection.rest()
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"MCP_MAX_BODY_BYTES" in answer


class Line:
    """A transport that notes what is done to it."""

    def __init__(self, *, half: bool = True, broken: bool = False) -> None:
        self.done: list[Any] = []
        self.half = half
        self.broken = broken
        self.closed = False
        self.end = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def can_write_eof(self) -> bool:
        return self.half

    def write_eof(self) -> None:
        self.done.append("eof")
        if self.broken:
            raise OSError

    def resume_reading(self) -> None:
        self.done.append("read")

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True
        self.end.set()


def transport(line: Line, *, busy: bool) -> LingeringTransport:
    return LingeringTransport(line, asyncio.get_running_loop(), lambda: busy)


async def test_a_client_that_is_not_sending_is_left_at_once() -> None:
    line = Line()
    patient = transport(line, busy=False)
    patient.write(b"bye")
    patient.close()
    assert (line.closed, patient.is_closing(), line.done) == (True, True, [b"bye"])


async def test_a_client_that_is_sending_is_read_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "LINGER_SECONDS", 0)
    line = Line()
    patient = transport(line, busy=True)
    patient.close()
    patient.write(b"too late")
    assert (line.closed, patient.is_closing(), line.done) == (False, True, ["eof", "read"])
    async with asyncio.timeout(5):
        await line.end.wait()


async def test_closing_twice_closes_at_once() -> None:
    line = Line()
    patient = transport(line, busy=True)
    patient.close()
    patient.close()
    assert line.closed


@pytest.mark.parametrize("line", [Line(half=False), Line(broken=True)])
async def test_a_line_that_can_not_be_half_closed_is_closed(line: Line) -> None:
    transport(line, busy=True).linger()
    assert line.closed


async def test_what_it_does_not_know_goes_to_the_transport() -> None:
    assert transport(Line(), busy=False).can_write_eof()


async def test_calls_go_on_as_usual() -> None:
    async with serving(House().endpoint) as place:
        assert (await place.ask(call("add", a=2, b=3)))["id"] == 1

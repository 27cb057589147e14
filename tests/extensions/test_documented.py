"""docs/extensions.md: its programs run, and the extension that it teaches to write works."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.protocol.revisions.registry import REVISIONS
from mcpkit.server import Server
from tests.extensions.calling import Caller, accepted, text
from tests.house.markdown import EXECUTABLE, Block, blocks
from tests.house.tree import ROOT

BLOCKS = blocks((ROOT / "docs/extensions.md").read_text(encoding="utf-8"))


def server_of(word: str) -> Server:
    """The server of the program that has the word."""
    names: dict[str, Any] = {"__name__": "documented"}
    [block] = [block for block in BLOCKS if block.mark == "run" and word in block.code]
    exec(compile(block.code, f"docs/extensions.md:{block.line}", "exec"), names)
    server = names["server"]
    assert isinstance(server, Server)
    return server


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"line {block.line}")
def test_every_program_is_marked(block: Block) -> None:
    assert block.language not in EXECUTABLE or block.mark == "run" or block.mark.startswith("show: ")


async def test_the_task() -> None:
    call = Caller(server_of("def paint"))
    id = await call.start("paint", picture="boat")
    [key] = (await call.until(id, "input_required"))["inputRequests"]
    await call("tasks/update", {"taskId": id, "inputResponses": {key: accepted(value="red")}})
    done = await call.until(id, "completed")
    assert text(done["result"]) == "A red boat."
    assert done["statusMessage"] == "layer 3 of 3"


async def test_the_view() -> None:
    result = await Caller(server_of("def clock"))("tools/call", {"name": "clock", "arguments": {"zone": "UTC"}})
    assert text(result) == "It is noon in UTC."


@pytest.mark.parametrize("revision", REVISIONS)
async def test_an_extension_of_ones_own(revision: str) -> None:
    """EXT-01, EXT-04: announced, used by clients that know it, invisible to others."""
    call = Caller(server_of("class Usage"), revision=revision)
    params = {"name": "add", "arguments": {"a": 1, "b": 2}}
    known = await call("tools/call", params, capabilities={"extensions": {"com.example/usage": {}}})
    assert known["_meta"]["com.example/usage"] == {"calls": 1}
    unknown = await call("tools/call", params)
    assert "com.example/usage" not in unknown.get("_meta", {})
    assert (await call("usage/get"))["calls"] == {"add": 2}
    if "server/discover" in REVISIONS[revision].requests:
        assert (await call("server/discover"))["capabilities"]["extensions"] == {"com.example/usage": {}}

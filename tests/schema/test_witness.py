"""The witness sees what is wrong, so that its silence means something."""

from __future__ import annotations

import pytest

from mcpkit import Context, Server
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE, SUPPORTED
from mcpkit.testing import connect
from tests.exchanges import Recorder, exchange
from tests.schema.official import FOLDER
from tests.schema.witness import Witness

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the official schemas are not here: set MCPKIT_SCHEMAS")


async def test_a_wrong_result_and_a_wrong_notification_are_seen() -> None:
    server, witness = Server("wrong"), Witness()
    witness.watch(server)

    async def called(context: Context, params: dict[str, object]) -> dict[str, object]:
        await context.exchange.notify("notifications/progress", {"progress": "far"})
        return {"content": "text"}

    server.register_method("tools/call", called)
    for revision in SUPPORTED:
        await server.kernel.serve(exchange("tools/call", revision=revision, channel=Recorder()))
    assert {fault.partition(" ")[0] for fault in witness.faults} == set(SUPPORTED)
    assert any("notifications/progress" in fault for fault in witness.faults)


async def test_what_is_right_is_seen_and_passes() -> None:
    server, witness = Server("right"), Witness()
    witness.watch(server)
    server.add_tool(lambda: "text", name="text")
    async with connect(server, revision=NEWEST_HANDSHAKE.name) as client:
        await client.call_tool("text")
    assert witness.seen >= 2
    assert witness.faults == []

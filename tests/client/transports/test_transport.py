"""The shape of a transport."""

from __future__ import annotations

import pytest

from mcpkit.client.endpoint import Endpoint
from mcpkit.client.http import HttpxCarrier
from mcpkit.client.limits import Patience
from mcpkit.client.transports.http_sse import HttpSse
from mcpkit.client.transports.stdio import Command, Stdio
from mcpkit.client.transports.streamable_http import StreamableHttp
from mcpkit.client.transports.transport import Call, Transport
from tests.client.scripted import FakeTransport, answering


async def test_all_have_it() -> None:
    """TR-05: any object of this shape will do; what has not got it does not."""
    endpoint = Endpoint("http://h/", HttpxCarrier())
    for transport in (
        HttpSse(endpoint, Patience()),
        StreamableHttp(endpoint, Patience()),
        Stdio(Command(["x"]), Patience()),
        FakeTransport(answering({})),
    ):
        assert isinstance(transport, Transport)
    assert not isinstance(object(), Transport)
    await endpoint.close()


def test_a_call_has_no_id_before_it_is_sent() -> None:
    """MRTR-07: each attempt gets its own."""
    assert Call("tools/list", {}).id is None
    with pytest.raises(AttributeError):
        Call("x", {}).nonsense = 1  # type: ignore[attr-defined]

"""The phases of a session, and the revision that a handshake settles on."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.jsonrpc.errors import InvalidParams, InvalidRequest, MethodNotFound
from mcpkit.protocol.lifecycle import SHARED_BYTES, Phase, admit, negotiate, read_initialize
from mcpkit.protocol.revisions.registry import HANDSHAKE_NAMES

STARTED = [Phase.INITIALIZING, Phase.READY]


@pytest.mark.parametrize("method", ["initialize", "ping"])
def test_before_the_handshake(method: str) -> None:
    """INIT-04, PING-01."""
    admit(Phase.NEW, method)


@pytest.mark.parametrize("method", ["tools/call", "tools/list", "logging/setLevel", "sample"])
def test_nothing_else_before_it(method: str) -> None:
    """INIT-13: the sentence names both ways on."""
    with pytest.raises(InvalidParams, match="send initialize first, or an envelope"):
        admit(Phase.NEW, method)


@pytest.mark.parametrize("method", ["server/discover", "subscriptions/listen"])
def test_a_probe_before_it(method: str) -> None:
    """DCLI-02: a client that looks for the newest era is told that the method is unknown here, and falls back."""
    with pytest.raises(MethodNotFound):
        admit(Phase.NEW, method)


@pytest.mark.parametrize("phase", STARTED)
@pytest.mark.parametrize("method", ["tools/call", "ping", "sample", "server/discover"])
def test_afterwards(phase: Phase, method: str) -> None:
    """INIT-05 binds servers, not clients: requests before ``initialized`` are served; the kernel knows what exists."""
    admit(phase, method)


@pytest.mark.parametrize("phase", STARTED)
def test_a_second_handshake(phase: Phase) -> None:
    """INIT-13."""
    with pytest.raises(InvalidRequest, match="open another"):
        admit(phase, "initialize")


@pytest.mark.parametrize("method", ["initialize", "ping", "tools/call"])
def test_after_the_end(method: str) -> None:
    """SHL-44."""
    with pytest.raises(InvalidRequest, match="ended"):
        admit(Phase.CLOSED, method)


@pytest.mark.parametrize("offered", sorted(HANDSHAKE_NAMES))
def test_a_known_offer_is_taken(offered: str) -> None:
    """INIT-07: exactly it."""
    assert negotiate(offered).name == offered


@pytest.mark.parametrize("offered", ["2026-07-28", "2031-01-01", "1.0", "", "2025-06-18 "])
def test_any_other_gets_the_newest_handshake(offered: str) -> None:
    """INIT-08: the envelope's revision is never the outcome of a handshake."""
    assert negotiate(offered).name == "2025-11-25"


def test_initialize_params() -> None:
    """INIT-01."""
    info: dict[str, Any] = {"name": "c", "version": "1"}
    capabilities: dict[str, Any] = {"roots": {}}
    offered, client = read_initialize({"protocolVersion": "v", "clientInfo": info, "capabilities": capabilities})
    assert (offered, client.info, client.capabilities) == ("v", info, capabilities)
    assert read_initialize({"protocolVersion": "v"})[1].capabilities == {}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"protocolVersion": None},
        {"protocolVersion": 1},
        {"protocolVersion": "v", "capabilities": []},
        {"protocolVersion": "v", "capabilities": None},
        {"protocolVersion": "v", "clientInfo": "c"},
    ],
)
def test_bad_initialize_params(params: dict[str, Any]) -> None:
    """RPC-14, INIT-10: where the version is at fault, those that there are stand in the data."""
    with pytest.raises(InvalidParams) as refused:
        read_initialize(params)
    supported = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]
    assert refused.value.data == (None if params.get("protocolVersion") == "v" else {"supported": supported})


def test_sessions_of_one_software_share_what_is_remembered_of_it() -> None:
    """There may be thousands of them; what is long is nobody else's."""
    told = {"protocolVersion": "2025-11-25", "clientInfo": {"name": "x", "version": "1"}, "capabilities": {"roots": {}}}
    one, other = (read_initialize({**told})[1] for _ in range(2))
    assert one is other
    assert (one.info, one.capabilities) == (told["clientInfo"], told["capabilities"])
    assert read_initialize({**told, "capabilities": {}})[1] == ({"name": "x", "version": "1"}, {})
    with pytest.raises(TypeError):
        one.info["name"] = "another"  # type: ignore[index]  # what a careless handler might do
    long = {**told, "clientInfo": {"name": "x" * SHARED_BYTES}}
    one, other = (read_initialize(long)[1] for _ in range(2))
    assert one == other
    assert one is not other

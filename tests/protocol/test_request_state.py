"""Sealed states: good for one caller, one method, one set of params, one while; and for nobody who changes a bit."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpkit.jsonrpc.errors import InvalidParams
from mcpkit.protocol.request_state import LARGEST_STATE, StateSealer

KEY = b"0123456789abcdef0123456789abcdef"
OTHER = b"another key of thirty-two bytes!"
PAYLOAD: dict[str, Any] = {"answers": {"b": 1, "a": ["größe", None, 2**70, 0.5]}, "state": "\ud800"}
BOUND: dict[str, Any] = {
    "principal": "issuer|ada",
    "method": "tools/call",
    "salient": {"name": "t", "arguments": {"x": 1}},
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


class Clock:
    """Seconds that only a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_there_and_back() -> None:
    """MRTR-09: the payload as it was, order included."""
    sealer = StateSealer(KEY)
    opened = sealer.open(sealer.seal(PAYLOAD, **BOUND), **BOUND)
    assert opened == PAYLOAD
    assert list(opened["answers"]) == ["b", "a"]


@given(st.dictionaries(st.text(), json_values), json_values)
def test_any_json(payload: dict[str, Any], salient: Any) -> None:
    """MRTR-02: an opaque string of printable ASCII, without blanks."""
    sealer = StateSealer(KEY)
    state = sealer.seal(payload, principal=None, method="m", salient=salient)
    assert sealer.open(state, principal=None, method="m", salient=salient) == payload
    assert state.startswith("v1.")
    assert state.isascii()
    assert " " not in state


@pytest.mark.parametrize(
    "changed",
    [
        {"principal": "issuer|eve"},
        {"principal": None},
        {"method": "prompts/get"},
        {"salient": {"name": "t", "arguments": {"x": 2}}},
        {"salient": {"name": "t", "arguments": {"x": "1"}}},
        {"salient": None},
    ],
)
def test_bound(changed: dict[str, Any]) -> None:
    """MRTR-10: caller, method and params."""
    sealer = StateSealer(KEY)
    state = sealer.seal(PAYLOAD, **BOUND)
    with pytest.raises(InvalidParams, match="not valid"):
        sealer.open(state, **{**BOUND, **changed})


def test_members_may_come_back_in_another_order() -> None:
    """MRTR-05: the same params are the same params."""
    sealer = StateSealer(KEY)
    state = sealer.seal(PAYLOAD, **BOUND)
    assert sealer.open(state, **{**BOUND, "salient": {"arguments": {"x": 1}, "name": "t"}}) == PAYLOAD


def test_every_changed_character_is_found() -> None:
    """MRTR-09: version, payload and seal."""
    sealer = StateSealer(KEY)
    state = sealer.seal({"n": 1}, **BOUND)
    for index, character in enumerate(state):
        for other in "A.~":
            if other != character:
                with pytest.raises(InvalidParams):
                    sealer.open(state[:index] + other + state[index + 1 :], **BOUND)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state + "-TAMPERED",
        lambda state: state + "=",
        lambda state: state[:-1],
        lambda state: state.removeprefix("v1."),
        lambda state: "v2." + state.removeprefix("v1."),
        lambda state: state.rpartition(".")[0],
        lambda state: state.rpartition(".")[0] + ".",
        lambda state: state + "." + state,
        lambda state: state.upper(),
        lambda state: state + "é",
        lambda state: "",
        lambda state: ".",
        lambda state: "v1..",
        lambda state: "A" * (LARGEST_STATE + 1),
        lambda state: None,
        lambda state: 5,
        lambda state: {"state": state},
    ],
)
def test_tampering(spoil: Any) -> None:
    """MRTR-09, conformance ``tampered_state``: an error, and always the same one."""
    sealer = StateSealer(KEY)
    with pytest.raises(InvalidParams) as refused:
        sealer.open(spoil(sealer.seal(PAYLOAD, **BOUND)), **BOUND)
    assert refused.value.message == "requestState is not valid for this request; send the request again without it"
    assert refused.value.code == -32602


def test_a_longer_life_is_not_believed() -> None:
    """MRTR-10: the expiry is under the seal too."""
    sealer = StateSealer(KEY)
    version, body, tag = sealer.seal(PAYLOAD, **BOUND).split(".")
    content = json.loads(urlsafe_b64decode(body))
    content["expires"] += 1000
    forged = urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode()
    with pytest.raises(InvalidParams, match="not valid"):
        sealer.open(f"{version}.{forged}.{tag}", **BOUND)


def test_expiry() -> None:
    """MRTR-10: a while, and not a second more."""
    clock = Clock()
    sealer = StateSealer(KEY, ttl_seconds=60, clock=clock)
    state = sealer.seal(PAYLOAD, **BOUND)
    clock.now += 59.5
    assert sealer.open(state, **BOUND) == PAYLOAD
    clock.now += 0.5
    with pytest.raises(InvalidParams, match="expired"):
        sealer.open(state, **BOUND)


def test_replicas_share_a_key() -> None:
    """MRTR-13, SHM-16: any replica opens what another has sealed, and only with the key."""
    state = StateSealer(KEY).seal(PAYLOAD, **BOUND)
    assert StateSealer(KEY).open(state, **BOUND) == PAYLOAD
    for stranger in (StateSealer(OTHER), StateSealer(), StateSealer()):
        with pytest.raises(InvalidParams):
            stranger.open(state, **BOUND)


def test_rotation() -> None:
    """A retired key opens but seals no more."""
    old, new = StateSealer(KEY), StateSealer(OTHER, retired=[KEY])
    assert new.open(old.seal(PAYLOAD, **BOUND), **BOUND) == PAYLOAD
    with pytest.raises(InvalidParams):
        old.open(new.seal(PAYLOAD, **BOUND), **BOUND)


@pytest.mark.parametrize("keys", [{"key": b"short"}, {"key": b""}, {"key": KEY, "retired": [b"short"]}])
def test_short_keys(keys: dict[str, Any]) -> None:
    """A key that can be guessed seals nothing; an empty one is not "none"."""
    with pytest.raises(ValueError, match="16 bytes"):
        StateSealer(**keys)


def test_too_much() -> None:
    """What could not come back through a proxy is not sent."""
    with pytest.raises(ValueError, match="65536"):
        StateSealer(KEY).seal({"x": "y" * LARGEST_STATE}, **BOUND)

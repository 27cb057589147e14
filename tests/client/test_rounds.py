"""The dialogue within one request."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.client.answers import Answers, Elicitation
from mcpkit.client.errors import InputUnavailable, ProtocolViolation, ServerRefused
from mcpkit.client.rounds import asked_until_complete, pages_opened, responses
from mcpkit.jsonrpc.errors import RpcError

ASKS = {"method": "elicitation/create", "params": {"message": "?", "requestedSchema": {"type": "object"}}}
DONE = {"resultType": "complete", "content": []}


class Server:
    """Answers with one result after the other."""

    def __init__(self, *results: dict[str, Any]) -> None:
        self._results = list(results)
        self.asked: list[dict[str, Any]] = []

    async def __call__(self, params: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(params)
        return self._results.pop(0) if len(self._results) > 1 else self._results[0]


def wants(state: str | None = None, **requests: Any) -> dict[str, Any]:
    result: dict[str, Any] = {"resultType": "input_required"}
    if requests:
        result["inputRequests"] = requests
    return result if state is None else {**result, "requestState": state}


async def test_state_is_echoed_byte_for_byte() -> None:
    """MRTR-05, MRTR-06: original params, the answers of this round, the state as it came, none that was not given."""
    state = 'v1. é\u2028"\\ =='
    server = Server(wants(state, a=ASKS), wants(b=ASKS), DONE)
    answers = Answers(elicitation=lambda _: {"ok": True})
    assert await asked_until_complete(server, {"name": "t"}, answers, 10) == DONE
    accepted = {"action": "accept", "content": {"ok": True}}
    assert server.asked == [
        {"name": "t"},
        {"name": "t", "inputResponses": {"a": accepted}, "requestState": state},
        {"name": "t", "inputResponses": {"b": accepted}},
    ]


async def test_a_result_without_type_is_complete() -> None:
    """DCLI-08."""
    server = Server({"content": []})
    assert await asked_until_complete(server, {}, Answers(), 10) == {"content": []}
    assert len(server.asked) == 1


async def test_only_a_state_means_ask_again() -> None:
    """MRTR-08."""
    server = Server(wants("s1"), wants("s2"), DONE)
    assert await asked_until_complete(server, {}, Answers(), 10) == DONE
    assert server.asked[1:] == [{"requestState": "s1"}, {"requestState": "s2"}]


async def test_rounds_are_bounded() -> None:
    """MRTR-14: a server that is never content is left."""
    server = Server(wants("s", a=ASKS))
    with pytest.raises(ProtocolViolation, match="after 3 rounds"):
        await asked_until_complete(server, {}, Answers(elicitation=lambda _: {}), 3)
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    "result",
    [wants(), wants(a={"method": "tools/call", "params": {}}), wants(a="x"), wants(a={**ASKS, "params": []})],
)
async def test_malformed_wishes(result: dict[str, Any]) -> None:
    """MRTR-02, MRTR-03."""
    with pytest.raises(ProtocolViolation):
        await asked_until_complete(Server(result), {}, Answers(elicitation=lambda _: {}), 3)


async def test_all_kinds_of_input() -> None:
    """MRTR-03; SAMP-13: bare results. ROOT-01: params may be absent."""
    sampling = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}}
    answers = Answers(elicitation=lambda _: None, sampling=lambda _: "x", roots=["file:///r"])
    given = await responses({"e": ASKS, "s": sampling, "r": {"method": "roots/list"}}, answers)
    assert given["e"] == {"action": "cancel"}
    assert given["r"] == {"roots": [{"uri": "file:///r"}]}
    assert given["s"].keys() == {"role", "content", "model"}


async def test_what_nobody_can_answer_is_told() -> None:
    """MRTR-14, SAMP-12: no retry."""
    with pytest.raises(InputUnavailable):
        await asked_until_complete(Server(wants(a=ASKS)), {}, Answers(), 3)
    sampling = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}}
    server = Server(wants(a=sampling))
    with pytest.raises(InputUnavailable, match="rejected"):
        await asked_until_complete(server, {}, Answers(sampling=lambda _: None), 3)
    assert len(server.asked) == 1


async def test_pages_of_a_refusal() -> None:
    """ELIC-23: every page with consent, else not."""
    opened: list[str | None] = []

    def consent(asked: Elicitation) -> bool:
        opened.append(asked.url)
        return asked.url != "https://b.example/"

    answers = Answers(elicitation_url=consent)
    pages = [{"mode": "url", "url": f"https://{name}.example/", "message": "m"} for name in "ab"]
    refused = ServerRefused(RpcError(-32042, "first", {"elicitations": pages[:1]}))
    assert await pages_opened(refused, answers)
    assert not await pages_opened(ServerRefused(RpcError(-32042, "x", {"elicitations": pages})), answers)
    assert opened == ["https://a.example/", "https://a.example/", "https://b.example/"]
    assert not await pages_opened(ServerRefused(RpcError(-32042, "x")), answers)
    assert not await pages_opened(ServerRefused(RpcError(-32042, "x", {"elicitations": 5})), answers)

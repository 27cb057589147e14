"""The dialogue within one request: the server answers that it needs input, the client gives it and asks again.

What must never stand here: what is answered (answers.py), sending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from mcpkit.client.answers import Answers
from mcpkit.client.errors import InputUnavailable, ProtocolViolation, ServerRefused
from mcpkit.jsonrpc.errors import RpcError
from mcpkit.jsonrpc.messages import JsonObject

_ASKABLE: Final = ("elicitation/create", "sampling/createMessage", "roots/list")
_BREATH: Final = 0.05
_LONGEST_BREATH: Final = 2.0


async def asked_until_complete(
    ask: Callable[[JsonObject], Awaitable[JsonObject]], params: JsonObject, answers: Answers, most: int
) -> JsonObject:
    """The first answer that wants no more input (MRTR-05 to 08, MRTR-14).

    Raises: InputUnavailable, ProtocolViolation after ``most`` rounds, and what ``ask`` raises.
    """
    current, empty = params, 0
    for _ in range(most + 1):
        result = await ask(current)
        if result.get("resultType") != "input_required":
            return result
        added = await _round(result, answers)
        empty = 0 if "inputResponses" in added else empty + 1
        if empty > 1:  # a server that only passes time is given some
            await asyncio.sleep(min(_LONGEST_BREATH, _BREATH * 2.0**empty))
        current = {**params, **added}
    raise ProtocolViolation(f"the server still wants more input after {most} rounds")


async def pages_opened(error: ServerRefused, answers: Answers) -> bool:
    """The user has consented to open every page that the refusal names (ELIC-23); False when it names none."""
    listed = error.data.get("elicitations") if isinstance(error.data, dict) else None
    asked = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    for params in asked:
        answer = await _answered("elicitation/create", {"message": "", **params, "mode": "url"}, answers)
        if answer.get("action") != "accept":
            return False
    return bool(asked)


async def _round(result: JsonObject, answers: Answers) -> JsonObject:
    """What the retry carries beside the original params."""
    added: JsonObject = {}
    requests, state = result.get("inputRequests"), result.get("requestState")
    if isinstance(requests, dict) and requests:
        added["inputResponses"] = await responses(requests, answers)
    if isinstance(state, str):
        added["requestState"] = state
    if not added:
        raise ProtocolViolation("the server wants input but says neither which nor how to go on")
    return added


async def responses(requests: JsonObject, answers: Answers) -> JsonObject:
    """An answer for every input request, one after the other: a user is asked one thing at a time.

    Raises: InputUnavailable, ProtocolViolation.
    """
    given = {}
    for key, request in requests.items():
        method = request.get("method") if isinstance(request, dict) else None
        params = request.get("params", {}) if isinstance(request, dict) else None
        if method not in _ASKABLE or not isinstance(params, dict):
            raise ProtocolViolation(f"the server asks for input of an unknown kind: {method!r}")
        given[key] = await _answered(method, params, answers)
    return given


async def _answered(method: Any, params: JsonObject, answers: Answers) -> JsonObject:
    try:
        return await answers.answer(method, params)
    except RpcError as refusal:
        raise InputUnavailable(f"the server's question was refused: {refusal.message}", refusal) from refusal

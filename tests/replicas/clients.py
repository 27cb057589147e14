"""Clients that never give up and keep books: what was asked, what came, how often, and from whom.

They speak HTTP as it is, so nothing is retried or hidden but by them. What must never stand here: processes, faults.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE

ANSWER_SECONDS = 25.0
"""A call without an answer or an explicit error by then counts as lost."""
USUAL = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
RETRYABLE = {502, 503, 504}


class Retry(Exception):
    """An explicit error that says: send it again."""


@dataclass(slots=True)
class Books:
    """What became of every call of all clients."""

    answered: int = 0
    retried: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    """Answers that belong to another call or session."""
    false_404: list[str] = field(default_factory=list)

    def check(self) -> None:
        """That nothing was lost, doubled, mixed up or denied."""
        assert not self.lost, f"lost: {self.lost[:5]} of {len(self.lost)}"
        assert not self.twice, f"delivered twice: {self.twice[:5]} of {len(self.twice)}"
        assert not self.strange, f"not its own: {self.strange[:5]} of {len(self.strange)}"
        assert not self.false_404, f"false 404: {self.false_404[:5]} of {len(self.false_404)}"


class Client:
    """One session. ``name`` is in everything that it sends, so whatever comes back shows whose it is."""

    def __init__(self, http: httpx.AsyncClient, url: str, name: str, books: Books) -> None:
        self.http = http
        self.url = f"{url}/api"
        self.name = name
        self.books = books
        self.headers: dict[str, str] = {}
        self.events: set[str] = set()
        self._last = 0

    async def open(self) -> None:
        """Open the session, however often it takes."""
        capabilities = {"elicitation": {"form": {}}}
        info = {"name": self.name, "version": "1"}
        params = {"protocolVersion": NEWEST_HANDSHAKE.name, "capabilities": capabilities, "clientInfo": info}
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                try:
                    answer = await self.http.post(self.url, headers=USUAL, json=self._request("initialize", params))
                    self._check(answer)
                    break
                except (Retry, httpx.TransportError):
                    await asyncio.sleep(0.05)
            session = {"mcp-session-id": answer.headers["mcp-session-id"]}
            self.headers = {**USUAL, **session, "mcp-protocol-version": NEWEST_HANDSHAKE.name}
            await self.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def tell(self, message: Any) -> None:
        """Post what has no answer, until it was taken."""
        while True:
            try:
                answer = await self.http.post(self.url, headers=self.headers, json=message)
                self._check(answer)
                return
            except (Retry, httpx.TransportError) as error:
                self._noted(error)
                await asyncio.sleep(0.05)

    async def call(self, tool: str, **arguments: Any) -> str:
        """Call until there is an answer; its text. An explicit error is followed by another attempt."""
        async with asyncio.timeout(4 * ANSWER_SECONDS):
            while True:
                request = self._request("tools/call", {"name": tool, "arguments": arguments})
                try:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        answer = await self._answer(request)
                except (Retry, httpx.TransportError) as error:
                    self._noted(error)
                    await asyncio.sleep(0.05)
                    continue
                except TimeoutError:
                    self.books.lost.append(f"{self.name} {tool} {request['id']}")
                    return ""
                self.books.answered += 1
                return self._text(request, answer)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _request(self, method: str, params: Any) -> dict[str, Any]:
        self._last += 1
        return {"jsonrpc": "2.0", "id": f"{self.name}/{self._last}", "method": method, "params": params}

    def _noted(self, error: Exception) -> None:
        self.books.retried[str(error) if isinstance(error, Retry) else type(error).__name__] += 1

    def _check(self, answer: httpx.Response) -> None:
        if answer.status_code in RETRYABLE:
            raise Retry(f"{answer.status_code}")
        if answer.status_code == 404:
            self.books.false_404.append(f"{self.name} {answer.request.method}")
            raise Retry("404")
        assert answer.status_code < 300, (answer.status_code, answer.request.method, answer.request.headers)

    def _text(self, request: Any, answer: Any) -> str:
        if answer.get("id") != request["id"]:
            self.books.strange.append(f"{request['id']} got {answer.get('id')}")
        text: str = answer["result"]["content"][0]["text"]
        return text

    async def _answer(self, request: Any) -> Any:
        found: list[Any] = []
        last = ""
        async with self.http.stream("POST", self.url, headers=self.headers, json=request) as response:
            if "event-stream" not in response.headers.get("content-type", ""):
                await response.aread()
                self._check(response)
                return self._judged(response.json())
            try:
                async for id, message in self._messages(response):
                    last = id or last
                    await self._took(message, found)
            except httpx.TransportError as error:
                self._noted(error)
        while not found:
            if not last:
                raise Retry("the stream broke before there was an event to come back to")
            last = await self._resumed(last, found)
        return self._judged(found[0])

    def _judged(self, answer: Any) -> Any:
        if "error" in answer:
            if (answer["error"].get("data") or {}).get("retry"):
                raise Retry("its replica is gone")
            raise AssertionError(answer["error"])
        return answer

    async def _resumed(self, last: str, found: list[Any]) -> str:
        headers = {**self.headers, "accept": "text/event-stream", "last-event-id": last}
        try:
            async with self.http.stream("GET", self.url, headers=headers) as response:
                if response.status_code == 400:
                    raise Retry("nothing to resume")
                if response.status_code != 200:
                    await response.aread()
                self._check(response)
                async for id, message in self._messages(response):
                    last = id or last
                    await self._took(message, found)
        except (Retry, httpx.TransportError) as error:
            self._noted(error)
            if str(error) == "nothing to resume":
                raise
        await asyncio.sleep(0.05)
        return last

    async def _took(self, message: Any, found: list[Any]) -> None:
        if "method" in message:
            if "id" in message:
                content = {"value": f"{self.name} says {message['params']['message']}"}
                result = {"action": "accept", "content": content}
                await self.tell({"jsonrpc": "2.0", "id": message["id"], "result": result})
        elif found:
            self.books.twice.append(f"{self.name} {message.get('id')}")
        else:
            found.append(message)

    async def _messages(self, response: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
        id = ""
        async for line in response.aiter_lines():
            if line.startswith("id: "):
                id = line[4:]
            elif line.startswith("data:"):
                if id and id in self.events:
                    self.books.twice.append(f"{self.name} event {id}")
                self.events.add(id)
                yield id, json.loads(line[6:]) if line.startswith("data: {") else {"method": "primed"}
                id = ""

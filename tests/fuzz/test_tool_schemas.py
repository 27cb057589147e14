"""Every tool of the application, and tools of every kind of type, called with what their schemas allow and don't.

The arguments are made from the schema that a client sees, the answers judged by it: never a 5xx, what is allowed is
served and its result fits the output schema, what is not is refused in the revision's own way and names the tool.
What must never stand here: arguments written by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from mcp_server import MCPServer
from mcpkit import Server
from mcpkit.fastapi import create_app
from mcpkit.jsonrpc.codec import encode
from mcpkit.protocol.revisions.registry import HANDSHAKES, PLAIN
from mcpkit.protocol.revisions.revision import Fault
from mcpkit.settings import Settings

OLDER = next(revision for revision in HANDSHAKES if revision.invalid_arguments is Fault.RPC_ERROR)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


# ── values from schemas ──────────────────────────────────────────────────────────────────────────────────────────────


def values(schema: Any, root: Any) -> st.SearchStrategy[Any]:
    """What a schema allows; of keywords those that types become."""
    if "$ref" in schema:
        return values(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return st.one_of(*(values(option, root) for option in schema[keyword]))
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    made: st.SearchStrategy[Any] = TYPES.get(schema.get("type", ""), lambda *_: anything)(schema, root)
    return made


def objects(schema: Any, root: Any) -> st.SearchStrategy[Any]:
    known = {name: values(part, root) for name, part in schema.get("properties", {}).items()}
    required = {name: known.pop(name) for name in schema.get("required", ())}
    made: st.SearchStrategy[Any] = st.fixed_dictionaries(required, optional=known)
    more = schema.get("additionalProperties")
    return st.dictionaries(texts, values(more, root), max_size=3) if isinstance(more, dict) and not known else made


def numbers(schema: Any, root: Any) -> st.SearchStrategy[Any]:
    least, most = schema.get("minimum"), schema.get("maximum")
    whole = st.integers(least, most)
    if schema["type"] == "integer":
        return whole
    return whole | st.floats(least, most, allow_nan=False, allow_infinity=False)


def arrays(schema: Any, root: Any) -> st.SearchStrategy[Any]:
    if "prefixItems" in schema:
        return st.tuples(*(values(part, root) for part in schema["prefixItems"])).map(list)
    least, most = schema.get("minItems", 0), schema.get("maxItems", 4)
    return st.lists(values(schema.get("items", {}), root), min_size=least, max_size=most)


TYPES: dict[str, Any] = {
    "object": objects,
    "array": arrays,
    "integer": numbers,
    "number": numbers,
    "string": lambda schema, root: st.text(
        st.characters(exclude_categories=["Cs"]),
        min_size=schema.get("minLength", 0),
        max_size=schema.get("maxLength", 40),
    ),
    "boolean": lambda schema, root: st.booleans(),
    "null": lambda schema, root: st.none(),
}


@st.composite
def spoilt(draw: st.DrawFn, schema: Any) -> Any:
    """Arguments that were allowed until one thing was changed."""
    arguments = draw(values(schema, schema))
    names = st.sampled_from(sorted(schema.get("properties", {"x": {}})))
    ways = ["more", "other"] + ["less"] * bool(schema.get("required"))
    match draw(st.sampled_from(ways)):
        case "less":
            del arguments[draw(st.sampled_from(schema["required"]))]
        case "more":
            arguments[draw(texts)] = draw(anything)
        case _:
            arguments[draw(names)] = draw(anything)
    return arguments


# ── whom to ask ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Point(BaseModel):
    x: float
    label: str | None = None


@dataclass
class Box:
    corner: Point
    sides: list[int]


def typed() -> Server:
    """Tools whose parameters and results are of every kind that becomes a schema."""
    server = Server("typed", "1", lenient=False)  # the schema alone decides

    @server.tool
    def limits(n: Annotated[int, Field(ge=1, le=5)], s: Annotated[str, Field(min_length=2, max_length=4)]) -> list[str]:
        return [s] * n

    @server.tool
    def choice(colour: Colour, size: Literal["s", "m", 3], on: bool = False) -> dict[str, bool]:
        return {f"{colour.value}{size}": on}

    @server.tool
    async def nested(box: Box, more: dict[str, int], points: list[Point] | None = None) -> Box:
        return Box((points or [box.corner])[0], [*box.sides, *more.values()])

    @server.tool
    def untyped(value: Any, pair: tuple[int, str] = (1, "a")) -> Any:
        return {"value": value, "pair": pair}

    return server


class Asking:
    """An application in this process, and a loop to ask it in."""

    def __init__(self, app: Any, runner: asyncio.Runner) -> None:
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")
        self._runner = runner
        found = self.ask({}, "tools/list").json()["result"]["tools"]
        self.tools = {tool["name"]: tool for tool in found}

    def ask(self, headers: dict[str, str], method: str, /, **params: Any) -> httpx.Response:
        body = encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        both = {"content-type": "application/json", "accept": "application/json, text/event-stream", **headers}
        return self._runner.run(self._client.post("/api", content=body, headers=both))


def _strict(program: MCPServer) -> MCPServer:
    program.server.tools.argument_options.lenient = False
    return program


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Asking]]:
    folder: Path = tmp_path_factory.mktemp("application")
    given = Settings(files_root=folder / "files", database_path=folder / "app.db", weather_url="http://127.0.0.1:9")
    with asyncio.Runner() as runner:
        yield {
            "application": Asking(_strict(MCPServer(settings=given)).app, runner),
            "typed": Asking(create_app(typed(), given), runner),
        }


APPLICATION = [
    "add",
    "calculate",
    "database_execute",
    "database_query",
    "divide",
    "file_read",
    "file_write",
    "get_weather",
    "list_directory",
    "modulo",
    "multiply",
    "subtract",
]
EVERY = [("application", name) for name in APPLICATION] + [
    ("typed", name) for name in ("choice", "limits", "nested", "untyped")
]
each_tool = pytest.mark.parametrize(("where", "name"), EVERY, ids=[name for _, name in EVERY])
few = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def test_no_tool_is_left_out(asking: dict[str, Asking]) -> None:
    assert [(where, name) for where in asking for name in sorted(asking[where].tools)] == EVERY


def served(response: httpx.Response, tool: Any) -> None:
    """A result that fits the tool's own schema, or an error in the tool's own words."""
    assert response.status_code == 200, response.text
    result = response.json()["result"]
    text = "".join(part.get("text", "") for part in result["content"])
    if result.get("isError"):
        assert not text.startswith("Invalid arguments"), text
        assert "Traceback" not in text
    elif "outputSchema" in tool:
        jsonschema_rs.validator_for(tool["outputSchema"]).validate(result["structuredContent"])


def refused(response: httpx.Response, name: str, *, by_error: bool) -> None:
    """A tool's error for the model to read, or -32602 in the revisions before."""
    assert response.status_code in {200, 400}, response.text
    message = response.json()
    if by_error:
        assert message["error"]["code"] == -32602
        assert name in message["error"]["message"]
    else:
        assert response.status_code == 200
        assert message["result"]["isError"] is True
        assert message["result"]["content"][0]["text"].startswith(f"Invalid arguments for {name}")


@each_tool
def test_what_the_schema_allows_is_served(asking: dict[str, Asking], where: str, name: str) -> None:
    """TOOL-10, TSEC-06, JSCH-01: never a 5xx, results as promised."""
    tool = asking[where].tools[name]

    @few
    @given(values(tool["inputSchema"], tool["inputSchema"]))
    def serve(arguments: Any) -> None:
        served(asking[where].ask({}, "tools/call", name=name, arguments=arguments), tool)

    serve()


@each_tool
def test_what_the_schema_forbids_is_refused(asking: dict[str, Asking], where: str, name: str) -> None:
    """SEP-1303: for the model to read since 2025-11-25, -32602 before; the schema alone decides which it is."""
    tool = asking[where].tools[name]
    fits = jsonschema_rs.validator_for(tool["inputSchema"]).is_valid
    older = {"MCP-Protocol-Version": OLDER.name}

    @few
    @given(spoilt(tool["inputSchema"]))
    def refuse(arguments: Any) -> None:
        for headers, by_error in (({}, False), (older, True)):
            response = asking[where].ask(headers, "tools/call", name=name, arguments=arguments)
            if fits(arguments):
                served(response, {} if headers else tool)
            else:
                refused(response, name, by_error=by_error)

    assert PLAIN.invalid_arguments is Fault.TOOL_ERROR
    refuse()

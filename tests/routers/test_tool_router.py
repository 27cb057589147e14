"""The example tools as a model meets them: listed with schemas and hints, called by JSON, failing in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mcpkit.server import Server
from mcpkit.settings import Settings
from routers.base_router import MCPBaseRouter
from routers.tool_router import register_weather
from tests.exchanges import exchange
from tests.fixtures.stand_in import Reply, standing_in
from tests.routers.conftest import Ask

NAMES = [
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


async def call(ask: Ask, name: str, /, **arguments: Any) -> Any:
    return await ask("tools/call", name=name, arguments=arguments)


async def text_of(ask: Ask, name: str, /, **arguments: Any) -> str:
    result = await call(ask, name, **arguments)
    assert not result.get("isError"), result
    text: str = result["content"][0]["text"]
    return text


async def refusal_of(ask: Ask, name: str, /, **arguments: Any) -> str:
    result = await call(ask, name, **arguments)
    assert result["isError"] is True
    text: str = result["content"][0]["text"]
    return text


async def listed(ask: Ask) -> list[Any]:
    """The example tools as a client sees them, without those that were added to them."""
    return [tool for tool in (await ask("tools/list"))["tools"] if tool["name"] in NAMES]


async def test_every_tool_is_listed_with_a_description_of_itself_and_of_each_argument(ask: Ask) -> None:
    tools = await listed(ask)
    assert [tool["name"] for tool in tools] == NAMES
    for tool in tools:
        assert tool["description"], tool["name"]
        assert tool["inputSchema"]["additionalProperties"] is False
        for name, schema in tool["inputSchema"]["properties"].items():
            assert schema["description"], f"{tool['name']}.{name}"


async def test_a_sum_takes_numbers_and_says_so_plainly(ask: Ask) -> None:
    """One type each, so that a client can make a form of it; a whole number stays whole all the same."""
    tools = {tool["name"]: tool for tool in (await ask("tools/list"))["tools"]}
    assert [schema["type"] for schema in tools["add"]["inputSchema"]["properties"].values()] == ["number", "number"]
    assert tools["add"]["outputSchema"]["properties"]["result"] == {"type": "number"}


async def test_numbers_of_any_size_end_in_a_number_or_a_refusal(ask: Ask) -> None:
    assert "too large" in await refusal_of(ask, "multiply", a=10**400, b=10**400)
    assert "too large" in await refusal_of(ask, "add", a=1e308, b=1e308)


async def test_the_hints_say_which_tools_change_something(ask: Ask) -> None:
    tools = await listed(ask)
    changing = [tool["name"] for tool in tools if not tool["annotations"]["readOnlyHint"]]
    assert changing == ["database_execute", "file_write"]
    assert all(tool["annotations"]["destructiveHint"] for tool in tools if tool["name"] in changing)


@pytest.mark.parametrize(
    ("name", "a", "b", "text"),
    [
        ("add", 5, 3, "8"),
        ("subtract", 5, 3, "2"),
        ("multiply", 5, 3, "15"),
        ("divide", 7, 2, "3.5"),
        ("modulo", 10, 3, "1"),
        ("add", 0.5, 1, "1.5"),
    ],
)
async def test_a_sum_is_answered_as_text_and_as_a_number(ask: Ask, name: str, a: float, b: float, text: str) -> None:
    result = await call(ask, name, a=a, b=b)
    assert result["content"][0]["text"] == text
    assert result["structuredContent"] == {"result": float(text)}


async def test_calculate_works_out_chinese_signs(ask: Ask) -> None:
    assert await text_of(ask, "calculate", expression="（８－２）×３") == "18"


@pytest.mark.parametrize(
    ("name", "arguments", "refusal"),
    [
        ("divide", {"a": 7, "b": 0}, "Division by zero is not allowed"),
        ("modulo", {"a": 7, "b": 0}, "Division by zero is not allowed"),
        ("calculate", {"expression": "9**9**9"}, "The result is too large"),
        ("calculate", {"expression": "__import__(1)"}, "Unknown name '__import__'"),
        ("file_read", {"path": "../secret"}, "'../secret' leads upwards"),
        ("file_read", {"path": "/etc/passwd"}, "'/etc/passwd' is absolute"),
        ("list_directory", {"path": "missing"}, "'missing': there is no such file or directory"),
        ("database_query", {"sql": "DELETE FROM t"}, "no such table"),
        ("database_execute", {"sql": "ATTACH 'x' AS y"}, "The statement is not allowed"),
        ("get_weather", {"city": ""}, "Name a city"),
        ("get_weather", {"city": "Berlin"}, "The weather service can't be reached"),
    ],
)
async def test_a_tool_that_fails_tells_why_without_a_path(
    ask: Ask, tmp_path: Path, name: str, arguments: dict[str, Any], refusal: str
) -> None:
    text = await refusal_of(ask, name, **arguments)
    assert refusal in text
    assert str(tmp_path) not in text


async def test_files_are_written_listed_and_read(ask: Ask) -> None:
    assert (
        await text_of(ask, "file_write", path="notes/今天.md", content="# 你好") == "8 bytes written to notes/今天.md"
    )
    assert await text_of(ask, "file_read", path="notes/今天.md") == "# 你好"
    listing = (await call(ask, "list_directory", path="notes"))["structuredContent"]
    assert listing["entries"] == [{"name": "今天.md", "type": "file", "size": 8}]
    root = (await call(ask, "list_directory"))["structuredContent"]
    assert [entry["name"] for entry in root["entries"]] == ["README.md", "notes"]


async def test_the_database_is_changed_by_one_tool_and_read_by_the_other(ask: Ask) -> None:
    await call(ask, "database_execute", sql="CREATE TABLE fruit (name TEXT, price REAL, ripe INTEGER)")
    row = ["梨", 1.5, True]
    done = await call(ask, "database_execute", sql="INSERT INTO fruit VALUES (?, ?, ?)", parameters=row)
    assert done["structuredContent"] == {"rows_changed": 1, "last_row_id": 1, "returned": []}
    found = await call(ask, "database_query", sql="SELECT * FROM fruit WHERE price < ?", parameters=[2])
    assert found["structuredContent"] == {
        "columns": ["name", "price", "ripe"],
        "rows": [["梨", 1.5, 1]],
        "truncated": False,
    }
    assert "not allowed" in await refusal_of(ask, "database_query", sql="DELETE FROM fruit")


async def test_the_weather_comes_from_the_service_in_the_settings() -> None:
    now = {
        "time": "2026-11-20T12:00",
        "temperature_2m": 7.1,
        "apparent_temperature": 4.0,
        "relative_humidity_2m": 81,
        "wind_speed_10m": 12.5,
        "weather_code": 0,
    }
    place = {"name": "Berlin", "country": "Germany", "latitude": 52.5, "longitude": 13.4}
    with standing_in({"/v1/search": Reply({"results": [place]}), "/v1/forecast": Reply({"current": now})}) as stand_in:
        server = Server("test")
        register_weather(MCPBaseRouter(server), Settings(weather_url=stand_in.url))
        params = {"name": "get_weather", "arguments": {"city": "Berlin"}}
        async with server.running():
            result: Any = await server.kernel.serve(exchange("tools/call", params, revision=""))
    assert result["structuredContent"]["sky"] == "clear sky"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("add", {"a": 1}),
        ("add", {"a": "one", "b": 2}),
        ("add", {"a": True, "b": 2}),
        ("add", {"a": 1, "b": 2, "c": 3}),
        ("calculate", {"expression": 5}),
        ("file_read", {"path": None}),
        ("database_query", {"sql": "SELECT ?", "parameters": [{"a": 1}]}),
    ],
)
async def test_arguments_that_dont_fit_never_reach_the_work(ask: Ask, name: str, arguments: dict[str, Any]) -> None:
    assert await refusal_of(ask, name, **arguments)

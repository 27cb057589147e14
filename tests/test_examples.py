"""The examples are short, and do what they say when a newcomer runs them from a bare clone."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.fixtures.started import ROOT, run, started

EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
SERVERS = {
    "math_server.py": (18080, ["add", "divide", "multiply", "subtract"]),
    "modulo_server.py": (18081, ["modulo"]),
    "fastapi_include.py": (18082, ["greet"]),
}


def test_every_example_is_known_here() -> None:
    assert sorted(SERVERS) == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_fits_on_a_screen_and_names_its_port(name: str) -> None:
    source = (ROOT / "examples" / name).read_text()
    assert len(source.splitlines()) < 40
    assert str(SERVERS[name][0]) in source


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_serves_its_tools(name: str, tmp_path: Path) -> None:
    with started(f"examples/{name}", "--host", "127.0.0.1", "--port", "0", cwd=tmp_path) as program:
        tools = program.ask("tools/list")["result"]["tools"]
        assert [tool["name"] for tool in tools] == SERVERS[name][1]
        assert program.end() in (0, -15)


def test_the_sums_of_the_missions_dialogues(tmp_path: Path) -> None:
    """5 加 3, 7 除以 0, and 10 除以 3 的余数, each by the server that has the tool."""

    def called(url: str, tool: str, a: int, b: int) -> str:
        params = {"name": tool, "arguments": {"a": a, "b": b}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        text: str = httpx.post(f"{url}/api", json=body, timeout=10).json()["result"]["content"][0]["text"]
        return text

    with (
        started("examples/math_server.py", "--port", "0", cwd=tmp_path) as sums,
        started("examples/modulo_server.py", "--port", "0", cwd=tmp_path) as rests,
    ):
        assert called(sums.url, "add", 5, 3) == "8"
        assert called(sums.url, "divide", 7, 0) == "Division by zero is not allowed"
        assert called(rests.url, "modulo", 10, 3) == "1"
        assert called(rests.url, "modulo", 10, 0) == "Division by zero is not allowed"


def test_the_routes_of_the_application_around_it_are_served_too(tmp_path: Path) -> None:
    with started("examples/fastapi_include.py", "--port", "0", cwd=tmp_path) as program:
        assert httpx.get(f"{program.url}/hello/Ada", timeout=10).json() == {"said": "Hello, Ada!"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_explains_itself(name: str, tmp_path: Path) -> None:
    done = run(f"examples/{name}", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "--host" in done.stdout
    assert "--port" in done.stdout

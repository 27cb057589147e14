"""Options of tools, resources, prompts and servers: what can't be used is refused where it is said, with the fix."""

from __future__ import annotations

import math
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from mcpkit import Annotations, RegistrationError, Server, ToolAnnotations
from mcpkit.testing import connect


def work(a: int = 1) -> str:
    """Work."""
    return str(a)


async def sees(exchange: Any) -> bool:
    return False


NUMBERS = (-1, math.nan, math.inf, "5", True, [1])
TEXTS = (5, b"x", ["x"])
WRONG: dict[str, tuple[Any, ...]] = {
    "title": TEXTS,
    "description": TEXTS,
    "icons": ("https://x/i.png", 5, [5], [{"url": "https://x/i.png"}], [{"src": "ftp://x"}]),
    "meta": ([1], "x", {"x": object()}),
    "tags": ("public", b"public", [5], {"a": 1}),
    "scopes": ("admin", 5, [""], [None]),
    "enabled": (0, "no"),
    "visible": (True, sees, "x"),
    "timeout": NUMBERS,
    "concurrency": (0, -1, 1.5, "2", True),
    "inline": ("yes", 1),
    "ttl_ms": (-1, 0.5, "x"),
    "cache_scope": ("shared", 5),
}
OF_TOOLS: dict[str, tuple[Any, ...]] = {
    "annotations": ([1], "read-only", {"readOnly": True}, {"readOnlyHint": "yes"}, ToolAnnotations(destructive="no")),  # type: ignore[arg-type]  # the mistake under test
    "input_schema": ("{}", [1]),
    "output_schema": ("{}", [1]),
    "structured_output": ("yes",),
    "cache": (0, *NUMBERS),
    "task": (True, "always"),
}
OF_RESOURCES: dict[str, tuple[Any, ...]] = {
    "mime_type": ("text", "text plain/x", 5, "/x"),
    "annotations": ({"audience": "user"}, {"audience": ["admin"]}, {"priority": 7}, Annotations(priority=math.nan)),
    "size": (-1, 1.5, "10"),
    "completions": ([("a", ["x"])],),
}


def cases(*tables: dict[str, tuple[Any, ...]]) -> list[tuple[str, Any]]:
    return [(name, value) for table in tables for name, values in table.items() for value in values]


@pytest.mark.parametrize(("name", "value"), cases(WRONG, OF_TOOLS))
def test_a_tool_with_an_option_that_cant_be_used_is_refused(name: str, value: Any) -> None:
    with pytest.raises(RegistrationError, match=rf"test_option_values\.py:\d+.*({name.removesuffix('s')}|its options)"):
        Server("s").add_tool(work, **{name: value})


@pytest.mark.parametrize(("name", "value"), cases(WRONG, OF_RESOURCES))
def test_so_is_a_resource(name: str, value: Any) -> None:
    with pytest.raises(RegistrationError, match=r"test_option_values\.py:\d+"):
        Server("s").add_resource("a://{a}", lambda a: a, **{name: value})


@pytest.mark.parametrize(("name", "value"), cases(WRONG))
def test_so_is_a_prompt(name: str, value: Any) -> None:
    with pytest.raises(RegistrationError, match=r"test_option_values\.py:\d+"):
        Server("s").add_prompt(lambda: "x", name="p", **{name: value})


@pytest.mark.parametrize("name", [5, b"x", ""])
def test_a_name_is_a_text(name: Any) -> None:
    server = Server("s")
    for add in (server.add_tool, server.add_prompt):
        with pytest.raises(RegistrationError, match="name must be a text"):
            add(work, name=name)


def test_an_update_is_checked_too_and_changes_nothing_then() -> None:
    server = Server("s")
    tool = server.add_tool(work, timeout=5)
    with pytest.raises(RegistrationError, match="timeout must be a number of seconds"):
        tool.update(timeout=-1)
    assert tool.timeout == 5


async def test_what_can_be_used_is_taken() -> None:
    server = Server("s", title="S", icons=["https://x/i.png"], tool_timeout=0, max_calls=1, page_size=1)
    server.add_tool(
        work,
        icons=("https://x/i.png", {"src": "data:image/png;base64,AA", "mimeType": "image/png", "sizes": ["1x1"]}),
        meta={"com.example/x": [1, None]},
        tags={"a"},
        scopes=(),
        timeout=0,
        concurrency=2,
        ttl_ms=0,
        cache_scope="private",
        annotations={"readOnlyHint": True, "title": "T"},
        cache=0.5,
    )
    server.add_resource(
        "a://b",
        lambda: "x",
        mime_type="text/plain; charset=utf-8",
        size=0,
        annotations=Annotations(["user"], 1, "2025-01-01T00:00:00Z"),
    )
    async with connect(server) as client:
        [tool] = await client.list_tools()
        [resource] = await client.list_resources()
    assert tool.annotations == {"readOnlyHint": True, "title": "T"}
    assert resource.annotations == {"audience": ["user"], "priority": 1, "lastModified": "2025-01-01T00:00:00Z"}


async def generator(server: Server) -> Any:
    yield {}


async def coroutine(server: Server) -> AbstractAsyncContextManager[None]:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("title", (5,)),
        ("description", (["x"],)),
        ("website_url", (5,)),
        ("icons", ("https://x/i.png", [5], ["ftp://x"])),
        ("instructions", (5,)),
        ("page_size", (0, -1, 1.5, "9", True, None)),
        ("tool_timeout", NUMBERS),
        ("max_calls", (0, -1, 0.5, "many")),
        ("state_key", ("a text of more than 16 characters", b"short", b"")),
        ("lifespan", (generator, coroutine, {"db": 1})),
        ("changes", (object(),)),
    ],
)
def test_a_server_with_an_option_that_cant_be_used_is_refused(option: str, values: tuple[Any, ...]) -> None:
    for value in values:
        with pytest.raises(RegistrationError, match=option.removesuffix("s")):
            Server("s", **{option: value})
    for name in ("", 5, None):
        with pytest.raises(RegistrationError, match="name must be a text"):
            Server(name)  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.parametrize(
    ("unknown", "said"),
    [
        ("prot", "'port' is a setting: MCP_SERVER_PORT in the environment"),
        ("port", "'port' is a setting"),
        ("instruction", "did you mean 'instructions'"),
        ("timeout", "did you mean 'tool_timeout'"),
        ("log_level", "'log_level' is a setting: MCP_LOG_LEVEL"),
        ("zzz", "there are title, description"),
    ],
)
def test_an_option_that_a_server_doesnt_know_is_refused_with_the_nearest(unknown: str, said: str) -> None:
    with pytest.raises(TypeError, match=f"Server knows no option '{unknown}'.*{said}"):
        Server("s", **{unknown: 5})  # type: ignore[arg-type]  # the mistake under test

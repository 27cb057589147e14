"""Values without a JSON form: refused where the type says it, else told with their type, their place and the fix."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import enum
import gc
import inspect
import json
import math
import warnings
from collections import ChainMap
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import Base64Bytes, BaseModel, ConfigDict, PlainSerializer

from mcpkit import RegistrationError, Server, ToolResult
from mcpkit.client import ServerRefused
from mcpkit.protocol.revisions.registry import REVISIONS
from mcpkit.testing import connect


class int64:
    """A stand-in for a number of numpy's: no number of Python's."""

    def tolist(self) -> int:
        return 1


int64.__module__ = "numpy"


class float64(float):
    """A stand-in for the one that is a number of Python's too."""

    def tolist(self) -> float:
        return float(self)


class ndarray(int64):
    def __iter__(self) -> Iterator[int]:
        return iter([1])

    def __len__(self) -> int:
        return 1


class DataFrame:
    """A stand-in for a table of pandas'."""

    def to_dict(self, orient: str = "dict") -> Any:
        return {}

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])


class Plain:
    pass


class Blob(BaseModel):
    data: bytes


class Color(enum.Enum):
    RED = "red"


class Model(BaseModel):
    mean: float | None = None
    anything: Any = None


class Encoded(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64")
    data: bytes = b"\xff"


class Raw(BaseModel):
    data: bytes


@dataclasses.dataclass
class Record:
    value: Any


async def other() -> int:
    return 1


def circle() -> Any:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


def deep() -> Any:
    value: Any = []
    for _ in range(500):
        value = [value]
    return value


FILE = "return File(data, name=…), Image(data) or Audio(data), or decode() a text"
CASES: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: {"a": MappingProxyType({"b": 1})},
        "a value of type mappingproxy at a, which has no JSON form: return dict(…) of it",
    ),
    (lambda: ChainMap({"b": math.nan}), "NaN at b, which JSON does not have: return None, or a text"),
    (lambda: [{"a": "\udc00"}], "a text at [0].a with half a surrogate pair, which JSON does not have"),
    (
        lambda: [Blob(data=b"\xff")],
        "a value of type bytes at [0].data, which has no JSON form: return File(",
    ),
    (lambda: b"hi", f"a value of type bytes, which has no JSON form: {FILE}"),
    (lambda: b"\xff", f"a value of type bytes, which has no JSON form: {FILE}"),
    (lambda: bytearray(b"hi"), f"a value of type bytearray, which has no JSON form: {FILE}"),
    (lambda: memoryview(b"hi"), f"a value of type memoryview, which has no JSON form: {FILE}"),
    (lambda: {"a": [b"hi"]}, f"a value of type bytes at a[0], which has no JSON form: {FILE}"),
    (lambda: Record(b"hi"), f"a value of type bytes at value, which has no JSON form: {FILE}"),
    (int64, "a value of type numpy.int64, which has no JSON form: return its .tolist()"),
    (lambda: [{"n": int64()}], "a value of type numpy.int64 at [0].n, which has no JSON form: return its .tolist()"),
    (lambda: Model(anything=int64()), "a value of type numpy.int64 at anything, which has no JSON form: "),
    (ndarray, "a value of type tests.ndarray, which has no JSON form: return its .tolist()"),
    (DataFrame, "a value of type tests.DataFrame, which has no JSON form: return its .to_dict(), or .to_dict("),
    (lambda: range(3), "a value of type range, which has no JSON form: return list(…) of it"),
    (lambda: ValueError("hunter2"), "a value of type ValueError, which has no JSON form: raise it"),
    (Plain, "a value of type tests.Plain, which has no JSON form: return a dict, a dataclass or a pydantic model"),
    (lambda: int, "a class (int): return a value"),
    (lambda: len, "a builtin_function_or_method (len): return a value"),
    (lambda: json, "a module (json): return a value"),
    (lambda: math.nan, "NaN, which JSON does not have: return None, or a text"),
    (lambda: float64("nan"), "NaN, which JSON does not have: return None, or a text"),
    (lambda: {"mean": math.nan}, "NaN at mean, which JSON does not have: return None, or a text"),
    (lambda: {"a": [{"b": math.inf}]}, "Infinity at a[0].b, which JSON does not have: "),
    (lambda: (-math.inf,), "-Infinity at [0], which JSON does not have: "),
    (lambda: {"a": None, "b": math.nan}, "NaN at b, which JSON does not have: "),
    (lambda: Model(mean=math.nan), "NaN at mean, which JSON does not have: "),
    (lambda: Record(Record(math.nan)), "NaN at value.value, which JSON does not have: "),
    (circle, "a dict that holds itself at self: return one without the circle"),
    (deep, "something nested more than 200 deep at [0][0][0][0][0][0][0][0]: return something flatter"),
    (lambda: {"\ud800": 1}, "a key with half a surrogate pair, which JSON does not have"),
    (other, "a coroutine (other): await it"),
    (lambda: {"a": [other(), other()]}, "a coroutine at a[0] (other): await it"),
    (lambda: [math.nan, other()], "NaN at [0], which JSON does not have: "),
]


def returning(make: Callable[[], Any], annotation: Any = inspect.Parameter.empty) -> Callable[..., Any]:
    """An async function that returns what ``make`` makes, without awaiting it."""

    async def tool() -> Any:
        return make()

    if annotation is inspect.Parameter.empty:
        del tool.__annotations__["return"]
    else:
        tool.__annotations__["return"] = annotation
    return tool


async def told(function: Callable[..., Any], revision: str = "auto", **options: Any) -> str:
    """What the caller of such a tool is told; nothing warns of a coroutine that was never awaited."""
    server = Server("x")
    server.add_tool(function, name="f", **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with connect(server, revision=revision) as client:
            result = await client.call_tool("f", raise_on_error=False)
        gc.collect()
    assert [str(warning.message) for warning in caught if "never awaited" in str(warning.message)] == []
    return f"{'error: ' if result.is_error else ''}{result.text}"


@pytest.mark.parametrize(("make", "words"), CASES, ids=lambda value: str(value)[:40])
async def test_the_message_names_the_type_the_place_and_the_fix(
    make: Callable[[], Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    for annotation in (inspect.Parameter.empty, Any):
        text = await told(returning(make, annotation))
        assert text.startswith(f"error: f failed: it returned {words}")
        assert "hunter2" not in text
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        caplog.clear()


DECLARED = [
    (lambda: math.nan, float, "NaN,"),
    (lambda: math.nan, float | None, "NaN,"),
    (lambda: [1.0, math.inf], list[float], "Infinity at [1],"),
    (lambda: {"x": math.nan}, dict, "NaN at x,"),
    (lambda: {"x": [math.inf]}, dict[str, Any], "Infinity at x[0],"),
    (lambda: Model(mean=math.nan), Model, "NaN at mean,"),
    (lambda: Model(anything={"a": math.nan}), Model, "NaN at anything.a,"),
    (lambda: [Model(), Model(mean=math.nan)], list[Model], "NaN at [1].mean,"),
    (lambda: Record(math.nan), Record, "NaN at value,"),
    (lambda: b"x", str, "a value of type bytes,"),
    (lambda: [b"x"], list[str], "a value of type bytes at [0],"),
    (lambda: {"x": b"x"}, dict, "a value of type bytes at x,"),
    (int64, int, "a value of type numpy.int64,"),
    (lambda: [int64()], list[int], "a value of type numpy.int64 at [0],"),
    (lambda: {"x": int64()}, dict[str, int], "a value of type numpy.int64 at x,"),
    (DataFrame, list[dict[str, int]], "a value of type tests.DataFrame,"),
    (other, int, "a coroutine (other): await it"),
    (other, str, "a coroutine (other): await it"),
    (other, Model, "a coroutine (other): await it"),
    (lambda: {"a": other()}, dict, "a coroutine at a (other): await it"),
    (lambda: Model(anything=other()), Model, "a coroutine at anything (other): await it"),
]


@pytest.mark.parametrize(("make", "annotation", "words"), DECLARED, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("structured", [None, False])
async def test_a_declared_type_changes_nothing_of_that(
    make: Callable[[], Any], annotation: Any, words: str, structured: bool | None
) -> None:
    text = await told(returning(make, annotation), structured_output=structured)
    assert text.startswith(f"error: f failed: it returned {words}")


@pytest.mark.parametrize("revision", sorted(REVISIONS))
async def test_every_revision_is_told_the_same(revision: str) -> None:
    assert await told(returning(lambda: math.nan, float), revision) == (
        "error: f failed: it returned NaN, which JSON does not have: return None, or a text"
    )


async def test_a_wrong_type_is_named() -> None:
    assert await told(returning(lambda: None, str)) == (
        "error: f failed: its result is not what it declares: it returned a value of type NoneType"
    )


async def test_what_an_awaitable_of_a_task_is() -> None:
    async def tool() -> Any:
        return asyncio.ensure_future(other())

    assert (await told(tool)).startswith("error: f failed: it returned an awaitable (")


async def test_a_result_by_hand_is_looked_at_too() -> None:
    nan = "error: f failed: it returned NaN at a, which JSON does not have: "
    assert (await told(returning(lambda: ToolResult(structured_content={"a": math.nan})))).startswith(nan)
    assert (await told(returning(lambda: ToolResult([{"a": math.nan}])))).startswith(nan)
    block = {"type": "text", "text": b"x"}
    assert "a value of type bytes at text" in await told(returning(lambda: ToolResult([block])))


GOOD = [
    (lambda: None, ""),
    (lambda: {"a": None}, '{"a":null}'),
    (lambda: [None, 1.5], "[null,1.5]"),
    (lambda: "null and NaN", "null and NaN"),
    (lambda: {1: 2, None: 3}, '{"1":2,"None":3}'),
    (lambda: 10**30, str(10**30)),
    (lambda: {"n": 10**30}, f'{{"n":{10**30}}}'),
    (lambda: Decimal("1.50"), "1.50"),
    (lambda: dt.date(2026, 1, 2), "2026-01-02"),
    (lambda: Path("a/b"), "a/b"),
    (lambda: UUID(int=1), str(UUID(int=1))),
    (lambda: Color.RED, "red"),
    (lambda: {"c": Color.RED, "d": {1}, "t": (1, 2)}, '{"c":"red","d":[1],"t":[1,2]}'),
    (lambda: (each for each in [1, 2]), "[1,2]"),
    (lambda: map(str, [1, 2]), '["1","2"]'),
    (lambda: {"a": iter([1, 2])}, '{"a":[1,2]}'),
    (lambda: float64(1.5), "1.5"),
    (Model, '{"mean":null,"anything":null}'),
    (Encoded, '{"data":"_w=="}'),
    (lambda: Record(None), '{"value":null}'),
    (lambda: "\ud800", "\ufffd"),
]


@pytest.mark.parametrize(("make", "text"), GOOD, ids=lambda value: str(value)[:40])
async def test_what_has_a_json_form_is_sent(make: Callable[[], Any], text: str) -> None:
    assert await told(returning(make)) == text


async def test_a_forgotten_await_is_told_everywhere_else() -> None:
    server = Server("x")
    server.add_resource("a://f", returning(other))
    server.add_resource("a://n", returning(lambda: {"a": math.nan}))
    server.add_prompt(returning(other), name="f")

    @server.resource("b://{x}", completions={"x": returning(other)})
    def template(x: str) -> str:
        return x

    async with connect(server) as client:
        with pytest.raises(ServerRefused, match=r"tool failed: it returned a coroutine \(other\): await it"):
            await client.read_resource("a://f")
        with pytest.raises(ServerRefused, match="tool failed: it returned NaN at a"):
            await client.read_resource("a://n")
        with pytest.raises(ServerRefused, match=r"f failed: it returned a coroutine \(other\): await it"):
            await client.get_prompt("f")
        with pytest.raises(ServerRefused, match=r"it returned a coroutine \(other\): await it"):
            await client.complete({"type": "ref/resource", "uri": "b://{x}"}, {"name": "x", "value": ""})


# ── where the type says it ───────────────────────────────────────────────────────────────────────────────────────────

REFUSED = [
    (bytes, "bytes has no JSON form: return File"),
    (bytearray, "bytearray has no JSON form: return File"),
    (memoryview, "memoryview has no JSON form: return File"),
    (bytes | None, "bytes has no JSON form: return File"),
    (list[bytes], "bytes has no JSON form: return File"),
    (dict[str, tuple[bytes, ...]], "bytes has no JSON form: return File"),
    (Awaitable[bytes], "bytes has no JSON form: return File"),
    (Raw, "holds bytes in 'data'"),
    (list[Raw], "holds bytes in 'data'"),
    (range, "range has no JSON form: return list"),
    (int64, "numpy.int64 has no JSON form: return its .tolist"),
    (list[ndarray], "tests.ndarray has no JSON form: return its .tolist"),
    (DataFrame | None, "tests.DataFrame has no JSON form: return its .to_dict"),
    (ValueError, "ValueError has no JSON form: raise it"),
    (str | Exception, "Exception has no JSON form: raise it"),
    (AsyncIterator[int], r"AsyncIterator has no JSON form: return \[item async for"),
]


@pytest.mark.parametrize(("annotation", "words"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_return_type_without_a_json_form_is_refused(annotation: Any, words: str) -> None:
    with pytest.raises(RegistrationError, match=words) as refused:
        Server("x").add_tool(returning(other, annotation))
    assert "test_json_values.py:" in str(refused.value)


@pytest.mark.parametrize(
    "annotation",
    [
        *(Base64Bytes, Encoded, Annotated[bytes, PlainSerializer(lambda raw: raw.hex(), return_type=str)]),
        *(set[int], Iterator[int], Plain, list[Plain], Path, Decimal, Color, Record, float64, dict, None),
    ],
    ids=str,
)
def test_other_return_types_are_taken(annotation: Any) -> None:
    Server("x").add_tool(returning(other, annotation))


# ── what JSON would lose ─────────────────────────────────────────────────────────────────────────────────────────────


class Open(BaseModel):
    """A part of it may be anything."""

    a: Any = None


class OpenKeys(BaseModel):
    d: dict[Any, int]


class Base64(BaseModel):
    """Says itself how it writes bytes."""

    model_config = ConfigDict(ser_json_bytes="base64", extra="allow")
    data: bytes = b"x"
    parts: list[bytes] = [b"y"]
    a: Any = None


@dataclasses.dataclass
class OpenData:
    a: Any


UNDECLARED = inspect.Parameter.empty


@pytest.mark.parametrize(
    ("annotation", "value", "words"),
    [
        (UNDECLARED, {1: "a", "1": "b"}, "a dict whose keys 1 and '1' are one key in JSON: return keys that differ"),
        (UNDECLARED, [{None: 1, "None": 2}], "a dict at [0] whose keys None and 'None' are one key"),
        (UNDECLARED, {"q": {1.5: 1, "1.5": 2}}, "a dict at q whose keys 1.5 and '1.5' are one key"),
        (UNDECLARED, {"{x}": 1, 1: 2, "1": 3}, "a dict whose keys 1 and '1'"),
        (UNDECLARED, Open(a=b"x"), "a value of type bytes at a, which has no JSON form: return File(data"),
        (UNDECLARED, [Open(a=b"\xff")], "a value of type bytes at [0].a"),
        (dict[str, Any], {"x": {True: 1, "true": 2}}, "a dict at x whose keys True and 'true' are one key"),
        (dict[int | str, int], {1: 1, "1": 2}, "a dict whose keys 1 and '1'"),
        (Open, Open(a=b"x"), "a value of type bytes at a, which"),
        (Open, Open(a=[{"k": b"x"}]), "a value of type bytes at a[0].k"),
        (list[Open], [Open(), Open(a={"k": (1, b"x")})], "a value of type bytes at [1].a.k[1]"),
        (Open, Open(a={1: "a", "1": "b"}), "a dict at a whose keys 1 and '1'"),
        (OpenKeys, OpenKeys(d={dt.date(2026, 1, 1): 1, "2026-01-01": 2}), "'2026-01-01' are one key"),
        (OpenData, OpenData(a=b"x"), "a value of type bytes at a"),
    ],
)
async def test_what_json_would_lose_is_told(annotation: Any, value: Any, words: str) -> None:
    assert words in await told(returning(lambda: value, annotation))


@pytest.mark.parametrize("annotation", [UNDECLARED, "its type"])
@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (Base64(a=b"z", more=b"q"), {"data": "eA==", "parts": ["eQ=="], "a": "eg==", "more": "cQ=="}),
        (Open(a={1: "a", "2": [None, 1.5]}), {"a": {"1": "a", "2": [None, 1.5]}}),
        (OpenKeys(d={1: 1, "2": 2}), {"d": {"1": 1, "2": 2}}),
        (OpenData(a=dt.date(2026, 1, 1)), {"a": "2026-01-01"}),
    ],
)
async def test_what_json_keeps_is_sent(annotation: Any, value: Any, sent: dict[str, Any]) -> None:
    server = Server("kept")
    server.tool("t")(returning(lambda: value, type(value) if annotation == "its type" else annotation))
    async with connect(server) as client:
        assert (await client.call_tool("t")).structured_content == sent

"""What tools declare of their values, and the results these become."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from mcpkit.features.content import Image, Text
from mcpkit.features.errors import BadReturn, RegistrationError
from mcpkit.features.returns import Returns, ToolResult, returns_of
from mcpkit.features.schema import Schema
from mcpkit.features.signature import read_signature

PNG = b"\x89PNG\r\n\x1a\n"


class Weather(BaseModel):
    city: str
    degrees: float


class Place(TypedDict):
    name: str


@dataclass
class Day:
    date: dt.date


class Raw:
    def __mcp_result__(self) -> dict[str, Any]:
        return {"resultType": "own"}


def returns(
    annotation: Any = ..., output_schema: dict[str, Any] | None = None, structured: bool | None = None
) -> Returns:
    def tool() -> None: ...

    tool.__annotations__ = {} if annotation is ... else {"return": annotation}
    return returns_of(read_signature(tool), output_schema, structured=structured)


def text(value: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": value}]


@pytest.mark.parametrize(
    ("annotation", "value", "told", "structured"),
    [
        (int, 3, "3", {"result": 3}),
        (str, "hi", "hi", {"result": "hi"}),
        (bool, True, "true", {"result": True}),
        (float, 2.5, "2.5", {"result": 2.5}),
        (float, 2, "2.0", {"result": 2.0}),
        (str | None, None, "null", {"result": None}),
        (list[int], [1, 2], "[1,2]", {"result": [1, 2]}),
        (tuple[int, str], (1, "a"), '[1,"a"]', {"result": [1, "a"]}),
        (dt.date, dt.date(2026, 1, 2), "2026-01-02", {"result": "2026-01-02"}),
        (dict[str, int], {"a": 1}, '{"a":1}', {"a": 1}),
        (Weather, Weather(city="Ulm", degrees=3), '{"city":"Ulm","degrees":3.0}', {"city": "Ulm", "degrees": 3.0}),
        (Weather, {"city": "Ulm", "degrees": 3}, '{"city":"Ulm","degrees":3.0}', {"city": "Ulm", "degrees": 3.0}),
        (Place, {"name": "Ulm"}, '{"name":"Ulm"}', {"name": "Ulm"}),
        (Day, Day(dt.date(2026, 1, 2)), '{"date":"2026-01-02"}', {"date": "2026-01-02"}),
        (list[Day], [Day(dt.date(2026, 1, 2))], '[{"date":"2026-01-02"}]', {"result": [{"date": "2026-01-02"}]}),
        (Annotated[int, "a count"], 3, "3", {"result": 3}),
        (Awaitable[int], 3, "3", {"result": 3}),
        (int | Raw, 3, "3", {"result": 3}),
    ],
)
def test_declared_values_are_structured_and_told(annotation: Any, value: Any, told: str, structured: Any) -> None:
    """TOUT-01, TOUT-03, TOUT-04: the schema's root is an object, the result fits it, the text is always there."""
    subject = returns(annotation)
    assert subject.document is not None
    assert subject.document["type"] == "object"
    assert subject.result(value) == {"content": text(told), "structuredContent": structured}
    assert Schema(subject.document).valid(structured)


@pytest.mark.parametrize(
    "annotation",
    [..., Any, object, None, Image, list, list[Any], list[Image], list[str | Image], ToolResult, Raw, str | Image],
)
def test_what_declares_no_data_publishes_no_schema(annotation: Any) -> None:
    assert returns(annotation).document is None


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (None, {"content": []}),
        ("hi", {"content": text("hi")}),
        (3, {"content": text("3")}),
        ([1, 2], {"content": text("[1,2]")}),
        ({"a": 1}, {"content": text('{"a":1}'), "structuredContent": {"a": 1}}),
        (
            Day(dt.date(2026, 1, 2)),
            {"content": text('{"date":"2026-01-02"}'), "structuredContent": {"date": "2026-01-02"}},
        ),
        (Image(PNG), {"content": [Image(PNG).to_wire()]}),
        (["a", Image(PNG)], {"content": [*text("a"), Image(PNG).to_wire()]}),
        (Raw(), {"resultType": "own"}),
    ],
)
def test_undeclared_values(value: Any, result: dict[str, Any]) -> None:
    """TOOL-21: content is always there."""
    assert returns().result(value) == result
    assert returns(Any).result(value) == result


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, "x"),
        (Weather, {"city": "Ulm"}),
        (float, math.nan),
        (Weather, Weather(city="Ulm", degrees=math.inf)),
        (..., object()),
        (dict[str, Any], {"a": object()}),
        (Weather, ToolResult("no structure")),
        (Weather, Image(PNG)),
    ],
)
def test_what_breaks_its_declaration_is_never_sent(annotation: Any, value: Any) -> None:
    """TOUT-01."""
    with pytest.raises(BadReturn):
        returns(annotation).result(value)


def test_a_result_by_hand() -> None:
    result = ToolResult([Text("t"), {"a": 1}], {"city": "Ulm", "degrees": 1.0}, meta={"x": 1})
    assert returns(Weather).result(result) == {
        "content": [*text("t"), *text('{"a":1}')],
        "structuredContent": {"city": "Ulm", "degrees": 1.0},
        "_meta": {"x": 1},
    }
    assert returns(Weather).result(ToolResult(structured_content={"city": "U", "degrees": 1.0}))["content"] == text(
        '{"city":"U","degrees":1.0}'
    )
    with pytest.raises(BadReturn):
        returns(Weather).result(ToolResult("t", {"city": 3}))


def test_an_error_by_hand_needs_no_structure() -> None:
    """TOUT-01: not demanded when isError."""
    assert returns(Weather).result(ToolResult("sold out", is_error=True)) == {
        "content": text("sold out"),
        "isError": True,
    }


# ── the author's own schema ──────────────────────────────────────────────────────────────────────────────────────────


def test_an_authors_schema_is_published_and_kept() -> None:
    """TOUT-01, TOUT-05: any schema, any value; what is present matters, not what is true."""
    own = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": ["integer", "null"], "x-own": 1}
    subject = returns(..., own)
    assert repr(subject.document) == repr(own)
    assert subject.result(0) == {"content": text("0"), "structuredContent": 0}
    assert subject.result(None) == {"content": text("null"), "structuredContent": None}
    with pytest.raises(BadReturn, match="expected an integer"):
        subject.result("x")


def test_a_bad_output_schema_is_refused_with_its_place() -> None:
    """JSCH-02."""
    with pytest.raises(RegistrationError, match="output schema"):
        returns(..., {"type": "objekt"})


def test_structure_can_be_left_out_or_insisted_on() -> None:
    plain = returns(Weather, structured=False)
    assert plain.document is None
    assert plain.result("x") == {"content": text("x")}
    assert returns(int, structured=True).document is not None
    for annotation in (..., Any, Image):
        with pytest.raises(RegistrationError, match="structured_output"):
            returns(annotation, structured=True)


def test_a_type_without_a_schema_is_no_declaration() -> None:
    class Opaque: ...

    assert returns(Opaque).document is None
    with pytest.raises(RegistrationError):
        returns(Opaque, structured=True)


def test_a_recursive_model_keeps_its_definitions() -> None:
    subject = returns(list[Tree])
    assert subject.document is not None
    assert set(subject.document["$defs"]) == {"Tree"}
    assert Schema(subject.document).valid(subject.result([Tree(kids=[Tree()])])["structuredContent"])


class Tree(BaseModel):
    kids: list[Tree] = []

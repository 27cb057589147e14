"""Types without a schema: what is said of them names the class, its file and line, and the fix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Optional

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from mcpkit import RegistrationError, Server
from mcpkit.testing import connect

if TYPE_CHECKING:
    from decimal import Decimal


class Model(BaseModel):
    rows: list[Nowhere] = []  # type: ignore[name-defined]  # noqa: F821 - as is the point


class Outer(BaseModel):
    inner: dict[str, Model | None]


class Heir(Model):
    own: int = 1


class Typing(BaseModel):
    value: Decimal


@dataclass
class Data:
    value: Nowhere  # type: ignore[name-defined]  # noqa: F821 - as above


class Typed(TypedDict):
    value: Nowhere  # type: ignore[name-defined]  # noqa: F821 - as above


class Named(NamedTuple):
    value: Nowhere  # type: ignore[name-defined]  # noqa: F821 - as above


class Plain:
    pass


class Holder(BaseModel, arbitrary_types_allowed=True):
    plain: Plain


class Circle(BaseModel):
    next: Optional[Circle] = None  # noqa: UP045 - in the other spelling


class Left(BaseModel):
    right: Right | None = None


class Right(BaseModel):
    left: Left | None = None


def takes(kind: Any) -> Callable[..., Any]:
    def tool(other: int, value: Any) -> str:
        return repr(value)

    tool.__annotations__["value"] = kind
    return tool


def gives(kind: Any) -> Callable[..., Any]:
    def tool() -> Any: ...

    tool.__annotations__["return"] = kind
    return tool


UNDEFINED = [
    (Model, "'Nowhere'", "'rows' of class Model"),
    (Outer, "'Nowhere'", "'rows' of class Model"),
    (Heir, "'Nowhere'", "'rows' of class Model"),
    (list[Model], "'Nowhere'", "'rows' of class Model"),
    (Model | None, "'Nowhere'", "'rows' of class Model"),
    (Annotated[Model, Field(description="x")], "'Nowhere'", "'rows' of class Model"),
    (dict[str, tuple[Data, int]], "'Nowhere'", "'value' of class Data"),
    (Typing, "'Decimal'", "'value' of class Typing"),
    (Data, "'Nowhere'", "'value' of class Data"),
    (Typed, "'Nowhere'", "'value' of class Typed"),
    (Named, "'Nowhere'", "'value' of class Named"),
]
HERE = Path(__file__)


def line_of(text: str) -> int:
    return HERE.read_text().split("\n").index(text) + 1


@pytest.mark.parametrize(("kind", "name", "place"), UNDEFINED, ids=lambda value: str(value)[-20:])
@pytest.mark.parametrize("use", [takes, gives])
def test_a_name_that_is_not_there_yet_is_told_with_its_place(kind: Any, name: str, place: str, use: Any) -> None:
    with pytest.raises(RegistrationError) as refused:
        Server("x").add_tool(use(kind))
    said = str(refused.value)
    assert name in said
    assert place in said
    assert f"({HERE.relative_to(Path.cwd())}:" in said.partition(place)[2]
    for noise in ("pydantic", "TypeAdapter", "mcpkit", "rebuild", "…", "errors.pydantic.dev"):
        assert noise not in said
    assert len(said) < 500


def test_the_whole_message() -> None:
    with pytest.raises(RegistrationError) as refused:
        Server("x").add_tool(takes(Model), name="f")
    here = HERE.relative_to(Path.cwd())
    assert str(refused.value) == (
        f"tool ({here}:{line_of('    def tool(other: int, value: Any) -> str:')}): parameter 'value' refers to "
        f"'Nowhere', which is not defined yet, in 'rows' of class Model ({here}:"
        f"{line_of('class Model(BaseModel):')}): offer the function after Nowhere is defined, and import it outside of "
        "`if TYPE_CHECKING:`"
    )


@pytest.mark.parametrize("kind", [Model, Typed])
def test_prompts_and_resources_say_the_same(kind: Any) -> None:
    def function(value: Any) -> str:
        return str(value)

    function.__annotations__["value"] = kind
    with pytest.raises(RegistrationError, match="'Nowhere', which is not defined yet"):
        Server("x").add_prompt(function)
    with pytest.raises(RegistrationError, match="'Nowhere', which is not defined yet"):
        Server("x").add_resource("a://{value}", function)


async def test_it_is_taken_once_the_name_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Local(BaseModel):
        row: Later  # type: ignore[name-defined]  # noqa: F821 - as is the point

    server = Server("x")
    with pytest.raises(RegistrationError, match="'Later', which is not defined yet"):
        server.add_tool(takes(Local))
    monkeypatch.setitem(globals(), "Later", Circle)
    server.add_tool(takes(Local))
    async with connect(server) as client:
        result = await client.call_tool("tool", {"other": 1, "value": {"row": {"next": {}}}})
    assert result.text == "Local(row=Circle(next=Circle(next=None)))"


@pytest.mark.parametrize("kind", [Circle, Left, list[Right]])
def test_classes_that_refer_to_themselves_are_fine(kind: Any) -> None:
    Server("x").add_tool(takes(kind))
    Server("x").add_tool(gives(kind))


@pytest.mark.parametrize("kind", [Plain, list[Plain], dict[str, Plain | None]])
def test_a_class_without_a_json_form_is_named(kind: Any) -> None:
    with pytest.raises(RegistrationError) as refused:
        Server("x").add_tool(takes(kind))
    assert f"parameter 'value' holds class Plain ({HERE.relative_to(Path.cwd())}:" in str(refused.value)
    assert "make it a dataclass, a TypedDict or a pydantic model" in str(refused.value)


@pytest.mark.parametrize("kind", [Callable[[], int], Holder])
def test_what_json_schema_does_not_know_is_told_without_internals(kind: Any) -> None:
    with pytest.raises(RegistrationError, match="has no JSON form") as refused:
        Server("x").add_tool(takes(kind))
    assert "core_schema" not in str(refused.value)
    assert "pydantic-core" not in str(refused.value)


def test_a_limit_that_does_not_fit_its_type_is_told() -> None:
    with pytest.raises(RegistrationError, match="parameter 'value' can't be described in JSON Schema: unclosed group"):
        Server("x").add_tool(takes(Annotated[str, Field(pattern="(")]))


def test_an_annotation_that_cannot_be_read_is_told() -> None:
    def broken(value: Any) -> str:
        return str(value)

    broken.__annotations__["value"] = "pytest.Nowhere"
    with pytest.raises(RegistrationError, match=r"its annotations can't be read: .*Nowhere"):
        Server("x").add_tool(broken)
    broken.__annotations__["value"] = "list["
    with pytest.raises(RegistrationError, match="its annotations can't be read"):
        Server("x").add_tool(broken)
    broken.__annotations__["value"] = "Nowhere"
    with pytest.raises(RegistrationError, match="the annotation 'Nowhere' can't be found at run time: define it"):
        Server("x").add_tool(broken)

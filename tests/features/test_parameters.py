"""Parameters as fields: optional ones, descriptions, marks, and the types that need no look."""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, ConfigDict, Field

from mcpkit.features.errors import RegistrationError
from mcpkit.features.parameters import MirroredHeader, adapter_of, is_filled, is_required, plain_types
from mcpkit.features.schema import schema_of
from mcpkit.features.signature import read_signature


class Opaque: ...


def published(function: Callable[..., Any]) -> dict[str, Any]:
    signature = read_signature(function)
    document = schema_of(adapter_of(signature, signature.parameters, ConfigDict(extra="forbid")), "validation")
    properties: dict[str, Any] = document["properties"]
    return properties


def test_descriptions_from_field_string_and_docstring_in_that_order() -> None:
    def tool(
        a: Annotated[int, Field(description="by field")],
        b: Annotated[int, "by string"],
        c: int,
        d: int = Field(description="by default"),
    ) -> None:
        """Do.

        Args:
            a: by docstring
            b: by docstring
            c: by docstring
            d: by docstring
        """

    told = {name: schema["description"] for name, schema in published(tool).items()}
    assert told == {"a": "by field", "b": "by string", "c": "by docstring", "d": "by default"}


def test_what_may_be_left_out() -> None:
    def tool(
        a: int,
        b: int = 1,
        c: int = Field(2),
        d: int = Field(ge=0),
        e: Annotated[list[int], Field(default_factory=list)] = ...,  # type: ignore[assignment]
        f: Annotated[int, Field(default=5)] = Field(description="f"),
    ) -> None: ...

    parameters = {parameter.name: parameter for parameter in read_signature(tool).parameters}
    assert [name for name, parameter in parameters.items() if is_required(parameter)] == ["a", "d"]
    assert [name for name, parameter in parameters.items() if is_filled(parameter)] == ["b", "e"]


def test_none_as_default_makes_the_type_optional() -> None:
    """Models send null for what has the default null."""

    def tool(
        a: int = None,  # type: ignore[assignment]  # noqa: RUF013  # what authors write
        b: Annotated[int, Field(ge=1)] = None,  # type: ignore[assignment]  # noqa: RUF013
        c: int | None = None,
        d: Any = None,
    ) -> None: ...

    properties = published(tool)
    for name in "abc":
        assert {"type": "null"} in properties[name]["anyOf"]
    assert properties["b"]["anyOf"][0]["minimum"] == 1
    assert properties["d"] == {"default": None}


def test_a_mirrored_header_is_announced() -> None:
    """XHDR-01."""

    def tool(region: Annotated[str, MirroredHeader("Region")]) -> None: ...

    assert published(tool) == {"region": {"type": "string", "x-mcp-header": "Region"}}


def test_the_parameter_with_an_impossible_type_is_named() -> None:
    def tool(fine: int, broken: Opaque, also_fine: str) -> None: ...
    def calls(back: Callable[[], int]) -> None: ...

    for function, name in ((tool, "'broken'"), (calls, "'back'")):
        with pytest.raises(RegistrationError) as caught:
            published(function)
        assert name in str(caught.value)
        assert "fine" not in str(caught.value)
        assert "http" not in str(caught.value)


def test_which_values_prove_themselves_by_their_type() -> None:
    def tool(
        a: int,
        b: str | None,
        c: Annotated[float, Field(description="only words")],
        d: list[Any],
        e: bool = None,  # type: ignore[assignment]  # noqa: RUF013
        f: Annotated[str, MirroredHeader("F")] = "f",
        g: int = Field(3, title="G"),
    ) -> None: ...

    assert dict(plain_types(read_signature(tool).parameters)) == {
        "a": {int},
        "b": {str, NoneType},
        "c": {float},
        "d": {list},
        "e": {bool, NoneType},
        "f": {str},
        "g": {int},
    }


def test_which_values_need_a_look() -> None:
    def tool(
        a: list[int],
        b: Annotated[int, Field(ge=1)],
        c: Annotated[str, AfterValidator(str.upper)],
        d: bytes,
        e: int | bytes,
        f: Annotated[int, Field(alias="from")],
        g: int = Field(1, le=3),
    ) -> None: ...

    assert dict(plain_types(read_signature(tool).parameters)) == {}


@pytest.mark.parametrize("name", ["a b", "", "a:b", "é", "a\n", None, 5])
def test_a_header_that_there_cant_be_is_refused_where_it_is_written(name: Any) -> None:
    with pytest.raises(ValueError, match="MirroredHeader takes letters, digits"):
        MirroredHeader(name)

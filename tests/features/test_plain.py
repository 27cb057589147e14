"""Plain types: the schema written here is the one that pydantic would tell, and nothing more is loaded for them."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo

from mcpkit.features.judging import Judge
from mcpkit.features.plain import NAMES, came_from, plain_document
from mcpkit.features.signature import EMPTY, Parameter, read_signature
from tests.house.tree import ROOT

DEFAULTS = (EMPTY, None, "", "text", 0, -1, 10**30, 1.5, -0.0, True, False)
OPTIONAL = tuple(kind | None for kind in NAMES)


def both(parameter: Parameter) -> tuple[str, str]:
    """What is written here, and what pydantic tells."""

    def function() -> None:
        pass

    signature = read_signature(function)
    theirs = Judge(type(signature)(**{**fields(signature), "parameters": (parameter,)})).document
    return json.dumps(plain_document([parameter])), json.dumps(theirs)


def fields(signature: Any) -> dict[str, Any]:
    return {name: getattr(signature, name) for name in signature.__slots__}


@pytest.mark.parametrize("default", DEFAULTS, ids=repr)
@pytest.mark.parametrize("annotation", [*NAMES, *OPTIONAL], ids=str)
@pytest.mark.parametrize("description", [None, "What it is."])
def test_the_document_is_pydantic_s_to_the_byte(annotation: Any, default: Any, description: str | None) -> None:
    ours, theirs = both(Parameter("x", annotation, default, description))
    assert ours == theirs


def test_several_parameters_keep_their_order() -> None:
    def function(z: str, a: int = 1, m: bool | None = None) -> None:
        pass

    signature = read_signature(function)
    assert json.dumps(plain_document(signature.parameters)) == json.dumps(Judge(signature).document)
    assert plain_document([]) == {"type": "object", "additionalProperties": False}


@pytest.mark.parametrize(
    "parameter",
    [
        Parameter("x", list, EMPTY, None),
        Parameter("x", date, EMPTY, None),
        Parameter("x", Literal["a"], EMPTY, None),
        Parameter("x", int | str, EMPTY, None),
        Parameter("x", Annotated[int, Field(ge=0)], EMPTY, None),
        Parameter("x", int, Field(default=1), None),
        Parameter("x", float, float("nan"), None),
        Parameter("x", str, "\ud800", None),
        Parameter("x", str, ("no", "JSON", "scalar"), None),
        Parameter("_x", int, EMPTY, None),
        Parameter("x", [int], EMPTY, None),
    ],
    ids=str,
)
def test_all_else_is_left_to_pydantic(parameter: Parameter) -> None:
    assert plain_document([Parameter("y", int, EMPTY, None), parameter]) is None


def test_a_class_is_asked_for_only_where_it_is_loaded() -> None:
    assert came_from("pydantic.fields", "FieldInfo", Field())
    assert not came_from("pydantic.fields", "FieldInfo", 1)
    assert not came_from("no.such.module", "FieldInfo", Field())
    assert issubclass(ValidationError, ValueError)  # failures.py looks for it among these
    assert FieldInfo.__module__ == "pydantic.fields"


def test_a_server_of_plain_tools_loads_neither_pydantic_nor_a_schema_validator() -> None:
    """What a stdio server would have to load before its first answer."""
    program = """
import asyncio, sys
from mcpkit import Context, Server
from mcpkit.run import serve

server = Server("plain")

@server.tool
async def echo(text: str, times: int = 1, ctx: Context | None = None) -> str:
    "Say it."
    return text

from mcpkit.transports import stdio
heavy = {"pydantic", "pydantic_core", "jsonschema_rs", "fastapi", "uvicorn", "httpx", "importlib.metadata"}
print(sorted(heavy & set(sys.modules)))
"""
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (ran.stdout.strip(), ran.stderr) == ("[]", "")

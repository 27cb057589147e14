"""The official schemas of the protocol, as validators. They are not part of this repository.

They are looked for in the folder that MCPKIT_SCHEMAS names, or beside the repository in shared/spec/schema, as
``<revision>.json``. What must never stand here: a copy of them.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("MCPKIT_SCHEMAS") or ROOT.parent / "shared" / "spec" / "schema")

_OPEN = {"inputSchema", "outputSchema", "requestedSchema", "_meta", "metadata", "capabilities"}
_OPEN_DEFINITIONS = re.compile(r"(Empty)?Result|(Server|Client)Capabilities|\w*MetaObject")


def validator(revision: str, definition: str, *, closed: bool = False) -> jsonschema_rs.Validator:
    """What says whether a value is a ``definition`` of that revision.

    The schemas allow unknown members everywhere; a ``closed`` validator refuses them, except where anything goes by
    nature (JSON Schemas, metadata, capabilities), and so shows what a lowering forgot to drop.
    """
    if not (FOLDER / f"{revision}.json").is_file():
        pytest.skip(f"no official schema of {revision}: set MCPKIT_SCHEMAS to the folder that holds {revision}.json")
    return _compiled(revision, definition, closed)


def faults(revision: str, definition: str, value: Any, *, closed: bool = False) -> list[str]:
    """What is wrong with a value, one line each."""
    errors = validator(revision, definition, closed=closed).iter_errors(value)
    return [f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in errors]


@cache
def _compiled(revision: str, definition: str, closed: bool) -> jsonschema_rs.Validator:
    schema = json.loads((FOLDER / f"{revision}.json").read_text(encoding="utf-8"))
    name = "$defs" if "$defs" in schema else "definitions"
    definitions = schema[name]
    if closed:
        definitions = {
            key: part if _OPEN_DEFINITIONS.fullmatch(key) else _closed(part) for key, part in definitions.items()
        }
    return jsonschema_rs.validator_for(
        {"$schema": schema["$schema"], "$ref": f"#/{name}/{definition}", name: definitions}
    )


def _closed(part: Any) -> Any:
    if isinstance(part, list):
        return [_closed(item) for item in part]
    if not isinstance(part, dict):
        return part
    inner = {key: value if key in _OPEN else _closed(value) for key, value in part.items()}
    if part.get("type") == "object" and part.get("properties") and "additionalProperties" not in part:
        inner["additionalProperties"] = False
    return inner

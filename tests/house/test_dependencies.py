"""What the code imports is what the project declares: nothing is there by luck, nothing is declared for nothing."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

from tests.house.tree import SCRIPTS, none, python_files, text, tree

COMES_WITH = {
    "pydantic_core": "pydantic",
    "typing_extensions": "pydantic",
    "starlette": "fastapi",
    "anyio": "httpx",
    "opentelemetry": "fastapi",
    "h11": "uvicorn",
    "httptools": "uvicorn",
    "uvloop": "uvicorn",
    "yaml": "uvicorn",
    "cryptography": "pyjwt",
    "packaging": "pytest",
}
"""Package → the declared dependency that promises it (its own dependency, or its extra that we ask for)."""
NAMED_OTHERWISE = {"dotenv": "python-dotenv", "jwt": "pyjwt"}
PROJECT = {"mcpkit", "routers", "tests", "bench", *(Path(name).stem for name in SCRIPTS)}


def names(lines: list[str]) -> set[str]:
    """Requirement lines → distribution names, normalised."""
    stripped = (re.split(r"[\[<>=~!; #]", line.strip())[0] for line in lines)
    return {name.lower().replace("_", "-") for name in stripped if name and not name.startswith("-")}


def extras() -> set[str]:
    """What the optional dependencies add."""
    optional = tomllib.loads(text(Path("pyproject.toml")))["project"]["optional-dependencies"]
    return names([line for lines in optional.values() for line in lines])


def distribution(module: str) -> str:
    """The declared dependency that a module belongs to."""
    return COMES_WITH.get(module) or NAMED_OTHERWISE.get(module) or module.lower().replace("_", "-")


def imports(*tops: str) -> dict[str, str]:
    """Distribution → the first place that imports it."""
    found: dict[str, str] = {}
    for path in (
        file for file in python_files(*tops) if "peers" not in file.parts
    ):  # those run in a peer's environment
        for node in ast.walk(tree(path)):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for module in (name.partition(".")[0] for name in modules):
                if module not in sys.stdlib_module_names and module not in PROJECT:
                    found.setdefault(distribution(module), f"{path}:{node.lineno}")
    return found


def test_what_is_imported_is_declared() -> None:
    """requirements.txt, or an extra of pyproject.toml for what is imported on demand."""
    declared = names(text(Path("requirements.txt")).splitlines()) | extras()
    strays = [
        f"{where}: {name}" for name, where in imports("mcpkit", "routers", *SCRIPTS).items() if name not in declared
    ]
    none(strays, "declare it in requirements.txt, or as an extra, or say in COMES_WITH what brings it:")


def test_what_tests_import_is_declared() -> None:
    """requirements-dev.txt as well."""
    files = (Path("requirements.txt"), Path("requirements-dev.txt"))
    declared = names([line for file in files for line in text(file).splitlines()])
    # extras that a test asks for by `require`, what only scripts/fuzz installs, and a module that nobody has
    allowed = declared | extras() | {"atheris", "nowhere"}
    strays = [
        f"{where}: {name}" for name, where in imports("tests", "examples", "bench").items() if name not in allowed
    ]
    none(strays, "declare it in requirements-dev.txt:")


def test_what_is_declared_is_imported() -> None:
    """A dependency goes when its last import goes; uvicorn and python-dotenv are imported by name where they start."""
    unused = sorted(names(text(Path("requirements.txt")).splitlines()) - imports("mcpkit", "routers", *SCRIPTS).keys())
    none(unused, "take it out of requirements.txt, nothing imports it:")

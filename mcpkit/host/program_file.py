"""A Python file that somebody wrote, loaded as a module; what goes wrong in it is told in one line with its place.

What must never stand here: what is looked for in the module.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Collection, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

from mcpkit.host.commands import UsageError
from mcpkit.jsonrpc.errors import McpKitError

LIBRARY: Final = Path(__file__).parents[1]
FOREIGN: Final = {"site-packages", "dist-packages"}


def load_program(path: str) -> ModuleType:
    """Import the file ``path`` under its own name.

    Raises: UsageError, which names the line in the author's code and what is wrong there.
    """
    file = Path(path).resolve()
    if not file.is_file() or file.suffix != ".py":
        raise UsageError(f"{path} is no Python file: {_why_not(file)}")
    folder, name = _import_name(file)
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) != str(file):
        raise UsageError(f"{path} has the name of the module {name}, which is in use: rename the file")
    sys.path.insert(0, str(file.parent))
    if "." in name:
        sys.path.insert(0, str(folder))
    try:
        if "." in name:
            return importlib.import_module(name)
        return _loaded(name, file)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise UsageError(_told(error, path, file)) from error


def place_of_call(path: str, names: Collection[str]) -> str:
    """Where the file calls one of these names first, as in "line 3 makes one in f()"; empty where it doesn't."""
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return ""
    return next(_calls(tree, names, ""), "")


def _calls(node: ast.AST, names: Collection[str], within: str) -> Iterator[str]:
    """Calls of the names below a node, in the order of the file."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
        called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        if called in names:
            yield f"line {node.lineno} makes one{within or ', which has no name of its own'}"
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        within = f" in {node.name}()"
    elif isinstance(node, ast.If) and "__name__" in ast.dump(node.test):
        within = within or " under `if __name__`"
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, names, within)


def _import_name(file: Path) -> tuple[Path, str]:
    """The folder to import from, and the dotted name of a file that lies in packages, for its relative imports."""
    folder, names = file.parent, [] if file.stem == "__init__" else [file.stem]
    while (folder / "__init__.py").is_file() and folder.name.isidentifier() and folder != folder.parent:
        folder, names = folder.parent, [folder.name, *names]
    return folder, ".".join(names) or file.stem


def _loaded(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look for it there
    spec.loader.exec_module(module)
    return module


def _why_not(file: Path) -> str:
    if file.is_dir():
        return "it is a folder"
    return "its name must end with .py" if file.exists() else "there is no such file"


def _told(error: BaseException, path: str, file: Path) -> str:
    if isinstance(error, SystemExit):
        return f'{path} ends while it is loaded: put what runs or ends it under `if __name__ == "__main__":`'
    if isinstance(error, McpKitError) and file.name in str(error):  # a registration, which names file and line itself
        return str(error)
    if isinstance(error, SyntaxError):
        place = f" line {error.lineno} of {Path(error.filename or file).name}:" if error.lineno else ""
        code = f": {error.text.strip()}" if error.text else ""
        return f"{path} can't be loaded:{place} {type(error).__name__}: {error.msg}{code}"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(Path(frame.filename), file.parent)]
    place = f" line {own[-1].lineno} of {Path(own[-1].filename).name}:" if own else ""
    advice = ""
    if isinstance(error, ModuleNotFoundError):
        advice = f"; install it for {sys.executable}, or start with the Python that has it"
    elif isinstance(error, ImportError):
        advice = _advice_on_import(error, file)
    message = f": {error}" if str(error) else ""
    return f"{path} can't be loaded:{place} {type(error).__name__}{message}{advice}"


def _advice_on_import(error: ImportError, file: Path) -> str:
    if "relative import" in str(error):
        return "; a file that imports so lies in a package: put an __init__.py beside it, or leave the dots out"
    if "partially initialized" in str(error) or (error.path is not None and Path(error.path) == file):
        return f"; {error.name} imports this file in turn: move what both need into a third file"
    return ""


def _is_own(code: Path, folder: Path) -> bool:
    # In a clone the library lies in the author's own folder, and often a virtual environment too.
    return code.is_relative_to(folder) and not code.is_relative_to(LIBRARY) and FOREIGN.isdisjoint(code.parts)

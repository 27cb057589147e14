"""What callers are told of a failure, and what only the log says: one rule for all features."""

from __future__ import annotations

import asyncio
import functools
import importlib
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from fastapi import HTTPException
from pydantic import BaseModel, TypeAdapter
from starlette.exceptions import HTTPException as StarletteHTTPException

from mcpkit import RegistrationError, Resolve, Server, ToolError
from mcpkit.client import ServerRefused
from mcpkit.features.errors import BadReturn
from mcpkit.features.failures import ErrorPolicy
from mcpkit.features.running import DeadlineExpired
from mcpkit.protocol.exchange import NoBackChannel
from mcpkit.protocol.revisions.registry import REVISIONS
from mcpkit.settings import Settings
from mcpkit.testing import connect

logger = logging.getLogger("mcpkit.tests")
SECRET = "hunter2"
LIBRARY = f"""
class DriverError(ValueError): pass

def connect(): raise DriverError("postgres://user:{SECRET}@db")

def answer(): return DriverError("postgres://user:{SECRET}@db")

def call(function): return function()

def passing(function):
    import functools
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper

def checking(function):
    import functools
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        raise DriverError("{SECRET}")
    return wrapper
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A library that isn't ours."""
    place = tmp_path_factory.mktemp("site-packages")
    (place / "stranger_driver.py").write_text(LIBRARY)
    sys.path.insert(0, str(place))
    try:
        yield importlib.import_module("stranger_driver")
    finally:
        sys.path.remove(str(place))
        del sys.modules["stranger_driver"]


async def failures(function: Callable[..., Any], revision: str = "auto", **options: Any) -> list[str]:
    """What callers are told at every kind of feature whose function this is."""
    server = Server("x", **options)
    server.add_tool(function, name="f")
    server.add_resource("a://f", function, name="f")
    server.add_prompt(function, name="f")

    @server.resource("b://{x}")
    def template(x: str) -> str:
        return x

    @server.completion
    async def completed(ref: Any) -> Any:
        value = function()
        return await value if asyncio.iscoroutine(value) else value

    async with connect(server, revision=revision) as client:
        told = [(await client.call_tool("f", raise_on_error=False)).text]
        for call in (
            lambda: client.read_resource("a://f"),
            lambda: client.get_prompt("f"),
            lambda: client.complete({"type": "ref/resource", "uri": "b://{x}"}, {"name": "x", "value": ""}),
        ):
            try:
                await call()
            except ServerRefused as refused:
                told.append(refused.error.message)
    return told


class Own(ValueError):
    """An author's own error."""


class Point(BaseModel):
    x: int


def raises() -> str:
    raise ValueError("no such city")


def raises_own_subclass() -> str:
    raise Own("no such city")


def raises_from() -> str:
    try:
        int(SECRET)
    except ValueError as error:
        raise ValueError("no such city") from error
    return ""


def raises_with_block() -> str:
    with Path("/dev/null").open() as _:
        raise ValueError("no such city")


async def raises_late() -> str:
    await asyncio.sleep(0)
    raise ValueError("no such city")


async def raises_in_a_thread() -> str:
    return await asyncio.to_thread(raises)


def raises_in_a_pool() -> str:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(raises).result()


def raises_in_a_callback() -> str:
    return str(sorted([1, 2], key=lambda each: raises()))


def raises_in_a_reduce() -> str:
    return functools.reduce(lambda one, other: raises(), ["1", "2"])


async def raises_in_a_group() -> str:
    async with asyncio.TaskGroup() as group:
        group.create_task(raises_late())
    return ""


OWN = [value for name, value in sorted(globals().items()) if name.startswith("raises")]


def converts() -> str:
    return str(int(SECRET))


def converts_in_a_lambda() -> str:
    return str(sorted([SECRET], key=lambda text: int(text) + 1))


def parses() -> str:
    return str(json.loads(SECRET))


def decodes() -> str:
    return (SECRET.encode() + b"\xff").decode()


def validates() -> str:
    return str(Point.model_validate({"x": SECRET}))


def validates_by_adapter() -> str:
    return str(TypeAdapter(int).validate_python(SECRET))


def raises_again() -> str:
    try:
        return str(int(SECRET))
    except ValueError:
        raise


def raises_it_by_name() -> str:
    try:
        return str(json.loads(SECRET))
    except ValueError as error:
        raise error from None


def cleans_up() -> str:
    try:
        return str(int(SECRET))
    finally:
        logger.debug("done")


def throws() -> str:
    def values() -> Iterator[str]:
        yield ""

    started = values()
    next(started)
    started.throw(ValueError(SECRET))
    return ""


async def awaits_a_failed_future() -> str:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    future.set_exception(ValueError(SECRET))
    return await future


def looks_up() -> str:
    raise KeyError(SECRET)


def asserts() -> str:
    assert not SECRET, SECRET
    return ""


async def fails_in_a_group() -> str:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(converts))
    return ""


FOREIGN = [
    *(converts, converts_in_a_lambda, parses, decodes, validates, validates_by_adapter, raises_again),
    *(raises_it_by_name, cleans_up, throws, awaits_a_failed_future, looks_up, asserts, fails_in_a_group),
]


@pytest.mark.parametrize("function", OWN, ids=lambda function: function.__name__)
async def test_a_raise_of_the_authors_own_code_is_told_everywhere(
    function: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert await failures(function) == ["no such city"] * 4
    told = [record for record in caplog.records if "no such city" in record.getMessage()]
    assert [record.levelname for record in told] == ["WARNING"] * 4


@pytest.mark.parametrize("function", FOREIGN, ids=lambda function: function.__name__)
async def test_what_a_library_says_is_only_logged(
    function: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert await failures(function) == ["f failed", "f failed", "f failed", "completion of x failed"]
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 4
    assert all(record.exc_info for record in errors)
    assert function.__name__ in caplog.text


@pytest.mark.parametrize("revision", sorted(REVISIONS))
async def test_the_rule_is_the_same_in_every_revision(revision: str) -> None:
    assert (await failures(converts, revision))[0] == "f failed"
    assert (await failures(raises, revision))[0] == "no such city"


async def test_an_installed_library_is_no_code_of_the_authors(driver: Any) -> None:
    def connects() -> str:
        return str(driver.connect())

    def is_decorated() -> str:
        return raises()

    def connects_again() -> str:
        try:
            return str(driver.connect())
        except ValueError:
            raise

    def calls_back() -> str:
        return str(driver.call(raises))

    def raises_its_error() -> str:
        raise driver.answer()

    hidden = ["f failed", "f failed", "f failed", "completion of x failed"]
    assert await failures(connects) == hidden
    assert await failures(connects_again) == hidden
    assert (await failures(driver.checking(raises)))[0] == "f failed"
    assert await failures(driver.passing(is_decorated)) == ["no such city"] * 4
    assert await failures(calls_back) == ["no such city"] * 4
    assert SECRET in (await failures(raises_its_error))[0]  # its author wrote `raise`


async def test_an_authors_package_may_be_installed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "authors_package"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "inner" / "__init__.py").touch()
    (package / "inner" / "helpers.py").write_text("def check(): raise ValueError('no such city')\n")
    (package / "tools.py").write_text(
        "from authors_package.inner.helpers import check\n"
        "def tool() -> str: return check()\n"
        f"def converts() -> str: return str(int('{SECRET}'))\n"
    )
    monkeypatch.syspath_prepend(package.parent)
    tools = importlib.import_module("authors_package.tools")
    assert (await failures(tools.tool))[:3] == ["no such city"] * 3
    assert (await failures(tools.converts))[0] == "f failed"


SCRIPT = """
import asyncio, sys
from mcpkit import Server
from mcpkit.testing import connect
{imports}
server = Server("x")
def check(): raise ValueError("no such city")
@server.tool
def own() -> str: return {call}
@server.tool
def foreign() -> str: return str(int("hunter2"))
async def main():
    async with connect(server) as client:
        for name in ("own", "foreign"):
            print((await client.call_tool(name, raise_on_error=False)).text)
asyncio.run(main())
"""


def test_a_script_and_a_module_run_as_one_are_the_authors_own(tmp_path: Path) -> None:
    root = str(Path(__file__).resolve().parents[2])
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "helpers.py").write_text("def check(): raise ValueError('no such city')\n")
    (package / "server.py").write_text(SCRIPT.format(imports="from package import helpers", call="helpers.check()"))
    (tmp_path / "script.py").write_text(SCRIPT.format(imports="", call="check()"))
    ways = [["script.py"], ["-m", "script"], ["-m", "package.server"], ["-c", (tmp_path / "script.py").read_text()]]
    for way in ways:
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", *way],
            cwd=tmp_path,
            env={"PYTHONPATH": root, "PATH": ""},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.stdout == "no such city\nforeign failed\n", (way[:2], ran.stderr)


async def test_code_without_a_module_is_its_own() -> None:
    names: dict[str, Any] = {}
    exec("def own() -> str: raise ValueError('no such city')\ndef foreign() -> str: return str(int('hunter2'))", names)
    assert (await failures(names["own"]))[:3] == ["no such city"] * 3
    assert (await failures(names["foreign"]))[0] == "f failed"


async def test_methods_partials_and_callable_objects_have_their_authors_package() -> None:
    class Thing:
        def __call__(self) -> str:
            return raises()

        def method(self) -> str:
            return raises()

    for function in (Thing(), Thing().method, functools.partial(raises)):
        assert (await failures(function))[0] == "no such city"


async def test_a_dependency_follows_the_same_rule() -> None:
    def tool(city: Annotated[str, Resolve(raises)]) -> str:
        return city

    def other(city: Annotated[str, Resolve(converts)]) -> str:
        return city

    def third(city: Annotated[str, Resolve(refuses)]) -> str:
        return city

    def refuses() -> str:
        raise HTTPException(404, "no such item")

    server = Server("x")
    for function in (tool, other):
        server.add_tool(function)
    server.add_tool(third)
    async with connect(server) as client:
        assert (await client.call_tool("tool", raise_on_error=False)).text == "no such city"
        assert (await client.call_tool("other", raise_on_error=False)).text == "other failed"
        assert (await client.call_tool("third", raise_on_error=False)).text == "404 Not Found: no such item"


# ── what is always told ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_tool_error_is_told_and_logged_quietly(caplog: pytest.LogCaptureFixture) -> None:
    def sold_out() -> str:
        raise ToolError("sold out")

    caplog.set_level("INFO")
    assert await failures(sold_out, tell_errors="tool_errors") == ["sold out"] * 4
    told = [record.levelname for record in caplog.records if "sold out" in record.getMessage()]
    assert told == ["INFO"] * 4


async def test_words_of_a_group_that_may_be_told_are_told(caplog: pytest.LogCaptureFixture) -> None:
    async def tool() -> str:
        raise ExceptionGroup(
            SECRET, [ToolError("sold out"), ExceptionGroup("", [ToolError("closed"), KeyError(SECRET)])]
        )

    assert (await failures(tool))[0] == "sold out; closed"
    assert SECRET in caplog.text  # what was not told is an error in the log


HTTP = [
    (HTTPException(404, "no such item"), "404 Not Found: no such item"),
    (StarletteHTTPException(404, "no such item"), "404 Not Found: no such item"),
    (HTTPException(404), "404 Not Found"),
    (HTTPException(403, "not yours", headers={"WWW-Authenticate": SECRET}), "403 Forbidden: not yours"),
    (HTTPException(503, "try at noon"), "503 Service Unavailable: try at noon"),
    (HTTPException(422, {"code": 7, "why": "é"}), '{"code": 7, "why": "é"}'),
    (HTTPException(409, ["a", Path("b")]), '409 Conflict: ["a", "b"]'),
    (HTTPException(499, "gone"), "499: gone"),
]


@pytest.mark.parametrize(("error", "text"), HTTP, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("tell", ["own", "tool_errors", "all"])
async def test_an_http_exception_is_told_with_its_status(error: Exception, text: str, tell: str) -> None:
    def item() -> str:
        raise error

    for told in await failures(item, tell_errors=tell):
        assert told == text or (text.startswith("{") and told.startswith("422 ") and told.endswith(": " + text))


async def test_an_http_exception_is_cut_and_a_resource_is_not_found() -> None:
    server = Server("x")

    @server.resource("item://{id}")
    def item(id: str) -> str:
        raise HTTPException(404 if id == "no" else 500, "x" * 5_000)

    async with connect(server) as client:
        with pytest.raises(ServerRefused) as missing:
            await client.read_resource("item://no")
        with pytest.raises(ServerRefused) as broken:
            await client.read_resource("item://odd")
    assert missing.value.code in (-32002, -32602)
    assert broken.value.code == -32603
    assert len(missing.value.error.message) == 2_000


def text(error: Exception) -> str:
    return ErrorPolicy().text("tool", None, error, logger)


@pytest.mark.parametrize("error", [ToolError(), ValueError(), NoBackChannel()])
def test_an_error_without_words_is_still_told(error: Exception) -> None:
    assert text(error) == "tool failed"


@pytest.mark.parametrize("ends_by", [RuntimeError, asyncio.CancelledError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("kind", [ToolError, ValueError])
async def test_an_error_that_cannot_say_itself_is_still_told(
    kind: type[Exception], ends_by: type[BaseException]
) -> None:
    class Odd(kind):  # type: ignore[misc, valid-type]  # one of these
        def __str__(self) -> str:
            raise ends_by(SECRET)

    def f() -> None:
        raise Odd

    assert (await failures(f))[0] == "f failed"


def test_a_deadline_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert text(DeadlineExpired(2.5)) == "tool timed out after 2.5 s; try a smaller request, or try again later"
    assert "timed out" in caplog.text


def test_a_bad_return_keeps_its_values_back(caplog: pytest.LogCaptureFixture) -> None:
    assert text(BadReturn(SECRET)) == "tool failed: its result is not what it declares"
    assert SECRET in caplog.text


# ── the setting ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_all_may_be_told() -> None:
    assert (await failures(looks_up, tell_errors="all"))[0] == f"KeyError: '{SECRET}'"
    assert SECRET in (await failures(converts, tell_errors="all"))[0]
    assert (await failures(validates, tell_errors="all"))[0].startswith("x: expected a valid integer")
    assert len((await failures(long, tell_errors="all"))[0]) == 2_000


def long() -> str:
    raise RuntimeError("x" * 100_000)


async def test_only_a_tool_error_may_be_long() -> None:
    def speaks() -> str:
        raise ToolError("x" * 100_000)

    def fails() -> str:
        raise ValueError("x" * 100_000)

    assert len((await failures(speaks))[0]) == 100_000
    assert len((await failures(fails))[0]) == 2_000


async def test_tool_errors_alone_may_be_told() -> None:
    assert (await failures(raises, tell_errors="tool_errors"))[0] == "f failed"


class TestTheEnvironment:
    CASES: ClassVar = [({}, "own", "no such city"), ({"MCP_TELL_ERRORS": "TOOL_ERRORS"}, "tool_errors", "f failed")]

    @pytest.mark.parametrize(("environment", "value", "told"), CASES)
    async def test_says_it_where_the_program_does_not(self, environment: dict[str, str], value: str, told: str) -> None:
        settings = Settings.load(environment, None)
        assert settings.tell_errors == value
        server = Server("x")
        server.add_tool(raises, name="f")
        server.configure(settings)
        async with connect(server) as client:
            assert (await client.call_tool("f", raise_on_error=False)).text == told

    async def test_does_not_overrule_the_program(self) -> None:
        server = Server("x", tell_errors="own")
        server.add_tool(raises, name="f")
        server.configure(Settings.load({"MCP_TELL_ERRORS": "tool_errors"}, None))
        async with connect(server) as client:
            assert (await client.call_tool("f", raise_on_error=False)).text == "no such city"


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(RegistrationError, match="tell_errors must be one of 'own', 'all', 'tool_errors', not 'some'"):
        Server("x", tell_errors="some")  # type: ignore[arg-type]  # as is the point

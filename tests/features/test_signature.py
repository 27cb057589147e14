"""Signatures: who gives which parameter, and what can't be offered."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import Depends

from mcpkit.features.errors import RegistrationError
from mcpkit.features.signature import EMPTY, Given, Injection, Signature, read_signature

if TYPE_CHECKING:
    from nowhere import Unimportable  # type: ignore[import-not-found]


class Context:
    __mcp_context__ = True


class Fixed(Injection):
    def check(self, owner: Signature) -> None:
        if owner.name == "unfit":
            raise owner.refuse("it can't be filled here")

    async def resolve(self, name: str, given: Given) -> Any:
        return 1


FIXED = Fixed()


def names(function: Callable[..., Any]) -> list[str]:
    return [parameter.name for parameter in read_signature(function).parameters]


def test_callers_give_what_the_server_does_not() -> None:
    def tool(a: int, ctx: Context, b: Annotated[int, FIXED], *, c: str = "x", d: int = FIXED) -> str: ...  # type: ignore[assignment]

    signature = read_signature(tool)
    assert [parameter.name for parameter in signature.parameters] == ["a", "c"]
    assert signature.context == "ctx"
    assert signature.injections == (("b", FIXED), ("d", FIXED))
    assert signature.returns is str
    assert signature.parameters[0].default is EMPTY
    assert signature.parameters[1].default == "x"


def test_the_context_is_found_in_a_union_and_under_a_parameter() -> None:
    def optional(ctx: Context | None = None) -> None: ...
    def annotated(ctx: Annotated[Context, "the context"]) -> None: ...

    assert read_signature(optional).context == "ctx"
    assert read_signature(annotated).context == "ctx"


def test_descriptions_come_from_the_docstring() -> None:
    def tool(a: int) -> None:
        """Do it.

        Args:
            a: How often.
        """

    signature = read_signature(tool)
    assert signature.doc.description == "Do it."
    assert signature.parameters[0].description == "How often."


def untyped(a) -> None: ...  # type: ignore[no-untyped-def]
def starred(*args: int) -> None: ...
def keywords(**kwargs: int) -> None: ...
def positional(a: int, /) -> None: ...
def hidden(a: Unimportable) -> None: ...
def generator() -> Any:
    yield 1


async def stream() -> Any:
    yield 1


class Thing:
    def method(self, a: int) -> int:
        """Do."""
        return a

    async def __call__(self, a: int) -> int:
        return a


@pytest.mark.parametrize(
    ("function", "fix"),
    [
        (untyped, "write `a: str`"),
        (starred, "take a list, `args: list[str]`"),
        (keywords, "`kwargs: dict[str, Any]`"),
        (positional, "remove the '/'"),
        (hidden, "import it outside of `if TYPE_CHECKING:`"),
        (generator, "return a list"),
        (stream, "return a list"),
        (Thing.method, "offer the bound one"),
        (Thing, "only a function"),
        (3, "only a function"),
    ],
)
def test_what_can_not_be_offered_is_refused_with_place_and_fix(function: Any, fix: str) -> None:
    """The bar: mistakes fail at registration with file, line and the fix, in one readable message."""
    with pytest.raises(RegistrationError) as caught:
        read_signature(function)
    text = str(caught.value)
    assert fix in text
    assert "\n" not in text
    if callable(function) and not isinstance(function, type):
        assert f"test_signature.py:{function.__code__.co_firstlineno}" in text


def test_an_author_with_a_schema_may_leave_types_out_and_take_more() -> None:
    def tool(a, **more) -> None: ...  # type: ignore[no-untyped-def]

    signature = read_signature(tool, schema_given=True)
    assert signature.parameters[0].annotation is Any
    assert signature.open
    with pytest.raises(RegistrationError):
        read_signature(starred, schema_given=True)


def test_partials_methods_wrappers_and_callable_objects_can_be_offered() -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    @functools.wraps(add)
    async def wrapped(*args: Any, **kwargs: Any) -> int:
        return add(*args, **kwargs)

    bound, rest = read_signature(functools.partial(add, b=1)), read_signature(wrapped)
    assert (bound.name, [p.name for p in bound.parameters], bound.doc.description) == ("add", ["a", "b"], "Add.")
    assert bound.parameters[1].default == 1
    assert (rest.name, [p.name for p in rest.parameters], rest.is_async) == ("add", ["a", "b"], True)
    assert names(Thing().method) == ["a"]
    called = read_signature(Thing())
    assert (called.name, called.is_async, names(Thing())) == ("Thing", True, ["a"])


def test_types_written_inside_a_function_are_found() -> None:
    """Postponed annotations name what only the surrounding function knows."""

    class Local:
        pass

    def tool(a: Local) -> None: ...

    assert read_signature(tool).parameters[0].annotation is Local


def test_async_is_what_is_called_not_what_was_wrapped() -> None:
    async def inner(a: int) -> int:
        return a

    @functools.wraps(inner)
    def outer(a: int) -> Any:
        return inner(a)

    assert not read_signature(outer).is_async


def test_what_fills_a_parameter_says_where_it_can() -> None:
    """When the function is offered, not when it is called."""

    def unfit(b: Annotated[int, FIXED]) -> str: ...  # type: ignore[empty-body]

    with pytest.raises(RegistrationError, match=r"unfit .*can't be filled here"):
        read_signature(unfit)


def test_fastapis_dependencies_are_told_their_name_here() -> None:
    def get_db() -> str: ...  # type: ignore[empty-body]

    def marked(db: Annotated[str, Depends(get_db)]) -> str: ...  # type: ignore[empty-body]

    def default(db: str = Depends(get_db)) -> str: ...  # type: ignore[assignment,empty-body]

    for tool in (marked, default):
        with pytest.raises(RegistrationError, match=r"write `db: Annotated\[…, Resolve\(get_db\)\]`"):
            read_signature(tool)


class Documented:
    """The class."""

    def __call__(self, a: int) -> str:
        """The call.

        Args:
            a: a number
        """
        return str(a)


class Inherits(Documented):
    def __call__(self, a: int) -> str:
        return str(a)


class OfItsClass:
    """The class."""

    async def __call__(self, a: int) -> str:
        return str(a)


@dataclass
class Generated:
    n: int

    def __call__(self, a: int) -> str:
        return str(a)


class Wraps:
    """The wrapper."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        return self.function(*args, **kwargs)


def written(a: int) -> str:
    """The function."""
    return str(a)


def wraps(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("function", "description"),
    [
        (Documented(), "The call."),
        (Inherits(), "The call."),
        (OfItsClass(), "The class."),
        (Generated(1), ""),
        (functools.partial(Documented()), "The call."),
        (Documented().__call__, "The call."),
        (wraps(Documented()), "The call."),
        (Wraps(written), "The function."),
        (wraps(written), "The function."),
        (functools.partial(wraps(written)), "The function."),
        (functools.lru_cache(written), "The function."),
    ],
)
def test_the_docstring_is_that_of_what_is_called(function: Callable[..., Any], description: str) -> None:
    doc = read_signature(function).doc
    assert doc.description == description
    if description == "The call.":
        assert doc.parameters == {"a": "a number"}

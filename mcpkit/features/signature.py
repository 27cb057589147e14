"""A function's signature, read once: what the caller gives, what the server gives, what can't be offered at all.

Everything that is wrong with a function is said here, with its file, its line and the fix. What must never stand
here: schemas, calls.
"""

from __future__ import annotations

import inspect
import sys
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import FrameType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from mcpkit.features.docstrings import Docstring, read_docstring
from mcpkit.features.errors import RegistrationError

EMPTY: Final = inspect.Parameter.empty


@dataclass(slots=True)
class Given:
    """What there is to fill the parameters of one call with."""

    context: Any
    arguments: Mapping[str, Any]
    """The caller's, with defaults for those that were not given."""
    cleanup: AsyncExitStack
    """Ends what was opened for this call, when it is over."""
    known: dict[Any, Any] = field(default_factory=dict)
    """What was found out for this call, by whoever found it out."""


class Injection(ABC):
    """What fills a parameter that callers never see: ``Annotated[T, injection]``, or the injection as its default."""

    @abstractmethod
    def check(self, owner: Signature) -> None:
        """Whether a function may have it, said when the function is offered. Raises: RegistrationError."""

    @abstractmethod
    async def resolve(self, name: str, given: Given) -> Any:
        """The value of the parameter ``name`` for this call; it may ask the client."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument that callers give."""

    name: str
    annotation: Any
    default: Any
    description: str | None


@dataclass(frozen=True, slots=True)
class Signature:
    """What is to be known of a function before it can be called from JSON."""

    name: str
    where: str
    """``file:line``, for messages to the author."""
    doc: Docstring
    parameters: tuple[Parameter, ...]
    context: str | None
    injections: tuple[tuple[str, Injection], ...]
    open: bool
    """It takes ``**kwargs``."""
    returns: Any
    is_async: bool

    def refuse(self, fault: str) -> RegistrationError:
        """The error for a function that can't be offered: who, where, what, and what to do."""
        return RegistrationError(f"{self.name} ({self.where}): {fault}")


def read_signature(function: Callable[..., Any], *, schema_given: bool = False) -> Signature:
    """Read a function.

    ``schema_given`` says that its author wrote the schema, so that ``**kwargs`` and untyped parameters are fine.
    Raises: RegistrationError.
    """
    code = code_of(function)
    doc = read_docstring(_documentation(function, code))
    blank = Signature(name_of(function), where(function), doc, (), None, (), False, EMPTY, _is_async(function))
    if inspect.isclass(function) or not callable(function):
        raise blank.refuse(f"only a function can be offered, not {type(function).__name__}")
    if inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code):
        raise blank.refuse("a generator has no single result: return a list, or report progress while working")
    return _filled(blank, function, _hints(blank, code), schema_given)


def where(function: Any) -> str:
    """Where a function is written: ``file:line``."""
    code = getattr(code_of(function), "__code__", None)
    if code is None:
        return "unknown place"
    path = Path(code.co_filename)
    with suppress(ValueError):
        path = path.relative_to(Path.cwd())
    return f"{path}:{code.co_firstlineno}"


def _filled(blank: Signature, function: Any, hints: Mapping[str, Any], schema_given: bool) -> Signature:
    parameters: list[Parameter] = []
    injections: list[tuple[str, Injection]] = []
    context: str | None = None
    takes_more = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD and schema_given:
            takes_more = True
            continue
        annotation = hints.get(parameter.name, EMPTY)
        if injection := injection_of(parameter, annotation):
            injections.append((parameter.name, injection))
        elif is_context(annotation):
            context = parameter.name
        else:
            _check(blank, parameter, annotation, schema_given)
            text = blank.doc.parameters.get(parameter.name)
            typed = Any if annotation is EMPTY else annotation
            parameters.append(Parameter(parameter.name, typed, parameter.default, text))
    signature = replace(
        blank,
        parameters=tuple(parameters),
        context=context,
        injections=tuple(injections),
        open=takes_more,
        returns=hints.get("return", EMPTY),
    )
    for _, injection in injections:
        injection.check(signature)
    return signature


def annotations_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The annotations of a function as types, whatever scope they were written in.

    Raises: RegistrationError.
    """
    blank = Signature(name_of(function), where(function), Docstring(), (), None, (), False, EMPTY, False)
    return _hints(blank, code_of(function))


def _check(blank: Signature, parameter: inspect.Parameter, annotation: Any, schema_given: bool) -> None:
    """Refuse what has no place in a JSON object.

    Raises: RegistrationError.
    """
    name = parameter.name
    if foreign := next(
        (mark for mark in (parameter.default, *_marks(annotation)) if hasattr(mark, "dependency")), None
    ):
        filler = getattr(foreign.dependency, "__name__", "function")
        raise blank.refuse(f"{name!r} has FastAPI's Depends: write `{name}: Annotated[…, Resolve({filler})]`")
    if parameter.kind is parameter.VAR_POSITIONAL:
        raise blank.refuse(f"*{name} has no names to give values by: take a list, `{name}: list[str]`")
    if parameter.kind is parameter.VAR_KEYWORD:
        raise blank.refuse(f"**{name} has no schema: name the parameters, or take `{name}: dict[str, Any]`")
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise blank.refuse(f"{name!r} is positional-only, JSON gives values by name: remove the '/'")
    if annotation is EMPTY and not schema_given:
        if name in {"self", "cls"}:
            raise blank.refuse(f"it is a method without its object: offer the bound one, `thing.{blank.name}`")
        raise blank.refuse(f"parameter {name!r} has no type: write `{name}: str` (or `{name}: Any` for any JSON)")


def injection_of(parameter: inspect.Parameter, annotation: Any) -> Injection | None:
    """What fills the parameter, if callers don't."""
    if isinstance(parameter.default, Injection):
        return parameter.default
    return next((mark for mark in _marks(annotation) if isinstance(mark, Injection)), None)


def _marks(annotation: Any) -> tuple[Any, ...]:
    """What stands beside a type in ``Annotated``."""
    return get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()


def is_context(annotation: Any) -> bool:
    """Whether the annotation is the class that marks itself as the context (also in a union or parametrised)."""
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return any(is_context(part) for part in get_args(annotation))
    kind = get_origin(annotation) or annotation
    return isinstance(kind, type) and getattr(kind, "__mcp_context__", False) is True


def code_of(function: Any) -> Any:
    """What was written with ``def`` behind a partial, a decorator's wrapper, or an object that can be called."""
    function = _unwrapped(function)
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return getattr(function, "__call__", function)  # noqa: B004  # the method itself is wanted, not whether it is there


def _unwrapped(function: Any) -> Any:
    """What partials and wrappers stand for."""
    while isinstance(function, partial):
        function = function.func
    return inspect.unwrap(function)


def _documentation(function: Any, code: Any) -> str | None:
    """The docstring of what was written; of an object that can be called its ``__call__``'s, else its class's."""
    written = _unwrapped(function)
    if inspect.isroutine(written) or inspect.isclass(written):
        return inspect.getdoc(code if isinstance(function, partial) else function)
    kind = type(written)
    own = next((call.__doc__ for each in kind.__mro__ if (call := vars(each).get("__call__")) and call.__doc__), None)
    generated = (inspect.getdoc(kind) or "").startswith(f"{kind.__name__}(")  # by dataclasses
    return own or (None if generated else inspect.getdoc(written))


def name_of(function: Any) -> str:
    """What a function is called, behind a partial too."""
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def _is_async(function: Any) -> bool:
    """Of the outermost wrapper, since that is what is called."""
    if inspect.iscoroutinefunction(function):
        return True
    return inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004  # as above


def _hints(blank: Signature, code: Any) -> dict[str, Any]:
    """The annotations as types.

    Raises: RegistrationError when a name in them can't be found, or when evaluating one fails.
    """
    try:
        try:
            return typing.get_type_hints(code, include_extras=True)
        except NameError:
            return typing.get_type_hints(code, localns=_names_around(code), include_extras=True)
    except (TypeError, ValueError, AttributeError, SyntaxError) as error:
        raise blank.refuse(f"its annotations can't be read: {error}") from None
    except NameError as error:
        raise blank.refuse(
            f"the annotation {error.name!r} can't be found at run time: define it before the function is offered, and "
            "import it outside of `if TYPE_CHECKING:`"
        ) from None


def _names_around(code: Any) -> dict[str, Any]:
    """The local names of the functions, in the same module, that are offering this one: types may be written there."""
    module = getattr(code, "__globals__", None)
    names: dict[str, Any] = {}
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals is module:
            names = {**frame.f_locals, **names}
        frame = frame.f_back
    return names

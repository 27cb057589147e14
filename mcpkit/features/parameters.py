"""Parameters as fields: a type, its marks, its default and its description become what pydantic converts by.

What must never stand here: a caller's value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, NotRequired, TypeGuard, Union, get_args, get_origin

from mcpkit.features.plain import came_from
from mcpkit.features.signature import EMPTY, Parameter, Signature
from mcpkit.jsonrpc.messages import JsonObject

if TYPE_CHECKING:  # loaded for whoever needs a converter: plain types need none
    from pydantic import ConfigDict, TypeAdapter
    from pydantic.fields import FieldInfo

_ANY: Final[frozenset[type]] = frozenset({str, int, float, bool, list, dict, NoneType})
_NATIVE: Final[Mapping[Any, frozenset[type]]] = {
    **{kind: frozenset({kind}) for kind in (str, int, float, bool, list, dict)},
    list[Any]: frozenset({list}),
    dict[str, Any]: frozenset({dict}),
    None: frozenset({NoneType}),
    NoneType: frozenset({NoneType}),
    Any: _ANY,
    object: _ANY,
}
"""Types whose values need neither check nor conversion when the JSON value has just that Python type already."""


_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)


class MirroredHeader:
    """Mirrors an argument into an HTTP header: ``region: Annotated[str, MirroredHeader("Region")]``.

    Clients then send it as ``Mcp-Param-Region`` too, for gateways to route by (spec 2026 transports, XHDR-01).
    Raises: ValueError for a name that no header can have.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        given: Any = name
        if not isinstance(given, str) or not _HEADER_NAME.fullmatch(given):
            raise ValueError(
                f'MirroredHeader takes letters, digits and any of !#$%&\'*+.^_`|~-, as "Region", not {name!r:.60}'
            )
        self.name = name

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> JsonObject:
        """The keyword that announces it."""
        return {**handler(core), "x-mcp-header": self.name}


def adapter_of(signature: Signature, parameters: Sequence[Parameter], config: ConfigDict) -> TypeAdapter[Any]:
    """The converter of several parameters at once; its values are keyword arguments.

    Raises: RegistrationError, naming the parameter whose type has no JSON form.
    """
    from pydantic import TypeAdapter  # noqa: PLC0415 - see above
    from pydantic.errors import PydanticUserError  # noqa: PLC0415
    from pydantic_core import SchemaError  # noqa: PLC0415
    from typing_extensions import TypedDict  # noqa: PLC0415 - pydantic wants this one below Python 3.12

    from mcpkit.features.schema import schema_of  # noqa: PLC0415

    fields = {parameter.name: _field(parameter) for parameter in parameters}
    shape = TypedDict("Arguments", fields)  # type: ignore[misc]  # made from data
    shape.__pydantic_config__ = config  # type: ignore[attr-defined]  # where pydantic looks
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(shape)
        schema_of(adapter, "validation")
    except (PydanticUserError, SchemaError, TypeError, ValueError, NameError) as error:
        for parameter in parameters if len(parameters) > 1 else ():
            adapter_of(signature, [parameter], config)
        from mcpkit.features.type_faults import fault_of  # noqa: PLC0415 - needed only when something is wrong

        raise signature.refuse(
            f"parameter {parameters[0].name!r} {fault_of(parameters[0].annotation, error)}"
        ) from None
    return adapter


def is_required(parameter: Parameter) -> bool:
    """Whether a caller must give it."""
    default = parameter.default
    infos = [*_infos(parameter.annotation), *([default] if _is_info(default) else [])]
    has_default = default is not EMPTY and not _is_info(default)
    return not has_default and not any(map(_has_default, infos))


def is_filled(parameter: Parameter) -> bool:
    """Whether Python itself fills the parameter when it is left out (a default told by ``Field`` it can't see)."""
    return parameter.default is not EMPTY and not _is_info(parameter.default)


def plain_types(parameters: Sequence[Parameter]) -> Iterator[tuple[str, frozenset[type]]]:
    """The parameters that need no conversion, each with the exact Python types that prove a value right."""
    for parameter in parameters:
        marks = _marks(parameter.annotation)
        default = [parameter.default] if _is_info(parameter.default) else []
        if all(map(_only_describes, [*marks, *default])):
            bare = get_args(parameter.annotation)[0] if marks else parameter.annotation
            types = _types_of(bare)
            if types:
                yield parameter.name, types | {NoneType} if parameter.default is None else types


def _field(parameter: Parameter) -> Any:
    """A parameter as a field of a TypedDict: its description, its default and whether it may be left out."""
    from pydantic import Field  # noqa: PLC0415 - see above

    default = parameter.default
    annotation = _with_none(parameter.annotation, default)
    infos = _infos(annotation)
    marks: list[Any] = []
    if _is_info(default):
        marks.append(default)
    elif default is not EMPTY:
        marks.append(Field(default=default))
    if parameter.description and not any(info.description for info in [*infos, *marks]):
        marks.append(Field(description=parameter.description))
    for mark in marks:
        annotation = Annotated[annotation, mark]
    return annotation if is_required(parameter) else NotRequired[annotation]


def _with_none(annotation: Any, default: Any) -> Any:
    """``x: int = None`` means ``int | None``, and a bare string among the marks is a description."""
    from pydantic import Field  # noqa: PLC0415 - see above

    marks = _marks(annotation)
    bare = get_args(annotation)[0] if marks else annotation
    if default is None and not _takes_none(bare):
        bare = Union[bare, None]  # noqa: UP007  # not every annotation knows |
    for mark in marks:
        bare = Annotated[bare, Field(description=mark) if isinstance(mark, str) else mark]
    return bare


def _takes_none(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, UnionType):
        return any(_takes_none(part) for part in get_args(annotation))
    return annotation is None or annotation in (NoneType, Any, object)


def _marks(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()


def _infos(annotation: Any) -> list[FieldInfo]:
    return [mark for mark in _marks(annotation) if _is_info(mark)]


def _is_info(mark: Any) -> TypeGuard[FieldInfo]:
    return came_from("pydantic.fields", "FieldInfo", mark)


def _has_default(info: FieldInfo) -> bool:
    from pydantic_core import PydanticUndefined  # noqa: PLC0415 - see above

    return info.default_factory is not None or (info.default is not PydanticUndefined and info.default is not ...)


def _only_describes(mark: Any) -> bool:
    """Whether a mark neither checks nor changes a value."""
    if _is_info(mark):
        return not mark.metadata and mark.alias is None and mark.validation_alias is None and not mark.discriminator
    return isinstance(mark, str | MirroredHeader)


def _types_of(annotation: Any) -> frozenset[type]:
    """The exact types that are right for an annotation; none when a type alone can't tell."""
    if get_origin(annotation) in (Union, UnionType):
        parts = [_types_of(part) for part in get_args(annotation)]
        return frozenset().union(*parts) if all(parts) else frozenset()
    try:
        return _NATIVE.get(annotation, frozenset())
    except TypeError:  # an annotation that can't be hashed
        return frozenset()

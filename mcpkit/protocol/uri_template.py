"""URI templates (RFC 6570) that can be matched as well as expanded, in time linear in the URI.

Understood are ``{x}`` (one segment), ``{+x}`` and ``{x*}`` (anything, slashes too), ``{/x,y}`` and ``{/x*}``
(segments, each with its slash), ``{?x,y*}`` (a query), ``{#x}`` (a fragment). A template that could be read in two
ways is refused when it is made, so matching never has to try again. URIs are compared in one form (RFC 3986 §6.2), so
that a URI library's spelling finds what an author wrote as text. What must never stand here: a regular expression over
a URI that backtracks, what a value may contain once decoded (a path must still be checked by who opens it).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote

Values: TypeAlias = dict[str, str | list[str]]

_EXPRESSION: Final = re.compile(r"\{([+#/?]?)([^{}]*)\}")
_VARIABLE: Final = re.compile(r"([A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*)(\*?)")
_RESERVED: Final = ":/?#[]@!$&'()*+,;="


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str
    exploded: bool


@dataclass(frozen=True, slots=True)
class _Rest:
    """The one part of a path that may hold slashes; ``segments`` when each of its variables brings its own."""

    variables: tuple[_Variable, ...]
    segments: bool


@dataclass(slots=True)
class _Run:
    """Literals and one-segment variables in turn: ``literals[0] names[0] literals[1] …``, one literal more."""

    literals: list[str]
    names: list[str]


LONGEST_URI: Final = 8192
"""Characters of a resource's URI; longer ones name nothing."""

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*", re.ASCII)
_OWN_HOST: Final = re.compile(r"[^:/?#{}]+://[^/?#{}]+(?=\Z|[/?#]|\{[/?#])")
"""A template whose authority has no variable."""
_UNCLEAR: Final = re.compile(r"%[0-9A-Fa-f]{2}|[^A-Za-z0-9._~:/?#@!$&'()*+,;=-]", re.ASCII)
"""An escape, or one character that must be one."""
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PORTS: Final[Mapping[str, str]] = {"http": ":80", "https": ":443", "ws": ":80", "wss": ":443"}


def normalize_uri(uri: str) -> str:
    """The one spelling of all URIs that are equivalent by RFC 3986 §6.2.2 and §6.2.3.

    Escapes stand where they must and nowhere else, in capitals; scheme and host are lower case, an authority has no
    default port and no path ``/``. Dot segments stay: whoever opens a path judges them.
    """
    return _without_empty_path(_lowered(_escaped(uri), host=True))


def _escaped(text: str) -> str:
    return _UNCLEAR.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    text = found[0]
    if len(text) == 1:
        return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))
    character = chr(int(text[1:], 16))
    return character if character in _UNRESERVED else text.upper()


def _lowered(uri: str, *, host: bool) -> str:
    """The URI with its scheme, and with ``host`` its host too, in lower case and without the scheme's own port."""
    scheme, colon, rest = uri.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme):
        return uri
    scheme = scheme.lower()
    if host and (end := _authority_end(rest)):
        user, at, name = rest[2:end].rpartition("@")
        name = _escaped(name.lower()).removesuffix(_PORTS.get(scheme, ":")).removesuffix(":")
        rest = f"//{user}{at}{name}{rest[end:]}"
    return f"{scheme}:{rest}"


def _authority_end(rest: str) -> int:
    """Where the authority ends in what follows the scheme's colon; 0 where there is none, or an empty one."""
    if not rest.startswith("//"):
        return 0
    ends = [place for mark in "/?#" if (place := rest.find(mark, 2)) >= 0]
    end = min(ends, default=len(rest))
    return end if end > 2 else 0


def _without_empty_path(uri: str) -> str:
    """An authority without a path is equivalent to one with the path ``/``."""
    other = _other_empty_path(uri)
    return uri if other is None or len(other) > len(uri) else other


def _other_empty_path(uri: str) -> str | None:
    """The URI with ``/`` for an empty path, or the other way round; None where it has another path or no authority."""
    place = uri.find(":") + 1
    end = _authority_end(uri[place:])
    if not end:
        return None
    authority, rest = uri[: place + end], uri[place + end :]
    if not rest or rest[0] in "?#":
        return f"{authority}/{rest}"
    return authority + rest[1:] if rest == "/" or rest[1:2] in {"?", "#"} else None


class UriTemplate:
    """One template; equal when the text is."""

    __slots__ = ("_fragment", "_head", "_own_host", "_query", "_rest", "_tail", "optional", "text", "variables")

    def __init__(self, text: str) -> None:
        """Raises: ValueError that names the fault."""
        self.text = text
        self._head = _Run([""], [])
        self._tail = _Run([""], [])
        self._rest: _Rest | None = None
        self._query: tuple[_Variable, ...] = ()
        self._fragment: _Variable | None = None
        self.variables: tuple[str, ...] = ()
        """The names of all variables, in order."""
        self.optional: frozenset[str] = frozenset()
        """Those that a matching URI may leave out."""
        end = 0
        for found in _EXPRESSION.finditer(text):
            self._literal(text[end : found.start()])
            self._expression(found[1], found[2])
            end = found.end()
        self._literal(text[end:])
        self._own_host = _OWN_HOST.match(text) is not None
        self._head.literals[0] = _lowered(self._head.literals[0], host=self._own_host)

    def __repr__(self) -> str:
        return f"UriTemplate({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UriTemplate) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def match(self, uri: str) -> Values | None:
        """The variables of a URI, percent-decoded; optional ones that it leaves out are absent. None: no match.

        A value is decoded after matching, so ``{x}`` may still come out with a slash that was written ``%2F``.
        """
        uri = _lowered(_escaped(uri), host=self._own_host)
        values = self._matched(uri)
        if values is None and (other := _other_empty_path(uri)) is not None:
            values = self._matched(other)
        return values

    def _matched(self, uri: str) -> Values | None:
        values: Values = {}
        path, query, fragment = self._divided(uri)
        if not self._match_path(path, values):
            return None
        if query is not None:
            _read_query(query, self._query, values)
        if fragment is not None and self._fragment is not None:
            values[self._fragment.name] = fragment
        return _decoded(values)

    def expand(self, values: Mapping[str, Any]) -> str:
        """The URI with these values, percent-encoded; optional variables may be left out.

        Raises: ValueError for a variable that is missing.
        """
        parts = [_expand_run(self._head, values)]
        if self._rest is not None:
            parts.append(_expand_rest(self._rest, values))
        parts.append(_expand_run(self._tail, values))
        query = [
            f"{variable.name}={quote(each, safe='')}" for variable in self._query for each in _given(values, variable)
        ]
        if query:
            parts.append("?" + "&".join(query))
        if self._fragment is not None and values.get(self._fragment.name) is not None:
            parts.append("#" + quote(str(values[self._fragment.name]), safe=_RESERVED))
        return "".join(parts)

    # ── reading the template ─────────────────────────────────────────────────────────────────────────────────────

    def _literal(self, literal: str) -> None:
        if not literal:
            return
        if "{" in literal or "}" in literal:
            raise ValueError(f"{self.text}: a brace stands alone, or its operator is not one of + # / ?")
        if self._query or self._fragment:
            raise ValueError(f"{self.text}: nothing but a fragment may follow a query, nothing a fragment")
        self._run.literals[-1] += _escaped(literal)

    @property
    def _run(self) -> _Run:
        return self._head if self._rest is None else self._tail

    def _expression(self, operator: str, inner: str) -> None:
        if self._fragment or (self._query and operator != "#"):
            raise ValueError(f"{self.text}: nothing but a fragment may follow a query, nothing a fragment")
        if operator in {"?", "#"} and any(operator in literal for literal in self._head.literals + self._tail.literals):
            raise ValueError(
                f"{self.text}: {operator} stands in the text already; put what follows into one expression"
            )
        variables = tuple(self._variable(part) for part in inner.split(","))
        if operator == "?":
            self._query = variables
        elif operator == "#":
            self._fragment = self._only(variables)
        elif operator == "/":
            self._take_rest(_Rest(variables, segments=True))
        elif operator == "+" or variables[0].exploded:
            self._take_rest(_Rest((self._only(variables),), segments=False))
        else:
            self._take_segments(variables)
        if operator in {"?", "#", "/"}:
            self.optional |= {variable.name for variable in variables}

    def _variable(self, part: str) -> _Variable:
        found = _VARIABLE.fullmatch(part)
        if found is None:
            raise ValueError(f"{self.text}: {{{part}}} is no variable this library can match")
        if found[1] in self.variables:
            raise ValueError(f"{self.text}: the variable {found[1]} stands twice")
        self.variables += (found[1],)
        return _Variable(found[1], bool(found[2]))

    def _only(self, variables: tuple[_Variable, ...]) -> _Variable:
        if len(variables) > 1:
            raise ValueError(f"{self.text}: write one variable where it may hold anything")
        return variables[0]

    def _take_rest(self, rest: _Rest) -> None:
        if self._rest is not None:
            raise ValueError(f"{self.text}: two parts may hold slashes, so no URI would divide clearly; keep one")
        if not rest.segments and self._touches_variable():
            raise ValueError(f"{self.text}: nothing stands between two variables; put a literal there")
        if any(variable.exploded for variable in rest.variables[:-1]):
            raise ValueError(f"{self.text}: only the last of several segments may be repeated")
        self._rest = rest

    def _take_segments(self, variables: tuple[_Variable, ...]) -> None:
        for index, variable in enumerate(variables):
            if variable.exploded:
                raise ValueError(f"{self.text}: write {{{variable.name}*}} on its own")
            if index:
                self._run.literals[-1] += ","
            if self._touches_variable():
                raise ValueError(f"{self.text}: nothing stands between two variables; put a literal there")
            self._run.names.append(variable.name)
            self._run.literals.append("")

    def _touches_variable(self) -> bool:
        run = self._run
        return not run.literals[-1] and bool(run.names or self._rest)

    # ── matching ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _divided(self, uri: str) -> tuple[str, str | None, str | None]:
        """Path, query and fragment, as far as the template knows the latter two."""
        query = fragment = None
        if self._fragment is not None:
            uri, mark, after = uri.partition("#")
            fragment = after if mark else None
        if self._query:
            uri, mark, after = uri.partition("?")
            query = after if mark else None
        return uri, query, fragment

    def _match_path(self, path: str, values: Values) -> bool:
        if self._rest is None:
            return _match_whole(self._head, path, values)
        end = _match_tail(self._tail, path, values)
        if end is None:
            return False
        begin = _match_head(self._head, path[:end], values)
        return begin is not None and _read_rest(self._rest, path[begin:end], values)


def _match_whole(run: _Run, text: str, values: Values) -> bool:
    """A run over all of ``text``: every variable but the last ends where its literal first occurs."""
    if not run.names:
        return text == run.literals[0]
    last = run.literals[-1]
    end = len(text) - len(last)
    inner = _Run(run.literals[:-1], run.names[:-1])
    begin = _match_head(inner, text, values)
    return begin is not None and text.endswith(last) and _take(run.names[-1], text, begin, end, values)


def _match_head(run: _Run, text: str, values: Values) -> int | None:
    """Where a run from the left ends; a variable without a literal after it ends with its segment.

    The first occurrence of a literal will do: a variable holds no slash, so a later one would only make it longer and
    leave the next variable less.
    """
    if not text.startswith(run.literals[0]):
        return None
    position = len(run.literals[0])
    for name, literal in zip(run.names, run.literals[1:], strict=True):
        end = text.find(literal, position + 1) if literal else _segment_end(text, position)
        if end < 0 or not _take(name, text, position, end, values):
            return None
        position = end + len(literal)
    return position


def _match_tail(run: _Run, text: str, values: Values) -> int | None:
    """Where a run that ends with the text begins; the mirror image of :func:`_match_head`."""
    if not text.endswith(run.literals[-1]):
        return None
    position = len(text) - len(run.literals[-1])
    for name, literal in zip(reversed(run.names), reversed(run.literals[:-1]), strict=True):
        start = text.rfind(literal, 0, max(position - 1, 0))
        if start < 0 or not _take(name, text, start + len(literal), position, values):
            return None
        position = start
    return position


def _take(name: str, text: str, begin: int, end: int, values: Values) -> bool:
    if end <= begin or text.find("/", begin, end) >= 0:
        return False
    values[name] = text[begin:end]
    return True


def _segment_end(text: str, begin: int) -> int:
    slash = text.find("/", begin)
    return len(text) if slash < 0 else slash


def _read_rest(rest: _Rest, text: str, values: Values) -> bool:
    if not rest.segments:
        values[rest.variables[0].name] = text
        return bool(text)
    if not text:
        return True
    if not text.startswith("/"):
        return False
    segments = text[1:].split("/")
    names = rest.variables
    if names[-1].exploded:
        single = names[:-1]
        if len(segments) > len(single):
            values[names[-1].name] = segments[len(single) :]
    elif len(segments) > len(names):
        return False
    else:
        single = names
    values.update(zip((variable.name for variable in single), segments, strict=False))
    return all(segments)


def _read_query(query: str, variables: Sequence[_Variable], values: Values) -> None:
    """The named fields of a query; of a field that stands twice the first counts, unknown ones are ignored."""
    wanted = {variable.name: variable for variable in variables}
    for pair in query.split("&"):
        name, mark, value = pair.partition("=")
        variable = wanted.get(unquote(name))
        if variable is None or not mark:
            continue
        if variable.exploded:
            held = values.setdefault(variable.name, [])
            assert isinstance(held, list)
            held.append(value)
        else:
            values.setdefault(variable.name, value)


def _decoded(values: Values) -> Values | None:
    try:
        return {
            name: [unquote(each, errors="strict") for each in value]
            if isinstance(value, list)
            else unquote(value, errors="strict")
            for name, value in values.items()
        }
    except UnicodeDecodeError:
        return None


# ── expanding ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _expand_run(run: _Run, values: Mapping[str, Any]) -> str:
    parts = [run.literals[0]]
    for name, literal in zip(run.names, run.literals[1:], strict=True):
        parts += quote(_needed(values, name), safe=""), literal
    return "".join(parts)


def _expand_rest(rest: _Rest, values: Mapping[str, Any]) -> str:
    if rest.segments:
        return "".join("/" + quote(each, safe="") for variable in rest.variables for each in _given(values, variable))
    variable = rest.variables[0]
    value = values.get(variable.name)
    if isinstance(value, list | tuple):
        return "/".join(quote(str(each), safe="") for each in value)
    return quote(_needed(values, variable.name), safe="/" if variable.exploded else _RESERVED)


def _given(values: Mapping[str, Any], variable: _Variable) -> list[str]:
    value = values.get(variable.name)
    if value is None:
        return []
    return [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]


def _needed(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if value is None or value == "":
        raise ValueError(f"the URI template needs a value for {name}")
    return str(value)

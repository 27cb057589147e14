"""URI templates: matched, expanded, refused, and all of it in a number of steps that grows with the URI alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mcpkit.protocol.uri_template import UriTemplate, normalize_uri

MATCHES: list[tuple[str, str, dict[str, Any]]] = [
    ("docs://readme", "docs://readme", {}),
    ("test://template/{id}/data", "test://template/123/data", {"id": "123"}),
    ("users://{id}", "users://ada", {"id": "ada"}),
    ("users://{id}", "users://ada%20l%2Fl", {"id": "ada l/l"}),
    ("users://{id}", "users://gr%C3%B6%C3%9Fe", {"id": "größe"}),
    ("users://{id}", "users://größe", {"id": "größe"}),
    ("a://{x}-{y}", "a://1-2-3", {"x": "1", "y": "2-3"}),
    ("a://{x}-{y}", "a://--1", {"x": "-", "y": "1"}),
    ("a://{+r}/{x}-{y}", "a://b/1--", {"r": "b", "x": "1", "y": "-"}),
    ("a://{x,y}", "a://1,2", {"x": "1", "y": "2"}),
    ("{scheme}://{host}", "https://example.com", {"scheme": "https", "host": "example.com"}),
    ("a://{x}.{ext}", "a://b.c.d", {"x": "b", "ext": "c.d"}),
    ("file:///{path*}", "file:///a/b/c.txt", {"path": "a/b/c.txt"}),
    ("file:///{+path}", "file:///a/b/c.txt", {"path": "a/b/c.txt"}),
    ("file:///{+path}/raw", "file:///a/raw/b/raw", {"path": "a/raw/b"}),
    ("repo://{owner}/{name}/{path*}", "repo://o/n/src/a.py", {"owner": "o", "name": "n", "path": "src/a.py"}),
    ("repo://{path*}/{name}.{ext}", "repo://a/b/c/d.py", {"path": "a/b/c", "name": "d", "ext": "py"}),
    ("a://{+x}b{y}", "a://1b2/3b4", {"x": "1b2/3", "y": "4"}),
    ("a://b{/x*}", "a://b/1/2/3", {"x": ["1", "2", "3"]}),
    ("a://b{/x*}", "a://b", {}),
    ("a://b{/x,y}", "a://b/1/2", {"x": "1", "y": "2"}),
    ("a://b{/x,y}", "a://b/1", {"x": "1"}),
    ("a://b{/x,y*}", "a://b/1/2/3", {"x": "1", "y": ["2", "3"]}),
    ("a://{x}{/y*}", "a://1/2/3", {"x": "1", "y": ["2", "3"]}),
    ("a://{x}{/y*}", "a://1", {"x": "1"}),
    ("a://{x}{/y*}.json", "a://1.json", {"x": "1"}),
    ("a://{x}{/y*}.json", "a://1/2.json", {"x": "1", "y": ["2"]}),
    ("a://b{/x*}/end", "a://b/1/end/end", {"x": ["1", "end"]}),
    ("a://b{?q,page}", "a://b?q=x%20y&page=2", {"q": "x y", "page": "2"}),
    ("a://b{?q,page}", "a://b?page=2", {"page": "2"}),
    ("a://b{?q,page}", "a://b?", {}),
    ("a://b{?q}", "a://b", {}),
    ("a://b{?q}", "a://b?q=&other=1&flag", {"q": ""}),
    ("a://b{?q}", "a://b?q=1&q=2", {"q": "1"}),
    ("a://b{?q*}", "a://b?q=1&q=2", {"q": ["1", "2"]}),
    ("a://b{?q}", "a://b?q=1=2", {"q": "1=2"}),
    ("a://{x}{?q}", "a://1?q=/", {"x": "1", "q": "/"}),
    ("a://{+x}{?q}", "a://1/2?q=3", {"x": "1/2", "q": "3"}),
    ("a://b{#part}", "a://b#here/there", {"part": "here/there"}),
    ("a://b{#part}", "a://b", {}),
    ("a://b{?q}{#part}", "a://b?q=1#x", {"q": "1", "part": "x"}),
    ("a://b?id={id}", "a://b?id=1", {"id": "1"}),
    ("a://{x.y}", "a://1", {"x.y": "1"}),
]
NO_MATCHES: list[tuple[str, str]] = [
    ("users://{id}", "users://"),
    ("users://{id}", "users://a/b"),
    ("users://{id}", "xusers://a"),
    ("users://{id}/posts", "users://1/2/posts"),
    ("users://{id}/posts", "users:///posts"),
    ("users://{id}/posts", "users://1/posts/"),
    ("users://{id}", "users://%FF"),
    ("a://{x}-{y}", "a://-1"),
    ("a://{x}-{y}", "a://1-"),
    ("a://{x}-{y}", "a://1/-2"),
    ("file:///{path*}", "file:///"),
    ("a://{+x}b{y}", "a://1b2/3"),
    ("a://{+x}/end", "a://b/other"),
    ("a://b{/x*}", "a://bc"),
    ("a://b{/x*}", "a://b//1"),
    ("a://b{/x,y}", "a://b/1/2/3"),
    ("a://ab{/x*}ba", "a://aba"),
    ("a://b{?q}", "a://c?q=1"),
    ("a://b{?q}", "a://b/c?q=1"),
    ("aa{x}aa", "aaaa"),
    ("", "a"),
]
REFUSED: list[tuple[str, str]] = [
    ("a://{x", "brace"),
    ("a://x}", "brace"),
    ("a://{{x}}", "brace"),
    ("a://{}", "no variable"),
    ("a://{x y}", "no variable"),
    ("a://{x:3}", "no variable"),
    ("a://{.x}", "no variable"),
    ("a://{;x}", "no variable"),
    ("a://{&x}", "no variable"),
    ("a://{x,}", "no variable"),
    ("a://{größe}", "no variable"),
    ("a://{x}/{x}", "twice"),
    ("a://{x}{?x}", "twice"),
    ("a://{x}{y}", "nothing stands between"),
    ("a://{x}{+y}", "nothing stands between"),
    ("a://{+x}{y}", "nothing stands between"),
    ("a://b{/x*}{y}", "nothing stands between"),
    ("a://{+x}/{+y}", "two parts"),
    ("a://{+x}{/y*}", "two parts"),
    ("a://b{/x}{/y}", "two parts"),
    ("a://b{/x*,y}", "only the last"),
    ("a://{+x,y}", "one variable"),
    ("a://{x*,y}", "one variable"),
    ("a://{x,y*}", "on its own"),
    ("a://b{#x,y}", "one variable"),
    ("a://b{?q}/c", "follow a query"),
    ("a://b{?q}{x}", "follow a query"),
    ("a://b{?q}{?r}", "follow a query"),
    ("a://b{#x}c", "follow a query"),
    ("a://b{#x}{?q}", "follow a query"),
    ("a://b?c=d{?q}", "stands in the text already"),
    ("a://b#c{#x}", "stands in the text already"),
]


@pytest.mark.parametrize(("template", "uri", "values"), MATCHES)
def test_match(template: str, uri: str, values: dict[str, Any]) -> None:
    """RSRC-13: one segment a variable, decoded after matching."""
    assert UriTemplate(template).match(uri) == values


@pytest.mark.parametrize(("template", "uri"), NO_MATCHES)
def test_no_match(template: str, uri: str) -> None:
    """RSRC-13: ``{x}`` never swallows a slash, and is never empty."""
    assert UriTemplate(template).match(uri) is None


@pytest.mark.parametrize(("template", "fault"), REFUSED)
def test_refused(template: str, fault: str) -> None:
    """RSRC-03: what could be read in two ways is refused when it is made; the text names the template."""
    with pytest.raises(ValueError, match=fault) as refused:
        UriTemplate(template)
    assert str(refused.value).startswith(template)


@pytest.mark.parametrize(
    ("template", "variables", "optional"),
    [
        ("a://b", (), set()),
        ("a://{y}/{x}", ("y", "x"), set()),
        ("a://{x}{/y,z*}", ("x", "y", "z"), {"y", "z"}),
        ("a://{x*}{?q,r}{#f}", ("x", "q", "r", "f"), {"q", "r", "f"}),
    ],
)
def test_variables(template: str, variables: tuple[str, ...], optional: set[str]) -> None:
    """COMP-02: in order; and which of them a URI may leave out."""
    made = UriTemplate(template)
    assert made.variables == variables
    assert set(made.optional) == optional


def test_equality() -> None:
    """A template is its text."""
    assert UriTemplate("a://{x}") == UriTemplate("a://{x}") != UriTemplate("a://{y}")
    assert UriTemplate("a://{x}") != "a://{x}"
    assert len({UriTemplate("a://{x}"), UriTemplate("a://{x}")}) == 1
    assert repr(UriTemplate("a://{x}")) == "UriTemplate('a://{x}')"


@pytest.mark.parametrize(
    ("template", "values", "uri"),
    [
        ("a://{x}", {"x": "a b/c"}, "a://a%20b%2Fc"),
        ("a://{x}", {"x": 5}, "a://5"),
        ("a://{x,y}", {"x": 1, "y": 2}, "a://1,2"),
        ("a://{+x}", {"x": "a b/c?d"}, "a://a%20b/c?d"),
        ("a://{+x}", {"x": "50%"}, "a://50%25"),
        ("a://{x*}", {"x": "a b/c?d"}, "a://a%20b/c%3Fd"),
        ("a://{x*}", {"x": ["a/b", "c"]}, "a://a%2Fb/c"),
        ("a://b{/x*}", {"x": ["1", "2/3"]}, "a://b/1/2%2F3"),
        ("a://b{/x*}", {}, "a://b"),
        ("a://b{/x,y}", {"x": "1"}, "a://b/1"),
        ("a://b{?q,r}", {"q": "x&y", "r": None}, "a://b?q=x%26y"),
        ("a://b{?q*}", {"q": ["1", "2"]}, "a://b?q=1&q=2"),
        ("a://b{?q}{#f}", {"f": "x/y z"}, "a://b#x/y%20z"),
    ],
)
def test_expand(template: str, values: dict[str, Any], uri: str) -> None:
    """RFC 6570 §3.2, for the expressions that can be matched."""
    assert UriTemplate(template).expand(values) == uri


@pytest.mark.parametrize("template", ["a://{x}", "a://{+x}", "a://{x*}"])
@pytest.mark.parametrize("values", [{}, {"x": None}, {"x": ""}])
def test_expand_needs_its_values(template: str, values: dict[str, Any]) -> None:
    """What would not match again is not made."""
    with pytest.raises(ValueError, match="a value for x"):
        UriTemplate(template).expand(values)


texts = st.text(min_size=1, max_size=12)


@given(texts, texts, st.lists(texts, max_size=3), st.text(max_size=8), st.text(max_size=8))
def test_there_and_back(x: str, y: str, rest: list[str], q: str, f: str) -> None:
    """Whatever is put in comes out again."""
    assume("-" not in x)
    template = UriTemplate("a://{x}-{y}/b{/rest*}{?q}{#f}")
    values: dict[str, Any] = {"x": x, "y": y, "q": q, "f": f}
    if rest:
        values["rest"] = rest
    assert template.match(template.expand(values)) == values


@given(texts, texts)
def test_anything_may_stand_in_the_rest(path: str, name: str) -> None:
    """With slashes or without."""
    for text in ("a://{+path}/{name}", "a://{path*}/{name}"):
        template = UriTemplate(text)
        values = {"path": path, "name": name}
        assert template.match(template.expand(values)) == values


def reference(template: list[str], uri: str) -> bool:
    """The slow and certain way: variables (one letter, upper case for a rest) try every length."""
    if not template:
        return not uri
    part, others = template[0], template[1:]
    if not part.isalpha():
        return uri.startswith(part) and reference(others, uri[len(part) :])
    lengths = range(1, len(uri) + 1)
    return any((part.isupper() or "/" not in uri[:length]) and reference(others, uri[length:]) for length in lengths)


literals = st.sampled_from(["-", "--", "/", "-/", "/-", "-1"])
turns = st.lists(st.tuples(literals, st.sampled_from("xxxY"), st.text("-/1", max_size=3)), min_size=1, max_size=4)


@settings(max_examples=300)
@given(turns, literals)
def test_the_quick_way_is_the_certain_way(turns: list[tuple[str, str, str]], last: str) -> None:
    """Taking the first place where a literal fits loses no match (see ``_match_head``)."""
    assume(sum(variable == "Y" for _, variable, _ in turns) < 2)
    parts = [part for literal, variable, _ in turns for part in (literal, variable)]
    names = iter("abcd")
    spelled = [f"{literal}{{{'+' if variable == 'Y' else ''}{next(names)}}}" for literal, variable, _ in turns]
    uri = "".join(literal + filling for literal, _, filling in turns) + last
    template = UriTemplate("".join(spelled) + last)
    assert (template.match(uri) is not None) == reference([*parts, last], uri)


def steps(run: Callable[[], object]) -> int:
    """How many lines of Python and calls of C ``run`` takes."""
    count = 0

    def traced(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += 1
        return traced

    def profiled(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "c_call"

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(traced)
    sys.setprofile(profiled)
    try:
        run()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    return count


@pytest.mark.parametrize(
    ("template", "start", "unit"),
    [
        ("a://{x}-{y}-{z}!", "a://", "-"),
        ("a://{a}1{b}1{c}1{d}1{e}!", "a://", "1"),
        ("a://{+a}1{b}1{c}!", "a://", "1/"),
        ("a://{a}/{b}/{c}/{rest*}/{d}/{e}/{f}!", "a://", "x/"),
        ("a://{a}{/b*}-{c}!", "a://", "-/"),
        ("a://{+path}", "a://", "%2F"),
        ("a://b{/x*}", "a://b", "/1"),
        ("a://b{?x*}", "a://b?", "x=1&"),
    ],
)
def test_linear(template: str, start: str, unit: str) -> None:
    """RSRC-11: twice the URI is at most twice the steps, also where the URI is made to be difficult."""
    made = UriTemplate(template)
    once, twice, four = (steps(partial(made.match, start + unit * times)) for times in (400, 800, 1600))
    assert twice <= 2 * once
    assert four <= 2 * twice


# ── other spellings of the same URI (RFC 3986 §6.2) ──────────────────────────────────────────────────────────────────

SAME = [
    ("docs://café/x", "docs://caf%C3%A9/x"),
    ("docs://café/x", "docs://caf%c3%a9/x"),
    ("docs://café/x", "DOCS://CAF%C3%A9/x"),
    ("file:///my docs/a", "file:///my%20docs/a"),
    ('a://h/[1]|{}^`"<>\\\\', "a://h/%5B1%5D%7C%7B%7D%5E%60%22%3C%3E%5C%5C"),
    ("a://h/~-._a", "a://h/%7E%2d%2E%5Fa"),
    ("a://h/100%", "a://h/100%25"),
    ("a://h/日本/😀", "a://h/%E6%97%A5%E6%9C%AC/%F0%9F%98%80"),
    ("A.b+c-d://Host/p", "a.B+C-D://hOST/p"),
    ("a://User@Host:80/p", "a://User@host:80/p"),
    ("http://h:80/p", "http://h/p"),
    ("https://h:/p", "https://h/p"),
    ("a://h", "a://h/"),
    ("a://h?q=1", "a://h/?q=1"),
    ("urn:x:é", "URN:x:%C3%A9"),
]
OTHER = [
    ("a://h/a/b", "a://h/a%2Fb"),
    ("a://h/A", "a://h/a"),
    ("a://h/a", "a://h/a/"),
    ("a://h/a,b", "a://h/a%2Cb"),
    ("a://User@h/", "a://user@h/"),
    ("a://h:80/p", "a://h/p"),
    ("a:///x", "a://x"),
    ("urn:x:A", "urn:x:a"),
    ("a://h/p?x=1", "a://h/p"),
    ("a://h/../p", "a://h/p"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equivalent_uris_have_one_normal_form(one: str, other: str) -> None:
    assert normalize_uri(one) == normalize_uri(other)
    assert normalize_uri(normalize_uri(one)) == normalize_uri(one)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_other_uris_stay_others(one: str, other: str) -> None:
    assert normalize_uri(one) != normalize_uri(other)


@given(st.text())
def test_any_text_has_a_normal_form(text: str) -> None:
    assert normalize_uri(normalize_uri(text)) == normalize_uri(text)


@pytest.mark.parametrize(
    ("template", "uri", "values"),
    [
        ("docs://café/{name}", "docs://caf%c3%a9/x", {"name": "x"}),
        ("docs://café/{name}", "DOCS://CAFé/X", {"name": "X"}),
        ("docs://Café/{name}/été", "docs://café/a%20b/%C3%A9t%C3%A9", {"name": "a b"}),
        ("file:///my docs/{+path}", "file:///my%20docs/a/b%20c", {"path": "a/b c"}),
        ("docs://{name}", "DOCS://ReadMe", {"name": "ReadMe"}),
        ("docs://{name}", "docs://ReadMe/", {"name": "ReadMe"}),
        ("docs://H{/x*}", "docs://h", {}),
        ("docs://H{/x*}", "docs://h/", {}),
        ("a://h{?q}", "a://H/?q=É", {"q": "É"}),
        ("a://h/[{x}]", "a://h/%5B1%5D", {"x": "1"}),
        ("a://h/{x}", "a://h/100%", {"x": "100%"}),
        ("a://h/{x}", "a://h/%41%2Fb", {"x": "A/b"}),
        ("urn:é:{x}", "URN:%C3%A9:1", {"x": "1"}),
    ],
)
def test_literals_are_compared_in_any_spelling(template: str, uri: str, values: dict[str, str]) -> None:
    made = UriTemplate(template)
    assert made.match(uri) == values
    assert made.match(made.expand(values)) == values


@pytest.mark.parametrize(
    ("template", "uri"), [("a://h/é/{x}", "a://h/É/1"), ("a://h/{x}", "a://h/%FF"), ("a://h/{x}", "a://h/\ud800")]
)
def test_what_is_no_other_spelling_does_not_match(template: str, uri: str) -> None:
    assert UriTemplate(template).match(uri) is None

"""Resources: listed, found, read."""

from __future__ import annotations

import asyncio
import enum
from pathlib import Path
from typing import Any

import pytest

from mcpkit.features.content import Annotations
from mcpkit.features.contents import ResourceContents, ResourceResult
from mcpkit.features.errors import InsufficientScope, RegistrationError, ToolError
from mcpkit.features.resources import LONGEST_URI, Resources
from mcpkit.jsonrpc.errors import InternalError, InvalidParams, RpcError, excerpt
from mcpkit.protocol.errors import ResourceNotFound
from mcpkit.protocol.revisions.registry import NEWEST
from mcpkit.security.principal import Principal
from tests.exchanges import exchange
from tests.schema.official import faults


class Context:
    __mcp_context__ = True

    def __init__(self, call: Any) -> None:
        self.call = call


def resources(**options: Any) -> Resources:
    return Resources(Context, **options)


async def read(subject: Resources, uri: Any, **options: Any) -> dict[str, Any]:
    return await asyncio.wait_for(subject.read(exchange("resources/read", {"uri": uri}, **options)), 5)


async def text(subject: Resources, uri: str) -> str:
    [contents] = (await read(subject, uri))["contents"]
    return str(contents["text"])


def settings() -> dict[str, str]:
    """The settings."""
    return {"theme": "dark"}


async def user(id: int, full: bool = False) -> dict[str, Any]:
    """A user."""
    return {"id": id, "full": full}


# ── listed ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_resource_is_listed_with_everything_that_was_said() -> None:
    """RSRC-02, CACHE-01."""
    subject = resources()
    subject.add(
        "config://settings", settings, title="Settings", size=9, annotations=Annotations(priority=0.5), meta={"own": 1}
    )
    listed = await subject.list(exchange("resources/list"))
    assert listed["resources"] == [
        {
            "uri": "config://settings",
            "name": "settings",
            "title": "Settings",
            "description": "The settings.",
            "mimeType": "application/json",
            "annotations": {"priority": 0.5},
            "size": 9,
            "_meta": {"own": 1},
        }
    ]
    assert faults(NEWEST.name, "ListResourcesResult", {"resultType": "complete", **listed}) == []


async def test_templates_have_a_list_of_their_own() -> None:
    """RSRC-03."""
    subject = resources()
    subject.add("users://{id}/data{?full}", user)
    subject.add("config://settings", settings)
    assert [entry["uri"] for entry in (await subject.list(exchange("resources/list")))["resources"]] == [
        "config://settings"
    ]
    listed = await subject.list_templates(exchange("resources/templates/list"))
    assert listed["resourceTemplates"] == [
        {
            "uriTemplate": "users://{id}/data{?full}",
            "name": "user",
            "description": "A user.",
            "mimeType": "application/json",
        }
    ]
    assert faults(NEWEST.name, "ListResourceTemplatesResult", {"resultType": "complete", **listed}) == []
    assert len(subject) == 2
    assert [resource.uri for resource in subject] == ["config://settings", "users://{id}/data{?full}"]


async def test_data_without_a_function(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("# one")
    subject = resources()
    subject.add("docs://a/readme.md", "# hi")
    subject.add("docs://logo", b"\x89PNG\r\n\x1a\n", name="logo")
    subject.add("docs://notes", path, mime_type="text/markdown")
    subject.add("docs://json", {"a": 1})
    entries = {entry["uri"]: entry for entry in (await subject.list(exchange("resources/list")))["resources"]}
    assert entries["docs://a/readme.md"] == {
        "uri": "docs://a/readme.md",
        "name": "readme.md",
        "mimeType": "text/markdown",
        "size": 4,
    }
    assert await text(subject, "docs://a/readme.md") == "# hi"
    assert (await read(subject, "docs://logo"))["contents"][0]["blob"] == "iVBORw0KGgo="
    assert await text(subject, "docs://json") == '{"a":1}'
    assert await text(subject, "docs://notes") == "# one"
    path.write_text("# two")
    assert await text(subject, "docs://notes") == "# two"


@pytest.mark.parametrize("uri", ["settings", "/etc/passwd", "", ":x", "a b://c", "x:", "x:" + "y" * LONGEST_URI])
def test_a_uri_needs_a_scheme(uri: str) -> None:
    """RSRC-10."""
    with pytest.raises(RegistrationError, match="is no URI"):
        resources().add(uri, settings)


def test_parameters_and_variables_must_be_the_same() -> None:
    def two(id: str, other: str) -> None: ...
    def none() -> None: ...
    def needy(id: str, q: str) -> None: ...

    for uri, function, fault in (
        ("u://{id}", two, "'other' is no variable"),
        ("u://{id}", none, "{id} of u://{id} has no parameter"),
        ("u://{id}{?q}", needy, "give the parameter a default"),
        ("u://x", two, "is no variable"),
        ("u://{id", two, "brace"),
        ("u://{a}{b}", two, "between"),
    ):
        with pytest.raises(RegistrationError) as caught:
            resources().add(uri, function)
        assert fault in str(caught.value)
        assert "test_resources.py:" in str(caught.value)


def test_changes_of_either_list_are_told() -> None:
    told: list[int] = []
    subject = resources(changed=lambda: told.append(1))
    subject.add("config://settings", settings)
    handle = subject.add("users://{id}", user)
    handle.update(title="User")
    handle.remove()
    assert len(told) == 4
    assert subject.find("users://{id}") is None


def test_pages_can_be_kept_while_both_lists_are_the_same_for_all() -> None:
    subject = resources()
    subject.add("config://settings", settings)
    assert subject.page_key(exchange("resources/list")) is not None
    subject.add("users://{id}", user, visible=lambda call: False)
    assert subject.page_key(exchange("resources/list")) is None
    assert not subject.uniform


# ── read ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_reading_a_resource() -> None:
    """RSRC-04, RSRC-07: what nobody said otherwise of is not kept, and is the caller's own."""
    subject = resources()
    subject.add("config://settings", settings)
    result = await read(subject, "config://settings")
    assert result == {
        "contents": [{"uri": "config://settings", "mimeType": "application/json", "text": '{"theme":"dark"}'}],
        "ttlMs": 0,
        "cacheScope": "private",
    }
    assert faults(NEWEST.name, "ReadResourceResult", {"resultType": "complete", **result}) == []


async def test_how_long_contents_may_be_kept() -> None:
    """CACHE-01: the result's word goes before the resource's."""

    def fresh() -> ResourceResult:
        return ResourceResult("x", ttl_ms=5, meta={"m": 1})

    subject = resources()
    subject.add("a://said", "x", ttl_ms=1000, cache_scope="public")
    subject.add("a://fresh", fresh, ttl_ms=1000, cache_scope="public")
    said, own = await read(subject, "a://said"), await read(subject, "a://fresh")
    assert (said["ttlMs"], said["cacheScope"]) == (1000, "public")
    assert (own["ttlMs"], own["cacheScope"], own["_meta"]) == (5, "public", {"m": 1})
    listed = await subject.list(exchange("resources/list"))
    assert listed["ttlMs"] != 1000, "a content's time is not the list's"


async def test_a_template_gives_its_variables_in_their_types() -> None:
    """RSRC-13."""
    subject = resources()
    subject.add("users://{id}/data{?full}", user)
    assert await text(subject, "users://5/data") == '{"id":5,"full":false}'
    assert await text(subject, "users://5/data?full=true") == '{"id":5,"full":true}'
    assert (await read(subject, "users://5/data"))["contents"][0]["uri"] == "users://5/data"


async def test_variables_are_decoded_and_swallow_slashes_only_when_told() -> None:
    """RSRC-13."""

    def one(name: str) -> str:
        return f"one {name}"

    def rest(path: str) -> str:
        return f"rest {path}"

    subject = resources()
    subject.add("docs://one/{name}", one)
    subject.add("docs://all/{path*}", rest)
    assert await text(subject, "docs://one/a%20b%2Fc") == "one a b/c"
    assert await text(subject, "docs://all/a/b") == "rest a/b"
    with pytest.raises(ResourceNotFound):
        await read(subject, "docs://one/a/b")


async def test_the_closer_description_goes_first_and_an_exact_uri_before_all() -> None:
    def wide(rest: str) -> str:
        return f"wide {rest}"

    def close(n: int) -> str:
        return f"close {n}"

    subject = resources()
    subject.add("a://{rest*}", wide)
    subject.add("a://items/{n}", close)
    subject.add("a://items/7", "exact")
    assert await text(subject, "a://items/5") == "close 5"
    assert await text(subject, "a://items/x") == "wide items/x", "a value of the wrong type names nothing there"
    assert await text(subject, "a://items/7") == "exact"


async def test_an_enum_variable_takes_only_its_values() -> None:
    class Level(enum.Enum):
        LOW = "low"

    def level(level: Level) -> str:
        return level.name

    subject = resources()
    subject.add("a://{level}", level)
    assert await text(subject, "a://low") == "LOW"
    with pytest.raises(ResourceNotFound):
        await read(subject, "a://high")


@pytest.mark.parametrize("uri", ["config://other", "users://x", "nope", "users://" + "9" * LONGEST_URI])
async def test_what_is_not_there(uri: str) -> None:
    """RSRC-05: an error that names the URI, or the beginning of a long one; never an empty result."""
    subject = resources()
    subject.add("config://settings", settings)
    subject.add("users://{id}", user)
    with pytest.raises(ResourceNotFound) as caught:
        await read(subject, uri)
    assert caught.value.data == {"uri": excerpt(uri)}
    assert not subject.knows(exchange("resources/subscribe"), uri)
    assert subject.knows(exchange("resources/subscribe"), "users://5")


@pytest.mark.parametrize("uri", [None, 3, "", ["config://settings"]])
async def test_a_uri_must_be_given(uri: Any) -> None:
    with pytest.raises(InvalidParams, match="uri must be"):
        await read(resources(), uri)


async def test_a_function_may_say_that_there_is_nothing() -> None:
    """RSRC-05."""

    def nothing(id: str) -> str | None:
        return None

    def missing() -> str:
        raise FileNotFoundError("/srv/secret")

    def own() -> str:
        raise ResourceNotFound("a://own")

    subject = resources()
    subject.add("a://none/{id}", nothing)
    subject.add("a://missing", missing)
    subject.add("a://own", own)
    for uri in ("a://none/1", "a://missing", "a://own"):
        with pytest.raises(ResourceNotFound) as caught:
            await read(subject, uri)
        assert caught.value.data == {"uri": uri}
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "told"),
    [(ToolError("offline"), "offline"), (ValueError("bad"), "bad"), (KeyError("secret"), "broken failed")],
)
async def test_a_failure_is_an_internal_error(error: Exception, told: str) -> None:
    """RSRC-05, TSEC-06."""

    def broken() -> str:
        raise error

    subject = resources()
    subject.add("a://b", broken)
    with pytest.raises(InternalError) as caught:
        await read(subject, "a://b")
    assert str(caught.value) == told


async def test_protocol_errors_pass_and_deadlines_hold() -> None:
    async def own() -> str:
        raise RpcError(-32000, "own")

    async def slow() -> str:
        await asyncio.Event().wait()
        return ""

    subject = resources(timeout=0.01)
    subject.add("a://own", own)
    subject.add("a://slow", slow)
    with pytest.raises(RpcError, match="own"):
        await read(subject, "a://own")
    with pytest.raises(InternalError, match="timed out"):
        await read(subject, "a://slow")


async def test_context_and_raw_results() -> None:
    """RSRC-08."""

    class Raw:
        def __mcp_result__(self) -> dict[str, Any]:
            return {"resultType": "input_required"}

    async def who(ctx: Context) -> str:
        return str(ctx.call.method)

    async def raw() -> Raw:
        return Raw()

    subject = resources()
    subject.add("a://who", who)
    subject.add("a://raw", raw)
    assert await text(subject, "a://who") == "resources/read"
    assert await read(subject, "a://raw") == {"resultType": "input_required"}
    elsewhere = await subject.read_uri(exchange("tools/call"), "a://who")
    assert elsewhere["contents"][0]["text"] == "tools/call"


async def test_who_may_not_see_a_resource_does_not_find_it() -> None:
    subject = resources()
    subject.add("a://hidden", "x", visible=lambda call: call.principal is not None)
    subject.add("a://scoped", "x", scopes=["read"])
    with pytest.raises(ResourceNotFound):
        await read(subject, "a://hidden")
    assert (await read(subject, "a://hidden", principal=Principal("m")))["contents"]
    with pytest.raises(InsufficientScope):
        await read(subject, "a://scoped", principal=Principal("m"))


async def test_several_contents() -> None:
    """RSRC-04: a directory."""

    def folder() -> list[ResourceContents]:
        return [ResourceContents("1", uri="a://d/1"), ResourceContents(b"2", uri="a://d/2")]

    subject = resources()
    subject.add("a://d", folder)
    result = await read(subject, "a://d")
    assert [entry["uri"] for entry in result["contents"]] == ["a://d/1", "a://d/2"]
    assert faults(NEWEST.name, "ReadResourceResult", {"resultType": "complete", **result}) == []


async def test_a_disabled_resource_is_gone_until_it_is_enabled() -> None:
    subject = resources()
    handle = subject.add("users://{id}", user)
    handle.disable()
    with pytest.raises(ResourceNotFound):
        await read(subject, "users://5")
    handle.enable()
    assert await text(subject, "users://5") == '{"id":5,"full":false}'

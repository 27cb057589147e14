"""The skills extension: its methods, its resources, reading the directory again."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from mcpkit.extensions import skills as skills_module
from mcpkit.extensions.skills import Skills
from mcpkit.jsonrpc.errors import InvalidParams, RpcError
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE, REVISIONS
from mcpkit.server import Server
from tests.extensions.calling import Caller
from tests.extensions.test_skills_library import skill

IDENTIFIER = "io.modelcontextprotocol/skills"
HEAD = "skill://acme/refunds/SKILL.md"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    skill(tmp_path, "acme/refunds", ref__a_dot_md=b"# A", data_dot_bin=b"\x00\xff")
    skill(tmp_path, "notes")
    return tmp_path


@pytest.fixture
def skills(root: Path) -> Skills:
    return Skills(root)


@pytest.fixture
def call(skills: Skills) -> Caller:
    server = Server("unit")
    server.install(skills)
    return Caller(server)


async def test_it_is_advertised_with_resources(call: Caller) -> None:
    """SEP-2640, Capability Negotiation: settings inline, and the resources capability beside it."""
    for answer in (await call("server/discover"), await call("initialize", revision=NEWEST_HANDSHAKE)):
        assert answer["capabilities"]["extensions"] == {IDENTIFIER: {"directoryRead": True}}
        assert "resources" in answer["capabilities"]


async def test_all_skills_are_listed(call: Caller) -> None:
    """SEP-2640, Listing Skills: with the hints for caching."""
    listed = await call("skills/list")
    assert [entry["uri"] for entry in listed["skills"]] == [HEAD, "skill://notes/SKILL.md"]
    assert (listed["ttlMs"], listed["cacheScope"], listed["resultType"]) == (300_000, "public", "complete")
    assert "nextCursor" not in listed


async def test_long_lists_come_in_pages(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """PAGE-03: each entry whole, on one page only."""
    monkeypatch.setattr(skills_module, "PAGE", 1)
    first = await call("skills/list")
    second = await call("skills/list", {"cursor": first["nextCursor"]})
    assert [entry["uri"] for entry in first["skills"] + second["skills"]] == [HEAD, "skill://notes/SKILL.md"]
    assert "nextCursor" not in second
    for cursor in ("nonsense", first["nextCursor"] + "x", 5):
        with pytest.raises(InvalidParams):
            await call("skills/list", {"cursor": cursor})


async def test_a_page_follows_a_skill_that_is_gone(
    call: Caller, skills: Skills, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cursor names what was shown last, whatever has become of it."""
    monkeypatch.setattr(skills_module, "PAGE", 1)
    first = await call("skills/list")
    (root / "acme/refunds/SKILL.md").unlink()
    skills.reload()
    second = await call("skills/list", {"cursor": first["nextCursor"]})
    assert [entry["uri"] for entry in second["skills"]] == ["skill://notes/SKILL.md"]


async def test_one_skill_is_got(call: Caller) -> None:
    """SEP-2640, Getting a Skill: the same entry, no cursor."""
    listed = (await call("skills/list"))["skills"][0]
    got = await call("skills/get", {"uri": HEAD})
    assert got["skill"] == listed
    assert {"ttlMs", "cacheScope"} <= got.keys()
    assert "nextCursor" not in got


@pytest.mark.parametrize("uri", ["skill://nope/SKILL.md", "skill://acme/refunds", "skill://acme/refunds/ref/a.md", 5])
@pytest.mark.parametrize("method", ["skills/get", "resources/directory/read"])
async def test_what_is_not_there_is_bad_params(call: Caller, method: str, uri: Any) -> None:
    """SEP-2640, Error Handling."""
    if (method, uri) == ("resources/directory/read", "skill://acme/refunds"):
        return
    with pytest.raises(InvalidParams):
        await call(method, {"uri": uri})


async def test_heads_are_listed_as_resources(call: Caller) -> None:
    """SEP-2640, Resource Metadata: name and description are the front matter's; other files need not be listed."""
    listed = (await call("resources/list"))["resources"]
    assert [(found["uri"], found["name"], found["mimeType"], found["description"]) for found in listed] == [
        (HEAD, "refunds", "text/markdown", "About refunds."),
        ("skill://notes/SKILL.md", "notes", "text/markdown", "About notes."),
    ]


async def test_what_is_read_is_what_was_listed(call: Caller, root: Path) -> None:
    """SEP-2640, Verification on Read: whatever has become of the files meanwhile."""
    (root / "acme/refunds/ref/a.md").write_text("changed")
    for file in (await call("skills/get", {"uri": HEAD}))["skill"]["resources"]:
        [contents] = (await call("resources/read", {"uri": file["uri"]}))["contents"]
        data = contents["text"].encode() if "text" in contents else base64.b64decode(contents["blob"])
        assert contents["uri"] == file["uri"]
        assert (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}") == (file["size"], file["digest"])


@pytest.mark.parametrize(
    "uri",
    [
        "skill://acme/refunds/nope.md",
        "skill://acme/refunds",
        "skill://acme/refunds/../notes/SKILL.md",
        "skill://acme/refunds/%2e%2e/%2e%2e/notes/SKILL.md",
        "skill:///etc/passwd",
        "skill://acme/refunds/SKILL.md%00",
    ],
)
async def test_no_uri_leads_to_a_path(call: Caller, uri: str) -> None:
    """STEST-05: only what was read at the start can be read."""
    with pytest.raises(RpcError) as missing:
        await call("resources/read", {"uri": uri})
    assert (missing.value.code, missing.value.data) == (-32602, {"uri": uri})


async def test_a_directory_lists_its_children(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """SEP-2640, Reading Directories."""
    whole = await call("resources/directory/read", {"uri": "skill://acme/refunds"})
    names = [(child["name"], child["mimeType"]) for child in whole["resources"]]
    assert names == [
        ("refunds", "text/markdown"),
        ("data.bin", "application/octet-stream"),
        ("ref", "inode/directory"),
    ]
    monkeypatch.setattr(skills_module, "PAGE", 2)
    first = await call("resources/directory/read", {"uri": "skill://acme/refunds"})
    rest = {"uri": "skill://acme/refunds", "cursor": first["nextCursor"]}
    assert first["resources"] + (await call("resources/directory/read", rest))["resources"] == whole["resources"]


@pytest.mark.parametrize("revision", REVISIONS)
async def test_every_revision_can_use_it(call: Caller, revision: str) -> None:
    """The methods are the extension's, not a revision's."""
    assert len((await call("skills/list", revision=revision))["skills"]) == 2


async def test_the_directory_can_be_read_again(call: Caller, skills: Skills, root: Path) -> None:
    """Lists, contents and the resources follow; a directory that is broken now changes nothing."""
    await call("skills/list")
    skill(root, "new")
    (root / "acme/refunds/ref/a.md").write_text("changed")
    (root / "notes/SKILL.md").unlink()
    call.notices.clear()
    skills.reload()
    assert [entry["uri"] for entry in (await call("skills/list"))["skills"]] == [HEAD, "skill://new/SKILL.md"]
    assert [found["name"] for found in (await call("resources/list"))["resources"]] == ["refunds", "new"]
    [contents] = (await call("resources/read", {"uri": "skill://acme/refunds/ref/a.md"}))["contents"]
    assert contents["text"] == "changed"
    assert {notice.method for notice in call.notices} == {"notifications/resources/list_changed"}
    (root / "new/SKILL.md").write_text("broken")
    with pytest.raises(ValueError, match="front matter"):
        skills.reload()
    assert len((await call("skills/list"))["skills"]) == 2


async def test_a_changed_description_is_seen_in_the_list(call: Caller, skills: Skills, root: Path) -> None:
    (root / "notes/SKILL.md").write_text("---\nname: notes\ndescription: Better notes.\n---\n")
    skills.reload()
    listed = (await call("resources/list"))["resources"]
    assert listed[1]["description"] == "Better notes."


def test_reading_again_before_installing_is_fine(skills: Skills) -> None:
    skills.reload()


async def test_a_long_uri_is_not_repeated_whole(call: Caller) -> None:
    for method in ("skills/get", "resources/directory/read", "resources/read"):
        with pytest.raises(RpcError) as refused:
            await call(method, {"uri": "skill://" + "x" * 900_000})
        assert len(str(refused.value.to_wire())) < 1000, method

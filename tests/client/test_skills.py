"""Skills that a server publishes."""

from __future__ import annotations

import hashlib
import importlib
from typing import Any

import pytest

from mcpkit.client import MCPClient
from mcpkit.client.errors import ProtocolViolation, Unsupported
from mcpkit.client.skills import SKILLS_EXTENSION, Skills, front_matter
from tests.client.scripted import FakeTransport, answering, soon

BASE = "skill://office/pdf/"
TEXT = "---\nname: pdf\ndescription: Fill in forms\nsince: 2026-01-02\n---\n# PDF\n"
FRONT = {"name": "pdf", "description": "Fill in forms", "since": "2026-01-02"}


def entry(contents: str, uri: str = f"{BASE}SKILL.md", **wrong: Any) -> dict[str, Any]:
    raw = contents.encode()
    return {"uri": uri, "digest": f"sha256:{hashlib.sha256(raw).hexdigest()}", "size": len(raw), **wrong}


def server(text: str = TEXT, *, front: Any = FRONT, resources: Any = None) -> FakeTransport:
    listed = [entry(TEXT), entry("form", f"{BASE}FORM.md")] if resources is None else resources
    skill = {"uri": f"{BASE}SKILL.md", "frontmatter": front, "resources": listed}
    files = {f"{BASE}SKILL.md": text, f"{BASE}FORM.md": "form"}
    return FakeTransport(
        answering(
            {
                "skills/list": lambda _: {"skills": [skill, {"uri": "skill://x/README.md"}, 5]},
                "resources/read": lambda params: {
                    "contents": [{"uri": params["uri"], "text": files.get(params["uri"], "other")}]
                },
            }
        )
    )


async def test_nothing_is_read_ahead() -> None:
    """SEP-2640: listing reads no file."""
    transport = server()
    async with MCPClient(transport, extensions={SKILLS_EXTENSION: {}}) as client:
        (skill,) = await soon(Skills(client).list())
        assert (skill.name, skill.description) == ("pdf", "Fill in forms")
        assert transport.methods() == ["server/discover", "skills/list"]
        assert (await soon(Skills(client).load(skill))) == TEXT
        assert (await soon(Skills(client).read(skill, f"{BASE}FORM.md"))) == b"form"


@pytest.mark.parametrize(
    ("transport", "words"),
    [
        (server(TEXT + "more"), "bytes"),
        (server(TEXT.replace("Fill", "Kill")), "digest"),
        (server(front={**FRONT, "name": "other"}), "front matter"),
        (server(resources=[entry(TEXT, digest=None)]), "digest"),
        (server(resources=[entry(TEXT, size=None)]), "bytes"),
        (server(resources=[]), "no file of the skill"),
    ],
)
async def test_what_is_not_as_promised_is_refused(transport: FakeTransport, words: str) -> None:
    """SEP-2640: length, digest and front matter, before anybody sees it."""
    async with MCPClient(transport) as client:
        (skill,) = await soon(Skills(client).list())
        with pytest.raises(ProtocolViolation, match=words):
            await soon(Skills(client).load(skill))


async def test_only_files_of_the_skill() -> None:
    """A list can't point elsewhere; a dynamic skill is bound to its folder all the same."""
    elsewhere = entry("x", "file:///etc/passwd")
    async with MCPClient(server(resources=[entry(TEXT), elsewhere])) as client:
        (skill,) = await soon(Skills(client).list())
        with pytest.raises(ProtocolViolation, match="no file of the skill"):
            await soon(Skills(client).read(skill, "file:///etc/passwd"))
    async with MCPClient(server(resources="dynamic")) as client:
        (skill,) = await soon(Skills(client).list())
        assert skill.files is None
        assert (await soon(Skills(client).load(skill))) == TEXT
        with pytest.raises(ProtocolViolation):
            await soon(Skills(client).read(skill, "skill://office/other/SKILL.md"))


async def test_an_answer_for_another_file() -> None:
    """What comes must be what was asked for."""
    rows = {
        "skills/list": lambda _: {"skills": [{"uri": f"{BASE}SKILL.md", "frontmatter": FRONT, "resources": "dynamic"}]},
        "resources/read": lambda _: {"contents": [{"uri": "skill://x", "text": TEXT}]},
    }
    async with MCPClient(FakeTransport(answering(rows))) as client:
        (skill,) = await soon(Skills(client).list())
        with pytest.raises(ProtocolViolation, match="something else"):
            await soon(Skills(client).load(skill))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# no front matter",
        "---\nname: x\n",
        "---\n- a\n---\n",
        "---\na: [\n---\n",
        "---\na: &x [1]\nb: *x\n---\n",
        "---\n!!python/object/apply:os.system [echo]\n---\n",
        "---\n" + "x" * 100_000 + "\n---\n",
    ],
)
def test_front_matter_that_is_none(text: str) -> None:
    """No aliases, which can grow beyond all bounds; no types but JSON's; nothing is executed."""
    with pytest.raises(ProtocolViolation):
        front_matter(text)


def test_front_matter() -> None:
    """YAML as JSON: a date is text."""
    text = "---\r\nname: x\ntags: [a, 1, true, null, 1.5]\nday: 2026-01-02\n---\nrest"
    assert front_matter(text) == {"name": "x", "tags": ["a", 1, True, None, 1.5], "day": "2026-01-02"}


def test_without_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is said."""
    real = importlib.import_module

    def missing(name: str, *args: Any) -> Any:
        if name == "yaml":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(Unsupported, match="pip install"):
        front_matter("---\na: 1\n---\n")

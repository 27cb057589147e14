"""Skills that a server publishes (the extension ``io.modelcontextprotocol/skills``): listed, and read only when wanted.

What is read is checked against what the list promised, byte for byte, before anybody sees it; nothing is fetched ahead.
What must never stand here: running anything that a skill says.
"""

from __future__ import annotations

import hashlib
import importlib
from typing import Any, Final, Unpack

from mcpkit.client.client import MCPClient
from mcpkit.client.errors import ProtocolViolation, Unsupported
from mcpkit.client.options import CallOptions
from mcpkit.client.record import Record
from mcpkit.jsonrpc.messages import JsonObject

SKILLS_EXTENSION: Final = "io.modelcontextprotocol/skills"
_LONGEST_HEAD: Final = 64 * 1024
_FENCE: Final = "---"


class Skill(Record):
    """One entry of the list."""

    uri: str
    """Of its SKILL.md."""
    frontmatter: JsonObject
    meta: JsonObject

    @property
    def name(self) -> str:
        """As its front matter says."""
        return str(self.frontmatter.get("name", ""))

    @property
    def description(self) -> str:
        """When to use it, as its front matter says."""
        return str(self.frontmatter.get("description", ""))

    @property
    def files(self) -> dict[str, JsonObject] | None:
        """Every file by its URI, with digest and size; None where they change too often to be listed."""
        listed = self.get("resources")
        if not isinstance(listed, list):
            return None
        return {
            entry["uri"]: entry for entry in listed if isinstance(entry, dict) and isinstance(entry.get("uri"), str)
        }


class Skills:
    """The skills of one server.

    Make the client with ``extensions={SKILLS_EXTENSION: {}}``.
    """

    def __init__(self, client: MCPClient) -> None:
        self._client = client

    async def list(self, **options: Unpack[CallOptions]) -> list[Skill]:
        """All skills; none of their files is read."""
        entries = await self._client.list_entries("skills/list", "skills", **options)
        return [skill for skill in map(Skill.of, entries) if skill.uri.endswith("/SKILL.md")]

    async def load(self, skill: Skill, **options: Unpack[CallOptions]) -> str:
        """The text of its SKILL.md, once it has proven to be what the list promised.

        Raises: ProtocolViolation when it is not; ClientError.
        """
        text = (await self.read(skill, skill.uri, **options)).decode("utf-8", "replace")
        if front_matter(text) != skill.frontmatter:
            raise ProtocolViolation(f"the front matter of {skill.uri} is not what the list of skills says")
        return text

    async def read(self, skill: Skill, uri: str, **options: Unpack[CallOptions]) -> bytes:
        """One file of the skill, checked against the list.

        Raises: ProtocolViolation when it is not what the list promised, or no file of the skill; ClientError.
        """
        files = skill.files
        if not uri.startswith(skill.uri.removesuffix("SKILL.md")) or (files is not None and uri not in files):
            raise ProtocolViolation(f"{uri} is no file of the skill {skill.uri}")
        result = await self._client.read_resource(uri, **options)
        found = next((part for part in result.contents if part.uri == uri), None)
        if found is None:
            raise ProtocolViolation(f"the server answered something else than {uri}")
        _check(uri, found.bytes, files[uri] if files is not None else None)
        return found.bytes


def front_matter(text: str) -> JsonObject:
    """The front matter of a Markdown file, as JSON.

    Raises: ProtocolViolation when there is none that can be read; Unsupported without a YAML library.
    """
    lines = text[:_LONGEST_HEAD].splitlines()
    if not lines or lines[0].rstrip() != _FENCE or _FENCE not in (line.rstrip() for line in lines[1:]):
        raise ProtocolViolation("a SKILL.md must begin with front matter between two lines of ---")
    end = next(number for number, line in enumerate(lines[1:], 1) if line.rstrip() == _FENCE)
    found = _yaml("\n".join(lines[1:end]))
    if not isinstance(found, dict):
        raise ProtocolViolation("the front matter of a SKILL.md must be a mapping")
    return found


def _check(uri: str, contents: bytes, entry: JsonObject | None) -> None:
    if entry is None:
        return
    if entry.get("size") != len(contents):
        raise ProtocolViolation(f"{uri} has {len(contents)} bytes, not as many as the list of skills says")
    if entry.get("digest") != f"sha256:{hashlib.sha256(contents).hexdigest()}":
        raise ProtocolViolation(f"{uri} is not the file that the list of skills promises: its digest differs")


def _yaml(text: str) -> Any:
    """A YAML document with JSON's types only; without aliases, which can grow beyond all bounds."""
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError:
        raise Unsupported('reading skills needs a YAML library: pip install "pyyaml"') from None

    class Loader(yaml.SafeLoader):  # type: ignore[misc] # the library has no types
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("aliases are not allowed")
            return super().compose_node(parent, index)

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in known if not tag.endswith(":timestamp")]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ProtocolViolation(f"the front matter of a SKILL.md can't be read: {type(error).__name__}") from None

"""Skills: directories of instructions for agents, served as resources (extension ``io.modelcontextprotocol/skills``).

    server.install(Skills("skills"))        # skills/<name>/SKILL.md, and whatever stands beside it

What must never stand here: the reading of files (skills_library.py) and of front matter (skills_frontmatter.py).
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Hashable
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from mcpkit.extensions.skills_library import SAFE, Library, Skill, SkillError
from mcpkit.features.contents import ResourceContents, ResourceResult
from mcpkit.features.resources import Resource
from mcpkit.jsonrpc.errors import InvalidParams, excerpt
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.pagination import decode_cursor, encode_cursor
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.server import Server

IDENTIFIER: Final = "io.modelcontextprotocol/skills"
PAGE: Final = 50


class Skills:
    """The extension: every ``SKILL.md`` is a listed resource, its other files are read by their URIs.

    The directory is read once; :meth:`reload` reads it again.
    """

    identifier = IDENTIFIER

    def __init__(self, root: str | os.PathLike[str], *, scheme: str = "skill", ttl: float = 300.0) -> None:
        """``ttl`` is in seconds: how long clients may keep what they were told.

        Raises: SkillError, which names the file and the fix; OSError.
        """
        self._root = root
        self._scheme = scheme
        self._ttl_ms = round(ttl * 1000)
        self._library = Library.read(root, scheme)
        self._heads: dict[str, Resource] = {}
        self._server: Server | None = None

    def settings(self, revision: Revision) -> JsonObject | None:
        """Directories can be listed, too."""
        return {"directoryRead": True}

    def install(self, server: Server) -> None:
        """Register the methods and the resources."""
        self._server = server
        server.kernel.register("skills/list", self.list, cache_key=_cursor)
        server.kernel.register("skills/get", self.get)
        server.kernel.register("resources/directory/read", self.read_directory)
        server.add_resource(
            f"{self._scheme}://{{+path}}",
            self._read,
            name="skill-files",
            description="The files of the skills; skills/list names them",
        )
        self._offer_heads(server)

    def reload(self) -> None:
        """Read the directory again; clients that listen are told when the list of skills has changed.

        Raises: SkillError, OSError; then what was served is served on.
        """
        self._library = Library.read(self._root, self._scheme)
        if self._server is not None:
            self._offer_heads(self._server)
            self._server.kernel.invalidate("skills/list")

    async def list(self, exchange: Exchange) -> JsonObject:
        """``skills/list``: every skill with the manifest of its files. Raises: InvalidParams for a bad cursor."""
        skills = self._library.skills
        uris, cursor = _page(sorted(skills), exchange)
        return self._kept({"skills": [skills[uri].entry for uri in uris], **cursor})

    async def get(self, exchange: Exchange) -> JsonObject:
        """``skills/get``: the entry of one skill. Raises: InvalidParams when there is none."""
        uri = _uri(exchange)
        skill = self._library.skills.get(uri)
        if skill is None:
            raise InvalidParams(
                "No skill is served at this URI; skills/list names what there is", data={"uri": excerpt(uri)}
            )
        return self._kept({"skill": skill.entry})

    async def read_directory(self, exchange: Exchange) -> JsonObject:
        """``resources/directory/read``: a directory's direct children. Raises: InvalidParams when it is none."""
        uri = _uri(exchange)
        inside = self._library.directories.get(uri)
        if inside is None:
            raise InvalidParams("This URI is no directory resource", data={"uri": excerpt(uri)})
        children = {child["uri"]: child for child in inside}
        uris, cursor = _page(sorted(children), exchange)
        return self._kept({"resources": [children[child] for child in uris], **cursor})

    def _kept(self, result: JsonObject) -> JsonObject:
        return {**result, "ttlMs": self._ttl_ms, "cacheScope": "public"}

    def _offer_heads(self, server: Server) -> None:
        """One listed resource for each skill."""
        skills = self._library.skills
        for uri in self._heads.keys() - skills.keys():
            self._heads.pop(uri).remove()
        for uri, skill in skills.items():
            about: dict[str, Any] = {"name": skill.head.name, "description": skill.head.description}
            about["size"] = len(skill.head.data)
            if uri not in self._heads:
                read = partial(self._contents, uri)
                self._heads[uri] = server.add_resource(uri, read, mime_type=skill.head.mime_type, **about)
            elif not about.items() <= self._heads[uri].wire.items():
                self._heads[uri].update(**about)

    def _read(self, path: str) -> ResourceResult:
        return self._contents(f"{self._scheme}://{quote(path, safe=SAFE + '/')}")

    def _contents(self, uri: str) -> ResourceResult:
        """A file as it was when its digest was taken; nothing where there is none."""
        file = self._library.files.get(uri)
        contents = None if file is None else [ResourceContents(file.data, file.mime_type)]
        return ResourceResult(contents, self._ttl_ms, "public")


def _uri(exchange: Exchange) -> str:
    uri = exchange.params.get("uri")
    if not isinstance(uri, str):
        raise InvalidParams("uri must be the URI of a skill's SKILL.md or directory")
    return uri


def _page(uris: list[str], exchange: Exchange) -> tuple[list[str], JsonObject]:
    """The page of sorted URIs that the exchange asks for, and the member that leads to the next."""
    cursor = exchange.params.get("cursor")
    if cursor is not None:
        uris = uris[bisect_right(uris, decode_cursor(cursor)) :]
    return uris[:PAGE], {"nextCursor": encode_cursor(uris[PAGE - 1])} if len(uris) > PAGE else {}


def _cursor(exchange: Exchange) -> Hashable | None:
    """What a page depends on, for the kernel's cache."""
    cursor = exchange.params.get("cursor", "")
    return cursor if isinstance(cursor, str) else None


__all__ = ["IDENTIFIER", "Library", "Skill", "SkillError", "Skills"]

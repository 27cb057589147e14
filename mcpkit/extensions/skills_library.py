"""Skills read from a directory, once and whole: what is served later comes from memory, so no request names a path.

Every file of a skill is listed with its size and digest, and what is read is what was listed. What must never stand
here: a method of the protocol.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from mcpkit.extensions.skills_frontmatter import FrontmatterError, read_frontmatter
from mcpkit.features.content import decoded
from mcpkit.features.media import guess_by_name
from mcpkit.jsonrpc.messages import JsonObject

SKILL: Final = "SKILL.md"
DIRECTORY: Final = "inode/directory"
MAX_FILES: Final = 512
MAX_BYTES: Final = 16 * 1024 * 1024
"""Per skill: what every client must be able to take (SEP-2640, Limits)."""
SAFE: Final = "-._~!$&'()*+,;=:@"
"""What stands in a URI's path segment as it is, besides letters and digits (RFC 3986 §3.3)."""


class SkillError(ValueError):
    """A directory can't be served as skills; the message names the file, below the directory, and the fix."""


@dataclass(frozen=True, slots=True)
class SkillFile:
    """One file, with its bytes."""

    uri: str
    name: str
    data: bytes = field(repr=False)
    digest: str
    mime_type: str
    description: str | None = None

    @property
    def entry(self) -> JsonObject:
        """The file in a skill's manifest."""
        return {"uri": self.uri, "digest": self.digest, "size": len(self.data)}

    @property
    def resource(self) -> JsonObject:
        """The file as a resource of a list."""
        said = {"uri": self.uri, "name": self.name, "mimeType": self.mime_type, "size": len(self.data)}
        return said if self.description is None else {**said, "description": self.description}


@dataclass(frozen=True, slots=True)
class Skill:
    """One skill: its ``SKILL.md`` and its entry in ``skills/list``."""

    head: SkillFile
    entry: JsonObject


@dataclass(frozen=True, slots=True)
class Library:
    """All skills below one directory, by URI; a snapshot."""

    skills: dict[str, Skill] = field(default_factory=dict)
    files: dict[str, SkillFile] = field(default_factory=dict)
    directories: dict[str, list[JsonObject]] = field(default_factory=dict)
    """A directory's URI → its direct children, by name."""

    @classmethod
    def read(cls, root: str | os.PathLike[str], scheme: str = "skill") -> Library:
        """The skills below ``root``, or ``root`` if it is one: every directory with a ``SKILL.md``, called by its path.

        Links, hidden files and files of no skill are left out. Raises: SkillError, OSError.
        """
        top = Path(root).resolve(strict=True)
        paths = list(_files(top))
        start = top.parent if top / SKILL in paths else top
        library = cls()
        for home in sorted(path.parent for path in paths if path.name == SKILL):
            own = [path for path in paths if path.is_relative_to(home)]
            _check_limits(home.name, own)
            files = [library._file(path, path.relative_to(start).parts, scheme) for path in own]
            library._add(files[own.index(home / SKILL)], files)
        if not library.skills:
            raise SkillError(f"there is no skill in it: write <name>/{SKILL}")
        library._list_directories()
        return library

    def _file(self, path: Path, parts: tuple[str, ...], scheme: str) -> SkillFile:
        """The file, read once however many skills it belongs to."""
        uri = f"{scheme}://{'/'.join(_quoted(part) for part in parts)}"
        if uri in self.files:
            return self.files[uri]
        data = path.read_bytes()
        name, description = path.name, None
        if name == SKILL:
            fields = _fields(data, parts)
            name, description = fields["name"], fields["description"]
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        file = self.files[uri] = SkillFile(uri, name, data, digest, _mime(path.name, data), description)
        return file

    def _add(self, head: SkillFile, files: list[SkillFile]) -> None:
        fields = read_frontmatter(head.data.decode())
        manifest = sorted((file.entry for file in files), key=itemgetter("uri"))
        self.skills[head.uri] = Skill(head, {"uri": head.uri, "frontmatter": fields, "resources": manifest})

    def _list_directories(self) -> None:
        """Every directory on the way to a file, with its children."""
        children: dict[str, dict[str, JsonObject]] = {}
        for uri, file in self.files.items():
            folder, _, step = uri.rpartition("/")
            children.setdefault(folder, {})[step] = file.resource
            while not (above := folder.rpartition("/"))[0].endswith("/"):
                below = {"uri": folder, "name": unquote(above[2]), "mimeType": DIRECTORY}
                folder = above[0]
                children.setdefault(folder, {})[above[2]] = below
        self.directories.update({uri: [inside[step] for step in sorted(inside)] for uri, inside in children.items()})


def _files(top: Path) -> Iterator[Path]:
    """Every file below ``top`` in a stable order, without links and hidden ones."""
    for folder, folders, names in os.walk(top, followlinks=False):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not (here / name).is_symlink())
        for name in sorted(names):
            path = here / name
            if not name.startswith(".") and not path.is_symlink() and path.is_file():
                yield path


def _check_limits(name: str, paths: list[Path]) -> None:
    size = sum(path.stat().st_size for path in paths)
    if len(paths) > MAX_FILES or size > MAX_BYTES:
        raise SkillError(
            f"the skill {name} has {len(paths)} files and {size} bytes; clients need not take more than "
            f"{MAX_FILES} files and {MAX_BYTES} bytes: make it smaller"
        )


def _quoted(part: str) -> str:
    try:
        return quote(part, safe=SAFE)
    except UnicodeEncodeError:
        raise SkillError(f"a file's name is not UTF-8: {part!a}; rename it") from None


def _fields(data: bytes, parts: tuple[str, ...]) -> JsonObject:
    place = "/".join(parts)
    try:
        fields = read_frontmatter(data.decode())
    except UnicodeDecodeError:
        raise SkillError(f"{place}: it must be UTF-8 text") from None
    except FrontmatterError as fault:
        raise SkillError(f"{place}: {fault}") from None
    if fields["name"] != parts[-2]:
        raise SkillError(f"{place}: name is {fields['name']!r} but the directory is {parts[-2]!r}; make them equal")
    return fields


def _mime(name: str, data: bytes) -> str:
    guess = "text/markdown" if name.lower().endswith(".md") else guess_by_name(name)
    if guess is not None:
        return guess
    return "application/octet-stream" if decoded(data, "text/plain") is None else "text/plain"

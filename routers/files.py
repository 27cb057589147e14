"""Files beneath one directory, and nothing outside it: read, write, list.

A path is walked component by component through directory descriptors that follow no link, so there is no moment
between a check and its use in which another process could lead the walk elsewhere.
What must never stand here: an absolute path handed to the system (except the root's), a path in an error text.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Final, Literal

from mcpkit import ToolError

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 32
MAX_ENTRIES: Final = 1000
MAX_SCANNED: Final = 100_000
MAX_FOLDER_BYTES: Final = 256 * 1024 * 1024
"""Bytes of all files beneath the root, beyond which nothing is written that adds to them."""
MAX_FOLDER_ENTRIES: Final = 10_000
"""Files and directories beneath the root, likewise."""

WELCOME: Final = """# Files

The tools `file_read`, `file_write` and `list_directory` and the resource `file:///{path}` work in this directory,
and can't leave it. Set `MCP_FILES_ROOT` to let them work elsewhere.
"""

# O_NONBLOCK: opening a pipe must not wait for its other end. Windows has neither flag; _root() refuses it.
DIRECTORY: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
READ: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)

REASONS: Final = {
    errno.ENOENT: "there is no such file or directory",
    errno.ENOTDIR: "a part of the path is not a directory (links are not followed)",
    errno.ELOOP: "links are not followed",
    errno.EISDIR: "it is a directory",
    errno.EEXIST: "it is not a regular file",
    errno.ENXIO: "it is not a regular file",
    errno.EACCES: "the server may not do that",
    errno.EPERM: "the server may not do that",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full",
    errno.ENAMETOOLONG: "the name is too long",
}


class FileRefused(ToolError):
    """A path that is not served, or a file that can't be read or written; the text names the path as it was given."""


class FileTooLarge(FileRefused):
    """The file is served, but holds more than one call carries."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or directory; a file's ``size`` is in bytes."""

    name: str
    type: Literal["file", "directory"]
    size: int


@dataclass(frozen=True, slots=True)
class Listing:
    """The entries of a directory, by name; ``truncated`` when there are more than are shown."""

    path: str
    entries: list[Entry]
    truncated: bool = False


class FileRoot:
    """The directory beneath which files are served; made, with a README.md in it, when it does not exist."""

    def __init__(
        self,
        root: str | Path,
        *,
        max_bytes: int = MAX_BYTES,
        max_folder_bytes: int = MAX_FOLDER_BYTES,
        max_folder_entries: int = MAX_FOLDER_ENTRIES,
    ) -> None:
        """``max_bytes`` are of one file; the other two hold for everything beneath the root together."""
        self._path = Path(root)
        self._max_bytes = max_bytes
        self._max_folder_bytes = max_folder_bytes
        self._max_folder_entries = max_folder_entries
        self._writing = Lock()  # of one process: workers together may be over by a file each

    def read(self, path: str) -> bytes:
        """The content of a regular file.

        Raises: FileRefused; FileTooLarge among them.
        """
        with _refusing(path), self._parent(path) as (directory, name):
            return self._content(os.open(name, READ, dir_fd=directory))

    def read_text(self, path: str) -> str:
        """The content of a text file in UTF-8.

        Raises: FileRefused.
        """
        try:
            return self.read(path).decode("utf-8")
        except UnicodeDecodeError:
            raise FileRefused(f"{path!r} is not UTF-8 text; read it as the resource file:///{path}") from None

    def write_text(self, path: str, text: str) -> int:
        """Put ``text`` in place of the file's content, whole or not at all; returns the bytes written.

        Missing directories are made. Raises: FileRefused.
        """
        try:
            content = text.encode("utf-8")
        except UnicodeEncodeError:
            raise FileRefused("the text holds half a surrogate pair, which UTF-8 can't carry") from None
        if len(content) > self._max_bytes:
            raise FileRefused(f"the text is too large: {self._max_bytes} bytes are the limit")
        with self._writing, _refusing(path):
            self._check_room(path, len(content))
            with self._parent(path, create=True) as (directory, name):
                _replace(directory, name, content)
        return len(content)

    def _check_room(self, path: str, size: int) -> None:
        """Check that the folder may hold ``size`` bytes at a path; what makes no more of anything always may.

        Raises: FileRefused.
        """
        before = self._size_of(path)
        if before is not None and size <= before:
            return
        added = 0 if before is not None else len(_parts(path))
        entries, total = added, size - (before or 0)
        with self._directory([]) as root:
            for length in islice(_lengths(root, MAX_DEPTH), self._max_folder_entries + 1):
                entries, total = entries + 1, total + length
        if added and entries > self._max_folder_entries:
            raise FileRefused(f"the folder is full: {self._max_folder_entries} files and directories are the limit")
        if entries - added > self._max_folder_entries or total > self._max_folder_bytes:
            raise FileRefused(f"the folder is full: {self._max_folder_bytes} bytes in all files are the limit")

    def _size_of(self, path: str) -> int | None:
        """The bytes of a file that is there; None where there is none."""
        try:
            with self._parent(path) as (directory, name):
                return os.stat(name, dir_fd=directory, follow_symlinks=False).st_size
        except FileNotFoundError:
            return None

    def listing(self, path: str = ".") -> Listing:
        """What lies in a directory: regular files and directories that are not hidden, by name.

        Raises: FileRefused.
        """
        with _refusing(path), self._directory(_parts(path)) as directory, os.scandir(directory) as scan:
            found = (entry for entry in islice(scan, MAX_SCANNED) if _served(entry))
            first = nsmallest(MAX_ENTRIES + 1, found, key=lambda entry: entry.name)
            truncated = len(first) > MAX_ENTRIES or next(scan, None) is not None
            return Listing(path, [_entry(entry) for entry in first[:MAX_ENTRIES]], truncated)

    def _content(self, descriptor: int) -> bytes:
        try:
            _require_regular(os.fstat(descriptor).st_mode)
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(self._max_bytes + 1)
        finally:
            os.close(descriptor)
        if len(content) > self._max_bytes:
            raise FileTooLarge(f"the file is too large: {self._max_bytes} bytes are the limit")
        return content

    @contextmanager
    def _parent(self, path: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        *parts, name = _parts(path) or [""]
        if not name:
            raise FileRefused(f"{path!r} is a directory; name a file in it")
        with self._directory(parts, create=create) as directory:
            yield directory, name

    @contextmanager
    def _directory(self, parts: list[str], *, create: bool = False) -> Iterator[int]:
        """A descriptor of the directory that the parts lead to from the root, without following a link."""
        current = self._root()
        try:
            for part in parts:
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=current)
                inner = os.open(part, DIRECTORY, dir_fd=current)
                os.close(current)
                current = inner
            yield current
        finally:
            os.close(current)

    def _root(self) -> int:
        if os.open not in os.supports_dir_fd:
            raise FileRefused("files are served on POSIX systems only")
        try:
            return os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            self._path.mkdir(parents=True, exist_ok=True)
        root = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        _replace(root, "README.md", WELCOME.encode())
        return root


@contextmanager
def _refusing(path: str) -> Iterator[None]:
    """What the system says no to becomes a sentence that names the path as it was given, and no other."""
    try:
        yield
    except OSError as error:
        reason = REASONS.get(error.errno or 0, "the system refused it")
        raise FileRefused(f"{path!r}: {reason}") from error


def _parts(path: str) -> list[str]:
    """The components of a relative path; none for the root itself."""
    if len(path) > 4096:
        raise FileRefused("the path is too long")
    if not path.isprintable() or "\\" in path:
        raise FileRefused("a path may hold printable characters only, with / between its parts")
    if path.startswith("/"):
        raise FileRefused(f"{path!r} is absolute; paths are relative to the files root")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise FileRefused(f"{path!r} leads upwards; '..' is not followed")
    if any(part.startswith(".") for part in parts):
        raise FileRefused(f"{path!r} is hidden; names that begin with a dot are not served")
    if len(parts) > MAX_DEPTH:
        raise FileRefused(f"the path is too deep: {MAX_DEPTH} levels are the limit")
    return parts


def _replace(directory: int, name: str, content: bytes) -> None:
    """Write beside the target and rename over it: a reader sees the old content or the new, never half of it."""
    mode = _mode_to_keep(directory, name)
    temporary = f".{secrets.token_hex(8)}.tmp"
    descriptor = os.open(temporary, CREATE, 0o666, dir_fd=directory)
    try:
        with open(descriptor, "wb") as file:
            if mode is not None:
                os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise


def _mode_to_keep(directory: int, name: str) -> int | None:
    """The permissions of the file that will be replaced; None when there is none yet."""
    try:
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None
    _require_regular(mode)
    return stat.S_IMODE(mode) & 0o777


def _require_regular(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, "")
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EEXIST, "")


def _lengths(directory: int, depth: int) -> Iterator[int]:
    """The bytes of each thing in a directory and the ones below it (0 for what is no file), down to a depth."""
    with suppress(OSError), os.scandir(directory) as scan:  # what can't be looked into can't be written into
        for entry in scan:
            if entry.is_dir(follow_symlinks=False):
                yield 0
                if depth:
                    yield from _lengths_below(directory, entry.name, depth - 1)
            else:
                with suppress(OSError):
                    yield entry.stat(follow_symlinks=False).st_size


def _lengths_below(directory: int, name: str, depth: int) -> Iterator[int]:
    try:
        inner = os.open(name, DIRECTORY, dir_fd=directory)
    except OSError:
        return
    try:
        yield from _lengths(inner, depth)
    finally:
        os.close(inner)


def _served(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(".") or not entry.name.isprintable() or "\\" in entry.name:
        return False
    return entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)


def _entry(entry: os.DirEntry[str]) -> Entry:
    if entry.is_dir(follow_symlinks=False):
        return Entry(entry.name, "directory", 0)
    try:
        size = entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:  # removed since it was found
        size = 0
    return Entry(entry.name, "file", size)

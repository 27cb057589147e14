"""Files are read, written and listed beneath one root; no path, link or race leads out of it (RESS-02, STEST-05)."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routers import files as module
from routers.files import MAX_ENTRIES, Entry, FileRefused, FileRoot, FileTooLarge

pytestmark = pytest.mark.skipif(os.open not in os.supports_dir_fd, reason="needs directory descriptors (POSIX)")

SECRET = "the secret outside"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(SECRET)
    return outside


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    (root / "hello.txt").write_text("hello")
    (root / "docs").mkdir()
    (root / "docs" / "指南.md").write_text("你好")
    return root


@pytest.fixture
def files(root: Path, outside: Path) -> FileRoot:
    return FileRoot(root)


@pytest.mark.parametrize("path", ["hello.txt", "./hello.txt", ".//./hello.txt"])
def test_a_file_is_read(files: FileRoot, path: str) -> None:
    assert files.read_text(path) == "hello"


def test_a_name_may_be_in_any_script(files: FileRoot) -> None:
    assert files.read_text("docs/指南.md") == "你好"


def test_a_file_is_written_whole_and_its_directories_are_made(files: FileRoot, root: Path) -> None:
    assert files.write_text("a/b/c.txt", "größer") == 8
    assert (root / "a/b/c.txt").read_text() == "größer"
    assert files.write_text("a/b/c.txt", "") == 0
    assert (root / "a/b/c.txt").read_text() == ""
    assert os.listdir(root / "a/b") == ["c.txt"]


def test_a_written_file_keeps_its_permissions_but_no_setuid(files: FileRoot, root: Path) -> None:
    (root / "hello.txt").chmod(0o4640)
    files.write_text("hello.txt", "new")
    assert (root / "hello.txt").stat().st_mode & 0o7777 == 0o640


def test_a_failed_write_leaves_the_old_content_and_nothing_else(
    files: FileRoot, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileRefused, match="the disk is full"):
        files.write_text("hello.txt", "new")
    assert (root / "hello.txt").read_text() == "hello"
    assert sorted(os.listdir(root)) == ["docs", "hello.txt"]


def test_a_directory_is_listed_by_name_without_what_is_not_served(files: FileRoot, root: Path, outside: Path) -> None:
    (root / ".env").write_text("API_KEY=x")
    (root / "link").symlink_to(outside)
    (root / "new\nline").write_text("")
    os.mkfifo(root / "pipe")
    listing = files.listing()
    assert listing.entries == [Entry("docs", "directory", 0), Entry("hello.txt", "file", 5)]
    assert not listing.truncated
    assert files.listing("docs/").entries == [Entry("指南.md", "file", 6)]


def test_a_long_listing_says_that_it_is_cut(files: FileRoot, root: Path) -> None:
    for number in range(MAX_ENTRIES + 1):
        (root / "docs" / f"{number:05}").touch()
    listing = files.listing("docs")
    assert len(listing.entries) == MAX_ENTRIES
    assert listing.entries[0].name == "00000"
    assert listing.truncated


def test_a_listing_that_did_not_look_at_everything_says_that_it_is_cut(
    files: FileRoot, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("routers.files.MAX_SCANNED", 2)
    for number in range(4):
        (root / "docs" / f".hidden{number}").touch()
    assert files.listing("docs").truncated


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/etc/passwd", "absolute"),
        ("//etc/passwd", "absolute"),
        ("../outside/secret.txt", "leads upwards"),
        ("docs/../../outside/secret.txt", "leads upwards"),
        ("docs/../hello.txt", "leads upwards"),
        ("docs\\..\\hello.txt", "printable"),
        ("hello.txt\0.png", "printable"),
        ("a\nb", "printable"),
        ("\ud800", "printable"),
        (".env", "hidden"),
        ("docs/.git/config", "hidden"),
        ("a/" * 40 + "b", "too deep"),
        ("a" * 300, "the name is too long"),
        ("a" * 5000, "path is too long"),
        ("", "is a directory"),
        (".", "is a directory"),
        ("missing.txt", "no such file"),
        ("missing/file.txt", "no such file"),
        ("hello.txt/file.txt", "not a directory"),
        ("docs", "is a directory"),
        ("~root/.ssh", "hidden"),
        ("C:/Windows", "no such file"),
    ],
)
def test_a_path_that_is_not_served_is_refused_by_name(files: FileRoot, path: str, reason: str) -> None:
    with pytest.raises(FileRefused, match=reason):
        files.read(path)


@pytest.mark.parametrize("path", ["/tmp/x", "../x", "docs/../../x", ".x", "a\0b", "", "docs", "hello.txt/x"])
def test_nothing_is_written_where_nothing_is_served(files: FileRoot, tmp_path: Path, path: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FileRefused):
        files.write_text(path, "x")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("path", ["/", "..", "docs/..", ".git", "missing", "hello.txt", "\0"])
def test_only_directories_beneath_the_root_are_listed(files: FileRoot, path: str) -> None:
    with pytest.raises(FileRefused):
        files.listing(path)


@pytest.mark.parametrize("path", ["to-file", "to-dir/secret.txt", "docs/up/outside/secret.txt", "loop/x"])
def test_a_link_is_not_followed(files: FileRoot, root: Path, outside: Path, path: str) -> None:
    """CVE-2025-53109 (EscapeRoute): a link beneath the root leads nowhere, whether it is the file or on the way."""
    (root / "to-file").symlink_to(outside / "secret.txt")
    (root / "to-dir").symlink_to(outside)
    (root / "docs" / "up").symlink_to("../..")
    (root / "loop").symlink_to("loop")
    with pytest.raises(FileRefused, match="links are not followed"):
        files.read(path)
    with pytest.raises(FileRefused, match="links are not followed"):
        files.write_text(path, "overwritten")
    assert (outside / "secret.txt").read_text() == SECRET


def test_a_directory_that_only_begins_with_the_roots_name_is_outside(tmp_path: Path, files: FileRoot) -> None:
    """CVE-2025-53110: a sibling that shares the root's name as a prefix."""
    (tmp_path / "root-2").mkdir()
    (tmp_path / "root-2" / "x").write_text(SECRET)
    with pytest.raises(FileRefused):
        files.read("../root-2/x")


def test_only_regular_files_are_read_and_a_pipe_does_not_hang_the_call(files: FileRoot, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(FileRefused, match="not a regular file"):
        files.read("pipe")
    with pytest.raises(FileRefused, match="not a regular file"):
        files.write_text("pipe", "x")


def test_a_socket_is_refused(files: FileRoot, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)  # a socket's path has to be short
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket")
        with pytest.raises(FileRefused):
            files.read("socket")


def test_a_file_over_the_limit_is_refused_both_ways(root: Path) -> None:
    files = FileRoot(root, max_bytes=10)
    (root / "big").write_bytes(b"x" * 11)
    (root / "fits").write_bytes(b"x" * 10)
    assert len(files.read("fits")) == 10
    with pytest.raises(FileRefused, match="10 bytes are the limit"):
        files.read("big")
    with pytest.raises(FileRefused, match="10 bytes are the limit"):
        files.write_text("new", "ö" * 6)
    assert not (root / "new").exists()


def test_a_file_that_is_no_text_names_the_way_to_read_it(files: FileRoot, root: Path) -> None:
    (root / "image.png").write_bytes(b"\x89PNG")
    assert files.read("image.png") == b"\x89PNG"
    with pytest.raises(FileRefused, match=r"resource file:///image\.png"):
        files.read_text("image.png")


def test_half_a_surrogate_pair_is_refused(files: FileRoot) -> None:
    with pytest.raises(FileRefused, match="surrogate"):
        files.write_text("x", "\ud800")


def test_a_missing_root_is_made_with_a_readme(tmp_path: Path) -> None:
    files = FileRoot(tmp_path / "new" / "root")
    assert files.listing().entries[0].name == "README.md"
    assert "MCP_FILES_ROOT" in files.read_text("README.md")


def test_a_root_that_is_no_directory_is_told_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileRefused) as refused:
        FileRoot(tmp_path / "file").listing()
    assert str(tmp_path) not in str(refused.value)


@given(path=st.text(alphabet="./\\~%a\0\n路\ud800", max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_any_path_reads_from_beneath_the_root_or_is_refused(root: Path, path: str) -> None:
    (root.parent / "a").write_text(SECRET)
    try:
        content = FileRoot(root).read(path)
    except FileRefused as refused:
        assert str(root) not in str(refused)  # noqa: PT017 - both ways out are fine, each has its own promise
    else:
        assert content != SECRET.encode()


@contextmanager
def swapping(target: Path, outside: Path) -> Iterator[None]:
    """Swap ``target`` between what it is and a link to ``outside``, as fast as another thread can."""
    stop = threading.Event()
    link, parked = target.with_name("spare-link"), target.with_name("spare-target")

    def swap() -> None:
        while not stop.is_set():
            link.symlink_to(outside)
            _move(target, parked)
            _move(link, target)
            target.unlink()
            _move(parked, target)

    with ThreadPoolExecutor(1) as pool:
        swapper = pool.submit(swap)
        try:
            yield
        finally:
            stop.set()
            swapper.result(timeout=30)


def _move(source: Path, target: Path) -> None:
    """Rename, even when a write has just made a directory where the target was missing."""
    for _ in range(10_000):
        try:
            source.rename(target)
        except OSError:
            shutil.rmtree(target, ignore_errors=True)
        else:
            return
    raise AssertionError("the swap never came through")


def test_a_directory_swapped_for_a_link_during_the_calls_never_lets_one_escape(
    files: FileRoot, root: Path, outside: Path
) -> None:
    (root / "docs" / "secret.txt").write_text("ours")
    read: set[str] = set()
    with swapping(root / "docs", outside):
        for _ in range(3000):
            try:
                read.add(files.read_text("docs/secret.txt"))
                files.write_text("docs/new.txt", "written")
                files.listing("docs")
            except FileRefused:
                read.add("refused")
    assert read <= {"ours", "refused"}
    assert "refused" in read, "the swap never met a call, so nothing was tested"
    assert sorted(os.listdir(outside)) == ["secret.txt"]


def test_a_file_swapped_for_a_link_during_the_calls_never_lets_one_escape(
    files: FileRoot, root: Path, outside: Path
) -> None:
    read: set[str] = set()
    with swapping(root / "hello.txt", outside / "secret.txt"):
        for _ in range(3000):
            try:
                read.add(files.read_text("hello.txt"))
            except FileRefused:
                read.add("refused")
    assert read <= {"hello", "refused"}
    assert "refused" in read, "the swap never met a call, so nothing was tested"


def test_no_descriptor_is_left_open(files: FileRoot, root: Path) -> None:
    (root / "link").symlink_to("/")
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("needs /proc")
    before = len(list(descriptors.iterdir()))
    for path in ("hello.txt", "docs", "missing", "link/x", "docs/missing/x", "a" * 300):
        for call in (files.read, files.listing, lambda path: files.write_text(path, "x")):
            try:
                call(path)
            except FileRefused:
                continue
    assert len(list(descriptors.iterdir())) == before


# ── what a folder and a call may hold ────────────────────────────────────────────────────────────────────────────────


def small(root: Path, **limits: int) -> FileRoot:
    return FileRoot(root, max_bytes=100, **limits)


def test_the_files_of_a_folder_are_bounded_in_number(tmp_path: Path) -> None:
    """Directories count too, what is hidden as well; what is there can still be written anew."""
    files = small(tmp_path, max_folder_entries=6)
    (tmp_path / ".hidden").mkdir()
    files.write_text("a/b/c.txt", "1")
    files.write_text("a/d.txt", "1")
    files.write_text("e.txt", "1")
    for path in ("f.txt", "a/f.txt", "g/h.txt"):
        with pytest.raises(FileRefused, match="the folder is full: 6 files and directories are the limit"):
            files.write_text(path, "")
    files.write_text("e.txt", "12")
    assert sum(1 for _ in tmp_path.rglob("*")) == 6


def test_the_bytes_of_a_folder_are_bounded(tmp_path: Path) -> None:
    files = small(tmp_path, max_folder_bytes=150)
    files.write_text("a/one.txt", "x" * 100)
    files.write_text("two.txt", "x" * 50)
    for path, size in (("three.txt", 1), ("two.txt", 51)):
        with pytest.raises(FileRefused, match="the folder is full: 150 bytes in all files are the limit"):
            files.write_text(path, "x" * size)
    files.write_text("a/one.txt", "x" * 99)
    files.write_text("three.txt", "x")
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) == 150


def test_a_folder_that_was_full_before_takes_what_adds_nothing(tmp_path: Path) -> None:
    for n in range(20):
        (tmp_path / f"{n}.txt").write_text("xx")
    files = small(tmp_path, max_folder_entries=10, max_folder_bytes=10)
    with pytest.raises(FileRefused, match="the folder is full"):
        files.write_text("1.txt", "xxx")
    assert files.write_text("1.txt", "y") == 1


def test_many_writers_at_once_stay_within_the_folder(tmp_path: Path) -> None:
    files = small(tmp_path, max_folder_entries=10)

    def write(n: int) -> bool:
        try:
            files.write_text(f"{n}.txt", "x")
        except FileRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(40))) == 10
    assert len(list(tmp_path.iterdir())) == 10


def test_counting_a_folder_stops_at_the_limit_and_follows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(50):
        (tmp_path / f"{n}.txt").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path)
    looked: list[int] = []
    lengths = module._lengths

    def counted(directory: int, depth: int) -> Iterator[int]:
        for length in lengths(directory, depth):
            looked.append(length)
            yield length

    monkeypatch.setattr(module, "_lengths", counted)
    with pytest.raises(FileRefused, match="the folder is full"):
        small(tmp_path, max_folder_entries=10).write_text("new.txt", "")
    assert len(looked) == 11


def test_reading_a_huge_file_holds_no_more_than_the_limit(root: Path) -> None:
    """Bytes are counted as they are read, whatever size the system tells, which may grow meanwhile."""
    with (root / "huge.bin").open("wb") as file:
        file.truncate(1 << 36)
    files = FileRoot(root, max_bytes=100_000)
    tracemalloc.start()
    try:
        with pytest.raises(FileTooLarge):
            files.read("huge.bin")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()

"""Skills on disk: what becomes a skill, which files are its own, what is refused."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from mcpkit.extensions import skills_library
from mcpkit.extensions.skills_library import Library, SkillError


def skill(root: Path, path: str, **files: bytes) -> Path:
    """Write a skill below ``root``."""
    home = root / path
    home.mkdir(parents=True, exist_ok=True)
    (home / "SKILL.md").write_text(f"---\nname: {home.name}\ndescription: About {home.name}.\n---\n# {home.name}\n")
    for name, data in files.items():
        target = home / name.replace("__", "/").replace("_dot_", ".")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return home


def test_every_file_is_listed_once_with_its_digest(tmp_path: Path) -> None:
    """SEP-2640, Resources: complete, SKILL.md included; size and digest of the raw bytes."""
    skill(tmp_path, "acme/refunds", examples__mail_dot_md=b"# Mail\r\n", data_dot_bin=b"\x00\xff")
    [entry] = [found.entry for found in Library.read(tmp_path).skills.values()]
    assert entry["uri"] == "skill://acme/refunds/SKILL.md"
    assert entry["frontmatter"] == {"name": "refunds", "description": "About refunds."}
    assert [file["uri"] for file in entry["resources"]] == [
        "skill://acme/refunds/SKILL.md",
        "skill://acme/refunds/data.bin",
        "skill://acme/refunds/examples/mail.md",
    ]
    mail = entry["resources"][2]
    assert mail["size"] == 8
    assert mail["digest"] == f"sha256:{hashlib.sha256(b'# Mail' + bytes([13, 10])).hexdigest()}"


def test_a_nested_skills_files_belong_to_both(tmp_path: Path) -> None:
    """SEP-2640, Nested Skills: publication is flat, the outer manifest is complete."""
    skill(tmp_path, "a")
    skill(tmp_path, "a/b/a", notes_dot_md=b"x")
    library = Library.read(tmp_path)
    assert list(library.skills) == ["skill://a/SKILL.md", "skill://a/b/a/SKILL.md"]
    outer, inner = (found.entry["resources"] for found in library.skills.values())
    assert [file["uri"] for file in inner] == ["skill://a/b/a/SKILL.md", "skill://a/b/a/notes.md"]
    assert [file["uri"] for file in outer] == ["skill://a/SKILL.md", *(file["uri"] for file in inner)]


def test_the_directory_may_be_a_skill_itself(tmp_path: Path) -> None:
    home = skill(tmp_path, "refunds", notes_dot_md=b"x")
    (tmp_path / "beside.md").write_text("not part of it")
    library = Library.read(home)
    assert list(library.files) == ["skill://refunds/SKILL.md", "skill://refunds/notes.md"]


def test_only_the_files_of_skills_are_read(tmp_path: Path) -> None:
    """What stands beside the skills is nobody's; hidden files and links are left out (STEST-05)."""
    skill(tmp_path, "a", _dot_env=b"SECRET=1", _dot_git__config=b"x")
    (tmp_path / "README.md").write_text("x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "big.bin").write_text("x")
    outside = tmp_path.parent / f"{tmp_path.name}-outside.txt"
    outside.write_text("secret")
    (tmp_path / "a" / "link.txt").symlink_to(outside)
    (tmp_path / "a" / "up").symlink_to(tmp_path.parent, target_is_directory=True)
    assert list(Library.read(tmp_path).files) == ["skill://a/SKILL.md"]


def test_every_directory_has_its_children(tmp_path: Path) -> None:
    """SEP-2640, Reading Directories: from the first step to the last, files as resources, folders as directories."""
    skill(tmp_path, "acme/refunds", ref__a_dot_md=b"x", ref__deep__b_dot_py=b"x")
    directories = Library.read(tmp_path).directories
    assert set(directories) == {
        "skill://acme",
        "skill://acme/refunds",
        "skill://acme/refunds/ref",
        "skill://acme/refunds/ref/deep",
    }
    head, folder = directories["skill://acme/refunds"]
    assert (head["name"], head["mimeType"], head["description"]) == ("refunds", "text/markdown", "About refunds.")
    assert folder == {"uri": "skill://acme/refunds/ref", "name": "ref", "mimeType": "inode/directory"}


def test_names_are_quoted_in_uris(tmp_path: Path) -> None:
    skill(tmp_path, "a", **{"50 % off?.md": b"x"})
    assert "skill://a/50%20%25%20off%3F.md" in Library.read(tmp_path).files


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    home = skill(tmp_path, "a")
    try:
        Path(os.fsdecode(os.fsencode(home) + b"/\xff.md")).touch()
    except OSError:
        pytest.skip("this file system takes only text as names")
    with pytest.raises(SkillError, match="not UTF-8"):
        Library.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "data", "mime_type"),
    [
        ("x.md", b"#", "text/markdown"),
        ("x.py", b"#", "text/x-python"),
        ("Makefile", b"all:", "text/plain"),
        ("blob", b"\x00\xff", "application/octet-stream"),
        ("x.png", b"\x89PNG", "image/png"),
    ],
)
def test_a_file_says_what_it_is(tmp_path: Path, name: str, data: bytes, mime_type: str) -> None:
    skill(tmp_path, "a", **{name: data})
    assert Library.read(tmp_path).files[f"skill://a/{name}"].mime_type == mime_type


def test_a_name_must_be_its_directorys(tmp_path: Path) -> None:
    """SEP-2640: the last step of the path is the name."""
    skill(tmp_path, "a").rename(tmp_path / "b")
    with pytest.raises(SkillError, match=r"b/SKILL\.md: name is 'a' but the directory is 'b'"):
        Library.read(tmp_path)


def test_faults_name_the_file_below_the_directory(tmp_path: Path) -> None:
    """LEAK: the message says where, but not where on this machine."""
    (skill(tmp_path, "acme/a") / "SKILL.md").write_bytes(b"\xff")
    with pytest.raises(SkillError, match=r"^acme/a/SKILL\.md: it must be UTF-8"):
        Library.read(tmp_path)
    (tmp_path / "acme/a/SKILL.md").write_text("no front matter")
    with pytest.raises(SkillError, match=r"^acme/a/SKILL\.md: it must begin"):
        Library.read(tmp_path)


def test_a_directory_without_skills_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SkillError, match="no skill"):
        Library.read(tmp_path)
    with pytest.raises(FileNotFoundError):
        Library.read(tmp_path / "missing")


def test_a_skill_keeps_to_what_every_client_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SEP-2640, Limits: checked before anything is read."""
    skill(tmp_path, "a", b=b"12345")
    assert Library.read(tmp_path)
    monkeypatch.setattr(skills_library, "MAX_FILES", 1)
    with pytest.raises(SkillError, match="2 files"):
        Library.read(tmp_path)
    monkeypatch.setattr(skills_library, "MAX_FILES", 2)
    monkeypatch.setattr(skills_library, "MAX_BYTES", 10)
    with pytest.raises(SkillError, match="bytes"):
        Library.read(tmp_path)

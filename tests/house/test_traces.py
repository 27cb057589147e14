"""Nothing committed tells of the machine it was written on, of a registry's host, or of a secret."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.tree import none, project_files, text

BINARY = {".png", ".ico", ".gif", ".jpg", ".woff2", ".sqlite3"}

PLACES = re.compile(r"(?<![\w./~-])(?:/root/|/work/|/home/[a-z]+/|/Users/[A-Za-z]+/|[A-Z]:\\\\?Users\\)")
HOSTS = [("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs", "org"), ("deb", "debian", "org")]
REGISTRIES = re.compile("|".join(r"\.".join(parts) for parts in HOSTS))
SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bgh[pousr]_\w{30,}|\bAKIA[0-9A-Z]{16}\b"
    r"|\bsk-[A-Za-z0-9_-]{20,}|\bxox[abp]-\w{10,}"
)


def found(pattern: re.Pattern[str]) -> list[str]:
    """Where the pattern stands, as file:line."""
    return [
        f"{path}:{number}: {match.group(0)}"
        for path in project_files()
        if path.suffix not in BINARY and path != Path("tests/house/test_traces.py")
        for number, line in enumerate(text(path).splitlines(), 1)
        if (match := pattern.search(line))
    ]


def test_no_machine_paths() -> None:
    """A path is relative to the project, or made in a test's temporary folder."""
    strays = found(PLACES)
    none(strays, "write the path relative to the project:")


def test_no_registry_hosts() -> None:
    """Packages are named; where they come from is the reader's own configuration."""
    strays = found(REGISTRIES)
    none(strays, "name the package, not the registry's host:")


def test_no_secrets() -> None:
    """Keys and tokens live in the environment or in .env, which git ignores."""
    strays = found(SECRETS)
    none(strays, "take the secret out, and out of the history, and revoke it:")


@pytest.mark.parametrize("line", ["see {root}x", '"{root}main"', "PATH={root}bin"])
@pytest.mark.parametrize("root", ["/root/", "/work/", "/home/me/", "/Users/Me/"])
def test_machine_paths_are_seen(root: str, line: str) -> None:
    """The scan can fail, and doesn't take a URL for a path."""
    assert PLACES.search(line.format(root=root))
    assert not PLACES.search(f"https://example.org{root}x")
    assert not PLACES.search(f".{root}x")


def test_hosts_and_secrets_are_seen() -> None:
    """The scan can fail."""
    assert all(REGISTRIES.search(f"https://{'.'.join(parts)}/x") for parts in HOSTS)
    assert SECRETS.search("sk" + "-" + "a" * 24)

"""What is published: one version, one list of dependencies, a wheel that holds the library and nothing else."""

from __future__ import annotations

import email
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import mcpkit
from tests.house.tree import ROOT, project_files, text

PYPROJECT = tomllib.loads(text(Path("pyproject.toml")))


def requirements(name: str) -> list[str]:
    """The lines of a requirements file that name a package."""
    stripped = (line.partition("#")[0].strip() for line in text(Path(name)).splitlines())
    return [line for line in stripped if line and not line.startswith("-")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy of what is committed."""
    folder = tmp_path_factory.mktemp("wheel")
    for path in project_files():
        if path.parts[0] not in ("tests", "bench", "docs"):
            (folder / "source" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, folder / "source" / path)
    (folder / "source/README.md").touch()
    command = "-m pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir"
    subprocess.run(
        [sys.executable, *command.split(), str(folder), str(folder / "source")], check=True, timeout=120, cwd=folder
    )
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def test_one_version() -> None:
    """mcpkit.__version__ is the only place; a release has its heading in the changelog."""
    assert "version" in PYPROJECT["project"]["dynamic"], "pyproject.toml takes the version from mcpkit.__version__"
    headings = re.findall(r"^## \[(.+?)\]", text(Path("CHANGELOG.md")), re.MULTILINE)
    assert headings[:1] == ["Unreleased"], "CHANGELOG.md opens with ## [Unreleased]"
    if ".dev" in mcpkit.__version__:
        assert mcpkit.__version__.partition(".dev")[0] not in headings, "this version is out already: raise __version__"
    else:
        assert headings[1:2] == [mcpkit.__version__], f"CHANGELOG.md lacks ## [{mcpkit.__version__}] below Unreleased"


def test_development_tools_are_listed_once() -> None:
    """requirements-dev.txt (for pip) and [dependency-groups] dev (for uv, PEP 735) say the same."""
    assert requirements("requirements-dev.txt") == PYPROJECT["dependency-groups"]["dev"]


def test_wheel_holds_only_the_library(wheel: zipfile.ZipFile) -> None:
    """routers/, tests/ and the scripts never reach anyone's site-packages."""
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"mcpkit", f"mcpkit-{mcpkit.__version__}.dist-info"}
    packed = {name for name in wheel.namelist() if name.startswith("mcpkit/")}
    assert packed == {str(path) for path in project_files() if path.parts[0] == "mcpkit"}
    assert "mcpkit/py.typed" in packed


def test_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    """Name, version, licence and dependencies as the project's files have them."""
    folder = f"mcpkit-{mcpkit.__version__}.dist-info"
    facts = email.message_from_bytes(wheel.read(f"{folder}/METADATA"))
    assert (facts["Name"], facts["Version"], facts["License-Expression"]) == ("mcpkit", mcpkit.__version__, "MIT")
    assert f"{folder}/licenses/LICENSE" in wheel.namelist()
    plain = [line for line in facts.get_all("Requires-Dist", []) if "extra ==" not in line]
    wanted = {re.split(r"[\[<>=~!]", line)[0] for line in requirements("requirements.txt")}
    assert {re.split(r"[\[<>=~! ;]", line)[0] for line in plain} == wanted
    assert "mcpkit = mcpkit.cli:main" in wheel.read(f"{folder}/entry_points.txt").decode()


def test_the_registrys_description_is_of_this_version() -> None:
    """server.json is what an owner fills in and publishes: a name with one slash, a short description, our version."""
    entry = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))
    assert entry["version"] == mcpkit.__version__
    assert entry["name"].count("/") == 1
    assert len(entry["description"]) <= 100

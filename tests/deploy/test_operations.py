"""The operations pages: settings as they are, both languages in step."""

from __future__ import annotations

import re
import tomllib
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from types import ModuleType

import pytest

from mcpkit.settings import Settings
from tests.house.markdown import blocks, outline
from tests.house.tree import ROOT


def writer() -> ModuleType:
    """The script that writes the tables, as a module."""
    spec = spec_from_loader("docs_script", SourceFileLoader("docs_script", str(ROOT / "scripts" / "docs")))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["operations.md", "operations.zh-CN.md"])
def test_the_table_of_settings_is_the_settings(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert writer().page(name) == written, f"docs/{name} is out of date: run scripts/docs"


def test_every_setting_is_explained_in_chinese() -> None:
    meanings = tomllib.loads((ROOT / "docs" / "settings.zh-CN.toml").read_text(encoding="utf-8"))
    known = {row.env for row in Settings.table()}
    assert set(meanings) == known, "docs/settings.zh-CN.toml has one line for each setting, and no other"
    plain = [env for env, meaning in meanings.items() if not re.search(r"[\u4e00-\u9fff]", meaning)]
    assert not plain, f"not in Chinese: {plain}"


def test_both_languages_have_the_same_outline_and_code() -> None:
    english, chinese = (
        (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("operations.md", "operations.zh-CN.md")
    )
    assert outline(english) == outline(chinese)
    assert [block.code for block in blocks(english)] == [block.code for block in blocks(chinese)]

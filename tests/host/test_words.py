"""Both languages say the same things, and the right one is chosen."""

from __future__ import annotations

import string

import pytest

from mcpkit.host.words import CHINESE, ENGLISH, Speech, language_of


def gaps(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_every_sentence_with_the_same_gaps() -> None:
    assert ENGLISH.keys() == CHINESE.keys()
    assert {key: gaps(text) for key, text in ENGLISH.items()} == {key: gaps(text) for key, text in CHINESE.items()}


def test_a_call_and_a_result_look_as_the_mission_says() -> None:
    arguments = '{"a": 5, "b": 3}'
    assert (
        Speech("zh")("calling", name="server0_add", arguments=arguments) == f"[调用工具 server0_add 参数: {arguments}]"
    )
    assert Speech("zh")("result", text="8") == "工具结果: 8"
    assert (
        Speech("en")("calling", name="server0_add", arguments=arguments)
        == f"[calling tool server0_add with {arguments}]"
    )
    assert Speech("en")("result", text="8") == "tool result: 8"


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_TW"}, "zh"),
        ({"LANG": "C.UTF-8"}, None),
        ({"LANG": "POSIX"}, None),
        ({}, None),
    ],
)
def test_the_locale_chooses(environment: dict[str, str], language: str | None) -> None:
    assert language_of(environment) == language


def test_without_a_locale_the_user_chooses() -> None:
    speech = Speech(None)
    assert speech.language == "en"
    speech.heard("计算 5 加 3")
    assert speech.language == "zh"
    speech.heard("5 + 3")
    assert speech.language == "en"
    settled = Speech("en")
    settled.heard("计算")
    assert settled.language == "en"

"""What the chat says to people, in English and in Chinese; chosen by the locale, or by what the user writes.

What must never stand here: what a model or a server is told, colours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

Language: TypeAlias = Literal["en", "zh"]

ENGLISH: Final[Mapping[str, str]] = {
    "calling": "[calling tool {name} with {arguments}]",
    "result": "tool result: {text}",
    "failed": "tool error: {text}",
    "ready": "{server} is ready: {what} ({place})",
    "lost": "{server} is not connected: {why}; it is tried again in the background ({place})",
    "connecting": "{server} is connecting ({place})",
    "changed": "Warning: the definition of {name} has changed since it was first seen; it needs approval anew",
    "older_pins": "{count} tools were remembered by an older version, which did not look at their hints: each is asked "
    "about once",
    "refused_tools": "Warning: the model's endpoint refuses the tools {names}: they are left out{said}",
    "cut": "The answer was cut off: {reason}",
    "shortened": "Older results were shortened, to stay within MCP_MODEL_REQUEST_BYTES",
    "forgotten": "The oldest part of the conversation was left out, to stay within MCP_MODEL_REQUEST_BYTES",
    "more": " and {count} more",
    "answer_two": "Please answer y or n.",
    "answer_three": "Please answer y, n or a.",
    "left_out": "Warning: {why}",
    "rounds": "Stopped after {rounds} rounds of tool calls; ask again to go on",
    "silent": "The model said nothing",
    "cancelled": "cancelled",
    "model_failed": "The model failed: {why}",
    "model_says": "; the endpoint says: {said}",
    "no_model": "No model is configured: set MODEL_NAME, BASE_URL and API_KEY (empty for an endpoint without keys) "
    "in .env or the environment; commands such as /tools work without one",
    "approve": "{server} wants {name} called with {arguments}; it {why}. Allow? [y]es, [n]o, [a]lways: ",
    "changes_things": "may change or delete something",
    "says_nothing": "does not say whether it changes anything",
    "was_changed": "is not what it was when you first saw it",
    "was_pinned_by_older": "was remembered by an older version, which did not look at its hints",
    "did_change_things": "says now that it changes nothing, but did not when you first saw it",
    "sampling": "{server} wants your model to answer: {text}\nAllow? [y]es, [n]o: ",
    "elicits": "{server} asks: {text}",
    "opens": "{server} asks: {text}\nIt wants you to open {url} (host: {host}). Answer y when done, n to decline: ",
    "fills": "Answer? [y]es, [n]o: ",
    "sign_in": "{server} wants you to sign in: open {page}",
    "unfit": "  that does not fit: {why}",
    "help": """/tools              what the model can call
/prompts            the servers' prompts
/prompt NAME k=v    put a prompt to the model
/read URI           read a resource, and let the model know it
/servers            how it stands with each server
/clear              forget the conversation
/help               this
quit                leave; Ctrl-C cancels what is going on""",
    "greeting": "{tools} tools of {ready} servers; /help lists the commands, quit leaves",
    "unknown_command": "There is no command {name}; /help lists them",
    "usage": "Write {usage}",
    "read": "{uri} of {server}:",
    "cleared": "The conversation is forgotten",
    "nothing": "there is nothing",
    "quit_hint": "quit leaves",
}

CHINESE: Final[Mapping[str, str]] = {
    "calling": "[调用工具 {name} 参数: {arguments}]",
    "result": "工具结果: {text}",
    "failed": "工具出错: {text}",
    "ready": "{server} 已就绪：{what}（{place}）",
    "lost": "{server} 未连接：{why}；正在后台重试（{place}）",
    "connecting": "{server} 正在连接（{place}）",
    "changed": "警告：{name} 的定义与首次见到时不同；需要重新批准",
    "older_pins": "有 {count} 个工具由旧版本记录，当时没有检查其提示；每个会询问一次",
    "refused_tools": "警告：模型端点不接受工具 {names}，已将其略去{said}",
    "cut": "回答被截断：{reason}",
    "shortened": "较早的结果已缩短，以不超过 MCP_MODEL_REQUEST_BYTES",
    "forgotten": "会话最早的部分已略去，以不超过 MCP_MODEL_REQUEST_BYTES",
    "more": " 等，另有 {count} 个",
    "answer_two": "请输入 y 或 n。",
    "answer_three": "请输入 y、n 或 a。",
    "left_out": "警告：{why}",
    "rounds": "已进行 {rounds} 轮工具调用，就此停止；再次提问即可继续",
    "silent": "模型没有回答",
    "cancelled": "已取消",
    "model_failed": "模型出错：{why}",
    "model_says": "；端点的回答：{said}",
    "no_model": "尚未配置模型：请在 .env 或环境变量中设置 MODEL_NAME、BASE_URL 和 API_KEY（无需密钥的端点可留空）；"
    "/tools 等命令无需模型即可使用",
    "approve": "{server} 请求调用 {name}，参数 {arguments}；该工具{why}。是否允许？[y] 是，[n] 否，[a] 总是：",
    "changes_things": "可能修改或删除内容",
    "says_nothing": "没有说明是否会修改内容",
    "was_changed": "与首次见到时不同",
    "was_pinned_by_older": "由旧版本记录，当时没有检查其提示",
    "did_change_things": "现在声称不作修改，但首次见到时并非如此",
    "sampling": "{server} 请求您的模型回答：{text}\n是否允许？[y] 是，[n] 否：",
    "elicits": "{server} 询问：{text}",
    "opens": "{server} 询问：{text}\n需要您打开 {url}（主机：{host}）。完成后输入 y，拒绝输入 n：",
    "fills": "是否回答？[y] 是，[n] 否：",
    "sign_in": "{server} 需要您登录：请打开 {page}",
    "unfit": "  不符合要求：{why}",
    "help": """/tools              模型可以调用的工具
/prompts            各服务器的提示词
/prompt NAME k=v    把提示词交给模型
/read URI           读取资源，并告知模型
/servers            各服务器的状态
/clear              忘记当前会话
/help               本帮助
quit                退出；Ctrl-C 取消正在进行的操作""",
    "greeting": "{ready} 个服务器，{tools} 个工具；/help 列出命令，quit 退出",
    "unknown_command": "没有命令 {name}；/help 列出所有命令",
    "usage": "请输入 {usage}",
    "read": "{server} 的 {uri}：",
    "cleared": "已忘记当前会话",
    "nothing": "没有内容",
    "quit_hint": "输入 quit 退出",
}

WORDS: Final[Mapping[Language, Mapping[str, str]]] = {"en": ENGLISH, "zh": CHINESE}


class Speech:
    """One language at a time."""

    def __init__(self, language: Language | None) -> None:
        """``None`` leaves it to what the user writes; English until then."""
        self._settled = language is not None
        self.language: Language = language or "en"

    def heard(self, text: str) -> None:
        """The user wrote this: where nothing else says so, the answer is in the same language."""
        if not self._settled and text.strip():
            self.language = "zh" if any("\u4e00" <= character <= "\u9fff" for character in text) else "en"

    def __call__(self, key: str, **values: object) -> str:
        """The sentence, with its gaps filled."""
        return WORDS[self.language][key].format(**values)


def language_of(environment: Mapping[str, str]) -> Language | None:
    """What the locale says; None where it says nothing (unset, C, POSIX)."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = environment.get(name, "")
        if value:
            spoken = value.partition(".")[0].partition("_")[0].lower()
            return None if spoken in {"c", "posix"} else "zh" if spoken == "zh" else "en"
    return None

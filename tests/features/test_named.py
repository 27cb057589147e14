"""Extensions that a setting names."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from mcpkit.extensions.tasks import IDENTIFIER, Tasks
from mcpkit.features import named
from mcpkit.features.named import GROUP, install_named
from mcpkit.server import Server
from mcpkit.settings import SettingsError


class Greeting:
    """An extension of some other package."""

    identifier = "org.example/greeting"

    def settings(self, revision: Any) -> dict[str, Any]:
        return {}

    def install(self, server: Server) -> None:
        server.register_method("greeting/say", lambda params: {"said": "hello"})


def broken() -> Greeting:
    raise RuntimeError("no key")


@pytest.fixture(autouse=True)
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a package with these entry points were installed."""
    entries = [EntryPoint(name, f"{__name__}:{name.title()}", GROUP) for name in ("greeting", "missing")]
    entries.append(EntryPoint("broken", f"{__name__}:broken", GROUP))
    monkeypatch.setattr(named, "entry_points", lambda group: entries if group == GROUP else [])


def test_a_package_brings_an_extension() -> None:
    """EXT-03: off until it is named."""
    server = Server("unit")
    install_named(server, ())
    assert "greeting/say" not in server.kernel.methods()
    install_named(server, ("greeting", "tasks"))
    assert {"greeting/say", "tasks/get"} <= set(server.kernel.methods())
    assert server.installed(Greeting.identifier)


def test_what_the_program_installed_itself_stays() -> None:
    server = Server("unit")
    server.install(Tasks(limit=1))
    install_named(server, ("tasks", "tasks"))
    assert server.installed(IDENTIFIER)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("taks", "tasks"),
        ("zebra", "there are broken, greeting, missing, tasks"),
        ("missing", "loaded"),
        ("broken", "no key"),
    ],
)
def test_what_can_not_be_had_is_told(name: str, told: str) -> None:
    """One clear line that names what there is."""
    with pytest.raises(SettingsError, match=f"MCP_EXTENSIONS.*{told}") as caught:
        install_named(Server("unit"), (name,))
    assert "\n" not in str(caught.value)

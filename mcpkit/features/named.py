"""Extensions by name: what ``MCP_EXTENSIONS`` lists is found among the installed packages and put on a server.

A package offers one by an entry point of the group ``mcpkit.extensions``: a name, and a class or function without
arguments. What must never stand here: an extension.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Protocol

from mcpkit.features.suggestions import did_you_mean
from mcpkit.settings import SettingsError

GROUP: Final = "mcpkit.extensions"
OWN: Final = {
    "tasks": EntryPoint("tasks", "mcpkit.extensions.tasks:Tasks", GROUP),
    "telemetry": EntryPoint("telemetry", "mcpkit.extensions.telemetry_export:exporting", GROUP),
}
"""What comes with the library and needs nothing said: found in a bare clone too."""


class Installs(Protocol):
    """What extensions are put on: a server."""

    def installed(self, identifier: str) -> bool:
        """Whether an extension of that identifier is there."""

    def install(self, extension: Any) -> None:
        """Add one."""


def install_named(server: Installs, names: Iterable[str]) -> None:
    """Install the extensions of these names, in their order; one that is installed already stays as it is.

    Raises: SettingsError, with what there is, when there is none of that name or it can't be loaded.
    """
    for name in names:
        extension = _found(name)
        if not server.installed(extension.identifier):
            server.install(extension)


def _found(name: str) -> Any:
    offered = {**{entry.name: entry for entry in entry_points(group=GROUP)}, **OWN}
    entry = offered.get(name)
    if entry is None:
        hint = did_you_mean(name, offered) or f"; there are {', '.join(sorted(offered))}"
        raise SettingsError(f"MCP_EXTENSIONS: no installed package offers the extension {name!r}{hint}")
    try:
        return entry.load()()
    except Exception as error:
        raise SettingsError(f"MCP_EXTENSIONS: the extension {name!r} can't be loaded: {error}") from error

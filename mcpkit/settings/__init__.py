"""The settings of the server and the client. Names only."""

from mcpkit.settings.sources import environment
from mcpkit.settings.table import Row, Settings
from mcpkit.settings.unknown import know_variables
from mcpkit.settings.values import SettingsError

__all__ = ["Row", "Settings", "SettingsError", "environment", "know_variables"]

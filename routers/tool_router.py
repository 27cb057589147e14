"""The example tools. Add yours here: a function with types and a docstring is all it takes.

The work itself stands in plain functions beside this file (calculator, files, database, weather), which know
nothing of who calls them. What must never stand here: that work.
"""

from __future__ import annotations

from typing import Final

from mcpkit import Settings, ToolAnnotations
from routers import calculator
from routers.base_router import MCPBaseRouter
from routers.database import Changed, Database, Rows, Value
from routers.files import FileRoot, Listing
from routers.weather import Weather, WeatherService

PURE: Final = ToolAnnotations(read_only=True, idempotent=True, open_world=False)
READS: Final = ToolAnnotations(read_only=True, open_world=False)
ASKS_OTHERS: Final = ToolAnnotations(read_only=True, open_world=True)
CHANGES: Final = ToolAnnotations(read_only=False, destructive=True, open_world=False)


def register_tools(router: MCPBaseRouter, settings: Settings) -> None:
    """Offer the example tools."""
    register_arithmetic(router)
    register_weather(router, settings)
    register_files(router, settings)
    register_database(router, settings)


def register_arithmetic(router: MCPBaseRouter) -> None:
    """Offer sums. They never block, so they run in the event loop itself (``inline``)."""
    sums = (calculator.add, calculator.subtract, calculator.multiply, calculator.divide, calculator.modulo)
    for function in (*sums, calculator.calculate):
        router.tool(annotations=PURE, inline=True)(function)


def register_weather(router: MCPBaseRouter, settings: Settings) -> None:
    """Offer the weather: an async tool that asks another service."""
    service = WeatherService(settings.weather_url)
    router.on_close(service.close)

    @router.tool(annotations=ASKS_OTHERS, timeout=15)
    async def get_weather(city: str) -> Weather:
        """Tell the current weather of a city: sky, temperature in °C, humidity in percent, wind in km/h.

        Args:
            city: The city's name in any language, for example "Berlin" or "北京".
        """
        return await service.current(city)


def register_files(router: MCPBaseRouter, settings: Settings) -> None:
    """Offer the files beneath MCP_FILES_ROOT. Functions that block, as these do, run in a thread."""
    files = FileRoot(settings.files_root)

    @router.tool(annotations=READS, structured_output=False)
    def file_read(path: str) -> str:
        """Read a text file.

        Args:
            path: Where the file is, relative to the files root, for example "notes/today.md".
        """
        return files.read_text(path)

    @router.tool(annotations=CHANGES, structured_output=False)
    def file_write(path: str, content: str) -> str:
        """Write a text file in place of what was there; missing directories are made.

        Args:
            path: Where to write, relative to the files root, for example "notes/today.md".
            content: The whole new content.
        """
        return f"{files.write_text(path, content)} bytes written to {path}"

    @router.tool(annotations=READS)
    def list_directory(path: str = ".") -> Listing:
        """List the files and directories in a directory.

        Args:
            path: The directory, relative to the files root; the root itself when left out.
        """
        return files.listing(path)


def register_database(router: MCPBaseRouter, settings: Settings) -> None:
    """Offer the SQLite file MCP_DATABASE_PATH: one tool that can only read, one that changes."""
    database = Database(settings.database_path)
    router.on_close(database.close)

    @router.tool(annotations=READS)
    def database_query(sql: str, parameters: list[Value] | None = None) -> Rows:
        """Run one SELECT on the SQLite database; the tables are listed in sqlite_master.

        Args:
            sql: One statement that only reads, for example "SELECT name FROM fruit WHERE price < ?".
            parameters: The values for the question marks in it, in order.
        """
        return database.query(sql, parameters or ())

    @router.tool(annotations=CHANGES)
    def database_execute(sql: str, parameters: list[Value] | None = None) -> Changed:
        """Run one statement that changes the SQLite database: INSERT, UPDATE, DELETE, CREATE TABLE and their like.

        Args:
            sql: One statement, for example "INSERT INTO fruit (name, price) VALUES (?, ?)".
            parameters: The values for the question marks in it, in order.
        """
        return database.execute(sql, parameters or ())

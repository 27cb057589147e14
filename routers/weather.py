"""The weather of a place now, from Open-Meteo (no key needed) or a service that answers like it.

The host comes from the settings alone: what a caller says travels percent-encoded in a query, redirects are not
followed, and time and size are bounded. What must never stand here: a URL made from a caller's text.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from mcpkit import McpKitError, ToolError
from mcpkit.jsonrpc.codec import load

if TYPE_CHECKING:
    from mcpkit.client.http import HttpCarrier

OPEN_METEO: Final = "https://api.open-meteo.com"
OPEN_METEO_GEOCODING: Final = "https://geocoding-api.open-meteo.com"
MAX_SECONDS: Final = 10.0
MAX_BYTES: Final = 256 * 1024
MAX_CHARACTERS: Final = 100
WANTED: Final = "temperature_2m,apparent_temperature,relative_humidity_2m,wind_speed_10m,weather_code"

SKIES: Final = {
    0: "clear sky",
    1: "mainly clear",
    2: "partly cloudy",
    3: "overcast",
    45: "fog",
    48: "rime fog",
    51: "light drizzle",
    53: "drizzle",
    55: "dense drizzle",
    56: "light freezing drizzle",
    57: "freezing drizzle",
    61: "light rain",
    63: "rain",
    65: "heavy rain",
    66: "light freezing rain",
    67: "freezing rain",
    71: "light snow",
    73: "snow",
    75: "heavy snow",
    77: "snow grains",
    80: "light showers",
    81: "showers",
    82: "violent showers",
    85: "light snow showers",
    86: "snow showers",
    95: "thunderstorm",
    96: "thunderstorm with light hail",
    99: "thunderstorm with hail",
}
"""The codes of WMO table 4677 that Open-Meteo uses."""


@dataclass(frozen=True, slots=True)
class Weather:
    """The weather of a place: temperatures in °C, wind in km/h, humidity in percent, the time in local time."""

    place: str
    country: str
    time: str
    sky: str
    temperature: float
    feels_like: float
    humidity: float
    wind: float


class WeatherRefused(ToolError):
    """There is no such place, or the service did not answer as it should."""


class WeatherService:
    """Asks for the weather; ``base_url`` serves both the search for places and the forecast."""

    def __init__(self, base_url: str = OPEN_METEO, carrier: HttpCarrier | None = None) -> None:
        self._forecast = base_url.rstrip("/")
        own_host = urlsplit(base_url).hostname == urlsplit(OPEN_METEO).hostname
        self._places = OPEN_METEO_GEOCODING if own_host else self._forecast
        self._carrier = carrier

    async def current(self, city: str) -> Weather:
        """The weather in a city, by its name in any language.

        Raises: WeatherRefused.
        """
        name = city.strip()
        if not name or len(name) > MAX_CHARACTERS or not name.isprintable():
            raise WeatherRefused(f"Name a city in 1 to {MAX_CHARACTERS} printable characters")
        try:
            async with asyncio.timeout(MAX_SECONDS):
                place = await self._find(name)
                now = (await self._get(self._forecast, "/v1/forecast", _where(place)))["current"]
                return _weather(place, now)
        except TimeoutError:
            raise WeatherRefused(f"The weather service did not answer within {MAX_SECONDS:g} seconds") from None
        except WeatherRefused:
            raise
        except (McpKitError, ArithmeticError, ValueError, LookupError, TypeError) as error:
            raise WeatherRefused("The weather service can't be reached or does not answer as it should") from error

    async def close(self) -> None:
        """Give up the connections."""
        if self._carrier is not None:
            carrier, self._carrier = self._carrier, None
            await carrier.close()

    async def _find(self, name: str) -> dict[str, Any]:
        language = "zh" if any("\u4e00" <= character <= "\u9fff" for character in name) else "en"
        query = {"name": name, "count": 1, "language": language, "format": "json"}
        places = (await self._get(self._places, "/v1/search", query)).get("results")
        if not places:
            raise WeatherRefused(f"There is no city called {name!r}")
        place: dict[str, Any] = places[0]
        return place

    async def _get(self, base: str, path: str, query: dict[str, Any]) -> dict[str, Any]:
        # A server starts without an HTTP client; who asks for the weather loads it.
        from mcpkit.client.http import HttpRequest, HttpxCarrier, read_body  # noqa: PLC0415

        if self._carrier is None:
            self._carrier = HttpxCarrier()
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        answer = await self._carrier.send(HttpRequest("GET", f"{base}{path}?{urlencode(query)}", headers))
        body = await read_body(answer, MAX_BYTES)
        if answer.status != 200:
            raise ValueError(f"the weather service answered HTTP {answer.status}")
        found = load(body)
        if not isinstance(found, dict):
            raise ValueError("the weather service answered no object")
        return found


def _where(place: dict[str, Any]) -> dict[str, Any]:
    return {
        "latitude": _number(place["latitude"]),
        "longitude": _number(place["longitude"]),
        "current": WANTED,
        "timezone": "auto",
    }


def _weather(place: dict[str, Any], now: dict[str, Any]) -> Weather:
    return Weather(
        place=str(place["name"])[:MAX_CHARACTERS],
        country=str(place.get("country", ""))[:MAX_CHARACTERS],
        time=str(now["time"])[:MAX_CHARACTERS],
        sky=SKIES.get(now["weather_code"], "unknown"),
        temperature=_number(now["temperature_2m"]),
        feels_like=_number(now["apparent_temperature"]),
        humidity=_number(now["relative_humidity_2m"]),
        wind=_number(now["wind_speed_10m"]),
    )


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(number := float(value)):
        raise TypeError("the weather service answered no number where one belongs")
    return number

"""The weather comes from a local stand-in: found, told in words when not, and never from another host."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from mcpkit.client.http import HttpAnswer, HttpRequest
from routers import weather
from routers.weather import OPEN_METEO, OPEN_METEO_GEOCODING, Weather, WeatherRefused, WeatherService
from tests.fixtures.stand_in import Reply, StandIn, standing_in

PLACE = {"name": "Berlin", "country": "Germany", "latitude": 52.52, "longitude": 13.41}
NOW = {
    "time": "2026-11-20T12:00",
    "temperature_2m": 7.1,
    "apparent_temperature": 4,
    "relative_humidity_2m": 81,
    "wind_speed_10m": 12.5,
    "weather_code": 61,
}


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    answers = {"/v1/search": Reply({"results": [PLACE]}), "/v1/forecast": Reply({"current": NOW})}
    with standing_in({**answers}) as stand_in:
        yield stand_in


@pytest.fixture
async def service(stand_in: StandIn) -> AsyncIterator[WeatherService]:
    service = WeatherService(stand_in.url)
    yield service
    await service.close()


async def test_the_weather_of_a_city(service: WeatherService, stand_in: StandIn) -> None:
    assert await service.current(" Berlin ") == Weather(
        "Berlin", "Germany", "2026-11-20T12:00", "light rain", 7.1, 4.0, 81.0, 12.5
    )
    search, forecast = stand_in.asked
    assert search.query == {"name": "Berlin", "count": "1", "language": "en", "format": "json"}
    assert (forecast.query["latitude"], forecast.query["longitude"]) == ("52.52", "13.41")


async def test_a_chinese_name_is_searched_in_chinese(service: WeatherService, stand_in: StandIn) -> None:
    await service.current("北京")
    assert (stand_in.asked[0].query["name"], stand_in.asked[0].query["language"]) == ("北京", "zh")


@pytest.mark.parametrize("city", ["a&latitude=0#", "../../admin?x=", "http://169.254.169.254/", "%2e%2e%2f"])
async def test_a_callers_text_stays_in_the_query(service: WeatherService, stand_in: StandIn, city: str) -> None:
    """CVE-2026-32871: a parameter that leaks into the URL becomes a request to somewhere else."""
    await service.current(city)
    assert [asked.path for asked in stand_in.asked] == ["/v1/search", "/v1/forecast"]
    assert stand_in.asked[0].query["name"] == city
    assert "latitude" not in stand_in.asked[0].query


@pytest.mark.parametrize("city", ["", "  ", "x" * 101, "a\nb", "\ud800", "a\0"])
async def test_a_name_that_is_none_is_refused_before_anyone_is_asked(
    service: WeatherService, stand_in: StandIn, city: str
) -> None:
    with pytest.raises(WeatherRefused, match="Name a city"):
        await service.current(city)
    assert stand_in.asked == []


@pytest.mark.parametrize("answer", [{}, {"results": []}, {"results": None}])
async def test_an_unknown_city_is_told_by_its_name(service: WeatherService, stand_in: StandIn, answer: object) -> None:
    stand_in.answers["/v1/search"] = Reply(answer)
    with pytest.raises(WeatherRefused, match="There is no city called 'Atlantis'"):
        await service.current("Atlantis")


async def test_a_code_that_is_new_is_no_error(service: WeatherService, stand_in: StandIn) -> None:
    stand_in.answers["/v1/forecast"] = Reply({"current": {**NOW, "weather_code": 1234}})
    assert (await service.current("Berlin")).sky == "unknown"


@pytest.mark.parametrize(
    "reply",
    [
        Reply("teapot", 418),
        Reply({"error": True, "reason": "secret detail"}, 400),
        Reply("down", 503),
        Reply(b"<html>"),
        Reply(b"\xff\xfe"),
        Reply([]),
        Reply("text"),
        Reply({"current": None}),
        Reply({"current": {}}),
        Reply({"current": {**NOW, "temperature_2m": "warm"}}),
        Reply({"current": {**NOW, "temperature_2m": "NaN"}}),
        Reply({"current": {**NOW, "temperature_2m": None}}),
        Reply({"current": {**NOW, "temperature_2m": True}}),
        Reply({"current": {**NOW, "temperature_2m": 10**400}}),
        Reply(json.dumps({"current": {**NOW, "temperature_2m": 0}}).replace("0,", "1e999,").encode()),
        Reply(gzip.compress(json.dumps({"current": NOW}).encode()), headers={"Content-Encoding": "gzip"}),
        Reply({"current": {**NOW, "weather_code": []}}),
        Reply(b"[" * 100_000),
        Reply(b" " * (weather.MAX_BYTES + 1)),
    ],
)
async def test_an_answer_that_is_no_weather_is_told_without_its_content(
    service: WeatherService, stand_in: StandIn, reply: Reply
) -> None:
    stand_in.answers["/v1/forecast"] = reply
    with pytest.raises(WeatherRefused, match=r"^The weather service can't be reached or does not answer as it should$"):
        await service.current("Berlin")


@pytest.mark.parametrize("answer", [[], "text", {"results": 5}, {"results": ["Berlin"]}, {"results": [{"name": "x"}]}])
async def test_an_answer_that_is_no_place_is_told(service: WeatherService, stand_in: StandIn, answer: object) -> None:
    stand_in.answers["/v1/search"] = Reply(answer)
    with pytest.raises(WeatherRefused, match="does not answer as it should"):
        await service.current("Berlin")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(service: WeatherService, stand_in: StandIn, status: int) -> None:
    with standing_in({"/secret": Reply({"current": NOW})}) as other:
        stand_in.answers["/v1/forecast"] = Reply("", status, {"Location": f"{other.url}/secret"})
        with pytest.raises(WeatherRefused):
            await service.current("Berlin")
        assert other.asked == []


async def test_a_service_that_is_not_there_is_told(service: WeatherService) -> None:
    with standing_in({}) as gone:
        pass
    service = WeatherService(gone.url)
    with pytest.raises(WeatherRefused, match="can't be reached"):
        await service.current("Berlin")
    await service.close()


async def test_a_service_that_is_silent_is_given_up(
    service: WeatherService, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weather, "MAX_SECONDS", 0.1)
    never = threading.Event()
    stand_in.answers["/v1/search"] = Reply({}, after=never)
    try:
        with pytest.raises(WeatherRefused, match=r"within 0\.1 seconds"):
            await service.current("Berlin")
    finally:
        never.set()


async def test_open_meteo_has_its_own_host_for_places() -> None:
    asked: list[str] = []

    class Carrier:
        async def send(self, request: HttpRequest) -> HttpAnswer:
            asked.append(request.url)
            raise ValueError

        async def close(self) -> None:
            asked.append("closed")

    service = WeatherService(OPEN_METEO, Carrier())
    with pytest.raises(WeatherRefused):
        await service.current("Berlin")
    await service.close()
    await service.close()
    assert asked == [f"{OPEN_METEO_GEOCODING}/v1/search?name=Berlin&count=1&language=en&format=json", "closed"]

"""What the analytics routes answer is what a plain script finds in the records."""

import os
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from generation.providers import Deadline
from generation.usage import answers, ranges, reading
from generation.usage.entries import of_failure, of_record
from generation.usage.ranges import Range
from generation.usage.reading import Filter
from generation.usage.rows import EVERYBODY
from generation.usage.table import UsageTable
from tests.unit.generation import usage_history
from tests.unit.generation.memory_dynamodb import MemoryDynamoDB
from tests.unit.generation.usage_history import USERS, Script

# 50,000 as a slow target: USAGE_RECORDS=50000.
SIZE = int(os.environ.get("USAGE_RECORDS", "5000"))
FIRST, DAYS = date(2026, 8, 20), 90
LAST = FIRST + timedelta(days=DAYS - 1)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
# Berlin's clocks go back within these days; Nepal's are 5:45 ahead; New York's go back on another day.
ZONES = ("Europe/Berlin", "Asia/Kathmandu", "America/New_York", "UTC")
WHOSE = (EVERYBODY, "anonymous", USERS[1])


@pytest.fixture(scope="module")
def calls() -> tuple[list[dict[str, Any]], list[usage_history.Failed]]:
    return usage_history.history(SIZE, FIRST, DAYS, random.Random(7))


@pytest.fixture(scope="module")
def table(calls: tuple[list[Any], list[Any]]) -> UsageTable:
    """The history, counted in batches, some of them twice and none of them in order."""
    records, failed = calls
    chance = random.Random(11)
    entries = [of_record(one, makes_pictures=one["service"] == "image") for one in records]
    entries = usage_history.shuffled(entries + [of_failure(one.message()) for one in failed], chance)
    filled = UsageTable(cast(Any, MemoryDynamoDB()), "usage", chance=chance)
    for start in range(0, len(entries), 90):
        batch = entries[start : start + 90] + chance.choices(entries[: start + 1], k=5)
        assert filled.count(batch, Deadline(600)) == {}
    return filled


def _range(zone: str, first: date = FIRST, last: date = LAST) -> Range:
    return ranges.resolve(first, last, ZoneInfo(zone), NOW)


def _script(calls: tuple[list[Any], list[Any]], whose: str, zone: str) -> Script:
    return Script(*calls, None if whose == EVERYBODY else whose, zone)


PARTS = ((FIRST, LAST), (date(2026, 9, 3), date(2026, 11, 7)), (date(2026, 10, 25), date(2026, 10, 25)))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("whose", WHOSE)
@pytest.mark.parametrize(("first", "last"), PARTS)
def test_overview_is_what_the_records_say(
    table: UsageTable, calls: Any, whose: str, zone: str, first: date, last: date
) -> None:
    script = _script(calls, whose, zone).within(first, last)
    users = Script(*calls, None, zone).within(first, last)
    wanted = _range(zone, first, last)
    answer = answers.overview(table, whose, wanted, Filter(), lambda: reading.by_user(table, wanted, Filter()))
    for percent, value in answer.pop("latencyMs").items():
        assert value == pytest.approx(script.percentile(int(percent[1:])), rel=0.05)
    by_user = {
        user: _only(users, user)
        for user in {one["userId"] for one in users.records} | {one.user_id for one in users.failed}
    }
    assert answer == {
        "requests": script.requests,
        "succeeded": len(script.records),
        "failed": len(script.failed),
        "errorRate": script.rate(len(script.failed), script.requests),
        "inputTokens": script.tokens("input"),
        "outputTokens": script.tokens("output"),
        "bytes": sum(one["size"]["outputBytes"] for one in script.records),
        "audioSeconds": script.audio_seconds(),
        "pictures": sum(one["service"] == "image" for one in script.records),
        "usd": script.usd,
        "unpriced": sum(one["cost"]["usd"] is None for one in script.records),
        "topServices": [
            {"service": name, "requests": group.requests}
            for name, group in _most(script.by(lambda _id, service, _provider, _model: service))
        ],
        "topModels": [
            {"provider": name[0], "model": name[1], "requests": group.requests, "usd": group.usd}
            for name, group in _most(script.by(lambda _id, _service, provider, model: (provider, model)))
        ],
        "users": len(by_user),
        "topUsers": [{"userId": name, "requests": group.requests, "usd": group.usd} for name, group in _most(by_user)],
    }


def _only(script: Script, user: str) -> Script:
    return Script(script.records, script.failed, user, "UTC")


def _most(groups: dict[Any, Script]) -> list[tuple[Any, Script]]:
    return sorted(groups.items(), key=lambda one: (-one[1].requests, one[0]))[:5]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("whose", WHOSE)
@pytest.mark.parametrize("size", ["day", "hour"])
def test_timeseries_is_what_the_records_say(table: UsageTable, calls: Any, whose: str, zone: str, size: str) -> None:
    # Both changes of the clock are on Sundays within.
    first, last = (date(2026, 10, 20), date(2026, 11, 4)) if size == "hour" else (FIRST, LAST)
    script = _script(calls, whose, zone).within(first, last)

    def start(call_id: str) -> datetime:
        local = script.local(call_id)
        return local.replace(minute=0, second=0, microsecond=0, **({} if size == "hour" else {"hour": 0, "fold": 0}))

    groups = script.by(lambda call_id, service, _provider, _model: (start(call_id).isoformat(), service))
    starts = (
        [hour.isoformat() for hour in script.hours(first, last)]
        if size == "hour"
        else [
            datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).isoformat()
            for day in (first + timedelta(days=number) for number in range((last - first).days + 1))
        ]
    )
    services = sorted({service for _, service in groups})
    nothing = Script([], [], None, zone)
    expected = []
    for begin in starts:
        for service in services:
            group = groups.get((begin, service), nothing)
            expected.append(
                {
                    "start": begin,
                    "service": service,
                    "requests": group.requests,
                    "failed": len(group.failed),
                    "inputTokens": group.tokens("input"),
                    "outputTokens": group.tokens("output"),
                    "usd": group.usd,
                }
            )
    answer = answers.timeseries(table, whose, _range(zone, first, last), size, Filter())
    assert answer == {"bucket": size, "items": expected}
    assert sum(item["requests"] for item in answer["items"]) == script.requests


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("size", [None, "day"])
def test_performance_is_what_the_records_say(table: UsageTable, calls: Any, zone: str, size: str | None) -> None:
    script = _script(calls, EVERYBODY, zone).within(FIRST, LAST)
    groups = script.by(lambda call_id, *source: ((str(script.local(call_id).date()),) if size else ()) + source)
    items = answers.performance(table, EVERYBODY, _range(zone), size, Filter())["items"]
    assert len(items) == len(groups)
    for item in items:
        source = (item["service"], item["provider"], item["model"])
        group = groups[((item["start"][:10],) if size else ()) + source]
        for percent, value in item["latencyMs"].items():
            expected = group.percentile(int(percent[1:]))
            assert value == (None if expected is None else pytest.approx(expected, rel=0.05))
        assert item["requests"] == group.requests
        assert item["failed"] == len(group.failed)
        assert item["errorRate"] == script.rate(len(group.failed), group.requests)
        fallbacks = sum("fallbackFrom" in one["meta"]["params"] for one in group.records)
        assert item["fallbackRate"] == script.rate(fallbacks, len(group.records))


@pytest.mark.parametrize("zone", ZONES)
def test_costs_are_what_the_records_say(table: UsageTable, calls: Any, zone: str) -> None:
    script = _script(calls, EVERYBODY, zone).within(FIRST, LAST)
    expected = [
        {
            "service": service,
            "provider": provider,
            "model": model,
            "requests": group.requests,
            "inputTokens": group.tokens("input"),
            "outputTokens": group.tokens("output"),
            "audioSeconds": group.audio_seconds(),
            "pictures": sum(one["service"] == "image" for one in group.records),
            "usd": group.usd,
        }
        for (service, provider, model), group in sorted(script.by(lambda _id, *source: source).items())
    ]
    answer = answers.costs(table, EVERYBODY, _range(zone), Filter())
    assert answer["items"] == expected
    assert answer["usd"] == script.usd
    assert next(item["usd"] for item in answer["items"] if item["model"] == "unknown") is None


def test_users_come_by_the_page_and_the_busiest_first(table: UsageTable, calls: Any) -> None:
    wanted = _range("Asia/Kathmandu")
    everybody = reading.by_user(table, wanted, Filter())
    pages, cursor = [], None
    while True:
        page = answers.users(everybody, 2, cursor)
        pages += page["items"]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    script = Script(*calls, None, "Asia/Kathmandu").within(FIRST, LAST)
    groups = {user: _only(script, user) for user in USERS}
    assert [(item["userId"], item["requests"], item["usd"]) for item in pages] == [
        (user, group.requests, group.usd) for user, group in _most(groups)
    ]
    for item in pages:
        ids = [one["id"] for one in groups[item["userId"]].records] + [one.id for one in groups[item["userId"]].failed]
        last = int(max(ids).replace("-", "")[:12], 16)
        assert datetime.fromisoformat(item["lastAt"]).timestamp() * 1000 == pytest.approx(last)


def test_filters_leave_out_everything_else(table: UsageTable, calls: Any) -> None:
    script = _script(calls, EVERYBODY, "UTC").within(FIRST, LAST).by(lambda _id, *source: source)
    group = script["tts", "polly", "neural"]
    answer = answers.overview(table, EVERYBODY, _range("UTC"), Filter("tts", "polly", "neural"), None)
    assert (answer["requests"], answer["audioSeconds"]) == (group.requests, group.audio_seconds())
    assert answer["latencyMs"]["p95"] == pytest.approx(group.percentile(95), rel=0.05)
    assert answer["topServices"] == [{"service": "tts", "requests": group.requests}]


def test_no_data_is_told_from_zero(table: UsageTable) -> None:
    nothing = answers.overview(table, USERS[2], _range("UTC", date(2020, 1, 1), date(2020, 1, 2)), Filter(), None)
    assert nothing["requests"] == 0
    assert nothing["usd"] == 0
    assert nothing["errorRate"] is None
    assert nothing["latencyMs"] == {"p50": None, "p95": None, "p99": None}
    series = answers.timeseries(
        table, USERS[2], _range("UTC", date(2020, 1, 1), date(2020, 1, 2)), "day", Filter(service="tts")
    )
    assert [(item["start"], item["requests"]) for item in series["items"]] == [
        ("2020-01-01T00:00:00+00:00", 0),
        ("2020-01-02T00:00:00+00:00", 0),
    ]


def test_csv_has_the_same_rows_and_names() -> None:
    rows = [{"service": "tts", "model": 'a "b", c', "usd": None, "latencyMs": {"p50": 1.5, "p95": None}, "top": [1]}]
    assert answers.as_csv(rows) == 'service,model,usd,latencyMs.p50,latencyMs.p95\r\ntts,"a ""b"", c",,1.5,\r\n'

"""What the analytics routes answer is what a plain script finds in the records."""

import os
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from generation.providers import Deadline
from generation.usage import answers, histograms, ranges, reading, rows
from generation.usage.entries import of_failure, of_record
from generation.usage.ranges import Range
from generation.usage.reading import Filter
from generation.usage.rows import EVERYBODY
from generation.usage.table import UsageTable
from tests.unit.generation import usage_history
from tests.unit.generation.memory_dynamodb import MemoryDynamoDB
from tests.unit.generation.usage_history import USERS, Script, compare, most

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
    """The history, counted in batches, some of them twice and none of them in order.

    A batch is of a few days, as batches are: each row that it touches is written anew, which is what takes the time.
    """
    records, failed = calls
    chance = random.Random(11)
    entries = [of_record(one, makes_pictures=one["service"] == "image") for one in records]
    entries = sorted(entries + [of_failure(one.message()) for one in failed], key=lambda one: one.id)
    batches = usage_history.shuffled((entries[start : start + 90] for start in range(0, len(entries), 90)), chance)
    filled = UsageTable(cast(Any, MemoryDynamoDB()), "usage", chance=chance)
    for number, batch in enumerate(batches):
        again = chance.choices(batch, k=14) + chance.choices(batches[number - 1], k=1) if number % 3 == 1 else []
        assert filled.count(usage_history.shuffled(batch + again, chance), Deadline(600)) == {}
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
    answer = answers.overview(table, whose, _range(zone, first, last), Filter(), with_users=True)
    assert compare(answer, usage_history.overview(script)) > 20


def _only(script: Script, user: str) -> Script:
    return Script(script.records, script.failed, user, "UTC")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("whose", WHOSE)
@pytest.mark.parametrize("size", ["day", "hour"])
def test_timeseries_is_what_the_records_say(table: UsageTable, calls: Any, whose: str, zone: str, size: str) -> None:
    # Both changes of the clock are on Sundays within.
    first, last = (date(2026, 10, 20), date(2026, 11, 4)) if size == "hour" else (FIRST, LAST)
    script = _script(calls, whose, zone).within(first, last)
    answer = answers.timeseries(table, whose, _range(zone, first, last), size, Filter())
    assert compare(answer, usage_history.timeseries(script, first, last, size)) > 100
    assert sum(item["requests"] for item in answer["items"]) == script.requests


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("size", [None, "day"])
def test_performance_is_what_the_records_say(table: UsageTable, calls: Any, zone: str, size: str | None) -> None:
    script = _script(calls, EVERYBODY, zone).within(FIRST, LAST)
    answer = answers.performance(table, EVERYBODY, _range(zone), size, Filter())
    assert compare(answer, usage_history.performance(script, size)) > 50


@pytest.mark.parametrize("zone", ZONES)
def test_costs_are_what_the_records_say(table: UsageTable, calls: Any, zone: str) -> None:
    script = _script(calls, EVERYBODY, zone).within(FIRST, LAST)
    answer = answers.costs(table, EVERYBODY, _range(zone), Filter())
    assert compare(answer, usage_history.costs(script)) > 50
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
        (user, group.requests, group.usd) for user, group in most(groups)
    ]
    for item in pages:
        ids = [one["id"] for one in groups[item["userId"]].records] + [one.id for one in groups[item["userId"]].failed]
        last = int(max(ids).replace("-", "")[:12], 16)
        assert datetime.fromisoformat(item["lastAt"]).timestamp() * 1000 == pytest.approx(last)


def test_filters_leave_out_everything_else(table: UsageTable, calls: Any) -> None:
    script = _script(calls, EVERYBODY, "UTC").within(FIRST, LAST).by(lambda _id, *source: source)
    group = script["tts", "polly", "neural"]
    answer = answers.overview(table, EVERYBODY, _range("UTC"), Filter("tts", "polly", "neural"), with_users=False)
    assert (answer["requests"], answer["audioSeconds"]) == (group.requests, group.audio_seconds())
    assert answer["latencyMs"]["p95"] == pytest.approx(group.percentile(95), rel=0.05)
    assert answer["topServices"] == [{"service": "tts", "requests": group.requests}]


def test_rows_of_before_their_latencies_were_kept_together_give_the_same(table: UsageTable) -> None:
    def by_number(content: bytes) -> bytes:
        return rows._dumps(
            {
                source: {slot: histograms.unpacked(one) for slot, one in slots.items()}
                for source, slots in rows._loads(content).items()
            }
        )

    before = MemoryDynamoDB()
    for key, item in cast(Any, table.client).items.items():
        kept = {name: value for name, value in item.items() if name not in ("a", "z")}
        before.items[key] = kept | {name: {"B": by_number(kept[name]["B"])} for name in ("h", "t") if name in kept}
    old = UsageTable(cast(Any, before), "usage")
    for ask in (answers.overview, answers.performance):
        options: Any = {"with_users": True} if ask is answers.overview else {}
        size: Any = () if ask is answers.overview else ("day",)
        wanted = [EVERYBODY, _range("Asia/Kathmandu"), *size, Filter()]
        assert ask(old, *wanted, **options) == ask(table, *wanted, **options)


def test_no_data_is_told_from_zero(table: UsageTable) -> None:
    nothing = answers.overview(
        table, USERS[2], _range("UTC", date(2020, 1, 1), date(2020, 1, 2)), Filter(), with_users=False
    )
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


def test_a_day_that_is_read_again_says_the_same(table: UsageTable) -> None:
    # From noon to noon, which cuts two days; what was read first is kept.
    noon = (LAST - date(1970, 1, 1)).days * 96 - 48
    wanted = Range(LAST, LAST, ZoneInfo("UTC"), noon - 96, noon)
    rows._kept.cache_clear()
    first, second = (reading.overall(table, EVERYBODY, wanted) for _ in range(2))
    assert first == second
    assert rows._kept.cache_info().hits == rows._kept.cache_info().misses > 0

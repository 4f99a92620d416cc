"""Days are as long as the zone has them, and what is not a quarter of an hour is refused."""

import json
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from core.errors import Unprocessable
from generation.usage import histograms, ranges
from generation.usage.ranges import Bound, Range

NOW = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)


def _range(first: Bound | None, last: Bound | None, zone: str = "UTC") -> Range:
    return ranges.resolve(first, last, ZoneInfo(zone), NOW)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Europe/Berlin", date(2026, 10, 26), 24),
        ("Asia/Kathmandu", date(2026, 10, 25), 24),
        # The clock changes by half an hour.
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        # At midnight, so that the day begins at one o'clock.
        ("Africa/Cairo", date(2026, 4, 24), 23),
        # Between two sides of the date line there was no 30 December.
        ("Pacific/Apia", date(2011, 12, 29), 24),
    ],
)
def test_days_are_as_long_as_their_zone_has_them(zone: str, day: date, hours: float) -> None:
    found = _range(day, day, zone)
    assert (found.end - found.start) / 4 == hours
    assert found.local(found.start).date() == day
    assert found.local(found.end - 1).date() == day
    assert found.buckets("day") == [found.start]


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Africa/Cairo"]
)
@pytest.mark.parametrize("size", ["day", "hour"])
def test_buckets_follow_each_other_over_a_year_and_begin_where_clocks_say(zone: str, size: str) -> None:
    found = _range(date(2026, 1, 1), date(2026, 12, 31), zone)
    starts = found.buckets(size)
    assert starts[0] == found.start
    assert starts == sorted(set(starts))
    local = [found.local(start) for start in starts]
    if size == "day":
        assert len(starts) == 365
        assert {moment.hour for moment in local} <= {0, 1}
    else:
        # Lord Howe's clocks change by half an hour, twice a year.
        assert sum(moment.minute != 0 for moment in local) == (2 if "Lord" in zone else 0)


def test_a_day_that_a_zone_left_out_is_empty() -> None:
    found = _range(date(2011, 12, 29), date(2011, 12, 31), "Pacific/Apia")
    assert [found.local(start).day for start in found.buckets("day")] == [29, 31]
    assert list(_range(date(2011, 12, 30), date(2011, 12, 30), "Pacific/Apia").days) == []


def test_thirty_days_up_to_today_where_the_reader_is() -> None:
    found = _range(None, None, "Asia/Kathmandu")
    assert (found.first, found.last) == (date(2026, 10, 25), date(2026, 11, 23))
    assert _range(None, date(2026, 1, 30)).first == date(2026, 1, 1)


def test_a_time_ends_the_range() -> None:
    found = _range(datetime(2026, 11, 22, 13, 15, tzinfo=UTC), datetime(2026, 11, 22, 13, 45, tzinfo=UTC))
    assert found.end - found.start == 2


@pytest.mark.parametrize(
    ("first", "last", "zone", "field"),
    [
        (date(2026, 11, 23), date(2026, 11, 22), "UTC", "from"),
        (date(2025, 10, 18), date(2026, 11, 22), "UTC", "from"),
        (datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC), "UTC", "from"),
        (date(1970, 1, 1), date(1970, 1, 2), "Africa/Monrovia", "tz"),
        (date(2026, 1, 1), date.max, "UTC", "to"),
    ],
)
def test_ranges_that_cannot_be_answered_name_the_field(first: Bound, last: Bound, zone: str, field: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        _range(first, last, zone)
    assert [one.field for one in refused.value.errors] == [field]


@pytest.mark.parametrize(
    "text",
    ["2026-11-22T13:07:00Z", "2026-11-22T13:15:01Z", "2026-02-30T00:00:00Z", "2026-11-22T13:15", "yesterday", ""],
)
def test_bounds_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Must be"):
        ranges.bound(text)


@pytest.mark.parametrize("name", ["Mars", "", "../etc/passwd", "/etc/localtime", "\0", "Europe"])
def test_zones_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="IANA"):
        ranges.zone(name)


def test_400_days_are_enough_for_a_year_and_a_month() -> None:
    assert len(list(_range(date(2025, 10, 19), date(2026, 11, 22)).days)) == 400


@pytest.mark.parametrize("latency", [0, 1, 2, 9, 10, 11, 20, 21, 99, 100, 101, 1000, 1001, 12_345, 900_000])
def test_a_latency_is_told_within_five_percent(latency: int) -> None:
    told = histograms.percentile({histograms.bucket(latency): 3}, 95)
    assert told == pytest.approx(latency, rel=0.05)


def test_every_latency_of_an_hour_is_told_within_five_percent() -> None:
    for latency in range(1, 100_000):
        told = histograms.percentile({histograms.bucket(latency): 1}, 50)
        assert told is not None
        assert abs(told - latency) <= 0.05 * latency, latency


def test_histograms_are_kept_as_what_is_shorter_and_add_up_all_the_same() -> None:
    full, sparse, empty = {number: number + 2 for number in range(-1, 60)}, {-1: 1, 80: 3}, {}
    kept = [histograms.packed(one) for one in (full, sparse, empty)]
    assert [type(one) for one in kept] == [list, dict, list]
    assert histograms.total(kept[:1]) == full
    assert histograms.total(json.loads(json.dumps(kept))) == full | {-1: 2, 80: 3}
    assert histograms.total([]) == {}

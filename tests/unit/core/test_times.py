from datetime import UTC, datetime, timedelta, timezone

from core import times


def test_a_time_is_rfc_3339_in_utc_with_milliseconds() -> None:
    moment = datetime(2026, 11, 22, 14, 30, 0, 123_999, tzinfo=timezone(timedelta(hours=1)))
    assert times.rfc3339(moment) == "2026-11-22T13:30:00.123Z"


def test_now_is_cut_to_the_millisecond() -> None:
    assert times.now().microsecond % 1000 == 0
    assert abs(times.now() - datetime.now(UTC)) < timedelta(seconds=5)

from datetime import UTC, datetime, timedelta, timezone

from core import times


def test_a_time_is_rfc_3339_in_utc_with_milliseconds() -> None:
    moment = datetime(2026, 11, 22, 14, 30, 0, 123_999, tzinfo=timezone(timedelta(hours=1)))
    assert times.rfc3339(moment) == "2026-11-22T13:30:00.123Z"


def test_now_is_cut_to_the_millisecond() -> None:
    before = datetime.now(UTC)
    now = times.now()
    assert now.microsecond % 1000 == 0
    assert now.utcoffset() == timedelta(0)
    assert before - timedelta(milliseconds=1) < now <= datetime.now(UTC)

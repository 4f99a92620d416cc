"""Ranges of a reader's days and times, cut into quarters of an hour of UTC, of which every row is made."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.errors import FieldError, Unprocessable

QUARTER_SECONDS = 900
QUARTERS_A_DAY = 96
MOST_DAYS = 400
DEFAULT_DAYS = 30
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})", re.ASCII)
_NOT_A_QUARTER = "Must be on a quarter of an hour, such as 13:15."

Bound = date | datetime


@dataclass(frozen=True, slots=True)
class Range:
    """From one quarter of an hour to another, which is not in it, both counted from the epoch, as a zone's days are.

    ``first`` and ``last`` are as the reader wrote them.
    """

    first: Bound
    last: Bound
    zone: ZoneInfo
    start: int
    end: int

    @property
    def days(self) -> Iterator[date]:
        """The days of UTC that the range touches."""
        if self.start < self.end:
            yield from map(day_of, range(self.start // QUARTERS_A_DAY, (self.end - 1) // QUARTERS_A_DAY + 1))

    def buckets(self, size: str) -> list[int]:
        """Where the hours or days of the zone begin that the range touches; the first where the range does.

        Around a change of the clock a day has 23 or 25 hours, and in a few zones an hour 30 minutes.
        """
        starts = []
        at = self.start
        while at < self.end:
            starts.append(at)
            at = self._next_hour(at) if size == "hour" else self._next_day(at)
        return starts

    def local(self, quarter: int) -> datetime:
        """When a quarter begins, as clocks of the zone show it."""
        return datetime.fromtimestamp(quarter * QUARTER_SECONDS, self.zone)

    def _next_hour(self, quarter: int) -> int:
        return quarter + 4 - self.local(quarter).minute // 15

    def _next_day(self, quarter: int) -> int:
        day = self.local(quarter).date()
        while True:
            # A zone may leave out a day, when it changes sides of the date line.
            day += timedelta(days=1)
            following = _quarter(_midnight(day, self.zone), "tz")
            if following > quarter:
                return following


def bound(text: str) -> Bound:
    """A date, or a time with its offset, of a query. Raises ``ValueError`` with a message for the caller."""
    from core.query import day

    if "T" not in text:
        return day(text)
    if _TIME.fullmatch(text) is None:
        raise ValueError("Must be a date such as 2026-11-22, or a time such as 2026-11-22T13:30:00Z.")
    try:
        moment = datetime.fromisoformat(text)
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("Must be a time that the calendar has, such as 2026-11-22T13:30:00Z.") from None
    if moment.timestamp() % QUARTER_SECONDS:
        raise ValueError(_NOT_A_QUARTER)
    return moment


def zone(text: str) -> ZoneInfo:
    """A zone by its IANA name. Raises ``ValueError`` with a message for the caller."""
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("Must be a zone's IANA name, such as Europe/Madrid.") from None


def resolve(first: Bound | None, last: Bound | None, zone_: ZoneInfo, now: datetime) -> Range:
    """The range of a query: both dates are in it; a time as ``last`` is not. 30 days up to today unless given.

    Raises ``Unprocessable``.
    """
    last = now.astimezone(zone_).date() if last is None else last
    try:
        first = _local_day(last, zone_) - timedelta(days=DEFAULT_DAYS - 1) if first is None else first
        days = _local_day(first, zone_), _local_day(last, zone_)
        start = _quarter(_instant(first, zone_), "from")
        end = _quarter(_instant(last if isinstance(last, datetime) else last + timedelta(days=1), zone_), "to")
    except OverflowError:
        raise _wrong("to", "Must be within the years that the calendar has.") from None
    if start > end or days[0] > days[1] or (start == end and isinstance(last, datetime)):
        raise _wrong("from", "Must not be after 'to'.")
    if (days[1] - days[0]).days >= MOST_DAYS:
        raise _wrong("from", f"Must be within {MOST_DAYS} days of 'to'.")
    return Range(first, last, zone_, start, end)


def day_of(number: int) -> date:
    """The day that is so many days after the epoch."""
    return date(1970, 1, 1) + timedelta(days=number)


def _instant(value: Bound, zone_: ZoneInfo) -> datetime:
    return value if isinstance(value, datetime) else _midnight(value, zone_)


def _midnight(day: date, zone_: ZoneInfo) -> datetime:
    """When a day begins: where midnight is left out, at the change of the clock; where it comes twice, at the first."""
    return datetime(day.year, day.month, day.day, tzinfo=zone_)


def _local_day(value: Bound, zone_: ZoneInfo) -> date:
    return value.astimezone(zone_).date() if isinstance(value, datetime) else value


def _quarter(moment: datetime, field: str) -> int:
    seconds = moment.timestamp()
    if seconds % QUARTER_SECONDS:
        message = "Its clocks differ from UTC by no multiple of 15 minutes then; take another zone, or UTC."
        raise _wrong("tz" if field == "tz" or moment.utcoffset() else field, message)
    return int(seconds // QUARTER_SECONDS)


def _wrong(field: str, message: str) -> Unprocessable:
    return Unprocessable("The request is not valid: see errors.", errors=[FieldError(field, message)])

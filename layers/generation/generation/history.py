"""The history of a user: the indexes of all days, read in pages from the newest line back."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Final

from core import ids
from generation import keys
from generation.cursors import CursorSigner, Position
from generation.records import Line
from generation.segments import UNKNOWN, Day, Segment, line_of
from generation.services import Service
from generation.storage import Bucket

KEYS_A_PAGE: Final = 1000
"""The most keys that S3 lists in one request."""


@dataclass(frozen=True, slots=True)
class Page:
    """Lines, newest first, and the cursor of the next page (None at the end)."""

    lines: list[Line]
    cursor: str | None


class History:
    """The history of one user in one service."""

    def __init__(self, service: Service, bucket: Bucket, user_id: str) -> None:
        self._service = service
        self._bucket = bucket
        self._user_id = user_id
        self._prefix = keys.history_prefix(service, user_id)

    def page(
        self,
        signer: CursorSigner,
        *,
        limit: int,
        cursor: str | None = None,
        first_day: date = date.min,
        last_day: date = date.max,
    ) -> Page:
        """The lines, newest first by id, from ``first_day`` to ``last_day``, both included.

        A line that arrives while pages are being read is in a later page or in none, and never in two.
        Raises ``Unprocessable`` for a cursor that is not ours, ``ServiceUnavailable``.
        """
        position = signer.verify(cursor, self._prefix) if cursor is not None else None
        if position:
            last_day = min(last_day, ids.created_at(position.before).date())
        found: list[tuple[str, bytes]] = []
        for day, numbers in self._days(first_day, last_day):
            resumed = position if position and ids.created_at(position.before).date() == day else None
            reading = _Reading(Day(self._service, self._bucket, self._user_id, day), numbers, resumed)
            # One line more than the page holds tells whether there is a next one.
            found += reading.lines(limit + 1 - len(found))
            if len(found) > limit:
                last_id = found[limit - 1][0]
                is_of_day = ids.created_at(last_id).date() == day
                following = reading.position(last_id) if is_of_day else Position(last_id, below=0)
                return Page(_read(found[:limit]), signer.sign(following, self._prefix))
        return Page(_read(found), None)

    def _days(self, first: date, last: date) -> Iterator[tuple[date, list[int]]]:
        """The days that have an index and the numbers of its segments, newest first.

        One request where a page of keys holds all of them. Else one more for the years, one for the months of each year
        that has any, one for the days of each such month.
        """
        some = list(islice(self._bucket.keys(self._prefix), KEYS_A_PAGE))
        if len(some) < KEYS_A_PAGE:
            yield from ((day, numbers) for day, numbers in _by_day(some) if first <= day <= last)
            return
        for year in self._folders(self._prefix):
            if not first.year <= year <= last.year:
                continue
            for month in self._folders(f"{self._prefix}{year:04d}/"):
                if (first.year, first.month) <= (year, month) <= (last.year, last.month):
                    days = _by_day(self._bucket.keys(f"{self._prefix}{year:04d}/{month:02d}/"))
                    yield from ((day, numbers) for day, numbers in days if first <= day <= last)

    def _folders(self, prefix: str) -> list[int]:
        return sorted((int(name[:-1]) for name in self._bucket.folders(prefix) if name[:-1].isdigit()), reverse=True)


def _by_day(names: Iterable[str]) -> list[tuple[date, list[int]]]:
    days: dict[date, list[int]] = {}
    for key in names:
        if segment := keys.segment_of(key):
            days.setdefault(segment[0], []).append(segment[1])
    return [(day, sorted(numbers)) for day, numbers in sorted(days.items(), reverse=True)]


def _read(found: Iterable[tuple[str, bytes]]) -> list[Line]:
    return [line_of(content) for _id, content in found]


class _Reading:
    """The lines of a day, newest first, from as few segments as that takes.

    A line is known to come next when its id is greater than ``after`` of the lowest segment that was read:
    no segment below has a greater one.
    """

    def __init__(self, day: Day, numbers: list[int], position: Position | None) -> None:
        self._day = day
        self._before = position.before if position else UNKNOWN
        self._resumed = [number for number in numbers if position and number in position.unfinished]
        self._below = position.below if position else max(numbers, default=0) + 1
        self._unread = [number for number in numbers if number < self._below]
        self._read: list[Segment] = []

    def lines(self, count: int) -> list[tuple[str, bytes]]:
        """The ids and bytes of the next lines, at most ``count``; fewer only at the day's end."""
        self._read = list(self._day.newest_first(self._resumed))
        floor = next((segment.after for segment in self._read if segment.number == self._below), UNKNOWN)
        while len(safe := self._safe(floor if self._unread else "")) < count and self._unread:
            self._below = self._unread.pop()
            segment = self._day.read(self._below)
            if segment:
                self._read.append(segment)
            floor = segment.after if segment else UNKNOWN
        return safe[:count]

    def position(self, last_id: str) -> Position:
        """Where the page after the one that ended with ``last_id`` begins."""
        unfinished = (segment.number for segment in self._read if min(segment.ids, default=UNKNOWN) < last_id)
        return Position(last_id, self._below, tuple(unfinished))

    def _safe(self, floor: str) -> list[tuple[str, bytes]]:
        lines = (line for segment in self._read for line in segment.unread if floor < line[0] < self._before)
        return sorted(lines, reverse=True)

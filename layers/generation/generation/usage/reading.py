"""Read the rows of a range: whole days from the rows of months, the two ends from the rows of their days.

However many calls there were, a range of 400 days takes at most 14 months and 2 days of each shard.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from generation.usage import histograms
from generation.usage.entries import Counters, Source, total
from generation.usage.histograms import Histogram
from generation.usage.ranges import QUARTERS_A_DAY, Range, day_of
from generation.usage.rows import Cell
from generation.usage.table import Key, UsageTable, day_key, month_key, shards_of

EPOCH = date(1970, 1, 1)


class Filter(NamedTuple):
    """Which sources count; None is any."""

    service: str | None = None
    provider: str | None = None
    model: str | None = None

    def fits(self, source: Source) -> bool:
        """Whether a source counts."""
        return all(wanted in (None, has) for wanted, has in zip(self, source, strict=True))


@dataclass(slots=True)
class Total:
    """Numbers of a range, or of a part of it."""

    counters: Counters = field(default_factory=Counters)
    latencies: Histogram = field(default_factory=dict)

    def add(self, counters: Counters, latencies: Mapping[int, int]) -> None:
        """Count more."""
        self.counters = self.counters.plus(counters)
        histograms.add(self.latencies, latencies)


def _plan(wanted: Range) -> dict[str, range | None]:
    """The rows that hold a range, by their sort keys, each with the slots that are in it; None is all of a month.

    These are months, of the first and the last of which only some days may be in it, and days that are cut.
    """
    whole_days = range(-(-wanted.start // QUARTERS_A_DAY), wanted.end // QUARTERS_A_DAY)
    plan: dict[str, range | None] = {}
    number = whole_days.start
    while number < whole_days.stop:
        day = day_of(number)
        days = min(_length(day) - day.day + 1, whole_days.stop - number)
        plan[month_key(day)] = None if days == _length(day) else range(day.day, day.day + days)
        number += days
    touched = (
        {wanted.start // QUARTERS_A_DAY, (wanted.end - 1) // QUARTERS_A_DAY} if wanted.end > wanted.start else set()
    )
    for number in sorted(touched - set(whole_days)):
        begins = number * QUARTERS_A_DAY
        first, end = max(wanted.start, begins), min(wanted.end, begins + QUARTERS_A_DAY)
        plan[day_key(day_of(number))] = range(first - begins, end - begins)
    return plan


def _length(day: date) -> int:
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return (following - day.replace(day=1)).days


def totals(
    table: UsageTable, whose: str, wanted: Range, filter_: Filter, *, with_latencies: bool = True
) -> dict[Source, Total]:
    """The numbers of a range by source."""
    found = table.sums(_rows(whose, wanted), with_latencies=with_latencies)
    return {one.source: Total(one.counters, one.latencies) for one in found if filter_.fits(one.source)}


def overall(table: UsageTable, whose: str, wanted: Range) -> tuple[dict[Source, Total], Histogram]:
    """The numbers of a range by source, without latencies, and the latencies of all sources together."""
    found, latencies = table.overall(_rows(whose, wanted))
    return {one.source: Total(one.counters) for one in found}, latencies


def _rows(whose: str, wanted: Range) -> dict[Key, range | None]:
    return {Key(f"{whose}#{shard}", sk): slots for sk, slots in _plan(wanted).items() for shard in shards_of(whose)}


def series(
    table: UsageTable, whose: str, wanted: Range, size: str, filter_: Filter, *, latencies: bool
) -> dict[tuple[Source, int], Total]:
    """The numbers of a range by source and by the start of a bucket (a quarter since the epoch)."""
    starts = wanted.buckets(size)
    found: dict[tuple[Source, int], Total] = {}
    place = {}
    for number, start in enumerate(starts):
        for quarter in range(start, starts[number + 1] if number + 1 < len(starts) else wanted.end):
            place[quarter] = start
    for begins, cell in _cells(table, whose, wanted, starts, latencies="h" if latencies else ""):
        if begins in place and filter_.fits(cell.source):
            found.setdefault((cell.source, place[begins]), Total()).add(cell.counters, cell.latencies)
    return found


def _cells(
    table: UsageTable, whose: str, wanted: Range, starts: list[int], *, latencies: str
) -> Iterator[tuple[int, Cell]]:
    """The cells of rows that are fine enough for the buckets, with the quarter in which each begins."""
    days = list(wanted.days)
    if not days:
        return
    if not any(edge % QUARTERS_A_DAY for edge in (*starts, wanted.end)):
        for sk, row in table.between(whose, month_key(days[0]), month_key(days[-1]), latencies):
            first = _number(date.fromisoformat(sk[2:] + "-01"))
            for cell in row.cells():
                yield (first + cell.slot - 1) * QUARTERS_A_DAY, cell
        return
    for sk, row in table.between(whose, day_key(days[0]), day_key(days[-1]), latencies):
        begins = _number(date.fromisoformat(sk[2:])) * QUARTERS_A_DAY
        for cell in row.cells():
            yield begins + cell.slot, cell


def by_user(table: UsageTable, wanted: Range, filter_: Filter) -> dict[str, Counters]:
    """The numbers of a range by user; whoever called nothing in it is not there."""
    found: dict[str, list[Counters]] = {}
    for whose, one in table.users(_plan(wanted)):
        if filter_.fits(one.source):
            found.setdefault(whose, []).append(one.counters)
    return {whose: total(counters) for whose, counters in found.items()}


def _number(day: date) -> int:
    return (day - EPOCH).days

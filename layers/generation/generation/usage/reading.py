"""Read the rows of a range: whole days from the rows of months, the two ends from the rows of their days.

However many calls there were, a range of 400 days takes at most 14 months and 2 days of each shard.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from generation.usage import histograms
from generation.usage.entries import Counters, Source, total
from generation.usage.histograms import Histogram
from generation.usage.ranges import QUARTERS_A_DAY, Range, day_of
from generation.usage.rows import Cell, Row, month_of
from generation.usage.table import SHARDS, Key, UsageTable, day_key, is_sharded, month_key

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


class _Plan(NamedTuple):
    """Which rows hold a range: months that are in it, months of which only some days are, and days that are cut."""

    whole_days: range
    whole_months: list[date]
    other_months: list[date]
    cut_days: list[date]


def _plan(wanted: Range) -> _Plan:
    whole = range(-(-wanted.start // QUARTERS_A_DAY), wanted.end // QUARTERS_A_DAY)
    months: dict[str, list[date]] = {}
    for number in whole:
        months.setdefault(month_of(day_of(number)), []).append(day_of(number))
    complete = [days for days in months.values() if len(days) == _length(days[0])]
    partial = [days for days in months.values() if len(days) != _length(days[0])]
    touched = (
        {wanted.start // QUARTERS_A_DAY, (wanted.end - 1) // QUARTERS_A_DAY} if wanted.end > wanted.start else set()
    )
    cut = sorted(day_of(number) for number in touched if number not in whole)
    return _Plan(whole, [days[0] for days in complete], [days[0] for days in partial], cut)


def _length(day: date) -> int:
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return (following - day.replace(day=1)).days


def totals(table: UsageTable, whose: str, wanted: Range, filter_: Filter = Filter()) -> dict[Source, Total]:  # noqa: B008  it is a constant
    """The numbers of a range by source."""
    plan = _plan(wanted)
    found: dict[Source, Total] = {}

    def add(cells: Iterable[Cell], *, counted: Callable[[Cell], bool]) -> None:
        for cell in cells:
            if filter_.fits(cell.source) and counted(cell):
                found.setdefault(cell.source, Total()).add(cell.counters, cell.latencies)

    shards = range(SHARDS if is_sharded(whose) else 1)

    def rows(sort_keys: Iterable[str], latencies: str) -> list[tuple[Key, Row]]:
        return table.read([Key(f"{whose}#{shard}", sk) for sk in sort_keys for shard in shards], latencies)

    for _, row in rows(map(month_key, plan.whole_months), "t"):
        add(row.cells(), counted=lambda _cell: True)
        for source, latencies in row.latencies.items():
            if filter_.fits(source):
                histograms.add(found.setdefault(source, Total()).latencies, latencies[0])
    for key, row in rows(map(month_key, plan.other_months), "h"):
        first = date.fromisoformat(key.sk[2:] + "-01")
        add(row.cells(), counted=lambda cell, first=first: _number(first) + cell.slot - 1 in plan.whole_days)  # type: ignore[misc]
    for key, row in rows(map(day_key, plan.cut_days), "h"):
        begins = _number(date.fromisoformat(key.sk[2:])) * QUARTERS_A_DAY
        add(row.cells(), counted=lambda cell, begins=begins: wanted.start <= begins + cell.slot < wanted.end)  # type: ignore[misc]
    return found


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
    plan = _plan(wanted)
    found: dict[str, list[Counters]] = {}
    periods = [*map(month_key, (*plan.whole_months, *plan.other_months)), *map(day_key, plan.cut_days)]
    for whose, sk, row in table.users(periods):
        is_day = sk.startswith("d#")
        first = _number(date.fromisoformat(sk[2:] if is_day else sk[2:] + "-01"))
        for cell in row.cells():
            if is_day:
                counts = wanted.start <= first * QUARTERS_A_DAY + cell.slot < wanted.end
            else:
                counts = first + cell.slot - 1 in plan.whole_days
            if counts and filter_.fits(cell.source):
                found.setdefault(whose, []).append(cell.counters)
    return {whose: total(counters) for whose, counters in found.items()}


def _number(day: date) -> int:
    return (day - EPOCH).days

"""The rows of usage: a day in UTC with numbers by quarter of an hour, or a month by day, of a user or of everybody.

In a row each source has counters and a histogram per slot (a quarter of the day, a day of the month), as far as there
are any. Both are compressed JSON: a row is written whole, with the version that was read as its condition, and read at
the speed of a JSON parser.

How large a row gets: ``SOURCES`` sources at most, 96 slots at most, 12 numbers and a histogram each. With all of that
in use, numbers by chance, and 40 buckets in every histogram (latencies that differ by a factor of 45 in every quarter
of an hour), a row of a day has 235 KB; DynamoDB takes 400. A month's has a third of the slots.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from itertools import zip_longest
from typing import Any, NamedTuple, Self

from generation.usage import histograms
from generation.usage.entries import Counters, Entry, Source, packed, total
from generation.usage.histograms import Histogram

EVERYBODY = "everybody"
SOURCES = 32
"""A row has this many sources; further models of a provider are counted together as OTHER."""
OTHER = "other"
# Texts up to this size are kept as they were read; those of a day with some thousand calls have 20 KB.
_KEPT_BYTES = 64 * 1024


class Cell(NamedTuple):
    """The numbers of a source in a slot, and its latencies where they were asked for."""

    source: Source
    slot: int
    counters: Counters
    latencies: Mapping[int, int]


class Sum(NamedTuple):
    """The numbers of a source in some rows, and its latencies where they were asked for."""

    source: Source
    counters: Counters
    latencies: Histogram


@dataclass(slots=True)
class Row:
    """Numbers by source and slot. ``latencies`` is empty where a reader left it out."""

    counters: dict[Source, dict[int, Counters]] = field(default_factory=dict)
    latencies: dict[Source, dict[int, Histogram]] = field(default_factory=dict)

    def add(self, entry: Entry, slot: int) -> None:
        """Count a call."""
        made_by = self._place(entry.source)
        slots = self.counters.setdefault(made_by, {})
        slots[slot] = slots.get(slot, Counters()).plus(entry.counters)
        if entry.latency_ms is not None:
            histogram = self.latencies.setdefault(made_by, {}).setdefault(slot, {})
            histograms.add(histogram, {histograms.bucket(entry.latency_ms): 1})

    def _place(self, made_by: Source) -> Source:
        if made_by in self.counters or len(self.counters) < SOURCES:
            return made_by
        return made_by._replace(model=OTHER)

    def cells(self) -> Iterator[Cell]:
        """What the row holds."""
        for made_by, slots in self.counters.items():
            latencies = self.latencies.get(made_by, {})
            for slot, counters in slots.items():
                yield Cell(made_by, slot, counters, latencies.get(slot, {}))

    def without(self, slot: int) -> Self:
        """The row without what it holds of one slot."""
        return type(self)(_without(self.counters, slot), _without(self.latencies, slot))

    def only(self, slot: int) -> Self:
        """What the row holds of one slot."""
        return type(self)(
            {made_by: {slot: slots[slot]} for made_by, slots in self.counters.items() if slot in slots},
            {made_by: {slot: slots[slot]} for made_by, slots in self.latencies.items() if slot in slots},
        )

    def __iadd__(self, other: Self) -> Self:
        """Add what another row holds."""
        for cell in other.cells():
            slots = self.counters.setdefault(cell.source, {})
            slots[cell.slot] = slots.get(cell.slot, Counters()).plus(cell.counters)
            if cell.latencies:
                known = self.latencies.setdefault(cell.source, {}).setdefault(cell.slot, {})
                histograms.add(known, cell.latencies)
        return self

    def pack(self) -> dict[str, bytes]:
        """The row as the table keeps it.

        ``c`` are the counters by source and slot, ``h`` the latencies, and ``s`` and ``t`` the same of all slots
        together; ``a`` are the latencies by slot of all sources together, and ``z`` those of all slots.
        """
        by_slot: dict[int, list[Histogram]] = {}
        for slots in self.latencies.values():
            for slot, found in slots.items():
                by_slot.setdefault(slot, []).append(found)
        together = {slot: histograms.total(several) for slot, several in by_slot.items()}
        return {
            "a": _dumps({slot: histograms.packed(found) for slot, found in together.items()}),
            "z": _dumps({0: histograms.packed(histograms.total(together.values()))}),
            "s": _dumps({_name(one): packed(total(slots.values())) for one, slots in self.counters.items()}),
            "c": _dumps(
                {
                    _name(one): {slot: packed(found) for slot, found in slots.items()}
                    for one, slots in self.counters.items()
                }
            ),
            "h": _dumps(
                {
                    _name(one): {slot: histograms.packed(found) for slot, found in slots.items()}
                    for one, slots in self.latencies.items()
                }
            ),
            "t": _dumps(
                {
                    _name(one): {0: histograms.packed(histograms.total(slots.values()))}
                    for one, slots in self.latencies.items()
                }
            ),
        }

    @classmethod
    def unpack(cls, item: Mapping[str, bytes], latencies: str = "h") -> Self:
        """The row of ``pack``. ``latencies`` is ``h``, or empty where they are not to be read."""
        zeros = (0,) * len(Counters._fields)
        return cls(
            {
                _source(name): {int(slot): Counters(*found, *zeros[len(found) :]) for slot, found in slots.items()}
                for name, slots in _loads(item["c"]).items()
            },
            {
                _source(name): {int(slot): histograms.unpacked(histogram) for slot, histogram in slots.items()}
                for name, slots in (_loads(item[latencies]) if latencies else {}).items()
            },
        )


def sums(packed_rows: Iterable[tuple[Mapping[str, bytes], range | None]]) -> Iterator[Sum]:
    """What packed rows hold together of each source, each row in some of its slots or, with None, in all.

    Latencies are those of the rows that have them. Of all slots only ``s`` and ``t`` are read, and numbers are added as
    they are: a year is read in a moment.
    """
    numbers: dict[str, list[list[int]]] = {}
    latencies: dict[str, list[histograms.Packed]] = {}
    for item, slots in packed_rows:
        if slots is None:
            for name, found in _loads(item["s"]).items():
                numbers.setdefault(name, []).append(found)
        else:
            for name, by_slot in _slots(item["c"]).items():
                numbers.setdefault(name, []).extend(_within(by_slot, slots))
        kind, read = ("t", _loads) if slots is None else ("h", _slots)
        for name, by_slot in (read(item[kind]) if kind in item else {}).items():
            latencies.setdefault(name, []).extend(by_slot.values() if slots is None else _within(by_slot, slots))
    for name, lists in numbers.items():
        if lists:
            yield Sum(_source(name), _total(lists), histograms.total(latencies.get(name, ())))


def latencies(packed_rows: Iterable[tuple[Mapping[str, bytes], range | None]]) -> Histogram | None:
    """The latencies that packed rows hold together, of all sources; None when one does not have them.

    Rows that were last written before there were ``a`` and ``z`` have not.
    """
    found: list[histograms.Packed] = []
    for item, slots in packed_rows:
        kind = "z" if slots is None else "a"
        if kind not in item:
            return None
        by_slot = _loads(item[kind]) if slots is None else _slots(item[kind])
        found.extend(by_slot.values() if slots is None else _within(by_slot, slots))
    return histograms.total(found)


def _slots(text: bytes) -> Any:
    """Numbers by slot, to be read only: most of what takes time of a range is a day that it cuts, and that is over."""
    return _kept(text) if len(text) <= _KEPT_BYTES else _loads(text)


@lru_cache(maxsize=16)
def _kept(text: bytes) -> Any:
    return _loads(text)


def _within(by_slot: Mapping[str, Any], slots: range) -> list[Any]:
    return [by_slot[slot] for slot in map(str, slots) if slot in by_slot]


def _total(lists: Iterable[list[int]]) -> Counters:
    columns = list(zip_longest(*lists, fillvalue=0))
    columns += [(0,)] * (len(Counters._fields) - len(columns))
    return Counters._make([*map(sum, columns[:-1]), max(columns[-1])])


def month_of(day: date) -> str:
    """A month as keys write it."""
    return day.isoformat()[:7]


def by_day(entries: Iterable[Entry]) -> Row:
    """A day's row of some calls of that day."""
    row = Row()
    for entry in entries:
        row.add(entry, entry.quarter)
    return row


def by_month(entries: Iterable[Entry]) -> Row:
    """A month's row of some calls of that month."""
    row = Row()
    for entry in entries:
        row.add(entry, entry.at.day)
    return row


def _without(numbers: Mapping[Source, Mapping[int, Any]], slot: int) -> dict[Source, dict[int, Any]]:
    remaining = {
        made_by: {each: found for each, found in slots.items() if each != slot} for made_by, slots in numbers.items()
    }
    return {made_by: slots for made_by, slots in remaining.items() if slots}


def _dumps(document: Mapping[Any, Any]) -> bytes:
    return zlib.compress(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode())


def _loads(content: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(zlib.decompress(content))
    return document


@lru_cache(maxsize=1024)
def _name(made_by: Source) -> str:
    return json.dumps(made_by, ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=1024)
def _source(name: str) -> Source:
    return Source(*json.loads(name))

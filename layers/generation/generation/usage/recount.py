"""Compare a day of usage with the records of S3 and, when asked to, make it what they and the ledger say.

The ledger has what S3 has no more, or never had: deleted generations and failed calls. So first every record that is
not in the ledger is counted as its event would have counted it, which is also how records come in that were made before
there was usage. Then the rows of everybody who is in the day's ledger are compared with its sums. Rows are replaced
only if nobody has written them since before the ledger was read; so the platform may go on meanwhile.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Self

from generation import keys, records
from generation.indexing import in_parallel
from generation.providers import Deadline
from generation.storage import Bucket
from generation.usage.counting import Source
from generation.usage.entries import FORGOTTEN, Entry
from generation.usage.rows import EVERYBODY, Row, by_day
from generation.usage.table import Key, Stored, UsageTable, as_slot, day_key

_TRIES = 8


@dataclass(slots=True)
class Findings:
    """What was looked at, and what is wrong.

    ``missing``: ids of records that were not counted. ``differing``: ids that were counted as something else than
    their records say. ``unreadable``: ids of records that are not valid. ``rows``: whose rows are not the sums of
    their calls, with the day. ``busy``: those that could not be put right because they were written all the time.
    """

    records: int = 0
    missing: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)

    def __iadd__(self, other: Self) -> Self:
        """Add the findings of another day."""
        self.records += other.records
        self.missing += other.missing
        self.differing += other.differing
        self.unreadable += other.unreadable
        self.rows += other.rows
        self.busy += other.busy
        return self

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.missing or self.differing or self.unreadable or self.rows or self.busy)


@dataclass(frozen=True, slots=True)
class Recount:
    """Compares, and puts right, the usage of all services together."""

    sources: Sequence[Source]
    table: UsageTable

    def day(self, day: date, deadline: Deadline, *, repair: bool = False) -> Findings:
        """What is wrong with a day, in UTC; with ``repair`` it is put right. Raises ``ServiceUnavailable``."""
        findings = Findings()
        found = self._records(day, findings)
        counted = {entry.id: entry for entry in self.table.ledger(day)}
        missing = [entry for entry in found if entry.id not in counted]
        differing = [entry for entry in found if counted.get(entry.id, entry) not in (entry, _forgotten(entry))]
        findings.missing += [entry.id for entry in missing]
        findings.differing += [entry.id for entry in differing]
        if repair:
            findings.busy += self.table.count(missing, deadline)
            for entry in differing:
                self.table.correct(_forgotten(entry) if counted[entry.id].user_id == FORGOTTEN else entry)
        for whose in sorted(self._owners(day, [*counted.values(), *missing, *differing])):
            self._rows(whose, day, findings, repair=repair)
        return findings

    def _rows(self, whose: str, day: date, findings: Findings, *, repair: bool) -> None:
        for number in range(_TRIES):
            read = self.table.own_days(whose, day)
            # After the rows: whatever is counted meanwhile changes their versions.
            right = by_day(entry for entry in self.table.ledger(day) if whose in (EVERYBODY, entry.user_id))
            if _is_right(read, whose, day, right):
                return
            if not repair:
                # Once more, since something may have been counted between the one and the other.
                if number:
                    findings.rows.append(f"{whose} {day}")
                    return
                continue
            if self.table.replace(whose, day, read, right):
                findings.rows.append(f"{whose} {day}")
                return
        findings.busy.append(f"{whose} {day}")

    def _owners(self, day: date, entries: Iterable[Entry]) -> set[str]:
        owners = {entry.user_id for entry in entries} - {FORGOTTEN}
        owners |= {whose for whose, _ in self.table.users({day_key(day): None})}
        return owners | {EVERYBODY}

    def _records(self, day: date, findings: Findings) -> list[Entry]:
        found = []
        for source in self.sources:
            wanted = list(_record_ids(source.bucket, day))
            findings.records += len(wanted)
            for record_id, entry in in_parallel(lambda one, source=source: _entry(source, one), wanted).items():  # type: ignore[misc]
                if isinstance(entry, Entry):
                    found.append(entry)
                elif entry:
                    findings.unreadable.append(record_id)
        return found


def _is_right(read: dict[Key, Stored], whose: str, day: date, right: Row) -> bool:
    days, months = Row(), Row()
    for key, stored in read.items():
        if key.sk == day_key(day):
            days += stored.row
        else:
            months += stored.row.only(day.day)
    return days == right and months == as_slot(right, day.day)


def _entry(source: Source, record_id: str) -> Entry | str:
    """The entry of a record; why there is none, or nothing for one that was deleted meanwhile."""
    stored = source.bucket.get(keys.record_object(record_id))
    if stored is None:
        return ""
    try:
        return source.of(record_id, stored.content)
    except records.InvalidRecord as error:
        return str(error)


def _record_ids(bucket: Bucket, day: date) -> Iterable[str]:
    for key in bucket.keys(f"requests/{keys.day_path(day)}/"):
        if record_id := keys.record_id_of(key):
            yield record_id


def _forgotten(entry: Entry) -> Entry:
    return Entry(entry.id, FORGOTTEN, entry.source, entry.counters, entry.latency_ms)

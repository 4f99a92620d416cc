"""Compare a day's history with its records and, when asked to, make it what the records say.

Runs beside the platform: a record whose event may still be on its way is left alone, and every finding is looked
at again before it counts, so that nothing changes when nothing is wrong.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Self

from core import ids, times
from core.errors import ServiceUnavailable
from generation import keys, records
from generation.indexing import append_of_records, in_parallel
from generation.providers import Deadline
from generation.records import Line, Record
from generation.segments import SEGMENT_BYTES, Day, Segment, UnreadableSegment
from generation.services import Service
from generation.storage import Bucket
from generation.tombstones import Tombstone

GRACE = timedelta(seconds=10)
"""How long ago a record was made or deleted whose event should have come by now."""
_DAY_SECONDS = 600.0


@dataclass(slots=True)
class Findings:
    """What is wrong in a day, as ids by kind, and how much was looked at.

    ``missing``: a record without a line. ``doubled``: more than one line. ``orphaned``: a line without a record, or
    in another user's history. ``differing``: a line that is not what its record says. ``unreadable``: a record that
    is not valid.
    """

    records: int = 0
    lines: int = 0
    missing: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def __iadd__(self, other: Self) -> Self:
        """Add the findings of another day."""
        self.records += other.records
        self.lines += other.lines
        self.missing += other.missing
        self.doubled += other.doubled
        self.orphaned += other.orphaned
        self.differing += other.differing
        self.unreadable += other.unreadable
        return self

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.missing or self.doubled or self.orphaned or self.differing or self.unreadable)


class Auditor:
    """Compares, and repairs, the history of one service."""

    def __init__(
        self,
        service: Service,
        bucket: Bucket,
        *,
        grace: timedelta = GRACE,
        clock: Callable[[], datetime] = times.now,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self._service = service
        self._bucket = bucket
        self._grace = grace
        self._clock = clock
        self._segment_bytes = segment_bytes

    def audit(self, day: date, *, user_id: str | None = None, repair: bool = False) -> Findings:
        """What is wrong with the histories of the day, of one user or of all; with ``repair`` it is put right.

        Raises ``ServiceUnavailable``, also when a segment does not hold lines of ours: its key is in the message.
        """
        findings = Findings()
        known = self._records(day, findings)
        owners = {user_id} if user_id else self._owners() | {record["userId"] for record in known.values()}
        for owner in sorted(owners):
            self._audit_user(owner, day, known, findings, repair=repair)
        return findings

    def _audit_user(
        self, owner: str, day: date, known: Mapping[str, Record], findings: Findings, *, repair: bool
    ) -> None:
        index = Day(self._service, self._bucket, owner, day, segment_bytes=self._segment_bytes)
        wanted = {
            record_id: records.line(self._service, record)
            for record_id, record in known.items()
            if record["userId"] == owner
        }
        settled = self._clock() - self._grace
        present = [line for segment in index.newest_first(index.numbers()) for line in self._lines(owner, day, segment)]
        counts = Counter(line["id"] for line in present)
        doubled = [record_id for record_id, count in counts.items() if count > 1]
        differing = {line["id"] for line in present if line != wanted.get(line["id"], line)}
        # Records come and go while the day is read: look again at what does not fit.
        missing = self._still(
            (one for one in wanted.keys() - counts.keys() if ids.created_at(one) <= settled),
            lambda found: _is_of(found, owner),
        )
        orphaned = self._still(counts.keys() - wanted.keys(), lambda found: not _is_of(found, owner))
        leaving = in_parallel(lambda record_id: self._was_deleted_after(settled, record_id), orphaned)
        orphaned = [record_id for record_id in orphaned if not leaving[record_id]]
        findings.records += len(wanted)
        findings.lines += len(present)
        findings.missing += missing
        findings.doubled += sorted(doubled)
        findings.orphaned += orphaned
        findings.differing += sorted(differing)
        if repair:
            deadline = Deadline(_DAY_SECONDS)
            if doubled:
                index.deduplicate(deadline)
            if orphaned or differing:
                index.remove([*orphaned, *differing], deadline)
            append_of_records(self._bucket, index, [wanted[one] for one in (*missing, *differing)], deadline)

    def _lines(self, owner: str, day: date, segment: Segment) -> list[Line]:
        """The segment's lines. Raises ``ServiceUnavailable`` that names the one that an operator has to move away."""
        try:
            return segment.lines
        except UnreadableSegment as error:
            key = keys.history_segment(self._service, owner, day, segment.number)
            raise ServiceUnavailable(f"{key} does not hold lines of ours.", retry_after=60) from error

    def _still(self, record_ids: Iterable[str], is_wrong: Callable[[Record | None], bool]) -> list[str]:
        """Those of the ids whose record, read now, is as wrong as it seemed."""
        now = in_parallel(self._read, sorted(record_ids))
        return [
            record_id
            for record_id, record in now.items()
            if not isinstance(record, records.InvalidRecord) and is_wrong(record)
        ]

    def _was_deleted_after(self, moment: datetime, record_id: str) -> bool:
        tombstone = Tombstone.read(self._bucket, record_id)
        return tombstone is not None and tombstone.deleted_at > moment

    def _records(self, day: date, findings: Findings) -> dict[str, Record]:
        found = (keys.record_id_of(key) for key in self._bucket.keys(f"requests/{keys.day_path(day)}/"))
        known: dict[str, Record] = {}
        for record_id, record in in_parallel(self._read, [one for one in found if one]).items():
            if isinstance(record, records.InvalidRecord):
                findings.unreadable.append(record_id)
            elif record is not None:
                known[record_id] = record
        return known

    def _read(self, record_id: str) -> Record | records.InvalidRecord | None:
        """The record, what is wrong with it, or None when there is none (any more)."""
        stored = self._bucket.get(keys.record_object(record_id))
        try:
            return records.loads(self._service, record_id, stored.content) if stored else None
        except records.InvalidRecord as error:
            return error

    def _owners(self) -> set[str]:
        return {folder.rstrip("/") for folder in self._bucket.folders("users/")}


def _is_of(record: Record | None, owner: str) -> bool:
    return record is not None and record["userId"] == owner

"""The index of one user's day: a sequence of segments, of which only the last one is appended to.

The first segment is ``{dd}.jsonl``, the next ones ``{dd}.0001.jsonl`` and so on. A segment that has reached
``SEGMENT_BYTES`` is closed, and the line after it begins the next; one that shrank by a deletion stays closed, which
a blank line at its start tells. Each segment carries, as metadata, ``after``: no id in an earlier segment is greater.
Since ids are ordered by time, that one bound tells which segments can hold an id, without reading the day:

    a new line's id is greater than ``after`` of the last segment, so only that one can hold it already;
    an id that is late makes the walk go back as far as segments that are as old as the id.

Every write is one conditional PUT, so a writer that was overtaken reads again, and an event may come twice.
"""

import json
import random
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, partial
from typing import Final, TypeVar

from core import ids
from core.errors import ServiceUnavailable
from generation import keys, records
from generation.providers import Deadline
from generation.records import Line
from generation.services import Service
from generation.storage import Bucket, Conflicted, Stored

SEGMENT_BYTES: Final = 1024 * 1024
CONTENT_TYPE = "application/x-ndjson"
_BACKOFF_SECONDS = 0.02
_BACKOFF_MOST_SECONDS = 1.0
_DOUBLINGS = 10
# A whole day may be appended at once; no segment grows by much more than its size.
_LINES_AT_ONCE = 1000
# Greater than every id: where a segment lost its metadata, any earlier one may hold anything.
UNKNOWN = "g"
# Begins a closed segment that shrank. It is content because the ETag is of the content alone: whoever read the
# segment while it was open and held the same lines must not be able to append to it now.
_SHRUNK = b"\n"
# A line as it is written: its id is the first that it says.
_LINE = re.compile(
    rb'^\{"id":"([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})",.*\}\n', re.MULTILINE
)

ResultT = TypeVar("ResultT")


class UnreadableSegment(ServiceUnavailable):
    """A segment does not hold lines of ours, which no repetition changes."""


@dataclass(frozen=True)
class Segment:
    """One segment as it was read."""

    number: int
    stored: Stored

    @property
    def after(self) -> str:
        """No id in an earlier segment is greater than this."""
        return self.stored.metadata.get("after", UNKNOWN if self.number else "")

    def is_closed(self, limit: int) -> bool:
        """Whether lines are no longer appended to it: it has reached the limit, now or before it shrank."""
        return len(self.stored.content) >= limit or self.stored.content.startswith(_SHRUNK)

    @cached_property
    def lines(self) -> list[Line]:
        """Its lines, as they were appended. Raises ``UnreadableSegment``."""
        return [line_of(each) for each in self.stored.content.removeprefix(_SHRUNK).splitlines()]

    @cached_property
    def unread(self) -> list[tuple[str, bytes]]:
        """The id and the bytes of each of its lines, as they were appended. Raises ``UnreadableSegment``.

        Reading all lines of a segment takes much longer than finding them.
        """
        content = self.stored.content.removeprefix(_SHRUNK)
        found = [(match[1].decode(), match[0]) for match in _LINE.finditer(content)]
        if sum(len(line) for _id, line in found) == len(content) and (not found or ids.is_valid(max(found)[0])):
            return found
        return [(line["id"], records.dumps(line)) for line in self.lines]

    @cached_property
    def ids(self) -> list[str]:
        """The ids of its lines."""
        return [line_id for line_id, _line in self.unread]


def line_of(content: bytes) -> Line:
    """The line that these bytes are. Raises ``UnreadableSegment``."""
    try:
        line: Line = json.loads(content)
        if not ids.is_valid(line["id"]):
            raise ValueError("no id of ours")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableSegment("The history cannot be read.", retry_after=60) from error
    return line


class Day:
    """The segments of one user's day."""

    def __init__(
        self, service: Service, bucket: Bucket, user_id: str, day: date, *, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._service = service
        self._bucket = bucket
        self._user_id = user_id
        self._day = day
        self._segment_bytes = segment_bytes

    def append(self, lines: Sequence[Line], deadline: Deadline) -> list[str]:
        """Add the lines that the day does not have yet; returns the ids of those that were surely added by this call.

        Raises ``ServiceUnavailable`` when storage fails or others win every race until the deadline.
        """
        added: list[str] = []
        for start in range(0, len(lines), _LINES_AT_ONCE):
            some = lines[start : start + _LINES_AT_ONCE]
            added += _until_done(partial(self._append, some), deadline)
        return added

    def remove(self, ids: Collection[str], deadline: Deadline) -> list[str]:
        """Take the lines with these ids out; returns the ids that were there. Raises like ``append``."""
        removed: set[str] = set()
        _until_done(lambda: self._remove(set(ids), removed), deadline)
        return sorted(removed)

    def deduplicate(self, deadline: Deadline) -> list[str]:
        """Keep one line of each id; returns the ids that had more. Raises like ``append``."""
        doubled: set[str] = set()
        _until_done(lambda: self._deduplicate(doubled), deadline)
        return sorted(doubled)

    def numbers(self) -> list[int]:
        """The numbers of the day's segments, ascending."""
        first = keys.history_segment(self._service, self._user_id, self._day, 0)
        found = (keys.segment_of(key) for key in self._bucket.keys(first.removesuffix("jsonl")))
        return sorted(segment[1] for segment in found if segment)

    def read(self, number: int) -> Segment | None:
        """A segment, or None when there is none of that number."""
        stored = self._bucket.get(self._key(number))
        return Segment(number, stored) if stored else None

    def newest_first(self, numbers: Iterable[int]) -> Iterator[Segment]:
        """The segments of these ascending numbers that are there, the last one first, each read when asked for."""
        for number in reversed(list(numbers)):
            segment = self.read(number)
            if segment:
                yield segment

    def _append(self, lines: Sequence[Line]) -> list[str]:
        fresh = {line["id"]: line for line in lines}
        last: Segment | None = None
        for segment in self.newest_first(self.numbers()):
            last = last or segment
            for present in segment.ids:
                fresh.pop(present, None)
            if not fresh or min(fresh) > segment.after:
                break
        if fresh:
            self._write_after(last, sorted(fresh.values(), key=lambda line: line["id"]))
        return sorted(fresh)

    def _write_after(self, last: Segment | None, lines: Sequence[Line]) -> None:
        if last is None:
            self._write(0, lines, expected=None, metadata={})
        elif last.is_closed(self._segment_bytes):
            after = max([last.after, *last.ids])
            self._write(last.number + 1, lines, expected=None, metadata={"after": after})
        else:
            self._write(
                last.number,
                lines,
                expected=last.stored.etag,
                metadata=last.stored.metadata,
                content=last.stored.content,
            )

    def _remove(self, ids: set[str], removed: set[str]) -> None:
        wanted = ids - removed
        for segment in self.newest_first(self.numbers()):
            here = wanted.intersection(segment.ids)
            if here:
                self._rewrite(segment, [line for line in segment.lines if line["id"] not in here])
                removed |= here
            wanted -= here
            if not wanted or min(wanted) > segment.after:
                break

    def _deduplicate(self, doubled: set[str]) -> None:
        seen: set[str] = set()
        for segment in self.newest_first(self.numbers()):
            kept: list[Line] = []
            again: set[str] = set()
            for line in segment.lines:
                if line["id"] in seen:
                    again.add(line["id"])
                else:
                    kept.append(line)
                    seen.add(line["id"])
            if again:
                self._rewrite(segment, kept)
                doubled |= again

    def _rewrite(self, segment: Segment, lines: Sequence[Line]) -> None:
        """Write the segment with fewer lines. One that is full stays closed: a later one may exist already."""
        self._write(
            segment.number,
            lines,
            expected=segment.stored.etag,
            metadata=segment.stored.metadata,
            content=_SHRUNK if segment.is_closed(self._segment_bytes) else b"",
        )

    def _write(
        self,
        number: int,
        lines: Sequence[Line],
        *,
        expected: str | None,
        metadata: Mapping[str, str],
        content: bytes = b"",
    ) -> None:
        added = b"".join(records.dumps(line) + b"\n" for line in lines)
        self._bucket.replace(self._key(number), content + added, CONTENT_TYPE, expected=expected, metadata=metadata)

    def _key(self, number: int) -> str:
        return keys.history_segment(self._service, self._user_id, self._day, number)


def _until_done(work: Callable[[], ResultT], deadline: Deadline) -> ResultT:
    """Repeat work that lost a race or met a failure of storage, with growing pauses, until the deadline."""
    attempt = 0
    while True:
        try:
            return work()
        except UnreadableSegment:
            raise
        except (Conflicted, ServiceUnavailable) as error:
            # Full jitter: writers that collided once should not collide again.
            pause = random.uniform(0, min(_BACKOFF_MOST_SECONDS, _BACKOFF_SECONDS * 2 ** min(attempt, _DOUBLINGS)))  # noqa: S311
            attempt += 1
            if pause >= deadline.remaining():
                raise ServiceUnavailable("The history is busy.", retry_after=1) from error
            time.sleep(pause)

"""Keep the history as the records are: a line for each record, none for a record that was deleted.

An event only says which record to look at; what is done follows from what is there. So events may come twice,
late, and in any order. A message that cannot be processed is reported by its id (partial batch failure) and alone
goes back to the queue; after the queue's last attempt it is in the dead-letter queue.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from typing_extensions import TypedDict

from core import ids
from core.errors import ServiceUnavailable
from core.logging import logger
from generation import events, keys, records
from generation.library import Library
from generation.providers import Deadline
from generation.records import Line
from generation.segments import Day
from generation.storage import Bucket
from generation.tombstones import Tombstone

READERS = 8
# What the function needs, after the last attempt, to report the messages that failed.
_REPORT_SECONDS = 3.0

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class ItemFailure(TypedDict):
    """The message that is to be delivered again."""

    itemIdentifier: str


class BatchResponse(TypedDict):
    """What the SQS event source mapping expects with ``ReportBatchItemFailures``."""

    batchItemFailures: list[ItemFailure]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the history should hold of one record: its line, or no line."""

    record_id: str
    user_id: str
    line: Line | None


class _Unprocessable(Exception):
    """Why a record cannot be indexed."""


def index(library: Library, event: Mapping[str, Any], remaining_ms: int) -> BatchResponse:
    """Bring the history up to date with the records that an SQS batch of S3 notifications tells of."""
    deadline = Deadline(remaining_ms / 1000 - _REPORT_SECONDS)
    failed: dict[str, str] = {}
    told: dict[str, list[str]] = {}
    for message_id, body in events.messages(event):
        try:
            told[message_id] = events.record_ids(body, library.bucket.name)
        except events.PoisonMessage as error:
            failed[message_id] = str(error)

    record_ids = sorted({record_id for group in told.values() for record_id in group})
    looked_at = in_parallel(lambda record_id: _look(library, record_id), record_ids)
    reasons = {one: str(found) for one, found in looked_at.items() if isinstance(found, _Unprocessable)}
    wanted = [found for found in looked_at.values() if isinstance(found, _Wanted)]
    for (user_id, day), group in _by_index(wanted).items():
        try:
            _bring_up_to_date(library.bucket, library.day(user_id, day), group, deadline)
        except ServiceUnavailable as error:
            reasons |= {one.record_id: str(error) for one in group}

    for message_id, told_ids in told.items():
        for record_id in reasons.keys() & told_ids:
            failed[message_id] = reasons[record_id]
    for message_id, reason in failed.items():
        logger.error("message not indexed", message_id=message_id, reason=reason)
    logger.info("indexed", messages=len(event["Records"]), records=len(record_ids), failed=len(failed))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def in_parallel(work: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> dict[ItemT, ResultT]:
    """What the work returns for each item; a few at a time, since it waits for S3."""
    listed = list(items)
    with ThreadPoolExecutor(READERS) as readers:
        return dict(zip(listed, readers.map(work, listed), strict=True))


def _look(library: Library, record_id: str) -> _Wanted | _Unprocessable:
    try:
        stored = library.bucket.get(keys.record_object(record_id))
        if stored is None:
            tombstone = Tombstone.read(library.bucket, record_id)
            return _Wanted(record_id, tombstone.user_id, None) if tombstone else _Unprocessable("the record is gone")
        record = records.loads(library.service, record_id, stored.content)
    except (ServiceUnavailable, records.InvalidRecord) as error:
        return _Unprocessable(f"the record cannot be read: {error}")
    return _Wanted(record_id, record["userId"], records.line(library.service, record))


def _by_index(wanted: Iterable[_Wanted]) -> dict[tuple[str, date], list[_Wanted]]:
    groups: dict[tuple[str, date], list[_Wanted]] = {}
    for one in wanted:
        groups.setdefault((one.user_id, ids.created_at(one.record_id).date()), []).append(one)
    return groups


def _bring_up_to_date(bucket: Bucket, day: Day, group: list[_Wanted], deadline: Deadline) -> None:
    """Append and remove lines. Raises ``ServiceUnavailable``; may be repeated."""
    append_of_records(bucket, day, [one.line for one in group if one.line], deadline)
    if gone := [one.record_id for one in group if one.line is None]:
        day.remove(gone, deadline)


def append_of_records(bucket: Bucket, day: Day, lines: Sequence[Line], deadline: Deadline) -> None:
    """Append the lines of records that were there a moment ago, and take back those whose record has gone since.

    The event of such a deletion may have been processed before the line was there. Lines that were there already are
    looked after, too: who appended them may have ended before this. Raises ``ServiceUnavailable``.
    """
    day.append(lines, deadline)
    remains = in_parallel(
        lambda record_id: bucket.exists(keys.record_object(record_id)), [line["id"] for line in lines]
    )
    if gone := [record_id for record_id, is_there in remains.items() if not is_there]:
        day.remove(gone, deadline)

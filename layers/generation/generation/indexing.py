"""Keep the history as the records are: a line for each record, none for a record that was deleted.

An event only says which record to look at; what is done follows from what is there. So events may come twice,
late, and in any order. A message that cannot be processed is reported by its id (partial batch failure) and alone
goes back to the queue; after the queue's last attempt it is in the dead-letter queue.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, TypeVar

from typing_extensions import TypedDict

from core import ids
from core.errors import ServiceUnavailable
from core.logging import logger
from generation import events, keys, records, tombstones
from generation.library import Library
from generation.providers import Deadline
from generation.records import Line
from generation.segments import Day
from generation.storage import Bucket
from generation.tombstones import Tombstone

READERS = 8
# As many are asked for one by one: at once they take as long as a list, of which S3 charges twelve times as much.
FEW = READERS
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
    reasons |= _bring_up_to_date(library, wanted, deadline)

    for message_id, told_ids in told.items():
        for record_id in reasons.keys() & told_ids:
            failed[message_id] = reasons[record_id]
    for message_id, reason in failed.items():
        logger.error("message not indexed", message_id=message_id, reason=reason)
    logger.info("indexed", messages=len(event["Records"]), records=len(record_ids), failed=len(failed))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def in_parallel(work: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> dict[ItemT, ResultT]:
    """What the work returns for each item; a few at a time, since it waits for S3. Raises what the first to fail did.

    When it returns, or raises, nothing goes on. The work must not call it, since it would wait for its own thread.
    """
    listed = list(items)
    if len(listed) == 1:
        return {one: work(one) for one in listed}
    begun = [_readers().submit(work, one) for one in listed]
    try:
        return {one: each.result() for one, each in zip(listed, begun, strict=True)}
    finally:
        for each in begun:
            each.cancel()
        wait(begun)


@lru_cache(maxsize=1)
def _readers() -> ThreadPoolExecutor:
    """The threads of this execution environment, made at first use: those of before a fork are not after it."""
    return ThreadPoolExecutor(READERS, "readers")


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


def _bring_up_to_date(library: Library, wanted: Sequence[_Wanted], deadline: Deadline) -> dict[str, str]:
    """Append and remove lines; why it could not be done, by the ids of the records. May be repeated."""
    days = [(library.day(*whose), group) for whose, group in _by_index(wanted).items()]
    gone = {one.record_id for one in wanted if one.line is None}
    reasons: dict[str, str] = {}

    def in_each(work: Callable[[Day, list[_Wanted]], object]) -> None:
        for day, group in days:
            try:
                work(day, group)
            except ServiceUnavailable as error:
                reasons.update({one.record_id: str(error) for one in group})

    in_each(lambda day, group: day.append([one.line for one in group if one.line], deadline))
    appended = [one.record_id for one in wanted if one.line and one.record_id not in reasons]
    try:
        gone |= set(_gone_since(library.bucket, appended))
    except ServiceUnavailable as error:
        reasons |= dict.fromkeys(appended, str(error))
    in_each(lambda day, group: _remove(day, [one.record_id for one in group if one.record_id in gone], deadline))
    return reasons


def append_of_records(bucket: Bucket, day: Day, lines: Sequence[Line], deadline: Deadline) -> None:
    """Append the lines of records that were there a moment ago, and take back those whose record has gone since.

    Lines that were there already are looked after, too: who appended them may have ended before this. Raises
    ``ServiceUnavailable``.
    """
    day.append(lines, deadline)
    _remove(day, _gone_since(bucket, [line["id"] for line in lines]), deadline)


def _gone_since(bucket: Bucket, record_ids: Collection[str]) -> list[str]:
    """Which records have gone that were there a moment ago; to be asked when their lines are there.

    The event of such a deletion may have been processed before the line was there. Whoever deletes writes the
    tombstone, then removes the record, whose event then removes the line; here the line is appended, then tombstones
    are listed, then the records are asked for that have one. S3 shows at once what was written. So, if the record was
    removed before the list, its tombstone is in it, the record is found missing, and the caller removes the line. If
    it is removed later, so is the line: by its event, which is later still and finds the line there, or, where a user
    is forgotten, with the whole history, which goes after the records. A tombstone alone does not tell that a record is
    gone: the deletion may be at work, or may have been cut off, and until it is repeated the generation is there and
    belongs in the history.
    """
    if len(record_ids) > FEW:
        record_ids = tombstones.perhaps_deleted(bucket, record_ids)
    remains = in_parallel(lambda record_id: bucket.exists(keys.record_object(record_id)), record_ids)
    return [record_id for record_id, is_there in remains.items() if not is_there]


def _remove(day: Day, gone: Collection[str], deadline: Deadline) -> None:
    if gone:
        day.remove(gone, deadline)

"""Index a batch of new records: read each, group them by user and day, append each group at once.

A message that cannot be indexed is reported by its id (partial batch failure) and alone goes back to the
queue; after the queue's last attempt it is in the dead-letter queue.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from typing_extensions import TypedDict

from core.errors import ServiceUnavailable
from core.logging import logger
from generation import events, history, keys, records
from generation.history import History
from generation.library import Library
from generation.records import Line

_READERS = 8


class ItemFailure(TypedDict):
    """The message that is to be delivered again."""

    itemIdentifier: str


class BatchResponse(TypedDict):
    """What the SQS event source mapping expects with ``ReportBatchItemFailures``."""

    batchItemFailures: list[ItemFailure]


def index(library: Library, event: Mapping[str, Any]) -> BatchResponse:
    """Append the lines of the records that an SQS batch of S3 notifications tells of."""
    failed: dict[str, str] = {}
    told: dict[str, list[str]] = {}
    for message_id, body in events.messages(event):
        try:
            told[message_id] = events.record_ids(body, library.bucket.name)
        except events.PoisonMessage as error:
            failed[message_id] = str(error)

    wanted = sorted({record_id for record_ids in told.values() for record_id in record_ids})
    with ThreadPoolExecutor(_READERS) as readers:
        lines = dict(zip(wanted, readers.map(lambda record_id: _line(library, record_id), wanted), strict=True))
    unread = {record_id: reason for record_id, reason in lines.items() if isinstance(reason, str)}
    unwritten = _append(library, [line for line in lines.values() if not isinstance(line, str)])
    for message_id, record_ids in told.items():
        for record_id in record_ids:
            if reason := unread.get(record_id) or unwritten.get(record_id):
                failed[message_id] = reason

    for message_id, reason in failed.items():
        logger.error("message not indexed", message_id=message_id, reason=reason)
    logger.info("indexed", messages=len(event["Records"]), records=len(wanted), failed=len(failed))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _line(library: Library, record_id: str) -> tuple[str, Line] | str:
    """The record's owner and line, or why it cannot be indexed."""
    try:
        stored = library.bucket.get(keys.record_object(record_id))
        if stored is None:
            return "the record is gone"
        record = records.loads(library.service, record_id, stored.content)
    except (ServiceUnavailable, records.InvalidRecord) as error:
        return f"the record cannot be read: {error}"
    return record["userId"], records.line(library.service, record)


def _append(library: Library, lines: list[tuple[str, Line]]) -> dict[str, str]:
    """Append group by group; returns the ids of the records whose group failed, with the reason."""
    index_files = History(library.service, library.bucket)
    unwritten: dict[str, str] = {}
    for (user_id, day), group in history.group(lines).items():
        try:
            index_files.append(user_id, day, group)
        except ServiceUnavailable as error:
            unwritten |= {line["id"]: str(error) for line in group}
    return unwritten

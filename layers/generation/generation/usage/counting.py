"""Count what the messages of the queue of usage tell of: records that arrived or went, and calls that failed.

A message only says which record to look at. One that cannot be counted is reported by its id, alone goes back to the
queue and, after the queue's last attempt, is in the dead-letter queue.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from core.errors import ServiceUnavailable
from core.logging import logger
from generation import events, keys, records, services
from generation.indexing import BatchResponse, in_parallel
from generation.providers import Deadline
from generation.services import Service
from generation.storage import Bucket, open_bucket
from generation.tombstones import Tombstone
from generation.usage.entries import Entry, of_failure, of_record
from generation.usage.table import UsageTable

_REPORT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Source:
    """A service and where its records are."""

    service: Service
    bucket: Bucket

    def of(self, record_id: str, content: bytes) -> Entry:
        """What the call of a record adds. Raises ``InvalidRecord``."""
        record = records.loads(self.service, record_id, content)
        return of_record(record, makes_pictures=self.service.makes_pictures)

    def entry(self, record_id: str) -> Entry | None:
        """What a call adds: of its record or, when that is deleted, of its tombstone; None when nothing tells any more.

        Raises ``ServiceUnavailable``, ``InvalidRecord``, ``Gone``.
        """
        stored = self.bucket.get(keys.record_object(record_id))
        if stored is not None:
            return self.of(record_id, stored.content)
        tombstone = Tombstone.read(self.bucket, record_id)
        if tombstone is None:
            raise Gone("the record is gone")
        try:
            return Entry.loads(record_id, tombstone.usage) if tombstone.usage else None
        except (ValueError, KeyError, TypeError) as error:
            raise Gone("its tombstone does not tell what it used") from error


def sources(folder: Path, environ: Mapping[str, str]) -> Mapping[str, Source]:
    """The services of a folder of functions, by the names of their buckets (IMAGE_BUCKET and so on)."""
    return {
        bucket.name: Source(service, bucket)
        for service in services.found(folder)
        for bucket in [open_bucket(environ[f"{service.name.upper()}_BUCKET"])]
    }


class Gone(Exception):
    """A record that was told of is not there, and nothing says that it was deleted."""


def count(
    sources: Mapping[str, Source], table: UsageTable, event: Mapping[str, Any], remaining_ms: int
) -> BatchResponse:
    """Count an SQS batch; ``sources`` are by the names of their buckets."""
    deadline = Deadline(remaining_ms / 1000 - _REPORT_SECONDS)
    failed: dict[str, str] = {}
    told: dict[str, list[str]] = {}
    entries: dict[str, Entry] = {}
    failures: dict[str, Entry] = {}
    buckets = {source.service.name: bucket for bucket, source in sources.items()}
    wanted: set[tuple[str, str]] = set()
    for message_id, body in events.messages(event):
        try:
            if failure := _failure(body):
                told[message_id] = [failure.id]
                failures[failure.id] = failure
                if failure.source.service in buckets:
                    wanted.add((buckets[failure.source.service], failure.id))
                else:
                    entries[failure.id] = failure
                continue
            bucket = _bucket(body)
            told[message_id] = events.record_ids(body, bucket) if bucket else []
            if told[message_id] and bucket not in sources:
                raise events.PoisonMessage("another bucket")
            wanted |= {(bucket, record_id) for record_id in told[message_id]}
        except events.PoisonMessage as error:
            told.pop(message_id, None)
            failed[message_id] = str(error)

    reasons: dict[str, str] = {}
    for (_, record_id), found in in_parallel(
        lambda one: _look(sources[one[0]], one[1], failures.get(one[1])), sorted(wanted)
    ).items():
        if isinstance(found, Entry):
            entries[record_id] = found
        elif found:
            reasons[record_id] = found
    reasons |= table.count(entries.values(), deadline)
    for message_id, ids in told.items():
        for entry_id in reasons.keys() & set(ids):
            failed[message_id] = reasons[entry_id]
    for message_id, reason in failed.items():
        logger.error("message not counted", message_id=message_id, reason=reason)
    logger.info("counted", messages=len(event["Records"]), calls=len(entries), failed=len(failed))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _look(source: Source, record_id: str, failure: Entry | None) -> Entry | str | None:
    """What a call adds, which is its failure where there is no record after all; why it cannot be told."""
    try:
        return source.entry(record_id) or failure
    except Gone as error:
        return failure or f"the record cannot be read: {error}"
    except (ServiceUnavailable, records.InvalidRecord) as error:
        return f"the record cannot be read: {error}"


def _failure(body: str) -> Entry | None:
    """The failed call that a message tells of; None for a notification. Raises ``PoisonMessage``."""
    try:
        document = json.loads(body)
        return of_failure(document["failure"]) if "failure" in document else None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise events.PoisonMessage(f"not a message of ours: {type(error).__name__}") from error


def _bucket(body: str) -> str:
    """The bucket that a notification is of; empty for ``s3:TestEvent``. Raises ``PoisonMessage``."""
    try:
        records_told = json.loads(body).get("Records") or []
        return str(unquote_plus(records_told[0]["s3"]["bucket"]["name"])) if records_told else ""
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise events.PoisonMessage(f"not a notification of ours: {type(error).__name__}") from error

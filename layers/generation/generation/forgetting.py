"""Remove all that the generation plane has of a user: objects, history, chats, kept answers, limits and own usage.

Everybody's usage keeps its numbers: before a record goes it is counted, and then the ledger forgets whose it was. Each
step may be repeated, and the rows of usage, which tell where to look, go last; so what was cut off can be gone on with.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from core import ids, times
from generation import keys
from generation.indexing import in_parallel
from generation.providers import Deadline
from generation.records import InvalidRecord
from generation.storage import Bucket
from generation.tombstones import Tombstone
from generation.usage.counting import Gone, Source
from generation.usage.entries import FORGOTTEN, Entry
from generation.usage.table import UsageTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True, slots=True)
class Belongings:
    """What there is of a user: the ids of calls by service, and how many days of usage, objects and items."""

    calls: dict[str, list[str]]
    days: int
    objects: int
    items: int


@dataclass(frozen=True, slots=True)
class Forgetting:
    """One user's belongings.

    ``tables`` are those of kept answers and of limits, whose items name their user; in ``own_tables`` the keys of items
    are ``user_id`` and ``id``.
    """

    user_id: str
    sources: Sequence[Source]
    usage: UsageTable
    client: "DynamoDBClient"
    tables: Sequence[str]
    own_tables: Sequence[str] = ()

    def find(self) -> Belongings:
        """What there is, for whoever must say yes."""
        calls = {source.service.name: sorted(self._ids(source)) for source in self.sources}
        objects = sum(sum(1 for _ in self._keys(source.bucket, calls[source.service.name])) for source in self.sources)
        return Belongings(calls, len(self._days()), objects, sum(1 for _ in self._items()))

    def remove(self, deadline: Deadline) -> bool:
        """Remove it; false when there was not time enough. Raises ``ServiceUnavailable``."""
        for source in self.sources:
            for record_id in sorted(self._ids(source)):
                if not deadline.remaining():
                    return False
                self._remove_call(source, record_id, deadline)
            for key in list(source.bucket.keys(f"users/{self.user_id}/")):
                source.bucket.delete(key)
        for table, key in list(self._items()):
            self.client.delete_item(TableName=table, Key=key)
        for entry in self._own(self._days()):
            self.usage.correct(replace(entry, user_id=FORGOTTEN))
        self.usage.forget(self.user_id)
        return True

    def _remove_call(self, source: Source, record_id: str, deadline: Deadline) -> None:
        try:
            entry = source.entry(record_id)
        except (Gone, InvalidRecord):
            entry = None
        if entry and entry.user_id not in (self.user_id, FORGOTTEN):
            return  # another's: the line that named it is wrong
        if entry:
            self.usage.count([entry], deadline)
        # Events that are on their way find that there is nothing to do, and not whose it was.
        forgotten = replace(entry, user_id=FORGOTTEN).dumps() if entry else ""
        Tombstone(record_id, FORGOTTEN, times.now(), forgotten).write(source.bucket)
        for key in sorted(
            source.bucket.keys(f"{keys.folder(record_id)}/"), key=lambda key: key.endswith("record.json")
        ):
            source.bucket.delete(key)

    def _ids(self, source: Source) -> set[str]:
        """The user's calls of a service: of the ledger and, for what is not counted yet, of the history."""
        found = {
            entry.id
            for entry in self._own(self._days())
            if entry.source.service == source.service.name and entry.latency_ms is not None
        }
        for key in source.bucket.keys(keys.history_prefix(source.service, self.user_id)):
            stored = source.bucket.get(key)
            for line in (stored.content if stored else b"").splitlines():
                found |= {one for one in _ids_in(line) if ids.is_valid(one)}
        return found

    def _days(self) -> list[date]:
        return [date.fromisoformat(sk[2:]) for sk, _ in self.usage.between(self.user_id, "d#", "d#~", "")]

    def _own(self, days: Iterable[date]) -> list[Entry]:
        found = in_parallel(self.usage.ledger, days)
        return [entry for entries in found.values() for entry in entries if entry.user_id == self.user_id]

    def _keys(self, bucket: Bucket, calls: Iterable[str]) -> Iterator[str]:
        yield from bucket.keys(f"users/{self.user_id}/")
        for record_id in calls:
            yield from bucket.keys(f"{keys.folder(record_id)}/")

    def _items(self) -> Iterator[tuple[str, Any]]:
        """Tables and keys."""
        for table in self.own_tables:
            pages = self.client.get_paginator("query").paginate(
                TableName=table,
                KeyConditionExpression="user_id = :user",
                ExpressionAttributeValues={":user": {"S": self.user_id}},
                ProjectionExpression="user_id, id",
            )
            yield from ((table, item) for page in pages for item in page["Items"])
        for table in self.tables:
            pages = self.client.get_paginator("scan").paginate(
                TableName=table,
                FilterExpression="contains(id, :user) OR contains(#data, :user)",
                ExpressionAttributeNames={"#data": "data"},
                ExpressionAttributeValues={":user": {"S": self.user_id}},
                ProjectionExpression="id",
            )
            yield from ((table, item) for page in pages for item in page["Items"])


def _ids_in(line: bytes) -> list[str]:
    try:
        return [str(json.loads(line)["id"])]
    except (ValueError, KeyError, TypeError):
        return []

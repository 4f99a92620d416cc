"""What is kept of a deleted generation for a while: whose it was and when it was deleted, so that its line can go."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from os.path import commonprefix
from typing import Self

from core import times
from core.errors import ServiceUnavailable
from core.logging import logger
from generation import keys, records
from generation.storage import Bucket

# As many as one answer of S3 lists.
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Whose a generation was, when its deletion began, and what it had used (``generation.usage.entries``)."""

    record_id: str
    user_id: str
    deleted_at: datetime
    usage: str = ""

    def write(self, bucket: Bucket) -> None:
        """Store it; to be done before anything is removed. Raises ``ServiceUnavailable``."""
        document = {
            "id": self.record_id,
            "userId": self.user_id,
            "deletedAt": times.rfc3339(self.deleted_at),
            "usage": self.usage,
        }
        bucket.put(keys.tombstone_object(self.record_id), records.dumps(document), "application/json")

    @classmethod
    def read(cls, bucket: Bucket, record_id: str) -> Self | None:
        """The tombstone of a deleted generation; None for any other id. Raises ``ServiceUnavailable``."""
        stored = bucket.get(keys.tombstone_object(record_id))
        if stored is None:
            return None
        try:
            document = json.loads(stored.content)
            deleted_at = datetime.fromisoformat(document["deletedAt"])
            return cls(record_id, str(document["userId"]), deleted_at, str(document.get("usage", "")))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            logger.error("tombstone is not valid", id=record_id)
            raise ServiceUnavailable("This record cannot be read.", retry_after=60) from error


def perhaps_deleted(bucket: Bucket, record_ids: Collection[str]) -> list[str]:
    """Those of the ids that have a tombstone, by one request; and, where that does not show all, those it leaves open.

    Ids begin with their time, so what was made within a minute shares the beginning of its keys with little else.
    Raises ``ServiceUnavailable``.
    """
    by_key = {keys.tombstone_object(record_id): record_id for record_id in record_ids}
    first, last = min(by_key), max(by_key)
    shared = commonprefix([first, last])  # noqa: RUF071  of keys: it need not end with a folder
    found = list(islice(bucket.keys(shared), _PAGE))
    shown = found[-1] if len(found) == _PAGE else last
    listed = set(found)
    return [record_id for key, record_id in by_key.items() if key in listed or key > shown]

"""A day's history as a benchmark needs it: of any length at once, in the format that the platform writes."""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from benchmarks.traffic import BUCKET

from core import ids, times
from generation import keys, records
from generation.records import Line, Record
from generation.segments import CONTENT_TYPE, SEGMENT_BYTES
from image.service import SERVICE as IMAGE

DAY = date(2026, 11, 22)
PROMPT = (
    "a lighthouse at dusk, seen from the sea, waves in the foreground, oil on canvas, warm light, in the style of 1880"
)
_FIRST_MILLISECOND = 1_795_305_600_000  # midnight in UTC, when DAY begins
_LATER_MILLISECOND = _FIRST_MILLISECOND + 23 * 3_600_000
_STEP_MILLISECONDS = 700


def record(record_id: str, user_id: str) -> Record:
    """The record of a picture like any other."""
    return {
        "id": record_id,
        "userId": user_id,
        "username": "ana@example.com",
        "service": IMAGE.name,
        "provider": "pollinations",
        "model": "flux",
        "prompt": PROMPT,
        "promptHash": f"sha256:{'0' * 64}",
        "status": "completed",
        "latencyMs": 4321,
        "size": {"inputBytes": 321, "outputBytes": 123_456},
        "cost": {"usd": 0.0},
        "createdAt": times.rfc3339(ids.created_at(record_id)),
        "artifacts": {IMAGE.artifact: keys.artifact_object(IMAGE, record_id, "jpg")},
        "meta": {"params": {"size": "1024x1024", "seed": 7}},
    }


def line(record_id: str) -> Line:
    """The line of that record; whose it is does not show in it."""
    return records.line(IMAGE, record(record_id, keys.ANONYMOUS))


class Lines:
    """The lines of a long day in the order of their ids, made once; all have the same length."""

    def __init__(self, count: int) -> None:
        self.ids = [ids.new(milliseconds=_FIRST_MILLISECOND + n * _STEP_MILLISECONDS) for n in range(count)]
        self.content = [records.dumps(line(one)) + b"\n" for one in self.ids]
        self.bytes_each = len(self.content[0])
        self.in_segment = math.ceil(SEGMENT_BYTES / self.bytes_each)

    def joined(self, first: int, end: int) -> bytes:
        """The bytes of the lines from ``first`` to before ``end``."""
        return b"".join(self.content[first:end])


class SeededDay:
    """One user's day in the bucket, of which any length can be had."""

    def __init__(self, client: Any, lines: Lines) -> None:
        self._client = client
        self._lines = lines
        self._closed = 0
        self.user_id = ids.new()

    def hold(self, count: int) -> None:
        """Let the day have exactly the first ``count`` lines."""
        each = self._lines.in_segment
        closed, rest = divmod(count, each)
        for number in range(self._closed, closed):
            self._put(number, each)
        for number in range(closed, self._closed + 2):
            self._client.delete_object(Bucket=BUCKET, Key=self._key(number))
        if rest:
            self._put(closed, rest)
        self._closed = closed

    def _put(self, number: int, count: int) -> None:
        first = number * self._lines.in_segment
        metadata = {"after": self._lines.ids[first - 1]} if number else {}
        put(self._client, self._key(number), self._lines.joined(first, first + count), metadata)

    def _key(self, number: int) -> str:
        return keys.history_segment(IMAGE, self.user_id, DAY, number)


class Arrivals:
    """New records, put into the bucket, and the SQS batches that tell of them."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._count = 0

    def batch(self, user_id: str, size: int) -> tuple[list[str], dict[str, Any]]:
        """The ids of records that are later than all before, and the batch."""
        made = []
        for _ in range(size):
            self._count += 1
            made.append(ids.new(milliseconds=_LATER_MILLISECOND + self._count))
            put(self._client, keys.record_object(made[-1]), records.dumps(record(made[-1], user_id)), {})
        return made, notifications(made)


def notifications(record_ids: Sequence[str]) -> dict[str, Any]:
    """The SQS batch with an S3 notification for each record."""
    return {"Records": [{"messageId": one, "body": _notification(one)} for one in record_ids]}


def _notification(record_id: str) -> str:
    s3 = {"bucket": {"name": BUCKET}, "object": {"key": keys.record_object(record_id)}}
    return records.dumps({"Records": [{"s3": s3}]}).decode()


def put(client: Any, key: str, content: bytes, metadata: Mapping[str, str]) -> None:
    """Write an object, whatever is there."""
    client.put_object(Bucket=BUCKET, Key=key, Body=content, ContentType=CONTENT_TYPE, Metadata=metadata)

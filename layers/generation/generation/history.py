"""The history index: one JSON line per record in a file per user and day, newest read first.

A line is appended with one conditional write; a writer that lost the race reads again. A line that is
already there is not added again, so an event may come more than once.
"""

import base64
import binascii
import json
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from core import ids
from core.errors import FieldError, ServiceUnavailable, Unprocessable
from generation import keys, records
from generation.records import Line
from generation.services import Service
from generation.storage import Bucket, Conflicted

CONTENT_TYPE = "application/x-ndjson"
_ATTEMPTS = 12
_BACKOFF_SECONDS = 0.02
_BACKOFF_MOST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Page:
    """Lines, newest first, and the cursor of the next page (None at the end)."""

    lines: list[Line]
    cursor: str | None


class History:
    """The index of one service in its bucket."""

    def __init__(self, service: Service, bucket: Bucket) -> None:
        self._service = service
        self._bucket = bucket

    def append(self, user_id: str, day: date, lines: Sequence[Line]) -> int:
        """Add the lines that the user's day does not have yet; returns how many those were.

        Raises ``ServiceUnavailable`` when storage fails, the file cannot be read, or other writers win every race.
        """
        key = keys.history_object(self._service, user_id, day)
        for attempt in range(_ATTEMPTS):
            stored = self._bucket.get(key)
            content = stored.content if stored else b""
            present = {line["id"] for line in _parse(content)}
            fresh = {line["id"]: line for line in lines if line["id"] not in present}
            if not fresh:
                return 0
            added = b"".join(records.dumps(line) + b"\n" for line in fresh.values())
            try:
                self._bucket.replace(key, content + added, CONTENT_TYPE, expected=stored.etag if stored else None)
            except Conflicted:
                time.sleep(_backoff(attempt))
            else:
                return len(fresh)
        raise ServiceUnavailable("The history is busy.", retry_after=1)

    def page(
        self,
        user_id: str,
        *,
        limit: int,
        cursor: str | None = None,
        first_day: date | None = None,
        last_day: date | None = None,
    ) -> Page:
        """The user's lines, newest first by id, from ``first_day`` to ``last_day``, both included.

        Raises ``Unprocessable`` for a cursor that is not ours, ``ServiceUnavailable``.
        """
        before = _decode_cursor(cursor) if cursor is not None else None
        if before:
            newest = ids.created_at(before).date()
            last_day = min(last_day, newest) if last_day else newest
        found: list[Line] = []
        for key in self._days(user_id, first_day or date.min, last_day or date.max):
            stored = self._bucket.get(key)
            lines = _parse(stored.content) if stored else []
            found += sorted(
                (line for line in lines if before is None or line["id"] < before),
                key=lambda line: line["id"],
                reverse=True,
            )
            if len(found) > limit:
                break
        page = found[:limit]
        return Page(page, _encode_cursor(page[-1]["id"]) if len(found) > limit else None)

    def _days(self, user_id: str, first: date, last: date) -> Iterator[str]:
        """The keys of the user's index files within the days, newest first: a request, and one more per year."""
        prefix = keys.history_prefix(self._service, user_id)
        years = [name for name in self._bucket.folders(prefix) if first.year <= int(name[:-1]) <= last.year]
        for year in sorted(years, reverse=True):
            for key in sorted(self._bucket.keys(prefix + year), reverse=True):
                if _path(first) <= key.removeprefix(prefix)[:10] <= _path(last):
                    yield key


def _path(day: date) -> str:
    # Not strftime: its %Y does not pad the years that date.min has.
    return day.isoformat().replace("-", "/")


def _parse(content: bytes) -> list[Line]:
    """The lines of an index file. Raises ``ServiceUnavailable`` for one that something else has written to."""
    try:
        lines: list[Line] = [json.loads(line) for line in content.splitlines()]
        if not all(ids.is_valid(line["id"]) for line in lines):
            raise ValueError("an id is not one of ours")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ServiceUnavailable("This part of the history cannot be read.", retry_after=60) from error
    return lines


def _backoff(attempt: int) -> float:
    """Seconds to wait after losing a race: exponential, with full jitter."""
    return random.uniform(0, min(_BACKOFF_MOST_SECONDS, _BACKOFF_SECONDS * 2**attempt))  # noqa: S311


def _encode_cursor(record_id: str) -> str:
    return base64.urlsafe_b64encode(UUID(record_id).bytes).decode().rstrip("=")


def _decode_cursor(cursor: str) -> str:
    try:
        record_id = str(UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True)))
    except (ValueError, binascii.Error):
        record_id = ""
    if not ids.is_valid(record_id) or _encode_cursor(record_id) != cursor:
        raise Unprocessable(
            "The request is not valid: see errors.",
            errors=[FieldError("cursor", "Send the nextCursor of an earlier answer, unchanged.")],
        )
    return record_id


def group(lines: Iterable[tuple[str, Line]]) -> dict[tuple[str, date], list[Line]]:
    """Lines with their owners' ids, by index file."""
    groups: dict[tuple[str, date], list[Line]] = {}
    for user_id, line in lines:
        groups.setdefault((user_id, ids.created_at(line["id"]).date()), []).append(line)
    return groups

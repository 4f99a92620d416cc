"""The S3 keys of the storage contract. The date in a key is the UTC date in the record's id."""

import re
from datetime import date

from core import ids
from generation.services import Service

ANONYMOUS = "anonymous"
_SEGMENT = re.compile(r"/history/(\d{4})/(\d{2})/(\d{2})(?:\.(\d{4}))?\.jsonl\Z", re.ASCII)
_RECORD = re.compile(r"(requests/\d{4}/\d{2}/\d{2}/([0-9a-f-]{36}))/record\.json")


def folder(record_id: str) -> str:
    """The prefix of everything that belongs to one request, without a slash at the end."""
    return f"requests/{ids.created_at(record_id):%Y/%m/%d}/{record_id}"


def input_object(record_id: str) -> str:
    """What was asked."""
    return f"{folder(record_id)}/input.json"


def record_object(record_id: str) -> str:
    """The record, whose arrival commits the request."""
    return f"{folder(record_id)}/record.json"


def artifact_object(service: Service, record_id: str, extension: str) -> str:
    """What was made."""
    return f"{folder(record_id)}/{service.artifact}/{service.filename}.{extension}"


def record_id_of(key: str) -> str | None:
    """The id in a record's key; None when the key is not exactly a record's."""
    match = _RECORD.fullmatch(key)
    if match is None or not ids.is_valid(match[2]) or folder(match[2]) != match[1]:
        return None
    return match[2]


def history_prefix(service: Service, user_id: str) -> str:
    """The prefix of a user's index files."""
    return f"users/{user_id}/{service.name}/history/"


def day_path(day: date) -> str:
    """The day as keys write it. Not by strftime, whose %Y does not pad the years that ``date.min`` has."""
    return day.isoformat().replace("-", "/")


def history_segment(service: Service, user_id: str, day: date, number: int) -> str:
    """A segment of the index of a user's day; the first, number 0, has no number in its name."""
    suffix = f".{number:04d}" if number else ""
    return f"{history_prefix(service, user_id)}{day_path(day)}{suffix}.jsonl"


def segment_of(key: str) -> tuple[date, int] | None:
    """The day and the number of a segment; None when the key is no segment's."""
    match = _SEGMENT.search(key)
    if match is None:
        return None
    try:
        return date.fromisoformat("-".join(match.group(1, 2, 3))), int(match[4] or 0)
    except ValueError:
        return None


def tombstone_object(record_id: str) -> str:
    """What tells, after a record is gone, whose it was."""
    return f"deleted/{day_path(ids.created_at(record_id).date())}/{record_id}.json"

"""The S3 keys of the storage contract. The date in a key is the UTC date in the record's id."""

import re
from datetime import date

from core import ids
from generation.services import Service

ANONYMOUS = "anonymous"
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


def history_object(service: Service, user_id: str, day: date) -> str:
    """The index file of a user's day."""
    return f"{history_prefix(service, user_id)}{day:%Y/%m/%d}.jsonl"

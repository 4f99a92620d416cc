"""S3 notifications as SQS delivers them: which records arrived, message by message."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

from generation import keys


class PoisonMessage(ValueError):
    """A message that is not a notification of records of ours; it belongs in the dead-letter queue."""


def record_ids(body: str, bucket: str) -> list[str]:
    """The ids of the records whose arrival a message tells; none for ``s3:TestEvent``.

    AWS encodes the key like a form field, LocalStack and moto encode it too, MiniStack does not: ours hold
    nothing that decoding would change. Raises ``PoisonMessage``.
    """
    try:
        notification = json.loads(body)
        if notification.get("Event") == "s3:TestEvent":
            return []
        return [_record_id(item["s3"], bucket) for item in notification["Records"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PoisonMessage(f"not an S3 notification of ours: {error}") from error


def _record_id(s3: Mapping[str, Any], bucket: str) -> str:
    if s3["bucket"]["name"] != bucket:
        raise PoisonMessage("another bucket")
    record_id = keys.record_id_of(unquote_plus(s3["object"]["key"]))
    if record_id is None:
        raise PoisonMessage("not a record's key")
    return record_id


def messages(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The id and body of each message of an SQS event."""
    for message in event["Records"]:
        yield message["messageId"], message["body"]

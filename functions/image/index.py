"""The index of the image service: appends each new record's line to its owner's history."""

from typing import Any

from generation.indexing import BatchResponse, index
from generation.library import open_library
from generation.services import IMAGE


def handler(event: dict[str, Any], _context: object) -> BatchResponse:
    """Take a batch of S3 notifications from SQS; the messages that failed are delivered again."""
    return index(open_library(IMAGE), event)

"""The index of the image service: a line in its owner's history for each record, none for a deleted one."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from generation.indexing import BatchResponse, index
from generation.library import open_library
from generation.services import IMAGE


def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Take a batch of S3 notifications from SQS; the messages that failed are delivered again."""
    return index(open_library(IMAGE), event, context.get_remaining_time_in_millis())

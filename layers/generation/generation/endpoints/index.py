"""What keeps the history of a service as its records are."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from generation.indexing import BatchResponse
from generation.indexing import index as bring_up_to_date
from generation.library import open_library, prepare
from generation.services import Service

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


def index(service: Service) -> "Callable[[Mapping[str, Any], LambdaContext], BatchResponse]":
    """The function that takes a batch of S3 notifications from SQS; the messages that failed are delivered again."""

    prepare(service)

    def handler(event: Mapping[str, Any], context: "LambdaContext") -> BatchResponse:
        return bring_up_to_date(open_library(service), event, context.get_remaining_time_in_millis())

    return handler

"""By a queue: removes sessions with all that they held, and goes on where it ended before."""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chat.service import SERVICE
from generation.chat import removal
from generation.chat.removal import Removal
from generation.chat.sessions import open_sessions
from generation.indexing import BatchResponse
from generation.library import open_library


def handler(event: Mapping[str, Any], context: LambdaContext) -> BatchResponse:
    """Remove the session of each message; the messages that failed are delivered again."""
    worker = Removal(open_library(SERVICE), open_sessions())
    return removal.work(worker, event, context.get_remaining_time_in_millis())

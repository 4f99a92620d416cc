"""Calls that failed: no record tells of them, so the function that could not serve one tells the queue of usage.

A call that succeeds costs nothing here. It is best effort: a function that Lambda ends in the middle sends nothing, and
the caller's answer waits for the queue for a moment only.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from core import ids
from core.errors import ProblemError, Unprocessable
from core.identity import Identity
from core.logging import logger
from generation import keys
from generation.services import Service

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_SECONDS = 1.5
_REFUSED = "urn:llm-microservices:problem:prompt-refused"
_SERVER_ERROR = 500


@contextmanager
def counted(service: Service, providers: Sequence[Any], request: Any, caller: Identity | None) -> Iterator[None]:
    """Count what fails within: answers of 5xx, errors of ours, and refusals of a provider. All errors go on."""
    try:
        yield
    except Exception as error:
        if is_failure(error):
            name = getattr(providers[0], "name", "") if providers else ""
            tell(service, provider=name, model=str(getattr(request, "model", "") or ""), caller=caller)
        raise


def is_failure(error: Exception) -> bool:
    """Whether a call with this outcome counts as failed: whoever was refused before it began was not admitted."""
    if isinstance(error, Unprocessable):
        return error.type == _REFUSED
    return not isinstance(error, ProblemError) or int(error.status) >= _SERVER_ERROR


def tell(service: Service, *, provider: str, model: str, caller: Identity | None) -> None:
    """Count one failed call of the provider and model that were asked first. Never raises."""
    url = os.environ.get("USAGE_QUEUE_URL", "")
    if not url:
        return
    failure = {
        "id": ids.new(),
        "userId": caller.sub if caller else keys.ANONYMOUS,
        "service": service.name,
        "provider": provider,
        "model": model,
    }
    try:
        from core.waiting import Patience, within

        client = _client()  # made, with all that it imports, before time counts
        within(
            Patience(_SECONDS), lambda: client.send_message(QueueUrl=url, MessageBody=json.dumps({"failure": failure}))
        )
    except Exception as error:
        # The caller has an error already, which must not be hidden by this one.
        logger.warning("a failed call was not counted", id=failure["id"], error=type(error).__name__)


@lru_cache(maxsize=1)
def _client() -> "SQSClient":
    import boto3
    from botocore.config import Config

    timeouts = Config(connect_timeout=0.5, read_timeout=1, retries={"total_max_attempts": 2, "mode": "standard"})
    return boto3.client("sqs", config=timeouts)

"""Calls that failed: no record tells of them, so the function that could not serve one tells the queue of usage.

A call that succeeds costs nothing here. It is best effort: a function that Lambda ends in the middle sends nothing, and
the caller's answer waits for the queue for a moment only. A failed call has the id that its record would have had: a
record that was stored although its function never knew is then counted, and not the failure beside it.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(slots=True)
class Call:
    """A call that may fail: the id of its record, and the provider and the model that are asked first."""

    id: str
    provider: str
    model: str
    was_refused: bool = False
    """Whether it was not admitted, so that nobody was asked."""


@contextmanager
def counted(service: Service, providers: Sequence[Any], request: Any, caller: Identity | None) -> Iterator[Call]:
    """Count what fails within: answers of 5xx, errors of ours, and refusals of a provider. All errors go on."""
    call = Call(ids.new(), *(_first(providers[0], request) if providers else ("", "")))
    try:
        yield call
    except Exception as error:
        if is_failure(error) and not call.was_refused:
            tell(service, call, caller)
        raise


def _first(provider: Any, request: Any) -> tuple[str, str]:
    """A provider's name and, as a record would have it, the name of the model that it would use."""
    wanted = str(getattr(request, "model", "") or "")
    offered = getattr(provider, "models", ())
    model = next((one for one in offered if one.id == wanted), offered[0]).upstream if offered else wanted
    return getattr(provider, "name", ""), model


def is_failure(error: Exception) -> bool:
    """Whether a call with this outcome counts as failed: whoever was refused before it began was not admitted."""
    if isinstance(error, Unprocessable):
        return error.type == _REFUSED
    return not isinstance(error, ProblemError) or int(error.status) >= _SERVER_ERROR


def tell(service: Service, call: Call, caller: Identity | None) -> None:
    """Count one failed call. Never raises."""
    url = os.environ.get("USAGE_QUEUE_URL", "")
    if not url:
        return
    failure = {
        "id": call.id,
        "userId": caller.sub if caller else keys.ANONYMOUS,
        "service": service.name,
        "provider": call.provider,
        "model": call.model,
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

"""The first answers to idempotency keys: in DynamoDB for 24 hours, each with its whole prompt.

An item's id is the service and a SHA-256 of the caller and the key, so a key belongs to its caller and appears nowhere.
Powertools claims the id with a conditional PutItem before anything is generated; what is over (24 hours, or the time of
the function that claimed it) it finds by comparing times, because DynamoDB removes items when it gets to it.
"""

import json
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent_function
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyInconsistentStateError,
    IdempotencyPersistenceLayerError,
    IdempotencyValidationError,
)
from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import DataRecord
from aws_lambda_powertools.utilities.idempotency.serialization.custom_dict import CustomDictSerializer
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from typing_extensions import TypedDict

from core import settings
from core.errors import Conflict, ServiceUnavailable, Unprocessable
from core.logging import logger
from core.waiting import DeadlinePassed, Patience, within
from generation import records
from generation.records import Generation
from generation.services import Service

KEPT_SECONDS = 24 * 60 * 60
IN_FLIGHT_RETRY_SECONDS = 3
_UNAVAILABLE_RETRY_SECONDS = 2
# After so long a request with a key knows that it cannot be looked up.
_SECONDS = 3.0
_CONFIG = Config(connect_timeout=0.5, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})


class Asked(TypedDict):
    """Who asked for what, with which key."""

    caller: str
    key: str
    request: dict[str, Any]


class Answers(DynamoDBPersistenceLayer):
    """The table of answers; after the provider was asked, its failures are logged, and the caller gets the outcome."""

    # What Powertools asks the table for, each with an end: neither it nor boto3 bounds the resolver.

    def _get_record(self, idempotency_key: str) -> DataRecord:
        return within(Patience(_SECONDS), lambda: super(Answers, self)._get_record(idempotency_key))

    def _put_record(self, data_record: DataRecord) -> None:
        within(Patience(_SECONDS), lambda: super(Answers, self)._put_record(data_record))

    def _update_record(self, data_record: DataRecord) -> None:
        within(Patience(_SECONDS), lambda: super(Answers, self)._update_record(data_record))

    def _delete_record(self, data_record: DataRecord) -> None:
        within(Patience(_SECONDS), lambda: super(Answers, self)._delete_record(data_record))

    def save_success(self, data: dict[str, Any], result: dict[str, Any]) -> None:
        """Keep an answer. Without it, the key stays claimed as if the call had crashed."""
        try:
            super().save_success(data, result)
        except (BotoCoreError, ClientError, DeadlinePassed) as error:
            logger.error("the answer is not kept for its idempotency key", id=result["id"], detail=str(error))

    def delete_record(self, data: dict[str, Any], exception: Exception) -> None:
        """Free the key of a call that failed. Otherwise it stays claimed as if the call had crashed."""
        try:
            super().delete_record(data, exception)
        except (BotoCoreError, ClientError, DeadlinePassed) as error:
            logger.error("the idempotency key of a failed call is not freed", detail=str(error))


@lru_cache(maxsize=1)
def open_answers() -> Answers:
    """The table of this execution environment."""
    return Answers(settings.text(os.environ, "IDEMPOTENCY_TABLE"), boto_config=_CONFIG)


def first(generate: Callable[[], Generation], asked: Asked, *, service: Service, context: LambdaContext) -> Generation:
    """The answer that was kept for this key of this caller, or else a new one; see ``generation.idempotency``."""
    config = IdempotencyConfig(
        event_key_jmespath="[caller, key]",
        payload_validation_jmespath="request",
        expires_after_seconds=KEPT_SECONDS,
        hash_function="sha256",
        lambda_context=context,
    )
    answer = idempotent_function(
        lambda asked: generate(),
        data_keyword_argument="asked",
        persistence_store=open_answers(),
        config=config,
        key_prefix=service.name,
        output_serializer=CustomDictSerializer(to_dict=_as_kept, from_dict=_from_kept),
    )
    try:
        generation: Generation = answer(asked=asked)
    except IdempotencyValidationError:
        raise Unprocessable(
            "This Idempotency-Key was sent with another request before. Use a new key for a new request.",
            slug="idempotency-key-reused",
        ) from None
    except (IdempotencyAlreadyInProgressError, IdempotencyInconsistentStateError):
        raise Conflict(
            "The first request with this Idempotency-Key is still being answered. Send it again in a moment.",
            slug="idempotency-key-in-use",
            headers={"Retry-After": str(IN_FLIGHT_RETRY_SECONDS)},
        ) from None
    except IdempotencyPersistenceLayerError as error:
        logger.error("idempotency keys are out of order", detail=error.details)
        raise ServiceUnavailable(
            "The platform cannot tell whether this Idempotency-Key was sent before. Try again in a moment.",
            retry_after=_UNAVAILABLE_RETRY_SECONDS,
            slug="idempotency-unavailable",
        ) from error
    return generation


def _as_kept(generation: Generation) -> dict[str, str]:
    """As a text it comes back byte for byte; the names of an object Powertools would sort."""
    return {"id": generation["id"], "answer": records.dumps(generation).decode()}


def _from_kept(kept: dict[str, str]) -> Generation:
    generation: Generation = json.loads(kept["answer"])
    return generation

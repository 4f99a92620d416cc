"""The table of answers in moto's DynamoDB, and its bad days."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import DataRecord
from botocore.exceptions import ReadTimeoutError

from generation.answers import Answers

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_numbers = count(1)


def create(client: "DynamoDBClient") -> str:
    """A new table as the template has it; its name."""
    name = f"answers-{next(_numbers)}"
    _create(client, name)
    return name


def empty(client: "DynamoDBClient", name: str) -> None:
    """Leave the table as it was when it was new, also when a test has deleted it."""
    try:
        for item in client.scan(TableName=name)["Items"]:
            client.delete_item(TableName=name, Key={"id": item["id"]})
    except client.exceptions.ResourceNotFoundException:
        _create(client, name)


def _create(client: "DynamoDBClient", name: str) -> None:
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


class AtomicAnswers(Answers):
    """A table of moto that checks and writes at once, as DynamoDB does; moto does it in steps."""

    _lock = threading.Lock()

    def _put_record(self, data_record: DataRecord) -> None:
        with self._lock:
            super()._put_record(data_record)


def _denied() -> object:
    error = {"Error": {"Code": "AccessDeniedException", "Message": "injected"}, "ResponseMetadata": {}}
    return SimpleNamespace(status_code=400), error


def _broken() -> object:
    error = {"Error": {"Code": "InternalServerError", "Message": "injected"}, "ResponseMetadata": {}}
    return SimpleNamespace(status_code=500), error


def _silent() -> object:
    raise ReadTimeoutError(endpoint_url="https://dynamodb.us-east-1.amazonaws.com/")


TROUBLES: dict[str, Callable[[], object]] = {"denied": _denied, "broken": _broken, "silent": _silent}


@contextmanager
def trouble(client: "DynamoDBClient", operation: str, kind: str) -> Iterator[None]:
    """Let each call of an operation fail as the kind says."""
    # The hooks' type does not know that an answer may be returned.
    events: Any = client.meta.events

    def fail(**_call: object) -> object:
        return TROUBLES[kind]()

    events.register(f"before-call.dynamodb.{operation}", fail)
    try:
        yield
    finally:
        events.unregister(f"before-call.dynamodb.{operation}", fail)

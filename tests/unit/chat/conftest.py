"""Conversations over a table of moto and a bucket in memory, with a clock and a worker's end in the test's hands."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from chat.service import SERVICE
from core.errors import ServiceUnavailable
from generation.chat.messages import SEGMENT_BYTES, ChatMessage, Messages, RecentSegments
from generation.chat.removal import Removal
from generation.chat.sessions import Sessions
from generation.chat.table import Table
from generation.chat.turn import Asked, Conversations, Emit
from generation.library import Library
from generation.records import Generation
from generation.texts import TextProvider
from tests.unit.generation.memory_s3 import MemoryS3
from tests.unit.generation.samples import SIGNER
from tests.unit.stand_ins import ANA

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REMAINING_MS = 28_000
_numbers = count(1)


class Killed(BaseException):
    """The worker has ended: nothing of it runs any more."""


class Fate:
    """Notes the calls of S3 and DynamoDB, and ends or fails the worker before or after one of them.

    Of calls at the same time, each in a thread of its own, the others come to their end.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._at: tuple[int, str] | None = None
        self._error: Callable[[], BaseException] = Killed
        self._one_by_one = threading.Lock()
        self._here = threading.local()
        self._failing = ("", "")
        self._failure: Callable[[], BaseException] = Killed

    def strike(self, number: int, moment: str, error: Callable[[], BaseException] = Killed) -> None:
        """Let the call of this number from now on, from 0, raise ``before`` or ``after`` it has worked."""
        self.calls.clear()
        self._at, self._error = (number, moment), error

    @contextmanager
    def failing(self, ending: str, error: Callable[[], BaseException] | None = None) -> Iterator[None]:
        """For a while, what writes an object whose key ends like this fails."""
        self._failing = "PutObject", ending
        self._failure = error or (lambda: ServiceUnavailable("injected", retry_after=1))
        yield
        self._failing = "", ""

    def spare(self) -> None:
        """Let everything work from now on."""
        self._at = None
        self.calls.clear()

    def before(self, call: str) -> None:
        with self._one_by_one:
            self._here.number = len(self.calls)
            self.calls.append(call)
        operation, ending = self._failing
        if operation and call.startswith(operation) and call.endswith(ending):
            raise self._failure()
        if self._at == (self._here.number, "before"):
            raise self._error()

    def after(self) -> None:
        if self._at == (self._here.number, "after"):
            raise self._error()

    @contextmanager
    def gate(self, operation: str, key: str) -> Iterator[None]:
        """Stands around a request of S3."""
        self.before(f"{operation} {key}")
        yield
        self.after()


class AtomicTable(Table):
    """A table of moto that checks and writes at once, as DynamoDB does; moto does it in steps."""

    _lock = threading.RLock()

    def _asked(self, call: str, _seconds: float, request: Mapping[str, Any]) -> Any:
        with self._lock:
            return super()._asked(call, 30.0, request)


@dataclass
class World:
    """A stack with one bucket and one table, and what time it is there."""

    table: Table
    s3: MemoryS3 = field(default_factory=MemoryS3)
    fate: Fate = field(default_factory=Fate)
    now: datetime = datetime(2026, 11, 22, 13, 30, tzinfo=UTC)
    recent: RecentSegments = field(default_factory=lambda: RecentSegments(most=0))
    """Each worker is a new one, unless this keeps something."""

    @property
    def sessions(self) -> Sessions:
        return Sessions(self.table, lambda: self.now)

    @property
    def library(self) -> Library:
        return Library(SERVICE, self.s3.bucket(self.fate.gate), lambda: SIGNER, clock=lambda: self.now)

    @property
    def removal(self) -> Removal:
        return Removal(self.library, self.sessions)

    def conversations(self, *providers: TextProvider, segment_bytes: int = SEGMENT_BYTES) -> Conversations:
        return Conversations(self.library, self.sessions, providers, segment_bytes, self.recent)

    def say(
        self,
        provider: TextProvider,
        prompt: str = "hi",
        session_id: str | None = None,
        *,
        emit: Emit | None = None,
        remaining_ms: int = REMAINING_MS,
        segment_bytes: int = SEGMENT_BYTES,
        **asked: Any,
    ) -> Generation:
        """Ana's message, answered. Time goes on by a second."""
        self.now += timedelta(seconds=1)
        return self.conversations(provider, segment_bytes=segment_bytes).answer(
            Asked(prompt, session_id, **asked), caller=ANA, remaining_ms=remaining_ms, emit=emit
        )

    def messages(self, session_id: str) -> list[ChatMessage]:
        """All messages of a session of Ana's, oldest first."""
        session = self.conversations().settle(self.sessions.get(ANA.sub, session_id))
        stored = Messages(self.library.bucket, session.key, session.segment)
        found: list[ChatMessage] = []
        cursor: str | None = None
        while True:
            page = stored.page(SIGNER, limit=100, cursor=cursor)
            found += page["items"]
            cursor = page["nextCursor"]
            if cursor is None:
                return found[::-1]

    def later(self, seconds: float = 60) -> None:
        """Let time pass, by default until every lease is over."""
        self.now += timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def dynamodb() -> Iterator["DynamoDBClient"]:
    """A client of a DynamoDB in this process."""
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield boto3.client("dynamodb")


def create_table(client: "DynamoDBClient") -> str:
    """A new table as the template has it; its name."""
    name = f"chat-{next(_numbers)}"
    indexes = [
        {
            "IndexName": index,
            "KeySchema": [
                {"AttributeName": "user_id", "KeyType": "HASH"},
                {"AttributeName": index, "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
        for index in ("used", "starred_used")
    ]
    client.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": "user_id", "KeyType": "HASH"},
            {"AttributeName": "id", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": "S"}
            for attribute in ("user_id", "id", "used", "starred_used")
        ],
        LocalSecondaryIndexes=indexes,  # type: ignore[arg-type]
        BillingMode="PAY_PER_REQUEST",
    )
    return name


@pytest.fixture
def world(dynamodb: "DynamoDBClient") -> Iterator[World]:
    """An empty stack."""
    made = World(AtomicTable(lambda: dynamodb, create_table(dynamodb)))
    events: Any = dynamodb.meta.events

    def before(model: Any, **_more: object) -> None:
        made.fate.before(model.name)

    def after(**_more: object) -> None:
        made.fate.after()

    events.register("before-call.dynamodb", before)
    events.register("after-call.dynamodb", after)
    yield made
    events.unregister("before-call.dynamodb", before)
    events.unregister("after-call.dynamodb", after)

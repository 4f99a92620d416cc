import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
import pytest
from moto import mock_aws
from pydantic import BaseModel

from core import ids
from core.errors import BadGateway, Conflict, GatewayTimeout, ProblemError, ServiceUnavailable, Unprocessable
from core.settings import SettingsError
from generation import answers, records
from generation.answers import IN_FLIGHT_RETRY_SECONDS, KEPT_SECONDS
from generation.idempotency import once
from generation.records import Generation
from generation.services import Service
from image.service import SERVICE as IMAGE
from tests.events import Context
from tests.unit.conftest import Log
from tests.unit.generation import answers_table
from tests.unit.generation.answers_table import AtomicAnswers
from tests.unit.generation.samples import image_record
from tests.unit.stand_ins import environment_caches_cleared
from tts.service import SERVICE as SPEECH

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEY = "5f2c-the-key-of-a-client"
ANYBODY = "user:ana"


class Request(BaseModel):
    """What is asked for."""

    prompt: str = "a fox"
    seed: int | None = None


class Crash(BaseException):
    """The end of the process: nothing that would handle an exception sees it."""


@dataclass
class Maker:
    """Makes a new generation at each call, or fails."""

    error: BaseException | None = None
    seconds: float = 0.0
    prompt: str = "a fox"
    made: list[Generation] = field(default_factory=list)
    calls: int = 0

    def __call__(self) -> Generation:
        self.calls += 1
        time.sleep(self.seconds)
        if self.error:
            raise self.error
        self.made.append(records.view(IMAGE, image_record(ids.new(), prompt=self.prompt)))
        return self.made[-1]


def ask(
    make: Maker,
    key: str | None = KEY,
    *,
    caller: str = ANYBODY,
    service: Service = IMAGE,
    request: Request | None = None,
    remaining_ms: int = 28_000,
) -> Generation:
    return once(
        make,
        key,
        caller=caller,
        service=service,
        request=request or Request(),
        context=Context(remaining_ms=remaining_ms),
    )


@pytest.fixture(scope="module")
def dynamodb() -> Iterator["DynamoDBClient"]:
    """A client of a DynamoDB in this process."""
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": "us-east-1"}), mock_aws():
        yield boto3.client("dynamodb", config=answers._CONFIG)


@pytest.fixture
def table(dynamodb: "DynamoDBClient", monkeypatch: pytest.MonkeyPatch) -> str:
    """A new table, which the service is configured with."""
    name = answers_table.create(dynamodb)
    opened = AtomicAnswers(name, boto3_client=dynamodb)
    monkeypatch.setattr(answers, "open_answers", lambda: opened)
    return name


def items(dynamodb: "DynamoDBClient", table: str) -> list[dict[str, Any]]:
    return list(dynamodb.scan(TableName=table)["Items"])


def make_older(dynamodb: "DynamoDBClient", table: str, attribute: str, by: int) -> None:
    """As if the item had been written that much earlier (seconds, or milliseconds where it counts those)."""
    (item,) = items(dynamodb, table)
    item[attribute] = {"N": str(int(item[attribute]["N"]) - by)}
    dynamodb.put_item(TableName=table, Item=item)


# ---------------------------------------------------------------- the first answer


@pytest.mark.usefixtures("table")
def test_the_same_key_and_request_get_the_first_answer_and_nothing_is_made_again() -> None:
    make = Maker()
    first = ask(make)
    again = ask(make)
    assert json.dumps(again) == json.dumps(first)
    assert make.calls == 1


def test_without_a_key_each_request_is_answered_anew_and_dynamodb_is_left_alone(
    dynamodb: "DynamoDBClient", table: str
) -> None:
    make = Maker()
    assert ask(make, None) != ask(make, None)
    assert make.calls == 2
    assert items(dynamodb, table) == []


@pytest.mark.usefixtures("table")
def test_another_request_with_the_key_is_refused_and_the_first_answer_stays() -> None:
    make = Maker()
    first = ask(make, request=Request(prompt="a fox"))
    with pytest.raises(Unprocessable) as refused:
        ask(make, request=Request(prompt="a dog"))
    assert refused.value.type.endswith(":idempotency-key-reused")
    with pytest.raises(Unprocessable):
        ask(make, request=Request(prompt="a fox", seed=7))
    assert ask(make, request=Request(prompt="a fox")) == first
    assert make.calls == 1


@pytest.mark.usefixtures("table")
def test_a_key_belongs_to_its_caller_and_to_the_service() -> None:
    make = Maker()
    callers = ["user:ana", "user:ben", "address:192.0.2.1", "address:192.0.2.2", "user:ana ", "user"]
    made = [ask(make, caller=caller, service=service)["id"] for caller in callers for service in (IMAGE, SPEECH)]
    assert len(set(made)) == len(made) == 12
    assert [
        ask(make, caller=caller, service=service)["id"] for caller in callers for service in (IMAGE, SPEECH)
    ] == made


@pytest.mark.usefixtures("table")
def test_a_caller_and_a_key_cannot_be_taken_for_another_pair() -> None:
    make = Maker()
    pairs = [("user:a", "b"), ("user:", "ab"), ("user:ab", ""), ('user:a","b', "c"), ("user:a", 'b","c')]
    assert len({ask(make, key, caller=caller)["id"] for caller, key in pairs}) == len(pairs)


def test_neither_key_nor_caller_is_stored_or_logged(dynamodb: "DynamoDBClient", table: str, log: Log) -> None:
    ask(Maker())
    with pytest.raises(Unprocessable):
        ask(Maker(), request=Request(prompt="a dog"))
    with answers_table.trouble(dynamodb, "PutItem", "denied"), pytest.raises(ServiceUnavailable):
        ask(Maker())
    with answers_table.trouble(dynamodb, "UpdateItem", "denied"):
        ask(Maker(), KEY + "2")
    with pytest.raises(Conflict) as conflict:
        ask(Maker(), KEY + "2")
    written = json.dumps(items(dynamodb, table)) + log.getvalue() + conflict.value.detail
    assert "fox" in written
    assert KEY not in written
    assert ANYBODY not in written


@pytest.mark.parametrize("character", ["x", "😀", '"', "\\", "\u0001"])
def test_the_longest_prompt_is_far_from_the_largest_item(
    dynamodb: "DynamoDBClient", table: str, character: str
) -> None:
    prompt = character * 4096
    first = ask(Maker(prompt=prompt), request=Request(prompt=prompt))
    assert ask(Maker(), request=Request(prompt=prompt)) == first
    (item,) = items(dynamodb, table)
    assert len(json.dumps(item)) < 200_000  # of 400 KB


# ---------------------------------------------------------------- for how long


def test_an_answer_is_kept_for_24_hours(dynamodb: "DynamoDBClient", table: str) -> None:
    make = Maker()
    before = int(time.time())
    first = ask(make)
    after = int(time.time())
    (item,) = items(dynamodb, table)
    assert before <= int(item["expiration"]["N"]) - 86_400 <= after
    make_older(dynamodb, table, "expiration", KEPT_SECONDS - 600)
    assert ask(make) == first


def test_after_24_hours_the_key_is_new_although_dynamodb_has_not_removed_it(
    dynamodb: "DynamoDBClient", table: str
) -> None:
    make = Maker()
    first = ask(make)
    make_older(dynamodb, table, "expiration", KEPT_SECONDS + 1)
    second = ask(make, request=Request(prompt="a dog"))
    assert second != first
    assert ask(make, request=Request(prompt="a dog")) == second
    assert len(items(dynamodb, table)) == 1


# ---------------------------------------------------------------- failures and crashes


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    "error",
    [
        BadGateway("x"),
        GatewayTimeout("x"),
        Unprocessable("x", slug="prompt-refused"),
        ServiceUnavailable("x", retry_after=2),
        RuntimeError("a bug"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failure_is_told_and_not_remembered(error: Exception) -> None:
    make = Maker(error)
    for _ in range(2):
        with pytest.raises(type(error)) as raised:
            ask(make)
        assert raised.value is error
    make.error = None
    assert ask(make) == ask(make)
    assert make.calls == 3


@pytest.mark.usefixtures("table")
def test_after_a_failure_the_key_may_come_with_another_request() -> None:
    with pytest.raises(BadGateway):
        ask(Maker(BadGateway("x")))
    assert ask(Maker(), request=Request(prompt="a dog"))


@pytest.mark.parametrize("kind", answers_table.TROUBLES)
def test_a_failure_is_told_although_the_key_cannot_be_freed(
    dynamodb: "DynamoDBClient", table: str, log: Log, kind: str
) -> None:
    error = BadGateway("x")
    with answers_table.trouble(dynamodb, "DeleteItem", kind), pytest.raises(BadGateway) as raised:
        ask(Maker(error))
    assert raised.value is error
    assert [line["level"] for line in log.of("the idempotency key of a failed call is not freed")] == ["ERROR"]
    with pytest.raises(Conflict):
        ask(Maker())
    make_older(dynamodb, table, "in_progress_expiration", 28_001)
    assert ask(Maker())


@pytest.mark.parametrize("kind", answers_table.TROUBLES)
def test_what_was_made_is_answered_although_the_answer_cannot_be_kept(
    dynamodb: "DynamoDBClient", table: str, log: Log, kind: str
) -> None:
    make = Maker()
    with answers_table.trouble(dynamodb, "UpdateItem", kind):
        first = ask(make)
    assert make.made == [first]
    (line,) = log.of("the answer is not kept for its idempotency key")
    assert (line["level"], line["id"]) == ("ERROR", first["id"])
    with pytest.raises(Conflict):
        ask(make)
    make_older(dynamodb, table, "in_progress_expiration", 28_001)
    assert ask(make) != first


@pytest.mark.parametrize("kind", answers_table.TROUBLES)
def test_nothing_is_made_while_dynamodb_is_down(dynamodb: "DynamoDBClient", table: str, log: Log, kind: str) -> None:
    make = Maker()
    with answers_table.trouble(dynamodb, "PutItem", kind), pytest.raises(ServiceUnavailable) as raised:
        ask(make)
    assert int(raised.value.headers["Retry-After"]) > 0
    assert make.calls == 0
    assert [line["level"] for line in log.of("idempotency keys are out of order")] == ["ERROR"]
    assert ask(make)
    assert len(items(dynamodb, table)) == 1


@pytest.mark.parametrize("remaining_ms", [28_000, 500])
def test_a_crash_holds_its_key_until_its_function_would_have_ended(
    dynamodb: "DynamoDBClient", table: str, remaining_ms: int
) -> None:
    before = int(time.time() * 1000)
    with pytest.raises(Crash):
        ask(Maker(Crash()), remaining_ms=remaining_ms)
    after = int(time.time() * 1000)
    (item,) = items(dynamodb, table)
    assert before <= int(item["in_progress_expiration"]["N"]) - remaining_ms <= after
    make_older(dynamodb, table, "in_progress_expiration", remaining_ms - 10_000)
    make = Maker()
    with pytest.raises(Conflict):
        ask(make)
    make_older(dynamodb, table, "in_progress_expiration", 10_001)
    assert ask(make) == ask(make)
    assert make.calls == 1


# ---------------------------------------------------------------- in flight


def test_while_the_first_is_in_flight_the_same_conflicts_and_another_is_refused(table: str) -> None:
    assert table
    seen: list[ProblemError] = []

    def meanwhile() -> Generation:
        for request in (Request(), Request(prompt="a dog")):
            with pytest.raises(ProblemError) as raised:
                ask(other, request=request)
            seen.append(raised.value)
        return Maker()()

    other = Maker()
    first = once(meanwhile, KEY, caller=ANYBODY, service=IMAGE, request=Request(), context=Context())
    conflict, refused = seen
    assert isinstance(conflict, Conflict)
    assert conflict.type.endswith(":idempotency-key-in-use")
    assert conflict.headers == {"Retry-After": str(IN_FLIGHT_RETRY_SECONDS)}
    assert refused.type.endswith(":idempotency-key-reused")
    assert other.calls == 0
    assert ask(other) == first


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_of_twenty_at_once_one_generates_and_the_others_conflict_or_get_its_answer(seconds: float) -> None:
    ask(Maker(), "another key")  # Lambda has one request at a time: Powertools sets up its table without a lock
    make, start = Maker(seconds=seconds), threading.Barrier(20)

    def one(_number: int) -> Generation | Conflict:
        start.wait(60)
        try:
            return ask(make)
        except Conflict as conflict:
            return conflict

    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(one, range(20)))
    assert make.calls == 1
    answered = [outcome for outcome in outcomes if not isinstance(outcome, Conflict)]
    assert answered
    assert all(answer == make.made[0] for answer in answered)
    assert ask(make) == make.made[0]


# ---------------------------------------------------------------- configuration


@pytest.mark.usefixtures("table")
def test_reading_the_table_is_a_right_that_nothing_needs(dynamodb: "DynamoDBClient") -> None:
    make = Maker(BadGateway("x"))
    with answers_table.trouble(dynamodb, "GetItem", "denied"):
        with pytest.raises(BadGateway):
            ask(make)
        make.error = None
        assert ask(make) == ask(make)
        with pytest.raises(Unprocessable):
            ask(make, request=Request(prompt="a dog"))


def test_a_service_without_a_table_does_not_pretend_to_know_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IDEMPOTENCY_TABLE", raising=False)
    make = Maker()
    with environment_caches_cleared(answers.open_answers):
        with pytest.raises(SettingsError, match="IDEMPOTENCY_TABLE"):
            ask(make)
        assert ask(make, None)
    assert make.calls == 1


def test_a_resolver_that_is_silent_is_no_dynamodb(
    monkeypatch: pytest.MonkeyPatch, silent_resolver: threading.Event
) -> None:
    make = Maker()
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://dynamodb.test")
    monkeypatch.setenv("IDEMPOTENCY_TABLE", "answers")
    monkeypatch.setattr(answers, "_SECONDS", 0.1)
    with environment_caches_cleared(answers.open_answers), pytest.raises(ServiceUnavailable):
        ask(make)
    assert make.calls == 0
    assert not silent_resolver.is_set()


def test_a_dynamodb_that_does_not_answer_is_given_up_on_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker()
    told: list[ServiceUnavailable] = []

    def request() -> None:
        with pytest.raises(ServiceUnavailable) as raised:
            ask(make)
        told.append(raised.value)

    with socket.socket() as silent, environment_caches_cleared(answers.open_answers):
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("IDEMPOTENCY_TABLE", "answers")
        waiting = threading.Thread(target=request, daemon=True)
        waiting.start()
        waiting.join(60)
        assert told
    assert make.calls == 0

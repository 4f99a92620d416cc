import contextlib
import math
import os
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest import mock

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from core import limits
from core.client import ClientInfo
from core.errors import ServiceUnavailable
from core.limits import Allowance, RateLimiter, RateLimitSettings
from core.settings import SettingsError
from core.waiting import Patience
from tests.unit.conftest import Log

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOON = 1_795_348_800.25


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def dynamodb() -> Iterator["DynamoDBClient"]:
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": "us-east-1"}), mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName="limits",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        yield client


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def environ(request: pytest.FixtureRequest) -> dict[str, str]:
    # A name of the test's own: its counters are, too.
    return {"RATE_LIMIT_TABLE": "limits", "RATE_LIMIT_NAME": request.node.name, "RATE_LIMIT": "3"}


def limiter(client: "DynamoDBClient", clock: Clock, environ: dict[str, str]) -> RateLimiter:
    return RateLimiter(lambda: client, RateLimitSettings.from_env(environ), clock=clock)


def count(one: RateLimiter, caller: str = "user:a", *, is_user: bool = True) -> Allowance:
    allowance = one.count(caller, is_user=is_user)
    assert allowance is not None
    return allowance


def test_as_many_requests_pass_as_the_limit_says(
    dynamodb: "DynamoDBClient", clock: Clock, environ: dict[str, str]
) -> None:
    one = limiter(dynamodb, clock, environ)
    counted = [count(one) for _ in range(5)]
    assert [allowance.exceeded for allowance in counted] == [False, False, False, True, True]
    assert [allowance.headers()["RateLimit-Remaining"] for allowance in counted] == ["2", "1", "0", "0", "0"]
    assert {allowance.headers()["RateLimit-Limit"] for allowance in counted} == {"3"}


def test_a_window_lasts_a_minute_from_its_first_request(
    dynamodb: "DynamoDBClient", clock: Clock, environ: dict[str, str]
) -> None:
    one = limiter(dynamodb, clock, environ)
    assert count(one).reset == 60
    # Over the turn of the clock's minute.
    for second in (1, 30, 59.5):
        clock.now = NOON + second
        allowance = count(one)
        assert allowance.reset == math.ceil(60 - second)
    assert allowance.exceeded
    clock.now = NOON + 60
    assert (count(one).count, count(one).count) == (1, 2)


def test_a_refused_request_does_not_make_the_window_longer(
    dynamodb: "DynamoDBClient", clock: Clock, environ: dict[str, str]
) -> None:
    one = limiter(dynamodb, clock, environ)
    for second in range(60):
        clock.now = NOON + second
        count(one)
    clock.now = NOON + 61
    assert not count(one).exceeded


def test_a_window_that_another_request_has_begun_is_joined(
    dynamodb: "DynamoDBClient", clock: Clock, environ: dict[str, str]
) -> None:
    first, second = limiter(dynamodb, clock, environ), limiter(dynamodb, clock, environ)
    add = first._add

    def late(counter: str, now: int) -> Callable[[Patience], tuple[int, int] | None]:
        added = add(counter, now)

        def found(patience: Patience) -> tuple[int, int] | None:
            window = added(patience)
            if window is None:
                count(second)
            return window

        return found

    with mock.patch.object(first, "_add", side_effect=late):
        assert count(first).count == 2


def test_there_is_room_while_half_of_the_window_was_left_or_it_is_over(
    dynamodb: "DynamoDBClient", clock: Clock, environ: dict[str, str]
) -> None:
    environ["RATE_LIMIT"] = "4"
    one = limiter(dynamodb, clock, environ)

    def room() -> bool:
        counting = one.begin("user:a", is_user=True)
        assert counting.result()
        return counting.has_room

    assert [room() for _ in range(5)] == [False, True, True, False, False]
    assert not limiter(dynamodb, clock, environ).begin("user:a", is_user=True).has_room
    clock.now = NOON + 61
    assert room()


def test_who_was_counted_last_is_remembered_and_not_everybody(
    dynamodb: "DynamoDBClient", clock: Clock, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environ["RATE_LIMIT"] = "9"
    monkeypatch.setattr(limits, "_REMEMBERED", 2)
    one = limiter(dynamodb, clock, environ)
    for name in ("a", "b", "a", "c"):
        one.count(f"user:{name}", is_user=True)
    rooms = [one.begin(f"user:{name}", is_user=True) for name in ("a", "b", "c")]
    assert [room.has_room for room in rooms] == [True, False, True]


def test_callers_and_names_have_counters_of_their_own(
    dynamodb: "DynamoDBClient", clock: Clock, environ: dict[str, str]
) -> None:
    one = limiter(dynamodb, clock, environ)
    other = limiter(dynamodb, clock, environ | {"RATE_LIMIT_NAME": "another"})
    assert [count(one, "user:a").count, count(one, "user:b").count, count(other, "user:a").count] == [1, 1, 1]
    assert count(limiter(dynamodb, clock, environ), "user:a").count == 2


def test_anonymous_callers_have_a_limit_of_their_own(
    dynamodb: "DynamoDBClient", clock: Clock, environ: dict[str, str]
) -> None:
    one = limiter(dynamodb, clock, environ | {"RATE_LIMIT_ANONYMOUS": "1"})
    assert [count(one, "address:a", is_user=False).exceeded for _ in range(2)] == [False, True]
    assert count(one, "user:a").limit == 3


def test_a_counter_is_removed_some_time_after_its_window(
    dynamodb: "DynamoDBClient", clock: Clock, environ: dict[str, str]
) -> None:
    count(limiter(dynamodb, clock, environ), "user:kept")
    item = dynamodb.get_item(TableName="limits", Key={"id": {"S": f"{environ['RATE_LIMIT_NAME']}#user:kept"}})["Item"]
    assert int(item["expires"]["N"]) > NOON + 60


@pytest.mark.parametrize("trouble", ["no table", "no network"])
def test_a_request_that_cannot_be_counted_is_refused_or_passes_as_the_function_says(
    dynamodb: "DynamoDBClient",
    clock: Clock,
    environ: dict[str, str],
    trouble: str,
    log: Log,
    capsys: pytest.CaptureFixture[str],
) -> None:
    client = dynamodb
    if trouble == "no table":
        environ["RATE_LIMIT_TABLE"] = "missing"
    else:
        client = mock.Mock(wraps=dynamodb, exceptions=dynamodb.exceptions)
        client.update_item.side_effect = EndpointConnectionError(endpoint_url="http://nowhere")
    with pytest.raises(ServiceUnavailable) as refused:
        limiter(client, clock, environ).count("user:a", is_user=True)
    assert refused.value.headers["Retry-After"]
    assert limiter(client, clock, environ | {"RATE_LIMIT_FAIL": "open"}).count("user:a", is_user=True) is None
    assert len(log.of("rate limits are out of order")) == 2
    assert capsys.readouterr().out.count('"RateLimitsUnavailable":[1.0]') == 2


def test_without_a_table_nothing_is_limited_and_nobody_asked(clock: Clock) -> None:
    client = mock.Mock()
    assert RateLimiter(client, RateLimitSettings.from_env({}), clock=clock).count("user:a", is_user=True) is None
    client.assert_not_called()


@pytest.mark.parametrize(
    ("name", "value"),
    [("RATE_LIMIT", "0"), ("RATE_LIMIT", "many"), ("RATE_LIMIT_ANONYMOUS", "-1"), ("RATE_LIMIT_FAIL", "sometimes")],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        RateLimitSettings.from_env({name: value})


def test_a_function_that_does_not_say_how_it_fails_refuses() -> None:
    assert not RateLimitSettings.from_env({}).fail_open


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("not an address", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_anonymous_caller_is_its_address_or_its_ipv6_network(address: str | None, network: str) -> None:
    assert ClientInfo(ip=address).network == network


@pytest.mark.parametrize("fail", ["open", "closed"])
def test_a_resolver_that_is_silent_is_no_dynamodb(
    silent_resolver: threading.Event, environ: dict[str, str], log: Log, fail: str
) -> None:
    client = boto3.client("dynamodb", endpoint_url="http://dynamodb.test", region_name="us-east-1")
    settings = RateLimitSettings.from_env(environ | {"RATE_LIMIT_FAIL": fail})
    one = RateLimiter(lambda: client, settings, seconds=0.1)
    if fail == "open":
        assert one.count("user:a", is_user=True) is None
    else:
        with pytest.raises(ServiceUnavailable):
            one.count("user:a", is_user=True)
    assert log.of("rate limits are out of order")[0]["error"] == "DeadlinePassed"
    assert not silent_resolver.is_set()


@pytest.mark.parametrize(("fail", "seconds"), [("open", 3.0), ("closed", 8.0)])
def test_a_request_that_must_be_counted_is_waited_for_longer(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, fail: str, seconds: float
) -> None:
    given: list[float] = []

    def patience(seconds: float) -> Patience:
        given.append(seconds)
        return Patience(0.0)

    monkeypatch.setattr(limits, "Patience", patience)
    client = SimpleNamespace(update_item=lambda **_asked: threading.Event().wait())
    one = RateLimiter(lambda: client, RateLimitSettings.from_env(environ | {"RATE_LIMIT_FAIL": fail}))  # type: ignore[arg-type, return-value]
    with contextlib.suppress(ServiceUnavailable):
        one.count("user:a", is_user=True)
    assert given == [seconds]

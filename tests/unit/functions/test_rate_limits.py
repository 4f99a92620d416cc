"""What a caller sees of the limits, whatever function it calls."""

import os
from collections.abc import Iterator
from types import ModuleType
from unittest import mock

import boto3
import pytest
from moto import mock_aws

from core import limits
from core.http import OPTIONAL, REQUIRED, Api
from tests import events, tokens
from tests.events import Gateway
from tests.unit.functions.answers import Answer, ask
from tests.unit.stand_ins import environment_caches_cleared


@pytest.fixture(scope="module")
def _dynamodb() -> Iterator[None]:
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": "us-east-1"}), mock_aws():
        boto3.client("dynamodb").create_table(
            TableName="limits",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        yield


@pytest.fixture(autouse=True)
def _limited(_dynamodb: None, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RATE_LIMIT_TABLE", "limits")
    monkeypatch.setenv("RATE_LIMIT_NAME", request.node.name)
    monkeypatch.setenv("RATE_LIMIT", "3")
    monkeypatch.setenv("RATE_LIMIT_ANONYMOUS", "2")
    with environment_caches_cleared(limits.from_env, limits._client):
        yield


def function(api: Api) -> ModuleType:
    @api.get("/thing", operation_id="getThing")
    def thing() -> None:
        return None

    @api.post("/thing", operation_id="makeThing")
    def make(_body: dict[str, str]) -> None:
        return None

    module = ModuleType("thing")
    module.handler = api  # type: ignore[attr-defined]
    return module


def bearer(**claims: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.access_token(**claims)}"}


def limited(answer: Answer) -> tuple[int, str, str]:
    """The status, and what the answer says of the limit."""
    assert 0 < int(answer.headers["ratelimit-reset"]) <= 60
    return answer.status, answer.headers["ratelimit-limit"], answer.headers["ratelimit-remaining"]


def test_a_user_is_limited_by_id_wherever_it_calls_from(gateway: Gateway) -> None:
    one, headers = function(Api(caller=OPTIONAL)), bearer()
    answers = [ask(one, gateway("GET", "/thing", headers=headers)) for _ in range(4)]
    assert [limited(answer) for answer in answers] == [
        (200, "3", "2"),
        (200, "3", "1"),
        (200, "3", "0"),
        (429, "3", "0"),
    ]
    problem = answers[-1].problem(429)
    assert problem["type"].endswith(":rate-limited")
    assert answers[-1].headers["retry-after"] == answers[-1].headers["ratelimit-reset"]
    assert ask(one, gateway("GET", "/thing", headers=bearer(sub="another"))).status == 200


def test_the_identity_that_the_gateway_found_is_counted_like_a_token_that_was_sent() -> None:
    one, claims = function(Api(caller=REQUIRED)), tokens.claims()
    ask(one, events.aws("GET", "/thing", identity=claims))
    headers = {"Authorization": f"Bearer {tokens.access_token(**claims)}"}
    assert limited(ask(one, events.aws("GET", "/thing", headers=headers))) == (200, "3", "1")


def test_an_anonymous_caller_is_limited_by_address() -> None:
    one = function(Api(caller=OPTIONAL))
    event = events.aws("GET", "/thing")
    assert [limited(ask(one, event))[0] for _ in range(3)] == [200, 200, 429]
    event["requestContext"]["identity"]["sourceIp"] = "203.0.113.9"
    assert ask(one, event).status == 200


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "CF-Connecting-IP"])
def test_a_header_cannot_change_the_address(name: str) -> None:
    one = function(Api())
    answers = [ask(one, events.aws("GET", "/thing", headers={name: f"203.0.113.{number}"})) for number in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]


def test_a_route_that_asks_for_no_token_counts_by_address_even_when_one_is_sent() -> None:
    one = function(Api())
    answers = [ask(one, events.aws("GET", "/thing", headers=bearer(sub=f"user {number}"))) for number in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]


@pytest.mark.parametrize("caller", [OPTIONAL, REQUIRED])
def test_bad_tokens_are_counted_for_the_address_they_come_from(caller: object) -> None:
    one = function(Api(caller=caller))  # type: ignore[arg-type]
    event = events.aws("GET", "/thing", headers={"Authorization": "Bearer nonsense"})
    assert [limited(ask(one, event)) for _ in range(3)] == [(401, "2", "1"), (401, "2", "0"), (429, "2", "0")]


@pytest.mark.parametrize(("body", "status"), [("not JSON", 400), ("[]", 422), ("{}", 200), ("x" * 70_000, 413)])
def test_every_answer_tells_of_the_limit_and_counts(body: str, status: int) -> None:
    one = function(Api())
    answers = [ask(one, events.aws("POST", "/thing", body=body)) for _ in range(3)]
    assert [limited(answer) for answer in answers] == [(status, "2", "1"), (status, "2", "0"), (429, "2", "0")]


def test_a_preflight_is_neither_counted_nor_limited(gateway: Gateway) -> None:
    one = function(Api(caller=REQUIRED))
    headers = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"}
    assert {ask(one, gateway("OPTIONS", "/thing", headers=headers)).status for _ in range(5)} == {204}


def test_where_limits_are_off_no_answer_tells_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE_LIMIT_TABLE", "")
    answers = [ask(function(Api()), events.aws("GET", "/thing")) for _ in range(5)]
    assert {answer.status for answer in answers} == {200}
    assert not [name for answer in answers for name in answer.headers if name.startswith("ratelimit")]


@pytest.mark.parametrize(("fail", "status"), [("open", 200), ("closed", 503)])
def test_without_counters_a_function_goes_on_or_refuses_as_it_is_told(
    fail: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATE_LIMIT_TABLE", "missing")
    monkeypatch.setenv("RATE_LIMIT_FAIL", fail)
    answer = ask(function(Api()), events.aws("GET", "/thing"))
    assert answer.status == status
    if status == 503:
        answer.problem(503)

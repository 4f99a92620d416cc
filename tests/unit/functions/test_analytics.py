"""The functions of usage, as gateways, queues and operators call them."""

import json
import random
from collections.abc import Iterator, Mapping
from datetime import date
from types import ModuleType
from typing import Any, cast

import pytest

from analytics import costs, count, overview, performance, recount, timeseries, users
from core.identity import Identity
from generation import keys, records
from generation.providers import Deadline
from generation.usage import counting, endpoints
from generation.usage.counting import Source
from generation.usage.entries import of_failure, of_record
from generation.usage.table import UsageTable
from ops import metrics
from tests import events, tokens
from tests.events import Gateway
from tests.services import SERVICES
from tests.unit.functions.answers import Answer, ask
from tests.unit.generation import usage_history
from tests.unit.generation.memory_dynamodb import MemoryDynamoDB, client_error
from tests.unit.generation.memory_s3 import MemoryS3
from tests.unit.generation.samples import identifier, record_of
from tests.unit.generation.usage_history import USERS, Script, compare
from tests.unit.stand_ins import ADMIN, ANA

FIRST, DAYS = date(2026, 11, 1), 20
RANGE = {"from": "2026-11-02", "to": "2026-11-19", "tz": "Asia/Kathmandu"}
DAY_RANGE = date(2026, 11, 2), date(2026, 11, 19)
ROUTES = {"overview": overview, "timeseries": timeseries, "performance": performance, "costs": costs}
ANALYST = Identity(USERS[1], "analyst@example.com", "user", ANA.sid, ANA.exp)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> UsageTable:
    """The table that the functions are configured with."""
    made = UsageTable(cast(Any, MemoryDynamoDB()), "usage", pause=lambda _seconds: None, chance=random.Random(1))
    for module in (endpoints, count, recount):
        monkeypatch.setattr(module, "open_table", lambda _name: made)
    monkeypatch.setenv("USAGE_TABLE", "usage")
    return made


@pytest.fixture
def history(table: UsageTable) -> tuple[list[dict[str, Any]], list[usage_history.Failed]]:
    """Calls of five users that were counted."""
    made, failed = usage_history.history(300, FIRST, DAYS, random.Random(5))
    entries = [of_record(cast(Any, one), makes_pictures=one["service"] == "image") for one in made]
    assert table.count([*entries, *(of_failure(one.message()) for one in failed)], Deadline(600)) == {}
    return made, failed


def call(
    function: ModuleType,
    path: str,
    query: Mapping[str, str] = RANGE,
    *,
    caller: Identity | None = ANALYST,
    gateway: Gateway = events.aws,
    **headers: str,
) -> Answer:
    if caller:
        token = tokens.access_token(sub=caller.sub, email=caller.email, role=caller.role, sid=caller.sid)
        headers["Authorization"] = f"Bearer {token}"
    return ask(function, gateway("GET", f"/analytics/{path}", query=dict(query), headers=headers))


def expected(script: Script, path: str) -> Any:
    match path:
        case "overview":
            return usage_history.overview(script)
        case "timeseries":
            return usage_history.timeseries(script, *DAY_RANGE, "day")
        case "performance":
            return usage_history.performance(script, None)
    return usage_history.costs(script)


@pytest.mark.parametrize("path", ROUTES)
def test_each_route_answers_what_the_records_say_to_those_who_may_see_it(
    history: Any, gateway: Gateway, path: str
) -> None:
    for caller, whose, owner in ((ADMIN, "all", None), (ADMIN, USERS[1], USERS[1]), (ADMIN, "anonymous", "anonymous")):
        found = call(ROUTES[path], path, {**RANGE, "userId": whose}, caller=caller, gateway=gateway).json
        about = {name: found.pop(name) for name in ("from", "to", "tz", "userId")}
        assert about == {**RANGE, "userId": whose}
        script = Script(*history, owner, RANGE["tz"]).within(*DAY_RANGE)
        assert compare(found, expected(script, path)) > 10
    own = call(ROUTES[path], path, gateway=gateway).json
    assert own["userId"] == ANALYST.sub
    same = call(ROUTES[path], path, {**RANGE, "userId": ANALYST.sub}, caller=ADMIN).json
    assert {name: value for name, value in same.items() if name not in ("users", "topUsers")} == own


@pytest.mark.parametrize("path", ROUTES)
def test_nobody_sees_anothers_use(history: Any, path: str) -> None:
    for whose in ("all", "anonymous", USERS[2], "nonsense"):
        call(ROUTES[path], path, {**RANGE, "userId": whose}).problem(403)
    call(ROUTES[path], path, caller=None).problem(401)
    call(ROUTES[path], path, {**RANGE, "userId": "nonsense"}, caller=ADMIN).problem(404)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "2026-11-31"}, "from"),
        ({"from": "2026-11-03", "to": "2026-11-02"}, "from"),
        ({"from": "2025-01-01", "to": "2026-11-02"}, "from"),
        ({"to": "2026-11-02T10:05:00Z"}, "to"),
        ({"tz": "Mars/Olympus"}, "tz"),
        ({"service": ""}, "service"),
        ({"format": "xml"}, "format"),
    ],
)
@pytest.mark.parametrize("path", ROUTES)
def test_what_is_not_valid_is_told_by_its_field(
    table: UsageTable, path: str, query: dict[str, str], field: str
) -> None:
    assert call(ROUTES[path], path, query).wrong_fields() == {field}


def test_a_bucket_is_an_hour_or_a_day(table: UsageTable) -> None:
    assert call(timeseries, "timeseries", {"bucket": "week"}).wrong_fields() == {"bucket"}
    assert call(performance, "performance", {"bucket": ""}).wrong_fields() == {"bucket"}


@pytest.mark.parametrize("path", ["timeseries", "performance", "costs"])
def test_csv_has_the_rows_of_json_for_whoever_asks(history: Any, path: str) -> None:
    items = call(ROUTES[path], path).json["items"]
    by_format = call(ROUTES[path], path, {**RANGE, "format": "csv"})
    by_header = call(ROUTES[path], path, Accept="text/csv")
    assert by_format.body == by_header.body
    assert by_format.headers["content-type"] == "text/csv; charset=utf-8"
    lines = by_format.body.split("\r\n")
    assert len(lines) == len(items) + 2
    assert lines[0].split(",")[-1] in ("usd", "latencyMs.p99")
    assert call(ROUTES[path], path, {**RANGE, "format": "json"}, Accept="text/csv").json["items"] == items
    assert call(ROUTES[path], path, Accept="application/json, text/csv").json["items"] == items


def test_users_are_for_administrators_and_come_by_the_page(history: Any) -> None:
    call(users, "users").problem(403)
    call(users, "users", caller=None).problem(401)
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = call(users, "users", {**RANGE, "limit": "2", **cursor}, caller=ADMIN).json
        found += page["items"]
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    script = Script(*history, None, RANGE["tz"]).within(*DAY_RANGE)
    assert {one["userId"] for one in found} == set(USERS)
    assert sum(one["requests"] for one in found) == script.requests
    assert [one["requests"] for one in found] == sorted((one["requests"] for one in found), reverse=True)
    assert call(users, "users", {**RANGE, "cursor": "x"}, caller=ADMIN).wrong_fields() == {"cursor"}


def test_a_table_that_does_not_answer_is_503(table: UsageTable) -> None:
    def down(_operation: str, _when: str) -> None:
        raise client_error("ThrottlingException", "Query")

    cast(MemoryDynamoDB, table.client).fault = down
    for path, function in ROUTES.items():
        problem = call(function, path).problem(503)
        assert problem["type"].endswith(":usage-unavailable")


# ---------------------------------------------------------------- counting


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Source]]:
    """Every service with a bucket of its own, by the bucket's name, which is the service's here."""
    found = {service.name: Source(service, MemoryS3().bucket()) for service in SERVICES}
    monkeypatch.setattr(counting, "sources", lambda _folder, _environ: found)
    count._sources.cache_clear()
    yield found
    count._sources.cache_clear()


def stored(sources: Mapping[str, Source]) -> dict[str, str]:
    """A record of each service in its bucket; ids by service."""
    made = {}
    for number, (name, source) in enumerate(sources.items()):
        record = record_of(source.service, identifier(rest=number))
        source.bucket.put(keys.record_object(record["id"]), records.dumps(record), "application/json")
        made[name] = record["id"]
    return made


def batch(told: Mapping[str, str]) -> dict[str, Any]:
    """A message of SQS for each record."""
    return {
        "Records": [
            {
                "messageId": name,
                "body": json.dumps(
                    {"Records": [{"s3": {"bucket": {"name": name}, "object": {"key": keys.record_object(one)}}}]}
                ),
            }
            for name, one in told.items()
        ]
    }


def test_records_of_every_service_are_counted_once(table: UsageTable, sources: dict[str, Source]) -> None:
    made = stored(sources)
    for _ in range(2):
        assert count.handler(batch(made), events.Context()) == {"batchItemFailures": []}
    days = {"from": "2026-11-22", "to": "2026-11-22", "userId": "all"}
    found = call(overview, "overview", days, caller=ADMIN).json
    assert (found["requests"], found["succeeded"]) == (len(SERVICES), len(SERVICES))
    items = call(costs, "costs", days, caller=ADMIN).json["items"]
    assert {item["service"] for item in items} == {service.name for service in SERVICES}


def test_a_message_that_cannot_be_counted_is_named_alone(table: UsageTable, sources: dict[str, Source]) -> None:
    made = stored(sources)
    lost = SERVICES[0].name
    sources[lost].bucket.delete(keys.record_object(made[lost]))
    assert count.handler(batch(made), events.Context()) == {"batchItemFailures": [{"itemIdentifier": lost}]}


def test_recount_compares_day_by_day_and_puts_right_when_asked_to(
    table: UsageTable, sources: dict[str, Source]
) -> None:
    made = stored(sources)
    order = {"from": "2026-11-21", "to": "2026-11-22"}
    found = recount.handler(order, events.Context())
    # One day is done whatever the time, and the next one when there is time.
    while found["next"]:
        found = recount.handler({**order, "from": found["next"]}, events.Context())
    assert (found["records"], sorted(found["missing"])) == (len(made), sorted(made.values()))
    recount.handler({"from": "2026-11-22", "to": "2026-11-22", "repair": True}, events.Context())
    again = recount.handler({"from": "2026-11-22", "to": "2026-11-22"}, events.Context())
    assert [again[kind] for kind in ("missing", "differing", "unreadable", "rows", "busy")] == [[]] * 5
    with pytest.raises(ValueError, match="must not be after"):
        recount.handler({"from": "2026-11-22", "to": "2026-11-21"}, events.Context())


# ---------------------------------------------------------------- metrics


def test_metrics_are_for_the_scrape_token_alone(
    history: Any, table: UsageTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = type("Secret", (), {"text": lambda _self: "the-token"})()
    monkeypatch.setattr(metrics, "_token", lambda: secret)
    monkeypatch.setattr("generation.usage.table.open_table", lambda _name: table)
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic the-token"}):
        ask(metrics, events.aws("GET", "/metrics", headers=header)).problem(401)
    answer = ask(metrics, events.aws("GET", "/metrics", headers={"Authorization": "Bearer the-token"}))
    assert answer.status == 200
    counted = [line for line in answer.body.splitlines() if line.startswith("llm_requests_total{")]
    assert sum(int(line.rpartition(" ")[2]) for line in counted) == sum(map(len, history))
    assert not any(user in answer.body for user in USERS)

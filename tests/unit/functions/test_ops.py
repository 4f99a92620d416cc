"""Health and migration."""

import json
import os
import re
import tomllib
from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import boto3
import pytest

from accounts import database, service
from accounts import migrate as schema
from accounts.database import Database
from core import limits
from core.secrets import Secret
from ops import health, migrate, root
from tests import events
from tests.events import Gateway
from tests.services import NAMES
from tests.unit.accounts.conftest import Server
from tests.unit.conftest import Log
from tests.unit.functions.answers import Answer, ask
from tests.unit.functions.cloudformation import Reports, cloudformation
from tests.unit.functions.template import ROOT, functions
from tests.unit.stand_ins import environment_caches_cleared

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CURRENT, OTHER = "current" * 6, "another" * 6
DEAD = "postgresql://somebody:hunter2@127.0.0.1:1/platform"


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    with environment_caches_cleared(service.from_env, database.from_env):
        yield
        if database.from_env.cache_info().currsize and "DATABASE_SECRET_ARN" in os.environ:
            database.from_env().close()


class Part:
    """Tells the function where a part of the platform is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._number = 0

    def database_at(self, url: str) -> None:
        self._number += 1
        client = boto3.client("secretsmanager")
        arn = client.create_secret(Name=f"database-{uuid4().hex}-{self._number}", SecretString=url)["ARN"]
        self._monkeypatch.setenv("DATABASE_SECRET_ARN", arn)

    def buckets_are(self, bucket: str, **others: str) -> None:
        for name in NAMES:
            self._monkeypatch.setenv(f"{name.upper()}_BUCKET", others.get(name, bucket))

    def keys_are(self, signing: str | None, *public: str) -> None:
        """The id of the key that signs, if there is one, and of those that verify."""
        client = boto3.client("secretsmanager")
        arn = client.create_secret(Name=f"signing-{uuid4()}")["ARN"]
        if signing:
            client.put_secret_value(SecretId=arn, ClientRequestToken=signing, SecretString="x")
        self._monkeypatch.setenv("SIGNING_SECRET_ARN", arn)
        self._monkeypatch.setenv("JWKS", json.dumps({"keys": [{"kid": kid} for kid in public]}))

    def limits_in(self, table: str) -> None:
        self._monkeypatch.setenv("RATE_LIMIT_TABLE", table)
        self._monkeypatch.setenv("RATE_LIMIT_FAIL", "open")


@pytest.fixture
def part(s3: "S3Client", monkeypatch: pytest.MonkeyPatch) -> Part:
    """The parts, none of which is configured yet."""
    for name in (
        "DATABASE_SECRET_ARN",
        "SIGNING_SECRET_ARN",
        "JWKS",
        "RATE_LIMIT_TABLE",
        *(f"{one.upper()}_BUCKET" for one in NAMES),
    ):
        monkeypatch.delenv(name, raising=False)
    return Part(monkeypatch)


# ---------------------------------------------------------------- root

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json, text/html", "text/htmlx", ""])
def test_the_root_says_what_this_is_and_where_to_go(gateway: Gateway, accept: str | None) -> None:
    answer = ask(root, gateway("GET", "/", headers={} if accept is None else {"Accept": accept}))
    assert answer.status == 200
    assert (answer.headers["content-type"], answer.headers["vary"]) == ("application/json", "Accept")
    assert answer.json["name"] == "llm-microservices"
    assert answer.json["version"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    served = {route.path for function in functions().values() for route in function.routes if route.method == "GET"}
    assert set(answer.json["links"].values()) == {"/openapi.json", "/docs", "/console", "/healthz"} <= served


@pytest.mark.parametrize("accept", [BROWSER, "text/html", "TEXT/HTML;q=0.9"])
def test_a_browser_gets_the_root_as_a_page_that_loads_nothing(gateway: Gateway, accept: str) -> None:
    answer = ask(root, gateway("GET", "/", headers={"Accept": accept}))
    assert answer.status == 200
    assert (answer.headers["content-type"], answer.headers["vary"]) == ("text/html; charset=utf-8", "Accept")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert re.findall(r'<a href="([^"]+)"', answer.body) == ["console", "docs", "openapi.json", "healthz"]


def test_the_links_of_the_page_hold_behind_a_stage_without_a_slash() -> None:
    event = events.aws("GET", "/", headers={"Accept": "text/html"})
    assert 'href="docs"' in ask(root, event).body
    event["requestContext"]["path"] = "/dev"
    assert 'href="dev/docs"' in ask(root, event).body


@pytest.fixture
def well(part: Part, server: Server, database_name: str, bucket: str) -> Part:
    """The parts, with all that users need."""
    part.database_at(server.url(database_name))
    part.buckets_are(bucket)
    part.keys_are(CURRENT, OTHER, CURRENT)
    return part


def deep() -> Answer:
    return ask(health, events.aws("GET", "/healthz", query={"deep": "true"}))


# ---------------------------------------------------------------- health


@pytest.mark.usefixtures("part")
def test_the_cheap_check_asks_nobody(gateway: Gateway) -> None:
    answer = ask(health, gateway("GET", "/healthz"))
    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert ask(health, gateway("GET", "/healthz", query={"deep": "false"})).json == {"status": "ok"}


@pytest.mark.usefixtures("well")
def test_the_deep_check_is_200_when_every_part_has_what_users_need(gateway: Gateway) -> None:
    answer = ask(health, gateway("GET", "/healthz", query={"deep": "true"}))
    assert answer.status == 200
    assert answer.json == {"status": "ok", "parts": {"postgresql": "ok", "signingKeys": "ok", "s3": "ok"}}


@pytest.mark.parametrize(
    ("alive", "without", "down"),
    [
        (False, [], {"postgresql"}),
        *((True, [name], {"s3"}) for name in NAMES),
        (False, NAMES, {"postgresql", "s3"}),
    ],
)
def test_the_deep_check_is_503_and_names_the_part_that_is_down(
    well: Part, server: Server, database_name: str, bucket: str, alive: bool, without: list[str], down: set[str]
) -> None:
    well.database_at(server.url(database_name) if alive else DEAD)
    well.buckets_are(bucket, **dict.fromkeys(without, "llmhist-nowhere"))
    answer = deep()
    parts = answer.problem(503)["parts"]
    assert set(parts) == {"postgresql", "signingKeys", "s3"}
    assert {name for name, state in parts.items() if state == "down"} == down
    assert "hunter2" not in answer.body


def test_a_database_without_the_tables_is_down_and_the_log_says_what_it_lacks(
    well: Part, server: Server, log: Log
) -> None:
    name = server.new_database()
    well.database_at(server.url(name))
    assert deep().problem(503)["parts"]["postgresql"] == "down"
    (line,) = log.of("a part of the platform is down")
    assert line["part"] == "postgresql"
    assert "create_users" in line["detail"]


def test_a_database_of_the_release_before_is_down(well: Part, server: Server) -> None:
    name = server.new_database()
    well.database_at(server.url(name))
    before = Database(Secret(os.environ["DATABASE_SECRET_ARN"]))
    schema.migrate(before, schema.bundled()[:-1])
    before.close()
    assert deep().problem(503)["parts"]["postgresql"] == "down"


@pytest.mark.parametrize(
    ("signing", "public"), [(CURRENT, ()), (None, (CURRENT,)), (CURRENT, (OTHER,))], ids=["no set", "no key", "another"]
)
def test_keys_with_which_nobody_could_log_in_are_down(well: Part, signing: str | None, public: tuple[str, ...]) -> None:
    well.keys_are(signing, *public)
    assert deep().problem(503)["parts"] == {"postgresql": "ok", "signingKeys": "down", "s3": "ok"}


@pytest.mark.parametrize(("there", "state"), [(True, "ok"), (False, "down")])
def test_the_table_of_the_limits_is_a_part_where_they_are_on(well: Part, there: bool, state: str) -> None:
    name = f"limits-{uuid4()}"
    if there:
        boto3.client("dynamodb").create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
    well.limits_in(name)
    with environment_caches_cleared(limits.from_env, limits._client):
        answer = deep()
    parts = answer.json["parts"]
    assert (answer.status, parts["dynamodb"]) == (200 if there else 503, state)


@pytest.mark.parametrize("value", ["", "x", "2", "\0", "deep"])
def test_a_depth_that_is_neither_true_nor_false_is_refused(gateway: Gateway, value: str) -> None:
    assert ask(health, gateway("GET", "/healthz", query={"deep": value})).wrong_fields() == {"deep"}


# ---------------------------------------------------------------- migrate


@pytest.fixture
def reports() -> Iterator[Reports]:
    with cloudformation() as reports:
        yield reports


def test_a_new_database_gets_its_schema_and_an_old_one_keeps_it(part: Part, server: Server, reports: Reports) -> None:
    name = server.new_database()
    part.database_at(server.url(name))
    migrate.handler(events.custom_resource("Create", reports.url), None)
    assert reports.last["Status"] == "SUCCESS"
    applied = reports.last["Data"]["Applied"].split(",")
    assert len(applied) >= 2
    assert server.execute("SELECT count(*) FROM users", database=name) == [(0,)]

    migrate.handler(events.custom_resource("Update", reports.url, physical_id="m"), None)
    assert (reports.last["Status"], reports.last["Data"]) == ("SUCCESS", {"Applied": ""})
    assert reports.last["PhysicalResourceId"] == "m"


def test_a_database_that_is_down_fails_the_deployment_with_a_reason(part: Part, reports: Reports, log: Log) -> None:
    part.database_at(DEAD)
    migrate.handler(events.custom_resource("Create", reports.url), None)
    assert reports.last["Status"] == "FAILED"
    assert reports.last["Reason"]
    assert "hunter2" not in str(reports.last) + log.getvalue()


@pytest.mark.usefixtures("part")
def test_a_deleted_stack_leaves_the_database_alone(reports: Reports) -> None:
    migrate.handler(events.custom_resource("Delete", reports.url, physical_id="m"), None)
    assert reports.last["Status"] == "SUCCESS"

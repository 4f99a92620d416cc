"""Health and migration."""

import os
import re
import tomllib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest

from accounts import database, service
from ops import health, migrate, root
from tests import events
from tests.events import Gateway
from tests.unit.accounts.conftest import Server
from tests.unit.conftest import Log
from tests.unit.functions.answers import ask
from tests.unit.functions.cloudformation import Reports, cloudformation
from tests.unit.functions.template import ROOT, functions
from tests.unit.stand_ins import environment_caches_cleared

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

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
        arn = client.create_secret(Name=f"database-{id(self)}-{self._number}", SecretString=url)["ARN"]
        self._monkeypatch.setenv("DATABASE_SECRET_ARN", arn)

    def buckets_are(self, image: str, speech: str) -> None:
        self._monkeypatch.setenv("IMAGE_BUCKET", image)
        self._monkeypatch.setenv("TTS_BUCKET", speech)


@pytest.fixture
def part(s3: "S3Client", monkeypatch: pytest.MonkeyPatch) -> Part:
    """The parts, none of which is configured yet."""
    for name in ("DATABASE_SECRET_ARN", "IMAGE_BUCKET", "TTS_BUCKET"):
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
    assert set(answer.json["links"].values()) == {"/openapi.json", "/docs", "/healthz"} <= served


@pytest.mark.parametrize("accept", [BROWSER, "text/html", "TEXT/HTML;q=0.9"])
def test_a_browser_gets_the_root_as_a_page_that_loads_nothing(gateway: Gateway, accept: str) -> None:
    answer = ask(root, gateway("GET", "/", headers={"Accept": accept}))
    assert answer.status == 200
    assert (answer.headers["content-type"], answer.headers["vary"]) == ("text/html; charset=utf-8", "Accept")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert re.findall(r'<a href="([^"]+)"', answer.body) == ["docs", "openapi.json", "healthz"]


def test_the_links_of_the_page_hold_behind_a_stage_without_a_slash() -> None:
    event = events.aws("GET", "/", headers={"Accept": "text/html"})
    assert 'href="docs"' in ask(root, event).body
    event["requestContext"]["path"] = "/dev"
    assert 'href="dev/docs"' in ask(root, event).body


# ---------------------------------------------------------------- health


@pytest.mark.usefixtures("part")
def test_the_cheap_check_asks_nobody(gateway: Gateway) -> None:
    answer = ask(health, gateway("GET", "/healthz"))
    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert ask(health, gateway("GET", "/healthz", query={"deep": "false"})).json == {"status": "ok"}


def test_the_deep_check_is_200_when_every_part_answers(
    gateway: Gateway, part: Part, server: Server, bucket: str
) -> None:
    part.database_at(server.url())
    part.buckets_are(bucket, bucket)
    answer = ask(health, gateway("GET", "/healthz", query={"deep": "true"}))
    assert answer.status == 200
    assert answer.json == {"status": "ok", "parts": {"postgresql": "ok", "s3": "ok"}}


@pytest.mark.parametrize(
    ("alive", "image", "speech", "parts"),
    [
        (False, True, True, {"postgresql": "down", "s3": "ok"}),
        (True, False, True, {"postgresql": "ok", "s3": "down"}),
        (True, True, False, {"postgresql": "ok", "s3": "down"}),
        (False, False, False, {"postgresql": "down", "s3": "down"}),
    ],
)
def test_the_deep_check_is_503_and_names_the_part_that_is_down(
    part: Part, server: Server, bucket: str, alive: bool, image: bool, speech: bool, parts: dict[str, str]
) -> None:
    part.database_at(server.url() if alive else DEAD)
    part.buckets_are(bucket if image else "llmhist-nowhere", bucket if speech else "llmhist-nowhere")
    answer = ask(health, events.aws("GET", "/healthz", query={"deep": "true"}))
    assert answer.problem(503)["parts"] == parts
    assert "hunter2" not in answer.body


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

import json
import os
import urllib.error
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any
from unittest import mock

import jwt
import pytest
from moto import mock_aws

from accounts import key_rotation, signing_keys
from accounts.signing_keys import SigningKey
from core.identity import TokenVerifier
from core.logging import logger
from ops import signing_key
from tests import events, tokens
from tests.unit.conftest import Log
from tests.unit.functions.cloudformation import Reports, cloudformation
from tests.unit.stand_ins import environment_caches_cleared

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


_numbers = count(1)


class Stack:
    """A stack that has the resource: what it asks for and what it then holds."""

    def __init__(self, reports: Reports, secret: str) -> None:
        self._reports = reports
        self.secret = secret
        self._requests = 0
        self.secrets: SecretsManagerClient = key_rotation._secrets()

    def ask(self, request_type: str, version: int, old: int | None = None, *, again: bool = False) -> dict[str, Any]:
        """Send a request, or the last one again as Lambda does after a failure; returns the report."""
        self._requests += not again
        event = events.custom_resource(
            request_type,
            self._reports.url,
            properties={"Version": str(version)},
            old_properties=None if old is None else {"Version": str(old)},
            physical_id=None if request_type == "Create" else "keys",
        )
        signing_key.handler(event | {"RequestId": f"request-{self._requests}"}, None)
        return self._reports.last

    def kids(self, *request: Any, **options: Any) -> list[str]:
        """The ids of the published keys after a request."""
        report = self.ask(*request, **options)
        assert report["Status"] == "SUCCESS", report
        return [key["kid"] for key in json.loads(report["Data"]["Jwks"])["keys"]]

    def staged(self, stage: str) -> str:
        """The id of the key with this stage."""
        text = self.secrets.get_secret_value(SecretId=self.secret, VersionStage=stage)["SecretString"]
        return signing_keys.parse(text).kid


@pytest.fixture
def reports() -> Iterator[Reports]:
    with cloudformation() as reports:
        yield reports


@pytest.fixture(scope="module", autouse=True)
def _aws() -> Iterator[None]:
    with (
        mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": "us-east-1"}),
        mock_aws(),
        environment_caches_cleared(key_rotation._secrets, key_rotation._parameters),
    ):
        yield


@pytest.fixture(scope="module")
def key_pairs() -> list[SigningKey]:
    """As many pairs as a stack of these tests makes. Each takes a tenth of a second."""
    return [signing_keys.generate() for _ in range(7)]


@pytest.fixture
def stack(reports: Reports, key_pairs: list[SigningKey], monkeypatch: pytest.MonkeyPatch) -> Stack:
    name = f"jwks-{next(_numbers)}"
    arn = key_rotation._secrets().create_secret(Name=name)["ARN"]
    key_rotation._parameters().put_parameter(Name=name, Value='{"keys":[]}', Type="String")
    monkeypatch.setenv("SIGNING_SECRET_ARN", arn)
    monkeypatch.setenv("JWKS_PARAMETER", name)
    monkeypatch.setattr(signing_keys, "generate", iter(key_pairs).__next__)
    return Stack(reports, arn)


def test_a_new_stack_has_a_current_key_and_the_next_one(stack: Stack, reports: Reports) -> None:
    current, upcoming = stack.kids("Create", 1)
    assert stack.staged("AWSCURRENT") == current
    assert stack.staged("AWSPENDING") == upcoming
    report = reports.last
    assert {name: report[name] for name in ("StackId", "RequestId", "LogicalResourceId")} == {
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/platform/guid",
        "RequestId": "request-1",
        "LogicalResourceId": "Resource",
    }
    assert report["PhysicalResourceId"]
    # The URL is signed for an empty content type.
    assert reports.content_types == [""]


def test_what_is_published_verifies_what_the_secret_signs_and_holds_no_private_part(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = json.loads(stack.ask("Create", 1)["Data"]["Jwks"])
    text = stack.secrets.get_secret_value(SecretId=stack.secret)["SecretString"]
    key = signing_keys.parse(text)
    token = jwt.encode(tokens.claims(), key.private_key, "RS256", headers={"kid": key.kid, "typ": "at+jwt"})
    verifier = TokenVerifier(published, issuer=tokens.ISSUER, audience=tokens.AUDIENCE)
    assert verifier.verify(token).email == "ana@example.com"
    for public in published["keys"]:
        assert set(public) == {"kty", "use", "alg", "kid", "n", "e"}


def test_a_create_that_comes_again_keeps_the_keys(stack: Stack) -> None:
    kids = stack.kids("Create", 1)
    assert stack.kids("Create", 1, again=True) == kids
    assert stack.kids("Create", 1) == kids
    assert stack.staged("AWSCURRENT") == kids[0]


def test_an_update_of_something_else_keeps_the_keys(stack: Stack) -> None:
    kids = stack.kids("Create", 1)
    assert stack.kids("Update", 1, 1) == kids


def test_a_rotation_makes_the_next_key_current_and_keeps_the_previous_one(stack: Stack) -> None:
    first, second = stack.kids("Create", 1)
    kids = stack.kids("Update", 2, 1)
    assert kids[:2] == [first, second]
    third = kids[2]
    assert third not in (first, second)
    assert stack.staged("AWSCURRENT") == second
    assert stack.staged("AWSPREVIOUS") == first
    assert stack.staged("AWSPENDING") == third

    assert stack.kids("Update", 3, 2)[:2] == [second, third]
    assert stack.staged("AWSCURRENT") == third


def test_every_key_is_published_before_it_signs_and_after(stack: Stack) -> None:
    published = stack.kids("Create", 1)
    for version in range(2, 6):
        now = stack.kids("Update", version, version - 1)
        current = stack.staged("AWSCURRENT")
        assert current in published
        assert current in now
        published = now


def test_a_rollback_to_a_lower_version_rotates_nothing(stack: Stack) -> None:
    stack.kids("Create", 1)
    kids = stack.kids("Update", 2, 1)
    assert stack.kids("Update", 1, 2) == kids
    assert stack.staged("AWSCURRENT") == kids[1]


def test_versions_are_numbers_and_not_texts(stack: Stack) -> None:
    stack.kids("Create", 9)
    assert len(stack.kids("Update", 10, 9)) == 3


def test_an_update_whose_report_was_lost_rotates_once(stack: Stack, reports: Reports) -> None:
    stack.kids("Create", 1)
    reports.status = 503
    with pytest.raises(urllib.error.HTTPError):
        stack.ask("Update", 2, 1)
    reports.status = 200
    current = stack.staged("AWSCURRENT")
    kids = stack.kids("Update", 2, 1, again=True)
    assert kids[1] == current == stack.staged("AWSCURRENT")


@pytest.mark.parametrize("crash", ["put_secret_value", "put_parameter"])
@pytest.mark.parametrize("request_of_today", [("Create", 1), ("Update", 2, 1)])
def test_a_crash_between_two_steps_is_mended_by_doing_it_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, crash: str, request_of_today: tuple[Any, ...]
) -> None:
    before = stack.kids("Create", 1) if request_of_today[0] == "Update" else []
    client = key_rotation._parameters() if crash == "put_parameter" else key_rotation._secrets()
    with monkeypatch.context() as broken:
        broken.setattr(client, crash, _crashes)
        assert stack.ask(*request_of_today)["Status"] == "FAILED"
    kids = stack.kids(*request_of_today, again=True)
    assert kids[:-1] == before if before else len(kids) == 2
    assert stack.staged("AWSCURRENT") == kids[-2]
    assert stack.staged("AWSPENDING") == kids[-1]


def _crashes(**_arguments: object) -> None:
    raise TimeoutError("the function ran out of time")


def test_a_deleted_stack_is_left_to_cloudformation(stack: Stack) -> None:
    kids = stack.kids("Create", 1)
    report = stack.ask("Delete", 1)
    assert (report["Status"], report["PhysicalResourceId"], report["Data"]) == ("SUCCESS", "keys", {})
    assert stack.staged("AWSCURRENT") == kids[0]


def test_a_failure_is_reported_with_its_reason(stack: Stack, monkeypatch: pytest.MonkeyPatch, log: Log) -> None:
    monkeypatch.setenv("JWKS_PARAMETER", "missing")
    report = stack.ask("Create", 1)
    assert report["Status"] == "FAILED"
    assert "ParameterNotFound" in report["Reason"]
    assert report["Data"] == {}
    assert log.of("custom resource failed")[0]["resource"] == "Resource"


@pytest.mark.parametrize("reason", ["x" * 9000, "é" * 9000, "😀" * 9000, "\0" * 9000, '"' * 9000, "\ud800"])
def test_a_reason_is_cut_to_what_cloudformation_takes(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    # Half a character in what pytest keeps of the log could not be sent from one of its processes to another.
    monkeypatch.setattr(logger._logger, "propagate", False)
    monkeypatch.setattr(key_rotation, "_published", lambda: _fail(reason))
    report = stack.ask("Create", 1)
    assert report["Status"] == "FAILED"
    assert report["Reason"].startswith("RuntimeError: ")


def _fail(reason: str) -> None:
    raise RuntimeError(reason)


def test_neither_private_keys_nor_the_response_url_are_logged(stack: Stack, log: Log) -> None:
    stack.kids("Create", 1)
    stack.kids("Update", 2, 1)
    written = log.getvalue()
    assert [line["status"] for line in log.of("custom resource")] == ["SUCCESS", "SUCCESS"]
    assert "PRIVATE KEY" not in written
    assert "X-Amz-Signature" not in written

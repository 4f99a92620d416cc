"""Custom resources on LocalStack: the function is called as CloudFormation calls it, and its answer counts."""

import io
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import custom_resources
import pytest


class Storage:
    """S3, as far as it matters here."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def create_bucket(self, **_: Any) -> None:
        pass

    def generate_presigned_url(self, operation: str, Params: Mapping[str, str]) -> str:  # noqa: N803
        assert operation == "put_object"
        return f"signed:{Params['Key']}"

    def get_object(self, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"Body": io.BytesIO(self.objects[Key])}

    def delete_object(self, Key: str, **_: Any) -> None:  # noqa: N803
        del self.objects[Key]


class Function:
    """The resource's function: keeps its events, and puts its answer where they say."""

    def __init__(self, storage: Storage, answer: Mapping[str, Any], error: str = "") -> None:
        self.events: list[dict[str, Any]] = []
        self.storage, self.answer, self.error = storage, answer, error

    def invoke(self, FunctionName: str, Payload: str) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "arn:function"
        event = json.loads(Payload)
        self.events.append(event)
        if self.error:
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(self.error.encode())}
        self.storage.objects[event["ResponseURL"].removeprefix("signed:")] = json.dumps(self.answer).encode()
        return {}


PROVIDER = SimpleNamespace(ProgressEvent=SimpleNamespace, OperationStatus=SimpleNamespace(SUCCESS="good", FAILED="bad"))


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Storage:
    made = Storage()
    monkeypatch.setattr(custom_resources, "_storage", lambda _: made)
    return made


def request(function: Function, desired: Any, previous: Any = None) -> Any:
    return SimpleNamespace(
        region_name="us-east-1", stack_id="stack", logical_resource_id="SigningKey", resource_type="Custom::Key",
        desired_state=desired, previous_state=previous, aws_client_factory=SimpleNamespace(lambda_=function),
    )  # fmt: skip


def test_a_creation_calls_the_function_and_has_what_it_answered(storage: Storage) -> None:
    function = Function(storage, {"Status": "SUCCESS", "PhysicalResourceId": "key-1", "Data": {"Jwks": "{}"}})
    wanted = {"ServiceToken": "arn:function", "Version": 1}
    made = custom_resources.CustomResource(PROVIDER).create(request(function, wanted))
    assert made.status == "good"
    assert made.resource_model == wanted | {"Jwks": "{}", "PhysicalResourceId": "key-1"}
    (event,) = function.events
    assert (event["RequestType"], event["ResourceProperties"]["Version"]) == ("Create", "1")
    assert "PhysicalResourceId" not in event
    assert storage.objects == {}


def test_an_update_tells_what_was_there_before(storage: Storage) -> None:
    function = Function(storage, {"Status": "SUCCESS", "PhysicalResourceId": "key-1"})
    before = {"ServiceToken": "arn:function", "Version": 1, "PhysicalResourceId": "key-1"}
    custom_resources.CustomResource(PROVIDER).update(request(function, before | {"Version": 2}, before))
    (event,) = function.events
    assert (event["RequestType"], event["PhysicalResourceId"]) == ("Update", "key-1")
    assert (event["OldResourceProperties"]["Version"], event["ResourceProperties"]["Version"]) == ("1", "2")


@pytest.mark.parametrize(
    ("answer", "error", "why"),
    [({"Status": "FAILED", "Reason": "no database"}, "", "no database"), ({}, "Task timed out", "Task timed out")],
)
def test_a_failure_fails_the_resource_with_its_reason(
    storage: Storage, answer: dict[str, str], error: str, why: str
) -> None:
    function = Function(storage, answer, error)
    made = custom_resources.CustomResource(PROVIDER).create(request(function, {"ServiceToken": "arn:function"}))
    assert (made.status, made.message) == ("bad", why)

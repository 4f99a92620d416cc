"""Secrets, against an emulated Secrets Manager."""

import socket
import threading
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from core import secrets
from core.errors import ServiceUnavailable
from core.secrets import Secret
from core.settings import SettingsError
from core.waiting import DeadlinePassed

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> "Iterator[SecretsManagerClient]":
    """A client of an emulated Secrets Manager."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield boto3.client("secretsmanager")


def test_a_secret_is_read_once(aws: "SecretsManagerClient") -> None:
    arn = aws.create_secret(Name="database", SecretString="one")["ARN"]
    secret = Secret(arn)
    assert secret.text() == "one"
    aws.put_secret_value(SecretId=arn, SecretString="two")
    assert secret.text() == "one"


def test_rereading_finds_a_rotated_secret_and_keeps_it(aws: "SecretsManagerClient") -> None:
    arn = aws.create_secret(Name="database", SecretString="one")["ARN"]
    secret = Secret(arn)
    secret.text()
    aws.put_secret_value(SecretId=arn, SecretString="two")
    assert secret.reread() == "two"
    assert secret.text() == "two"


@pytest.mark.usefixtures("aws")
def test_a_secret_that_does_not_exist_is_unavailable_and_not_named_to_the_caller() -> None:
    with pytest.raises(ServiceUnavailable) as refused:
        Secret("arn:aws:secretsmanager:eu-west-1:123456789012:secret:nothing").text()
    assert "arn:" not in refused.value.detail
    assert refused.value.headers["Retry-After"]


def test_an_outage_of_secrets_manager_is_unavailable_and_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    secret = Secret("database")
    with monkeypatch.context() as outage:
        outage.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{port}")
        outage.setattr("time.sleep", lambda _seconds: None)
        with pytest.raises(ServiceUnavailable) as refused:
            secret.text()
    assert isinstance(refused.value.__cause__, EndpointConnectionError)
    with mock_aws():
        boto3.client("secretsmanager").create_secret(Name="database", SecretString="one")
        assert secret.text() == "one"


def test_a_resolver_that_is_silent_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, silent_resolver: threading.Event
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://secrets.test")
    monkeypatch.setattr(secrets, "_SECONDS", 0.1)
    with pytest.raises(ServiceUnavailable) as refused:
        Secret("database").text()
    assert isinstance(refused.value.__cause__, DeadlinePassed)
    assert not silent_resolver.is_set()


def test_a_binary_secret_is_a_mistake_of_the_operator(aws: "SecretsManagerClient") -> None:
    arn = aws.create_secret(Name="database", SecretBinary=b"s3cret")["ARN"]
    with pytest.raises(SettingsError) as refused:
        Secret(arn).text()
    assert "s3cret" not in "".join(traceback.format_exception(refused.value))

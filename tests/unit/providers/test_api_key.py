"""The key of a provider, from Secrets Manager."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from mypy_boto3_secretsmanager import SecretsManagerClient
from tests.fakes.pollinations import FakePollinations

from core import aws
from generation import chain, settings
from generation.api_key import KEPT_SECONDS, ApiKey
from generation.pictures import ImageRequest
from generation.providers import Deadline, ProviderError
from image.service import SERVICE as IMAGE


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretsManagerClient]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.client("secretsmanager")


@pytest.fixture
def arn(secrets: SecretsManagerClient) -> str:
    return secrets.create_secret(Name="pollinations-key", SecretString="first-key")["ARN"]


def test_the_key_is_kept_and_read_again_when_it_is_old(secrets: SecretsManagerClient, arn: str) -> None:
    now = [100.0]
    key = ApiKey(arn, clock=lambda: now[0])
    assert key() == "first-key"
    secrets.put_secret_value(SecretId=arn, SecretString="second-key")
    now[0] += KEPT_SECONDS
    assert key() == "first-key"
    now[0] += 1
    assert key() == "second-key"


@pytest.mark.parametrize("on_lambda", [False, True])
def test_on_lambda_what_reads_the_key_is_made_at_the_start(
    secrets: SecretsManagerClient, arn: str, monkeypatch: pytest.MonkeyPatch, on_lambda: bool
) -> None:
    made: list[str] = []
    make = aws.client

    def noted(service: str, **options: Any) -> Any:
        made.append(service)
        return make(service, **options)

    monkeypatch.setattr(aws, "client", noted)
    if on_lambda:
        monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    key = ApiKey(arn)
    assert made == ["secretsmanager"] * on_lambda
    assert key() == "first-key"
    assert made == ["secretsmanager"]


def test_a_secret_that_cannot_be_read_is_a_failure_of_the_provider(secrets: SecretsManagerClient, arn: str) -> None:
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    with pytest.raises(ProviderError, match="key not readable"):
        ApiKey(arn)()


def test_a_function_with_a_configured_key_uses_it(
    arn: str, fake_pollinations: FakePollinations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUCKET", "a-bucket")
    monkeypatch.setenv("PROVIDERS", "pollinations")
    monkeypatch.setenv("POLLINATIONS_SECRET_ARN", arn)
    monkeypatch.setenv("POLLINATIONS_URL", fake_pollinations.supported_url)
    settings.current.cache_clear()
    chain.providers.cache_clear()
    try:
        (provider,) = chain.providers(IMAGE)
        with pytest.raises(ProviderError, match="status 401"):
            provider.generate(ImageRequest("a cat", 64, 48, 1), Deadline(60))
    finally:
        settings.current.cache_clear()
        chain.providers.cache_clear()
    assert fake_pollinations.requests[0].headers["authorization"] == "Bearer first-key"

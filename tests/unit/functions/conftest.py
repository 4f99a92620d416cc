import json
import os
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
import pytest
from moto import mock_aws

from core import ids, identity
from generation import answers, chain, cursors, library, settings
from generation.chat import removal, sessions
from generation.chat import table as chat_table
from generation.services import Service
from image.service import SERVICE as IMAGE
from tests import events, tokens
from tests.events import Gateway
from tests.services import NAMES, SERVICES

# Its fixtures, for the functions that need PostgreSQL.
from tests.unit.accounts.conftest import database_name, server  # noqa: F401
from tests.unit.chat.conftest import create_table
from tests.unit.functions.calls import Calls
from tests.unit.generation import answers_table as answers_tables
from tests.unit.stand_ins import Painter, Speaker, Watch, environment_caches_cleared, stand_in
from tts.service import SERVICE as SPEECH

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

_numbers = count(1)


@pytest.fixture(params=events.GATEWAYS)
def gateway(request: pytest.FixtureRequest) -> Gateway:
    """Each of the gateways in turn."""
    return events.GATEWAYS[request.param]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("JWKS", json.dumps(tokens.jwks()))
    monkeypatch.setenv("TOKEN_ISSUER", tokens.ISSUER)
    monkeypatch.setenv("TOKEN_AUDIENCE", tokens.AUDIENCE)
    with environment_caches_cleared(identity.verifier):
        yield


@pytest.fixture(scope="module")
def s3() -> Iterator["S3Client"]:
    """A client of an S3 in this process."""
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": "us-east-1"}), mock_aws():
        yield boto3.client("s3")


@pytest.fixture(scope="module")
def _bucket(s3: "S3Client") -> Iterator[str]:
    """A bucket of the module, whose functions keep their clients from test to test as on Lambda."""
    name = f"llmhist-{next(_numbers)}"
    s3.create_bucket(Bucket=name)
    with environment_caches_cleared(settings.current, library.open_library, cursors.signer):
        yield name


@pytest.fixture(scope="module")
def _cursor_secret(s3: "S3Client") -> str:
    """The secret that signs cursors; ``s3`` stands for all of AWS."""
    assert s3
    return boto3.client("secretsmanager").create_secret(Name="cursors", SecretString="a key")["ARN"]


@pytest.fixture(scope="module")
def _sessions(s3: "S3Client") -> Iterator[dict[str, str]]:
    """What the functions of chat are told, where they keep sessions; ``s3`` stands for all of AWS."""
    assert s3
    queue = boto3.client("sqs").create_queue(QueueName=f"removal-{ids.new()}")["QueueUrl"]
    with environment_caches_cleared(sessions.open_sessions, removal.from_env, chat_table.client):
        yield {"CHAT_TABLE": create_table(boto3.client("dynamodb")), "CHAT_REMOVAL_QUEUE": queue}


@pytest.fixture
def bucket(
    s3: "S3Client", _bucket: str, _cursor_secret: str, _sessions: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The name of an empty bucket, which the function is configured with."""
    for name, value in _sessions.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BUCKET", _bucket)
    monkeypatch.setenv("CURSOR_SECRET_ARN", _cursor_secret)
    yield _bucket
    for item in s3.list_objects_v2(Bucket=_bucket).get("Contents", []):
        s3.delete_object(Bucket=_bucket, Key=item["Key"])


@pytest.fixture
def chains(monkeypatch: pytest.MonkeyPatch) -> dict[Service, tuple[Any, ...]]:
    """The providers that each service is configured with."""
    configured: dict[Service, tuple[Any, ...]] = {}
    monkeypatch.setattr(chain, "providers", configured.__getitem__)
    return configured


@pytest.fixture(scope="module", params=SERVICES, ids=NAMES)
def service(request: pytest.FixtureRequest) -> Service:
    """Each generating service in turn."""
    found: Service = request.param
    return found


@pytest.fixture
def calls(service: Service, chains: dict[Service, tuple[Any, ...]]) -> Calls:
    """The calls of each generating service in turn; its provider delivers at once."""
    provider = stand_in(service)
    chains[service] = (provider,)
    return Calls(service, provider)


@pytest.fixture
def all_calls(chains: dict[Service, tuple[Any, ...]]) -> list[Calls]:
    """The calls of all generating services."""
    found = [Calls(service, stand_in(service)) for service in SERVICES]
    chains.update({each.service: (each.provider,) for each in found})
    return found


@pytest.fixture
def painter(chains: dict[Service, tuple[Any, ...]]) -> Painter:
    """The provider that the image function is configured with."""
    provider = Painter()
    chains[IMAGE] = (provider,)
    return provider


@pytest.fixture
def speaker(chains: dict[Service, tuple[Any, ...]]) -> Speaker:
    """The provider that the speech function is configured with."""
    provider = Speaker()
    chains[SPEECH] = (provider,)
    return provider


@pytest.fixture(scope="module")
def _answers(s3: "S3Client") -> Iterator[tuple["DynamoDBClient", str]]:
    """A table of the module, and a client for it; ``s3`` stands for all of AWS."""
    assert s3
    client = boto3.client("dynamodb")
    with environment_caches_cleared(answers.open_answers):
        yield client, answers_tables.create(client)


@pytest.fixture
def answers_table(_answers: tuple["DynamoDBClient", str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of an empty table of answers, which the function is configured with."""
    client, name = _answers
    monkeypatch.setenv("IDEMPOTENCY_TABLE", name)
    yield name
    answers_tables.empty(client, name)


@pytest.fixture
def s3_watch(bucket: str, service: Service) -> Iterator[Watch]:
    """The calls of the service's own client, and a way to let them fail."""
    opened = library.open_library(service).bucket
    assert opened.name == bucket
    with Watch(opened._client) as watching:
        yield watching

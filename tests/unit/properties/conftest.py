"""The functions on storage in memory, stand-ins for providers, and a real PostgreSQL; all kept from example to example."""

import io
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from unittest import mock
from uuid import uuid4

import boto3
import pytest
from jwt import decode
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from accounts import database, own, service, signing_keys
from accounts.connection import Cursor
from accounts.settings import AccountsSettings
from core import aws, identity
from core.client import ClientInfo
from core.identity import Identity
from core.logging import logger
from generation import answers, chain, cursors, library, storage
from generation import settings as generation_settings
from generation.chat import table as chat_table
from generation.chat.sessions import open_sessions
from generation.services import Service
from generation.storage import Bucket
from tests import tokens
from tests.services import SERVICES

# Its fixtures, for the functions that need PostgreSQL.
from tests.unit.accounts.conftest import FAST_ROUNDS, Server, database_name, server  # noqa: F401
from tests.unit.chat.conftest import create_table
from tests.unit.generation.memory_s3 import NAME, MemoryS3
from tests.unit.stand_ins import StandIn, environment_caches_cleared, stand_in

PASSWORD = "a fox on the moon"

CACHES = (
    identity.verifier,
    generation_settings.current,
    library.open_library,
    cursors.signer,
    answers.open_answers,
    open_sessions,
    chat_table.client,
    service.from_env,
    own.from_env,
    database.from_env,
)


@dataclass(repr=False)
class World:
    """Everything that a call may change or ask."""

    s3: MemoryS3
    providers: dict[Service, StandIn]
    user: Identity
    session_id: str

    def state(self) -> tuple[object, ...]:
        """What a refused call must leave as it is: objects, requests of providers, accounts and sessions."""

        def count(cursor: Cursor) -> tuple[object, ...] | None:
            cursor.execute(
                "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM sessions WHERE revoked_at IS NULL)"
            )
            return cursor.fetchone()

        asked = [len(provider.asked) for provider in self.providers.values()]
        return dict(self.s3.objects), asked, self.sessions(), database.from_env().run(count)

    def sessions(self) -> list[object]:
        """All sessions of chat, as they are stored; read without a client, which would take most of an example's time."""
        stored = dynamodb_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].get_table(os.environ["CHAT_TABLE"])
        return [item.to_json() for item in stored.all_items()]

    def headers(self) -> dict[str, str]:
        """What the user's client sends."""
        return {"Authorization": f"Bearer {self.token()}"}

    def token(self) -> str:
        """A good access token of the user."""
        return tokens.access_token(sub=self.user.sub, email=self.user.email, sid=self.user.sid)


class Nowhere(io.StringIO):
    """A log that keeps nothing, and takes only what UTF-8 can write, as Lambda's does."""

    def write(self, text: str) -> int:
        return len(text.encode())


@pytest.fixture(scope="module", autouse=True)
def _log() -> Iterator[None]:
    """A line that cannot be written fails the test."""
    handler = logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "handleError", _raise)
        before = handler.setStream(Nowhere())
        yield
        handler.setStream(before)


def _raise(_record: object) -> None:
    raise


@pytest.fixture(scope="module")
def world(server: Server, database_name: str) -> Iterator[World]:  # noqa: F811  (the fixtures, by their names)
    """An execution environment of every function, with one user."""
    s3, providers = MemoryS3(), {service: stand_in(service) for service in SERVICES}
    with mock.patch.dict(os.environ), pytest.MonkeyPatch.context() as patch, mock_aws():
        os.environ |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
        os.environ |= _variables(server.url(database_name))
        signing_client = aws.client("s3", **storage._OPTIONS)
        patch.setattr(
            library,
            "open_bucket",
            lambda _name, public_endpoint: Bucket(s3.bucket()._client, NAME, public_client=signing_client),
        )
        patch.setattr(chain, "providers", lambda service: (providers[service],))
        # What is slow on purpose would leave no time for many examples.
        quick = replace(AccountsSettings.from_env(os.environ), bcrypt_rounds=FAST_ROUNDS)
        patch.setattr(service, "AccountsSettings", SimpleNamespace(from_env=lambda _environ: quick))
        with environment_caches_cleared(*CACHES):
            accounts = service.from_env()
            # What is slow on purpose would leave no time for many examples.
            accounts._rounds = FAST_ROUNDS
            email = f"{uuid4().hex}@example.com"
            registered = service.from_env().register(email, PASSWORD, ClientInfo())
            session_id = decode(registered["accessToken"], options={"verify_signature": False})["sid"]
            user = Identity(registered["user"]["id"], email, "user", session_id, 4_102_444_800)
            session_id = open_sessions().create(user.sub, title=None, model=None, system=None).key.id
            yield World(s3, providers, user, session_id)
            database.from_env().close()


def _variables(database_url: str) -> dict[str, str]:
    secrets = boto3.client("secretsmanager")
    texts = {
        "DATABASE_SECRET_ARN": database_url,
        "SIGNING_SECRET_ARN": signing_keys.generate().secret(),
        "CURSOR_SECRET_ARN": "a key",
    }
    # A key's id is its version's, and that of a secret is the token of the request that made it.
    arns = {
        name: secrets.create_secret(Name=name, SecretString=text, ClientRequestToken=tokens.KID)["ARN"]
        for name, text in texts.items()
    }
    for one in SERVICES:
        boto3.client("s3").create_bucket(Bucket=one.name)
    boto3.client("dynamodb").create_table(
        TableName="answers",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return arns | {
        "IDEMPOTENCY_TABLE": "answers",
        "CHAT_TABLE": create_table(boto3.client("dynamodb")),
        "BUCKET": NAME,
        **{f"{one.name.upper()}_BUCKET": one.name for one in SERVICES},
        "BCRYPT_ROUNDS": "10",
        "JWKS": json.dumps(tokens.jwks()),
        "TOKEN_ISSUER": tokens.ISSUER,
        "TOKEN_AUDIENCE": tokens.AUDIENCE,
    }

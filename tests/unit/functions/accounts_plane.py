"""An execution environment of the accounts plane's functions, on a real PostgreSQL, and how a client calls them.

Fixtures, for the test modules that import them.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest import mock
from uuid import uuid4

import boto3
import pytest
from moto import mock_aws

from accounts import database, own, service, signing_keys
from accounts.connection import Cursor
from auth import login, refresh, register
from core import identity
from tests import events
from tests.events import Gateway
from tests.unit.accounts.conftest import Server
from tests.unit.functions.answers import Answer, ask
from tests.unit.stand_ins import environment_caches_cleared

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def configured(server: Server, database_name: str) -> Iterator[dict[str, str]]:
    """The variables of an execution environment, whose connection is kept from test to test."""
    key = signing_keys.generate()
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": "us-east-1"}), mock_aws():
        client = boto3.client("secretsmanager")
        variables = {
            "DATABASE_SECRET_ARN": client.create_secret(Name="database", SecretString=server.url(database_name))["ARN"],
            "SIGNING_SECRET_ARN": client.create_secret(Name="signing", SecretString=key.secret())["ARN"],
            "BCRYPT_ROUNDS": "10",
            "JWKS": json.dumps({"keys": [key.public_jwk()]}),
        }
        with environment_caches_cleared(service.from_env, own.from_env, database.from_env):
            yield variables
            if database.from_env.cache_info().currsize:
                database.from_env().close()


@pytest.fixture
def environment(_environment: None, configured: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in configured.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def database_down(environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    secret = boto3.client("secretsmanager").create_secret(
        Name=f"down-{uuid4()}", SecretString="postgresql://somebody:hunter2@127.0.0.1:1/platform"
    )
    monkeypatch.setenv("DATABASE_SECRET_ARN", secret["ARN"])
    with environment_caches_cleared(service.from_env, own.from_env, database.from_env):
        yield


@dataclass(frozen=True)
class Person:
    """Somebody with an account and a session of it."""

    id: str
    email: str
    token: str
    refresh_token: str

    @property
    def session_id(self) -> str:
        return identity.verifier().verify(self.token).sid

    @classmethod
    def of(cls, answer: Answer) -> "Person":
        """Who a registration or a login has let in."""
        tokens = answer.json
        return cls(tokens["user"]["id"], tokens["user"]["email"], tokens["accessToken"], tokens["refreshToken"])

    @classmethod
    def new(cls) -> "Person":
        """Somebody who has just registered."""
        return cls.of(post(register, {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}))

    def again(self) -> "Person":
        """The same one, logged in on another device."""
        return Person.of(log_in(self.email))

    def post(self, function: ModuleType, body: Any, gateway: Gateway = events.aws) -> Answer:
        return post(function, body, gateway, token=self.token)

    def can_refresh(self) -> bool:
        return post(refresh, {"refreshToken": self.refresh_token}).status == 200


def post(function: ModuleType, body: Any, gateway: Gateway = events.aws, *, token: str | None = None) -> Answer:
    """Send a body to a function of /auth, with an access token or without."""
    path = f"/auth/{function.__name__.rpartition('.')[2]}"
    return ask(function, gateway("POST", path, body=json.dumps(body), headers=bearer(token)))


def log_in(email: str, password: str = PASSWORD, gateway: Gateway = events.aws) -> Answer:
    return post(login, {"email": email, "password": password}, gateway)


def bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def execute(statement: str, *arguments: object) -> int:
    """Change rows behind the functions' back; returns how many."""

    def work(cursor: Cursor) -> int:
        cursor.execute(statement, arguments)
        return cursor.rowcount

    return database.from_env().run(work)

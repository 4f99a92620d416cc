"""Each function's own role, tried on everything that the deployed stack has: it may do what it needs and nothing else."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from generation.services import Service
from tests.integration.client import Api, Platform
from tests.integration.operations import chat_needs, usage_needs
from tests.integration.operations.roles import Attempt, Caller, Stack, credentials
from tests.services import SERVICES

COUNTS = {"RateLimitTable UpdateItem"}
DATABASE = {"DatabaseSecret GetSecretValue"}
SIGNING = {"SigningSecret GetSecretValue"}
CURSORS = {"CursorSecret GetSecretValue"}


def generation(service: str) -> dict[str, set[str]]:
    """What the functions of every generating service need; it is the same on each one's own bucket."""
    bucket, queue = f"{service}Bucket", f"{service}RecordQueue"

    def objects(operation: str, *kinds: str) -> set[str]:
        return {f"{bucket} {operation} {kind}" for kind in kinds}

    lists = objects("ListBucket", "record", "history")
    answers = {f"IdempotencyTable {operation}" for operation in ("PutItem", "UpdateItem", "DeleteItem")}
    polls = {f"{queue} {operation}" for operation in ("GetQueueAttributes", "ReceiveMessage", "DeleteMessage")}
    return {
        f"{service}GenerateFunction": COUNTS | answers | objects("PutObject", "record", "artifact"),
        f"{service}GetFunction": COUNTS | lists | objects("GetObject", "record"),
        f"{service}DownloadFunction": COUNTS | lists | objects("GetObject", "record", "artifact"),
        f"{service}ListFunction": (
            COUNTS | CURSORS | objects("ListBucket", "history") | objects("GetObject", "history")
        ),
        f"{service}DeleteFunction": (
            COUNTS
            | lists
            | objects("GetObject", "record", "tombstone")
            | objects("PutObject", "tombstone")
            | objects("DeleteObject", "record", "artifact")
        ),
        f"{service}IndexFunction": (
            polls | lists | objects("GetObject", "record", "tombstone", "history") | objects("PutObject", "history")
        ),
    }


NEEDS: dict[str, set[str]] = {
    "AuthorizerFunction": set(),
    "RegisterFunction": COUNTS | DATABASE | SIGNING,
    "LoginFunction": COUNTS | DATABASE | SIGNING,
    "RefreshFunction": COUNTS | DATABASE | SIGNING,
    "LogoutFunction": COUNTS | DATABASE,
    "SessionsFunction": COUNTS | DATABASE,
    "EndSessionFunction": COUNTS | DATABASE,
    "PasswordFunction": COUNTS | DATABASE,
    "MeFunction": COUNTS | DATABASE,
    "JwksFunction": COUNTS,
    "OpenApiFunction": COUNTS,
    "RootFunction": COUNTS,
    "DocsFunction": COUNTS,
    "ConsoleFunction": COUNTS,
    # Refreshes what is in the cookie.
    "ConsoleSessionFunction": COUNTS | DATABASE | SIGNING,
    "MethodFunction": COUNTS,
    **{function: needs for service in SERVICES for function, needs in generation(service.pascal).items()},
    "HealthFunction": COUNTS
    | DATABASE
    | {"SigningSecret DescribeSecret"}
    | {
        f"{service}Bucket ListBucket {kind}"
        for service in (each.pascal for each in SERVICES)
        for kind in ("record", "history")
    },
    "ReindexFunction": {
        f"{service}Bucket {operation}"
        for service in (each.pascal for each in SERVICES)
        for operation in (
            "GetObject record",
            "GetObject tombstone",
            "GetObject history",
            "PutObject history",
            "ListBucket record",
            "ListBucket history",
        )
    },
    "MigrateFunction": DATABASE,
    "PurgeFunction": DATABASE | {"PurgeDeadLetters SendMessage"},
    "SigningKeyFunction": {
        "SigningSecret DescribeSecret",
        "SigningSecret PutSecretValue",
        "SigningSecret UpdateSecretVersionStage",
        "JwksParameter GetParameter",
        "JwksParameter PutParameter",
    },
}
for function, needs in (*chat_needs.MORE.items(), *usage_needs.MORE.items()):
    NEEDS[function] = NEEDS.get(function, set()) | needs


def generated(platform: Platform, service: Service) -> dict[str, str]:
    """The keys of a generation, of which a record without a request would trouble the index."""
    answer = Api(platform.api_url).post(f"/{service.name}/generate", dict(service.sample))
    assert answer.status_code == 201, answer.text
    keys = answer.json()["s3"]
    return {"record": keys["record"], "artifact": keys[service.artifact]}


@pytest.fixture(scope="module")
def stack(platform: Platform) -> Iterator[Stack]:
    """The deployed stack, with an object of each kind in each bucket."""
    found = Stack.deployed(platform.aws_port)
    probe = uuid4()
    owner = Caller(found.url)
    objects = {}
    for each in SERVICES:
        service, bucket = each.name, f"{each.pascal}Bucket"
        made = {
            "history": f"users/{probe}/{service}/history/2026/01/01.jsonl",
            "session": f"users/{probe}/{service}/sessions/{probe}/messages/000000.jsonl",
            "profile": f"users/{probe}/profile.json",
            "tombstone": f"deleted/2026/01/01/{probe}.json",
            "other": f"other/{probe}",
        }
        for key in made.values():
            owner.client("s3").put_object(Bucket=platform.bucket(service), Key=key, Body=b"")
        objects[bucket] = made | generated(platform, each)
    yield replace(found, objects=objects)
    for bucket, kinds in objects.items():
        for kind in ("history", "session", "profile", "tombstone", "other"):
            owner.client("s3").delete_object(Bucket=found.resources["AWS::S3::Bucket"][bucket], Key=kinds[kind])


@pytest.fixture(scope="module")
def roles(stack: Stack) -> dict[str, Any]:
    """Credentials of each function's role."""
    return credentials(stack)


@pytest.fixture(scope="module")
def allowed(stack: Stack, roles: dict[str, Any]) -> dict[str, set[str]]:
    """What each role was allowed when it tried everything."""
    attempts = list(stack.attempts())
    assert len({attempt.name for attempt in attempts}) == len(attempts)

    def try_all(functions: list[str]) -> dict[str, set[str]]:
        caller, found = Caller(stack.url), {}
        for function in functions:
            caller.become(roles[function])
            found[function] = {attempt.name for attempt in attempts if caller.may(attempt)}
        return found

    functions = sorted(roles)
    with ThreadPoolExecutor(2) as pool:
        return {
            name: found for half in pool.map(try_all, (functions[::2], functions[1::2])) for name, found in half.items()
        }


def test_what_each_function_needs_is_written_down(stack: Stack) -> None:
    assert set(NEEDS) == set(stack.resources["AWS::Lambda::Function"])


def test_every_need_is_tried(stack: Stack) -> None:
    assert set().union(*NEEDS.values()) <= {attempt.name for attempt in stack.attempts()}


@pytest.mark.parametrize("function", NEEDS)
@pytest.mark.needs("iam")
def test_a_function_may_do_what_it_needs_and_nothing_else(function: str, allowed: dict[str, set[str]]) -> None:
    assert allowed[function] == NEEDS[function]


@pytest.mark.needs("iam")
def test_the_private_keys_are_read_by_what_issues_tokens_alone(stack: Stack, roles: dict[str, Any]) -> None:
    secret = stack.resources["AWS::SecretsManager::Secret"]["SigningSecret"]
    caller = Caller(stack.url)
    readers = set()
    for function, role in roles.items():
        caller.become(role)
        for stage in ("AWSCURRENT", "AWSPENDING"):
            arguments = {"SecretId": secret, "VersionStage": stage}
            if caller.may(Attempt(stage, "secretsmanager", "get_secret_value", arguments)):
                readers.add(function)
    assert readers == {"RegisterFunction", "LoginFunction", "RefreshFunction", "ConsoleSessionFunction"}


@pytest.mark.needs("iam")
def test_the_attempts_reach_what_they_are_for_and_change_nothing(stack: Stack) -> None:
    owner = Caller(stack.url)
    unexpected = {one.name: found for one in stack.attempts() if (found := owner.error(one)) != one.error}
    assert unexpected == {}

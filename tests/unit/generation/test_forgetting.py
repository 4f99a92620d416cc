"""Forgetting a user removes what is the user's, and leaves what is everybody's."""

import os
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import boto3
import pytest
from moto import mock_aws

from generation import keys, records
from generation.forgetting import Forgetting
from generation.indexing import index
from generation.library import Library
from generation.providers import Deadline
from generation.storage import Bucket
from generation.usage import counting
from generation.usage.counting import Source
from generation.usage.recount import Recount
from generation.usage.table import UsageTable
from image.service import SERVICE as IMAGE
from tests.unit.chat.conftest import create_table
from tests.unit.generation import answers_table
from tests.unit.generation.memory_dynamodb import MemoryDynamoDB
from tests.unit.generation.samples import SIGNER, identifier, image_record
from tests.unit.generation.test_usage_counting import DAY, PATIENT, _batch, _requests, _told
from tests.unit.generation.usage_history import USERS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ANA, BOB = USERS[1], USERS[2]


@pytest.fixture(scope="module")
def client() -> Iterator["DynamoDBClient"]:
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": "us-east-1"}), mock_aws():
        yield boto3.client("dynamodb")


@pytest.fixture
def usage() -> UsageTable:
    return UsageTable(cast(Any, MemoryDynamoDB()), "usage", pause=lambda _seconds: None, chance=random.Random(1))


def _made(bucket: Bucket, number: int, user: str) -> str:
    """A generation with its input and artifact."""
    record_id = identifier(rest=number)
    record = image_record(record_id, userId=user)
    bucket.put(keys.input_object(record_id), b"{}", "application/json")
    bucket.put(record["artifacts"]["image"], b"png", "image/png")
    bucket.put(keys.record_object(record_id), records.dumps(record), "application/json")
    return record_id


def test_what_is_the_users_goes_and_what_is_everybodys_stays(
    bucket: Bucket, usage: UsageTable, client: "DynamoDBClient"
) -> None:
    source = Source(IMAGE, bucket)
    library = Library(IMAGE, bucket, lambda: SIGNER)
    owners = [ANA, BOB, ANA, ANA]
    made = [_made(bucket, number, owner) for number, owner in enumerate(owners)]
    told = _batch(_told(bucket, *made))
    index(library, told, 30_000)
    # The last one is in the history and not counted yet.
    counting.count({bucket.name: source}, usage, _batch(_told(bucket, *made[:3])), 30_000)
    table = answers_table.create(client)
    for item_id, data in (("other#user:" + ANA, ""), ("image#1", f'{{"userId":"{ANA}"}}'), ("image#2", f'"{BOB}"')):
        client.put_item(TableName=table, Item={"id": {"S": item_id}, "data": {"S": data}})

    sessions = create_table(client)
    for user in (ANA, BOB):
        client.put_item(TableName=sessions, Item={"user_id": {"S": user}, "id": {"S": "1"}, "title": {"S": ANA}})

    forgetting = Forgetting(ANA, (source,), usage, client, [table], [sessions])
    found = forgetting.find()
    assert (found.calls, found.days, found.items) == ({"image": [made[0], made[2], made[3]]}, 1, 3)
    assert found.objects == 3 * 3 + 1

    # Cut off at once, and once in the middle; then gone on with.
    assert forgetting.remove(Deadline(0)) is False
    with mock.patch.object(UsageTable, "correct", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        forgetting.remove(Deadline(PATIENT))
    for _ in range(2):
        assert forgetting.remove(Deadline(PATIENT)) is True

    left = list(bucket.keys(""))
    assert not [key for key in left if ANA in key]
    assert {key.split("/")[4] for key in left if key.startswith("requests/")} == {made[1]}
    assert not [key for key in left if ANA.encode() in cast(Any, bucket.get(key)).content]
    assert [item["id"]["S"] for item in client.scan(TableName=table)["Items"]] == ["image#2"]
    assert [item["user_id"]["S"] for item in client.scan(TableName=sessions)["Items"]] == [BOB]
    assert _requests(usage, ANA) == 0
    assert _requests(usage, BOB) == 1
    assert _requests(usage) == 4
    assert ANA not in repr(cast(Any, usage.client).items)
    assert forgetting.find().objects == forgetting.find().days == 0

    # Events that come late, or again, change nothing and fail at nothing; nor does counting anew.
    assert index(library, told, 30_000) == {"batchItemFailures": []}
    assert counting.count({bucket.name: source}, usage, told, 30_000) == {"batchItemFailures": []}
    Recount((source,), usage).day(DAY, Deadline(PATIENT), repair=True)
    assert (_requests(usage), _requests(usage, ANA)) == (4, 0)


def test_a_line_that_names_anothers_call_removes_nothing(
    bucket: Bucket, usage: UsageTable, client: "DynamoDBClient"
) -> None:
    bobs = _made(bucket, 0, BOB)
    bucket.put(f"users/{ANA}/image/history/2026/11/22.jsonl", f'{{"id":"{bobs}"}}\n'.encode(), "text/plain")
    Forgetting(ANA, (Source(IMAGE, bucket),), usage, client, []).remove(Deadline(PATIENT))
    assert bucket.exists(keys.record_object(bobs))
    assert not list(bucket.keys(f"users/{ANA}/"))

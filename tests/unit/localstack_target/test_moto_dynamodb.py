"""DynamoDB of LocalStack: a transaction that fails changes nothing, none copies the table for each of its items, and
bytes come back as they are.
"""

import base64
import importlib
from collections.abc import Iterator
from typing import Any

import boto3
import moto
import moto_dynamodb
import pytest
from boto3.dynamodb.conditions import Key

MODELS: Any = importlib.import_module("moto.dynamodb.models")
VALUES: Any = importlib.import_module("moto.dynamodb.models.dynamo_type").DynamoType


@pytest.fixture(params=[False, True], ids=["hash key", "hash and range key"])
def table(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A table with the items a, of 1, and b, of 2."""
    # So that both come back as they were.
    monkeypatch.setattr(MODELS, "copy", MODELS.copy)
    monkeypatch.setattr(MODELS.DynamoDBBackend, "transact_write_items", MODELS.DynamoDBBackend.transact_write_items)
    monkeypatch.setattr(MODELS.Table, "__deepcopy__", lambda *_: pytest.fail("the table was copied"), raising=False)
    moto_dynamodb.light_transactions()
    names = ["id", "part"] if request.param else ["id"]
    with moto.mock_aws():
        made = boto3.resource("dynamodb", region_name="us-east-1").create_table(
            TableName="t", BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)],
        )  # fmt: skip
        for name, count in (("a", 1), ("b", 2)):
            made.put_item(Item=item(name) | {"count": count})
        yield made


def item(name: str) -> dict[str, Any]:
    return {"id": name, "part": "p"}


def key(table: Any, name: str) -> dict[str, str]:
    return {each["AttributeName"]: item(name)[each["AttributeName"]] for each in table.key_schema}


def write(table: Any, expected: int) -> None:
    """Change a, remove b and put c, if a is of that count."""
    table.meta.client.transact_write_items(
        TransactItems=[
            {"Update": {"TableName": "t", "Key": key(table, "a"), "UpdateExpression": "ADD #c :one",
                        "ExpressionAttributeNames": {"#c": "count"}, "ExpressionAttributeValues": {":one": 1}}},
            {"Delete": {"TableName": "t", "Key": key(table, "b")}},
            {"Put": {"TableName": "t", "Item": item("c") | {"count": 3}}},
            {"ConditionCheck": {"TableName": "t", "Key": key(table, "d"), "ConditionExpression": "attribute_not_exists(id)"}},
            {"Put": {"TableName": "t", "Item": item("e") | {"count": expected},
                     "ConditionExpression": "attribute_not_exists(id) AND :found = :expected",
                     "ExpressionAttributeValues": {":found": 1, ":expected": expected}}},
        ]
    )  # fmt: skip


def counts(table: Any) -> dict[str, int]:
    return {each["id"]: int(each["count"]) for each in table.scan()["Items"]}


def test_a_transaction_writes_all(table: Any) -> None:
    write(table, 1)
    assert counts(table) == {"a": 2, "c": 3, "e": 1}


def test_a_transaction_that_fails_changes_nothing(table: Any) -> None:
    with pytest.raises(table.meta.client.exceptions.TransactionCanceledException):
        write(table, 7)
    assert counts(table) == {"a": 1, "b": 2}


@pytest.mark.parametrize("content", [b"x", b"xyz", b"abcd", bytes(range(256))], ids=["1", "3", "letters", "all"])
def test_an_index_answers_the_bytes_that_were_asked_for(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = VALUES.to_regular_json

    def decoded(self: Any) -> Any:
        """As in the moto that LocalStack pins; that of the tests knows what it has decoded."""
        return {self.type: base64.b64decode(self.value)} if self.is_binary() else plain(self)

    monkeypatch.setattr(VALUES, "to_regular_json", decoded)
    moto_dynamodb.whole_binaries()
    with moto.mock_aws():
        table = boto3.resource("dynamodb", region_name="us-east-1").create_table(
            TableName="t", BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "day")],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[
                {"IndexName": "ByDay", "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                 "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["sums"]}},
            ],
        )  # fmt: skip
        table.put_item(Item={"id": "a", "day": "monday", "sums": content})
        (found,) = table.query(
            IndexName="ByDay", KeyConditionExpression=Key("day").eq("monday"), ProjectionExpression="id, sums"
        )["Items"]
        assert found == {"id": "a", "sums": content}

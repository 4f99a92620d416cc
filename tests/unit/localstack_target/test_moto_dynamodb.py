"""DynamoDB of LocalStack: a transaction that fails changes nothing, and none copies the table for each of its items."""

import importlib
from collections.abc import Iterator
from typing import Any

import boto3
import moto
import moto_dynamodb
import pytest

MODELS: Any = importlib.import_module("moto.dynamodb.models")


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

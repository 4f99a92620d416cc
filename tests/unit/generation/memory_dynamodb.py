"""DynamoDB as far as usage needs it, in memory, atomic, and with bad days; moto copies a whole table per transaction.

``test_usage_counting`` holds it against moto.
"""

import copy
import threading
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

Item = dict[str, Any]
# What a fault does: nothing, or raise, before or after a write.
Fault = Callable[[str, str], None]


def client_error(
    code: str, operation: str = "TransactWriteItems", reasons: list[dict[str, str]] | None = None
) -> ClientError:
    """The error that boto3 raises for a code of DynamoDB."""
    response: Any = {"Error": {"Code": code, "Message": "injected"}}
    if reasons is not None:
        response["CancellationReasons"] = reasons
    return ClientError(response, operation)


def timeout() -> ReadTimeoutError:
    """What boto3 raises when no answer comes."""
    return ReadTimeoutError(endpoint_url="https://dynamodb.invalid/")


class MemoryDynamoDB:
    """A client with one table. ``fault`` is called with the operation and "before" or "after" it, and may raise."""

    def __init__(self, fault: Fault = lambda _operation, _when: None) -> None:
        self.items: dict[tuple[str, str], Item] = {}
        self.calls: list[str] = []
        self.fault = fault
        self._lock = threading.Lock()

    def transact_write_items(self, TransactItems: list[Any]) -> dict[str, Any]:  # noqa: N803
        def write() -> dict[str, Any]:
            assert len(TransactItems) <= 100
            actions = [next(iter(action.items())) for action in TransactItems]
            keys = [_key(action.get("Item") or action["Key"]) for _, action in actions]
            assert len(set(keys)) == len(keys), "one item twice in a transaction"
            held = [self._holds(key, action) for key, (_, action) in zip(keys, actions, strict=True)]
            if not all(held):
                reasons = [{"Code": "None" if one else "ConditionalCheckFailed"} for one in held]
                raise client_error("TransactionCanceledException", reasons=reasons)
            for key, (kind, action) in zip(keys, actions, strict=True):
                if kind == "Put":
                    assert sum(len(value.get("B", b"")) for value in action["Item"].values()) < 400_000
                    self.items[key] = copy.copy(action["Item"])
                elif kind == "Delete":
                    self.items.pop(key, None)
            return {}

        result: dict[str, Any] = self._operation("TransactWriteItems", write)
        return result

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        def read() -> dict[str, Any]:
            ((name, request),) = RequestItems.items()
            assert len(request["Keys"]) <= 100
            keys = [_key(key) for key in request["Keys"]]
            assert len(set(keys)) == len(keys), "one key twice in a batch"
            found = [_projected(self.items[key], request) for key in keys if key in self.items]
            return {"Responses": {name: found}, "UnprocessedKeys": {}}

        result: dict[str, Any] = self._operation("BatchGetItem", read)
        return result

    def query(self, **request: Any) -> dict[str, Any]:
        def read() -> dict[str, Any]:
            values = {name: value["S"] for name, value in request["ExpressionAttributeValues"].items()}
            condition = request["KeyConditionExpression"]
            if condition == "period = :period":
                found = [one for one in self.items.values() if one.get("period", {}).get("S") == values[":period"]]
            else:
                found = [one for one in self.items.values() if one["pk"]["S"] == values[":pk"]]
                if condition == "pk = :pk AND sk BETWEEN :first AND :last":
                    found = [one for one in found if values[":first"] <= one["sk"]["S"] <= values[":last"]]
                else:
                    assert condition == "pk = :pk"
            ordered = sorted(found, key=_key)
            # Pages of a few items, so that whoever forgets the next one is caught.
            after = request.get("ExclusiveStartKey")
            rest = [one for one in ordered if after is None or _key(one) > _key(after)]
            answer: dict[str, Any] = {"Items": [_projected(one, request) for one in rest[:200]]}
            if len(rest) > 200:
                answer["LastEvaluatedKey"] = {name: rest[199][name] for name in ("pk", "sk")}
            return answer

        result: dict[str, Any] = self._operation("Query", read)
        return result

    def put_item(self, **request: Any) -> dict[str, Any]:
        def write() -> dict[str, Any]:
            if not self._holds(_key(request["Item"]), request):
                raise client_error("ConditionalCheckFailedException", "PutItem")
            self.items[_key(request["Item"])] = copy.copy(request["Item"])
            return {}

        result: dict[str, Any] = self._operation("PutItem", write)
        return result

    def delete_item(self, **request: Any) -> dict[str, Any]:
        def write() -> dict[str, Any]:
            self.items.pop(_key(request["Key"]), None)
            return {}

        result: dict[str, Any] = self._operation("DeleteItem", write)
        return result

    def _operation(self, name: str, work: Callable[[], Any]) -> Any:
        self.fault(name, "before")
        with self._lock:
            self.calls.append(name)
            result = work()
        self.fault(name, "after")
        return result

    def _holds(self, key: tuple[str, str], action: dict[str, Any]) -> bool:
        item = self.items.get(key)
        match action.get("ConditionExpression"):
            case None:
                return True
            case "attribute_not_exists(pk)":
                return item is None
            case "attribute_exists(pk)":
                return item is not None
            case "version = :read":
                return item is not None and item["version"] == action["ExpressionAttributeValues"][":read"]
        raise AssertionError(action["ConditionExpression"])


def _key(item: Item) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def _projected(item: Item, request: dict[str, Any]) -> Item:
    names = request.get("ProjectionExpression")
    wanted = set(names.split(", ")) if names else set(item)
    return {name: value for name, value in item.items() if name in wanted}

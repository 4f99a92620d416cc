"""A DynamoDB table whose items have a user and an id: plain values in and out, conditional writes."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from core import aws
from core.errors import ServiceUnavailable
from core.logging import logger
from core.waiting import DeadlinePassed, Patience

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Value = str | int | bool | frozenset[str]
Item = Mapping[str, Any]

# Over name, connection, answer and a second try: a caller waits for it.
_SECONDS = 3.0
_SCAN_SECONDS = 15.0
ResultT = TypeVar("ResultT")


class Unmet(Exception):
    """The condition of a write does not hold; ``item`` is what is there, None when there is nothing."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("the condition does not hold")
        self.item = item


class Key(NamedTuple):
    """Which item."""

    user_id: str
    id: str


class Table:
    """The table and a client that may use it. Every failure of DynamoDB is ``ServiceUnavailable``."""

    def __init__(self, client: "Callable[[], DynamoDBClient]", name: str) -> None:
        self._client = client
        self._name = name

    def get(self, key: Key) -> Item | None:
        """The item as it is now; None when there is none."""
        answer = self._ask("get_item", Key=_typed(key._asdict()), ConsistentRead=True)
        return _plain(answer["Item"]) if "Item" in answer else None

    def put(self, item: Mapping[str, Value]) -> None:
        """Write a new item. Raises ``Unmet`` when there is one."""
        self._conditional("put_item", Item=_typed(item), ConditionExpression="attribute_not_exists(id)")

    def update(self, key: Key, change: str, condition: str, values: Mapping[str, Value]) -> Item:
        """The item after the change. Raises ``Unmet``; only an item that is there can meet a condition."""
        return _plain(self._changed(key, change, condition, values, "ALL_NEW")["Attributes"])

    def change(self, key: Key, change: str, condition: str, values: Mapping[str, Value]) -> None:
        """Change an item like ``update``; nobody wants to know how it is then."""
        self._changed(key, change, condition, values, "NONE")

    def _changed(self, key: Key, change: str, condition: str, values: Mapping[str, Value], told: str) -> Any:
        # DynamoDB refuses an empty list of values.
        given: dict[str, Any] = {"ExpressionAttributeValues": _values(values)} if values else {}
        return self._conditional(
            "update_item",
            key,
            Key=_typed(key._asdict()),
            UpdateExpression=change,
            ConditionExpression=f"attribute_exists(id) AND {condition}" if condition else "attribute_exists(id)",
            ReturnValues=told,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **given,
        )

    def delete(self, key: Key, condition: str = "", values: Mapping[str, Value] | None = None) -> None:
        """Remove an item; one that is not there is removed already. Raises ``Unmet``."""
        more: dict[str, Any] = {}
        if condition:
            more = {"ConditionExpression": condition, "ExpressionAttributeValues": _values(values or {})}
        self._conditional("delete_item", key, Key=_typed(key._asdict()), **more)

    def newest(
        self, user_id: str, index: str, *, before: str | None, limit: int, only: Mapping[str, Value] | None = None
    ) -> tuple[list[Item], bool]:
        """Items of a user in the descending order of an index, which has its attribute's name, in one request.

        ``only`` leaves out items with other values. The other result tells whether DynamoDB stopped before the end.
        """
        condition = "user_id = :user_id"
        values: dict[str, Value] = {"user_id": user_id}
        if before is not None:
            condition += f" AND {index} < :before"
            values["before"] = before
        more: dict[str, Any] = {}
        if only:
            more["FilterExpression"] = " AND ".join(f"{name} = :{name}" for name in only)
            values |= only
        answer = self._ask(
            "query",
            IndexName=index,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=_values(values),
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=limit,
            **more,
        )
        return [_plain(item) for item in answer["Items"]], "LastEvaluatedKey" in answer

    def scan(self, condition: str, values: Mapping[str, Value]) -> Iterator[Key]:
        """The keys of all items that meet a condition; reads the whole table, a request per megabyte."""
        start: dict[str, Any] = {}
        while True:
            answer = self._ask(
                "scan",
                _SCAN_SECONDS,
                FilterExpression=condition,
                ExpressionAttributeValues=_values(values),
                ProjectionExpression="user_id, id",
                **start,
            )
            for item in map(_plain, answer["Items"]):
                yield Key(item["user_id"], item["id"])
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _conditional(self, call: str, key: Key | None = None, **request: Any) -> Any:
        from botocore.exceptions import ClientError

        try:
            return self._asked(call, _SECONDS, request)
        except ClientError as error:
            if aws.error_code(error) != "ConditionalCheckFailedException":
                raise _unavailable(error) from error
            item: Any = error.response.get("Item")
        # Not every emulator tells what is there.
        raise Unmet(_plain(item) if item else self.get(key) if key else None)

    def _ask(self, call: str, seconds: float = _SECONDS, **request: Any) -> Any:
        from botocore.exceptions import ClientError

        try:
            return self._asked(call, seconds, request)
        except ClientError as error:
            raise _unavailable(error) from error

    def _asked(self, call: str, seconds: float, request: Mapping[str, Any]) -> Any:
        """The answer. Raises ``ServiceUnavailable``, and ``ClientError``."""
        from botocore.exceptions import BotoCoreError

        try:
            client = self._client()  # made, with all that it imports, before time counts
            return aws.begin(client, call, TableName=self._name, **request)(Patience(seconds))
        except (BotoCoreError, DeadlinePassed) as error:
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> ServiceUnavailable:
    logger.error("the table of sessions does not answer", error=type(error).__name__, detail=str(error))
    return ServiceUnavailable(
        "Sessions cannot be reached at present. Try again in a moment.", retry_after=2, slug="storage-unavailable"
    )


@lru_cache(maxsize=1)
def client() -> "DynamoDBClient":
    """DynamoDB, with this execution environment's role."""
    found: DynamoDBClient = aws.client(
        "dynamodb", connect_timeout=0.5, read_timeout=2, retries={"total_max_attempts": 2, "mode": "standard"}
    )
    return found


def _values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as expressions name them."""
    return {f":{name}": _attribute(value) for name, value in values.items()}


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _attribute(value) for name, value in values.items()}


def _attribute(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, str):
        return {"S": value}
    return {"SS": sorted(value)}


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(*next(iter(attribute.items()))) for name, attribute in item.items()}


def _value(kind: str, value: Any) -> Value:
    if kind == "N":
        return int(value)
    return frozenset(value) if kind == "SS" else value

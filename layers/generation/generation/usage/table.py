"""The table of usage: a ledger of every call that was counted, and rows that are the sums of its entries.

    ledger#{day}#{part}     {id of the call}              the entry; there once, which is what makes a call count once
    {whose}#{shard}         d#{day}, m#{month}            a row of a user's, or of everybody's, day and month

An entry and all rows that it belongs to are written in one transaction, on the condition that the entry is new and that
nobody has written the rows since they were read. So after whatever failure or repetition, rows are sums of the ledger.

A writer begins with shard 0 and, when somebody else was faster, takes another one by chance and stays with it until it
loses there, too: a calm platform has one shard, a busy one as many as its writers need, and each writer soon its own.
"""

import random
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from botocore.exceptions import BotoCoreError, ClientError

from core import aws, ids
from core.errors import ServiceUnavailable
from generation import keys
from generation.providers import Deadline
from generation.usage import histograms
from generation.usage.entries import FORGOTTEN, Entry
from generation.usage.histograms import Histogram
from generation.usage.rows import EVERYBODY, Row, Sum, latencies, month_of, sums

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

SHARDS = 8
"""Of everybody's rows, and of anonymous'."""
OWN_SHARDS = 4
"""Of a user's rows: as many as there are writers at once (``MaximumConcurrency``)."""
PARTS = 8
"""Of a day's ledger: a thousand calls a second are written to as many partitions."""
PERIOD_PARTS = 4
BY_PERIOD = "ByPeriod"
"""The index that finds the users of a day or a month; rows of users have its key, everybody's have not."""
_MOST_ACTIONS = 100
_MOST_KEYS = 100
_OPTIONS: dict[str, Any] = {
    "connect_timeout": 1,
    "read_timeout": 5,
    "retries": {"mode": "standard", "total_max_attempts": 3},
    "max_pool_connections": 16,
}
# What passes: another transaction on the same items, or too many at once.
_PASSING = frozenset(
    {
        "TransactionConflict", "TransactionConflictException", "TransactionInProgressException", "ThrottlingError",
        "ThrottlingException", "ProvisionedThroughputExceeded", "ProvisionedThroughputExceededException",
        "RequestLimitExceeded", "InternalServerError", "ItemCollectionSizeLimitExceededException",
    }
)  # fmt: skip
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0

Item = Mapping[str, Any]


class Key(NamedTuple):
    """The key of an item."""

    pk: str
    sk: str


class Stored(NamedTuple):
    """A row, and the version that it has."""

    row: Row
    version: int


class Busy(Exception):
    """Others wrote the same rows for as long as there was time."""


class _Lost(Exception):
    """Somebody else was faster, or the table had too much to do: try again."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """Rows as they are to become, with the versions that they must still have."""

    rows: dict[Key, Stored]


@dataclass(slots=True)
class UsageTable:
    """A table and a client that may use it. ``pause`` lets time pass between tries; ``shard`` is the one to write."""

    client: "DynamoDBClient"
    name: str
    pause: Callable[[float], None] = time.sleep
    chance: random.Random = field(default_factory=random.Random)
    shard: int = 0

    # ------------------------------------------------------------ counting

    def count(self, entries: Iterable[Entry], deadline: Deadline) -> dict[str, str]:
        """Count the calls that were not counted yet. Why some were not, by id; none of those is counted in part."""
        failed: dict[str, str] = {}
        for group in _groups(entries):
            try:
                self._count(group, deadline)
            except Busy as error:
                failed |= {entry.id: str(error) for entry in group}
        return failed

    def _count(self, group: Sequence[Entry], deadline: Deadline) -> None:
        left = {entry.id: entry for entry in group}
        tries = 0
        while left:
            wanted = list(left.values())
            try:
                known = self._write([_ledger_put(self.name, one) for one in wanted], self._drafts(wanted))
            except (_Lost, ServiceUnavailable) as error:
                self.shard = self.chance.randrange(SHARDS)
                self._wait(tries, deadline, error)
                tries += 1
                continue
            if not known:
                return
            # Counted before: the others go without them.
            for place in known:
                del left[wanted[place].id]

    def _drafts(self, entries: Sequence[Entry]) -> _Draft:
        wanted: dict[Key, list[Entry]] = {}
        for entry in entries:
            for whose in _scopes(entry):
                shard = self.shard % len(shards_of(whose))
                for sk in (day_key(entry.at.date()), month_key(entry.at.date())):
                    wanted.setdefault(Key(f"{whose}#{shard}", sk), []).append(entry)
        rows = self.rows(wanted)
        for key, own in wanted.items():
            row = rows.setdefault(key, Stored(Row(), 0)).row
            for entry in own:
                row.add(entry, entry.quarter if key.sk.startswith("d#") else entry.at.day)
        return _Draft(rows)

    def _write(self, first: "Sequence[TransactWriteItemTypeDef]", draft: _Draft) -> list[int]:
        """Write all or nothing. The places of what, of ``first``, is there already; raises ``_Lost``."""
        actions = [*first, *(self._row_put(key, stored) for key, stored in draft.rows.items())]
        try:
            self.client.transact_write_items(TransactItems=actions)
        except ClientError as error:
            reasons = error.response.get("CancellationReasons", [])
            known = [
                place
                for place, reason in enumerate(reasons[: len(first)])
                if reason.get("Code") == "ConditionalCheckFailed"
            ]
            if known:
                return known
            codes = {reason.get("Code", "None") for reason in reasons} or {aws.error_code(error)}
            if codes & (_PASSING | {"ConditionalCheckFailed"}):
                raise _Lost(", ".join(sorted(codes - {"None"}))) from error
            raise _unavailable(error) from error
        except BotoCoreError as error:
            # It may have been written: then the entries are known at the next try.
            raise _Lost(type(error).__name__) from error
        return []

    def _row_put(self, key: Key, stored: Stored) -> "TransactWriteItemTypeDef":
        whose = key.pk.rpartition("#")[0]
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if stored.version:
            condition = {
                "ConditionExpression": "version = :read",
                "ExpressionAttributeValues": {":read": {"N": str(stored.version)}},
            }
        action: Any
        if not stored.row.counters:
            action = {"Delete": {"TableName": self.name, "Key": _typed(key), **condition}}
            return cast("TransactWriteItemTypeDef", action)
        item: dict[str, Any] = {
            **_typed(key),
            "version": {"N": str(stored.version + 1)},
            **{name: {"B": content} for name, content in stored.row.pack().items()},
        }
        if whose != EVERYBODY:
            item["period"] = {"S": period(key.sk, _part(whose, PERIOD_PARTS))}
        action = {"Put": {"TableName": self.name, "Item": item, **condition}}
        return cast("TransactWriteItemTypeDef", action)

    def _wait(self, tries: int, deadline: Deadline, error: Exception) -> None:
        """Let others go first, for a time by chance that grows. Raises ``Busy`` when no time is left."""
        if not deadline.remaining():
            raise Busy(f"not counted in time: {error}") from error
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** max(0, tries))
        self.pause(min(self.chance.uniform(0, longest), deadline.remaining()))

    # ------------------------------------------------------------ the ledger

    def known(self, entry_ids: Iterable[str]) -> set[str]:
        """Which of these calls were counted."""
        wanted = [_ledger_key(entry_id, _day_of(entry_id)) for entry_id in entry_ids]
        return {item["sk"]["S"] for item in self._get(wanted, "sk")}

    def ledger(self, day: date) -> list[Entry]:
        """Every call of a day, in UTC, that was counted, oldest first."""

        def part(number: int) -> list[Entry]:
            pk = {":pk": {"S": f"ledger#{day}#{number}"}}
            return [
                Entry.loads(item["sk"]["S"], item["entry"]["S"])
                for item in self._query(KeyConditionExpression="pk = :pk", ExpressionAttributeValues=pk)
            ]

        return sorted((one for found in in_parallel(part, range(PARTS)) for one in found), key=lambda one: one.id)

    def correct(self, entry: Entry) -> None:
        """Replace an entry of the ledger by one with the same id; the rows are for ``replace`` to put right."""
        self._asked(
            lambda: self.client.put_item(
                TableName=self.name,
                Item={**_typed(_ledger_key(entry.id, entry.at.date())), "entry": {"S": entry.dumps()}},
                ConditionExpression="attribute_exists(pk)",
            )
        )

    # ------------------------------------------------------------ rows

    def rows(self, wanted: Iterable[Key]) -> dict[Key, Stored]:
        """Those of the rows that are there, as they are now."""
        return {
            Key(item["pk"]["S"], item["sk"]["S"]): Stored(Row.unpack(_contents(item)), int(item["version"]["N"]))
            for item in self._get(list(wanted))
        }

    def own_days(self, whose: str, day: date) -> dict[Key, Stored]:
        """All shards of somebody's day, and of its month."""
        return self.rows(
            Key(f"{whose}#{shard}", sk) for shard in shards_of(whose) for sk in (day_key(day), month_key(day))
        )

    def replace(self, whose: str, day: date, read: Mapping[Key, Stored], right: Row) -> bool:
        """Make somebody's day what it should be, unless it was written since it was read; whether it is now.

        ``read`` is what ``own_days`` gave, ``right`` the row of the day. The day moves to shard 0.
        """
        first = Key(f"{whose}#0", day_key(day)), Key(f"{whose}#0", month_key(day))
        draft = _Draft({})
        for key in {*read, *first}:
            stored = read.get(key, Stored(Row(), 0))
            row = Row() if key.sk == day_key(day) else stored.row.without(day.day)
            if key == first[0]:
                row = right
            elif key == first[1]:
                row += as_slot(right, day.day)
            if row != stored.row:
                draft.rows[key] = Stored(row, stored.version)
        if not draft.rows:
            return True
        # What does not change must not have been written either.
        unchanged: list[TransactWriteItemTypeDef] = [
            {
                "ConditionCheck": {
                    "TableName": self.name,
                    "Key": _typed(key),
                    "ConditionExpression": "version = :read",
                    "ExpressionAttributeValues": {":read": {"N": str(stored.version)}},
                }
            }
            for key, stored in read.items()
            if key not in draft.rows
        ]
        try:
            return not self._write(unchanged, draft)
        except _Lost:
            return False

    def sums(self, wanted: Mapping[Key, range | None], *, with_latencies: bool = True) -> list[Sum]:
        """By source what the rows hold together in some of their slots, or in all; two reads at once, as a rule."""
        return list(sums(self._packed(wanted, *(("s, t", "c, h") if with_latencies else ("s", "c")))))

    def overall(self, wanted: Mapping[Key, range | None]) -> tuple[list[Sum], Histogram]:
        """As ``sums`` without latencies, and those of all sources together, which are less to read."""
        found = self._packed(wanted, "s, z", "c, a")
        together = latencies(found)
        if together is not None:
            return list(sums(found)), together
        by_source = self.sums(wanted)
        return by_source, histograms.total(one.latencies for one in by_source)

    def _packed(
        self, wanted: Mapping[Key, range | None], of_all: str, of_some: str
    ) -> list[tuple[Mapping[str, bytes], range | None]]:
        """The rows, with what is asked for of those that count with all of their slots, and of the others."""
        asked = [
            (f"pk, sk, {names}", [key for key, slots in wanted.items() if (slots is None) == is_whole])
            for names, is_whole in ((of_all, True), (of_some, False))
        ]
        found = in_parallel(lambda one: self._get(one[1], one[0], consistent=False), [one for one in asked if one[1]])
        return [(_contents(item), wanted[Key(item["pk"]["S"], item["sk"]["S"])]) for items in found for item in items]

    def all_sums(self, whose: str, first: str, last: str) -> Iterator[Sum]:
        """By source all that somebody's rows between two sort keys hold, both included, of all shards."""

        def shard(number: int) -> list[Item]:
            values = {":pk": {"S": f"{whose}#{number}"}, ":first": {"S": first}, ":last": {"S": last}}
            return self._query(
                KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
                ExpressionAttributeValues=values,
                ProjectionExpression="s, t",
            )

        found = in_parallel(shard, shards_of(whose))
        return sums((_contents(item), None) for items in found for item in items)

    def between(self, whose: str, first: str, last: str, latencies: str) -> Iterator[tuple[str, Row]]:
        """Somebody's rows between two sort keys, both included, of all shards; ``latencies`` as in ``Row.unpack``."""
        names = ", ".join(["sk", "c", *([latencies] if latencies else [])])

        def shard(number: int) -> list[tuple[str, Row]]:
            values = {":pk": {"S": f"{whose}#{number}"}, ":first": {"S": first}, ":last": {"S": last}}
            found = self._query(
                KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
                ExpressionAttributeValues=values,
                ProjectionExpression=names,
            )
            return [(item["sk"]["S"], Row.unpack(_contents(item), latencies)) for item in found]

        for rows in in_parallel(shard, shards_of(whose)):
            yield from rows

    def users(self, periods: Mapping[str, range | None]) -> Iterator[tuple[str, Sum]]:
        """Whose, and by source the counters, of all users' rows of these days or months (sort keys) together.

        With each period are the slots that count; None is all.
        """

        def part(wanted: tuple[str, int]) -> list[tuple[str, Mapping[str, bytes], range | None]]:
            sk, number = wanted
            slots = periods[sk]
            found = self._query(
                IndexName=BY_PERIOD,
                KeyConditionExpression="period = :period",
                ExpressionAttributeValues={":period": {"S": period(sk, number)}},
                ProjectionExpression="pk, " + ("s" if slots is None else "c"),
                ConsistentRead=False,
            )
            return [(item["pk"]["S"].rpartition("#")[0], _contents(item), slots) for item in found]

        rows: dict[str, list[tuple[Mapping[str, bytes], range | None]]] = {}
        for found in in_parallel(part, [(sk, number) for sk in periods for number in range(PERIOD_PARTS)]):
            for whose, contents, slots in found:
                rows.setdefault(whose, []).append((contents, slots))
        for whose, own in rows.items():
            yield from ((whose, one) for one in sums(own))

    def forget(self, whose: str) -> int:
        """Remove somebody's rows; how many there were. The ledger is not touched. May be repeated."""
        removed = 0
        for shard in shards_of(whose):
            pk = f"{whose}#{shard}"
            found = self._query(
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": pk}},
                ProjectionExpression="sk",
            )
            for item in found:
                key = Key(pk, item["sk"]["S"])
                self._asked(lambda key=key: self.client.delete_item(TableName=self.name, Key=_typed(key)))  # type: ignore[misc]
                removed += 1
        return removed

    # ------------------------------------------------------------ reading

    def _get(self, wanted: Sequence[Key], names: str = "", *, consistent: bool = True) -> list[Item]:
        found: list[Item] = []
        for start in range(0, len(wanted), _MOST_KEYS):
            request: dict[str, Any] = {
                "Keys": [_typed(key) for key in wanted[start : start + _MOST_KEYS]],
                "ConsistentRead": consistent,
            } | ({"ProjectionExpression": names} if names else {})
            asked: Mapping[str, Any] = {self.name: request}
            tries = 0
            while asked:
                answer = self._asked(lambda asked=asked: self.client.batch_get_item(RequestItems=asked))  # type: ignore[misc]
                found += answer["Responses"].get(self.name, [])
                asked = answer.get("UnprocessedKeys", {})
                if asked:
                    self._wait(tries, Deadline(_LONGEST_PAUSE * 5), Busy("the table is busy"))
                    tries += 1
        return found

    def _query(self, **wanted: Any) -> list[Item]:
        found: list[Item] = []
        options: dict[str, Any] = {"TableName": self.name, "ConsistentRead": True, **wanted}
        while True:
            answer = self._asked(lambda: self.client.query(**options))
            found += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return found
            options["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _asked(self, call: Callable[[], Any]) -> Any:
        """What a call answers. Raises ``ServiceUnavailable``."""
        try:
            return call()
        except (ClientError, BotoCoreError) as error:
            raise _unavailable(error) from error


def in_parallel(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """What the work returns for each item; a few at a time, since it waits for DynamoDB."""
    listed = list(items)
    if len(listed) == 1:
        return [work(listed[0])]
    with ThreadPoolExecutor(SHARDS) as readers:
        return list(readers.map(work, listed))


def shards_of(whose: str) -> range:
    """The shards in which somebody's rows may be."""
    return range(SHARDS if whose in (EVERYBODY, keys.ANONYMOUS) else OWN_SHARDS)


def day_key(day: date) -> str:
    """The sort key of a day's row."""
    return f"d#{day}"


def month_key(day: date) -> str:
    """The sort key of the row of a day's month."""
    return f"m#{month_of(day)}"


def period(sk: str, part: int) -> str:
    """The key of a part of a period in the index of users."""
    return f"{sk}#{part}"


def as_slot(day: Row, slot: int) -> Row:
    """A day's row as one slot of its month."""
    month = Row()
    for cell in day.cells():
        month += Row(
            {cell.source: {slot: cell.counters}}, {cell.source: {slot: dict(cell.latencies)}} if cell.latencies else {}
        )
    return month


def _groups(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """The entries in groups that one transaction can hold, each entry once."""
    group: dict[str, Entry] = {}
    rows: set[tuple[str, str]] = set()
    for entry in entries:
        own = {(whose, sk) for whose in _scopes(entry) for sk in (day_key(entry.at.date()), month_key(entry.at.date()))}
        if group and len(group) + 1 + len(rows | own) > _MOST_ACTIONS:
            yield list(group.values())
            group, rows = {}, set()
        group[entry.id] = entry
        rows |= own
    if group:
        yield list(group.values())


def _scopes(entry: Entry) -> tuple[str, ...]:
    return (EVERYBODY,) if entry.user_id == FORGOTTEN else (EVERYBODY, entry.user_id)


def _day_of(entry_id: str) -> date:
    return ids.created_at(entry_id).date()


def _ledger_key(entry_id: str, day: date) -> Key:
    return Key(f"ledger#{day}#{_part(entry_id, PARTS)}", entry_id)


def _ledger_put(table: str, entry: Entry) -> "TransactWriteItemTypeDef":
    item = {**_typed(_ledger_key(entry.id, entry.at.date())), "entry": {"S": entry.dumps()}}
    return {"Put": {"TableName": table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}


def _part(text: str, parts: int) -> int:
    return zlib.crc32(text.encode()) % parts


def _typed(key: Key) -> dict[str, dict[str, str]]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def _contents(item: Item) -> dict[str, bytes]:
    return {name: bytes(value["B"]) for name, value in item.items() if "B" in value}


def _unavailable(error: Exception) -> ServiceUnavailable:
    return ServiceUnavailable(
        "The counters of usage do not answer. Try again in a moment.", retry_after=2, slug="usage-unavailable"
    )


@lru_cache(maxsize=1)
def open_table(name: str) -> UsageTable:
    """The table with a client of this execution environment's role."""
    return UsageTable(aws.client("dynamodb", **_OPTIONS), name)

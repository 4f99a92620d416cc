"""Each call counts once, whatever happens to its messages and to those who count."""

import json
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, cast
from unittest import mock
from zoneinfo import ZoneInfo

import boto3
import pytest
from moto import mock_aws

from core.identity import Identity
from generation import keys, records
from generation.library import Library
from generation.providers import Deadline
from generation.storage import Bucket
from generation.usage import answers, counting, failures, ranges, rows
from generation.usage.counting import Source
from generation.usage.entries import FORGOTTEN, Counters, Entry, milliseconds, of_failure, of_record
from generation.usage.entries import Source as MadeBy
from generation.usage.reading import Filter
from generation.usage.recount import Recount
from generation.usage.rows import EVERYBODY
from generation.usage.table import UsageTable
from image.service import SERVICE as IMAGE
from tests.unit.generation import usage_history
from tests.unit.generation.memory_dynamodb import MemoryDynamoDB, client_error, timeout
from tests.unit.generation.samples import MOMENT, SIGNER, identifier, image_record
from tests.unit.generation.usage_history import USERS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DAY = date(2026, 11, 22)
UTC_DAY = ranges.resolve(DAY, DAY, ZoneInfo("UTC"), datetime(2026, 11, 22, tzinfo=UTC))
PATIENT = 600


def _table(memory: MemoryDynamoDB, seed: int = 0) -> UsageTable:
    return UsageTable(cast(Any, memory), "usage", pause=lambda _seconds: None, chance=random.Random(seed))


def _entries(size: int, user: str = USERS[1]) -> list[Entry]:
    """Calls of one user, some minutes apart."""
    ids = [identifier(MOMENT + number * 60_000, number) for number in range(size)]
    return [
        Entry(one, user, MadeBy("image", "painter", "brush"), Counters(1, last=milliseconds(one)), 100) for one in ids
    ]


def _requests(usage: UsageTable, whose: str = EVERYBODY) -> int:
    """What the rows of the day's month say, and those of its days, which must agree."""
    by_month = sum(cell.counters.requests for _, row in usage.between(whose, "m#", "m#~", "") for cell in row.cells())
    by_day = sum(cell.counters.requests for _, row in usage.between(whose, "d#", "d#~", "") for cell in row.cells())
    assert by_month == by_day
    return by_month


def test_a_call_that_comes_twice_counts_once() -> None:
    usage = _table(MemoryDynamoDB())
    entries = _entries(30)
    assert usage.count([*entries, *entries[:7]], Deadline(PATIENT)) == {}
    assert usage.count(reversed(entries), Deadline(PATIENT)) == {}
    assert _requests(usage) == _requests(usage, USERS[1]) == 30


def test_those_that_are_new_count_beside_those_that_are_not() -> None:
    usage = _table(MemoryDynamoDB())
    entries = _entries(40)
    usage.count(entries[:20], Deadline(PATIENT))
    assert usage.count(entries, Deadline(PATIENT)) == {}
    assert _requests(usage) == 40


def test_calls_of_many_users_do_not_fit_one_transaction_and_count_all_the_same() -> None:
    usage = _table(MemoryDynamoDB())
    entries = [
        Entry(one.id, identifier(5, number), one.source, one.counters, one.latency_ms)
        for number, one in enumerate(_entries(300))
    ]
    assert usage.count(entries, Deadline(PATIENT)) == {}
    assert _requests(usage) == 300


@pytest.mark.parametrize(
    "code",
    ["ThrottlingException", "ProvisionedThroughputExceededException", "TransactionConflict", "ThrottlingError"],
)
def test_what_passes_is_tried_again(code: str) -> None:
    left = [3]

    def fault(operation: str, when: str) -> None:
        if operation == "TransactWriteItems" and when == "before" and left[0]:
            left[0] -= 1
            if code.endswith("Exception"):
                raise client_error(code)
            raise client_error("TransactionCanceledException", reasons=[{"Code": "None"}, {"Code": code}])

    usage = _table(MemoryDynamoDB(fault))
    assert usage.count(_entries(3), Deadline(PATIENT)) == {}
    assert _requests(usage) == 3


def test_an_answer_that_is_lost_counts_nothing_twice() -> None:
    left = [1]

    def fault(operation: str, when: str) -> None:
        if operation == "TransactWriteItems" and when == "after" and left[0]:
            left[0] -= 1
            raise timeout()

    usage = _table(MemoryDynamoDB(fault))
    assert usage.count(_entries(5), Deadline(PATIENT)) == {}
    assert _requests(usage) == 5


def test_a_table_that_is_down_fails_all_and_counts_none() -> None:
    def fault(_operation: str, _when: str) -> None:
        raise client_error("InternalServerError")

    entries = _entries(3)
    memory = MemoryDynamoDB(fault)
    usage = _table(memory)
    assert usage.count(entries, Deadline(0)).keys() == {entry.id for entry in entries}
    memory.fault = lambda _operation, _when: None
    assert _requests(usage) == 0


def test_two_at_once_neither_lose_nor_double() -> None:
    memory = MemoryDynamoDB()
    entries = _entries(400, keys.ANONYMOUS)
    start = threading.Barrier(4)

    def consumer(seed: int) -> dict[str, str]:
        usage = _table(memory, seed)
        own = usage_history.shuffled(entries, random.Random(seed))[:300]
        start.wait()
        failed = {}
        for begin in range(0, len(own), 10):
            failed |= usage.count(own[begin : begin + 10], Deadline(PATIENT))
        return failed

    with ThreadPoolExecutor(4) as consumers:
        assert list(consumers.map(consumer, range(4))) == [{}] * 4
    usage = _table(memory)
    counted = len(usage.ledger(DAY))
    assert counted == len({item["sk"]["S"] for item in memory.items.values() if "entry" in item})
    assert _requests(usage) == _requests(usage, keys.ANONYMOUS) == counted


class Killed(BaseException):
    """The function ended in the middle."""


@pytest.mark.parametrize("seed", range(3))
def test_chaos_loses_and_doubles_nothing(seed: int) -> None:
    """Messages come in any order and more than once, to two who are killed between any steps and get errors."""
    chance = random.Random(seed)

    def fault(_operation: str, _when: str) -> None:
        roll = chance.random()
        if roll < 0.05:
            raise Killed
        if roll < 0.1:
            raise client_error("ThrottlingException")
        if roll < 0.15:
            raise timeout()

    memory = MemoryDynamoDB(fault)
    consumers = [_table(memory, number) for number in range(2)]
    made, failed = usage_history.history(400, date(2026, 11, 1), 22, chance)
    entries = [of_record(one, makes_pictures=False) for one in made] + [of_failure(one.message()) for one in failed]
    waiting = usage_history.shuffled([*entries, *chance.choices(entries, k=80)], chance)
    while waiting:
        batch, waiting = waiting[:15], waiting[15:]
        try:
            not_counted = chance.choice(consumers).count(batch, Deadline(PATIENT))
            waiting += [one for one in batch if one.id in not_counted]
        except Killed:
            waiting += batch
    memory.fault = lambda _operation, _when: None
    usage = _table(memory)
    assert _requests(usage) == len(entries)
    for user in USERS:
        assert _requests(usage, user) == sum(one.user_id == user for one in entries)


@pytest.mark.parametrize("whose", [EVERYBODY, USERS[1]])
def test_a_calm_platform_has_one_shard_and_a_busy_one_more(whose: str) -> None:
    memory = MemoryDynamoDB()
    usage = _table(memory, 1)

    def shards() -> set[str]:
        return {pk for pk, _ in memory.items if pk.startswith(whose)}

    for entry in _entries(5):
        usage.count([entry], Deadline(PATIENT))
    assert shards() == {f"{whose}#0"}
    left = [4]

    def fault(operation: str, when: str) -> None:
        if operation == "TransactWriteItems" and when == "before" and left[0]:
            left[0] -= 1
            raise client_error("TransactionCanceledException", reasons=[{"Code": "TransactionConflict"}])

    memory.fault = fault
    usage.count([_entries(6)[5]], Deadline(PATIENT))
    assert len(shards()) == 2
    # Nobody else is in the way there, so it stays.
    usage.count(_entries(9)[6:], Deadline(PATIENT))
    assert len(shards()) == 2
    assert _requests(usage, whose) == 9


def test_memory_does_as_moto_does() -> None:
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": "us-east-1"}), mock_aws():
        client: DynamoDBClient = boto3.client("dynamodb")
        real = usage_history.table(client, pause=lambda _seconds: None)
        memory = _table(MemoryDynamoDB())
        entries = [*_entries(9), *_entries(3, keys.ANONYMOUS)]
        for usage in (real, memory):
            assert usage.count(entries[:6], Deadline(PATIENT)) == {}
            assert usage.count(entries, Deadline(PATIENT)) == {}
            usage.forget(keys.ANONYMOUS)
        assert real.ledger(DAY) == memory.ledger(DAY)
        assert answers.overview(real, EVERYBODY, UTC_DAY, Filter(), with_users=False) == answers.overview(
            memory, EVERYBODY, UTC_DAY, Filter(), with_users=False
        )
        assert sorted(real.users({"d#2026-11-22": None})) == sorted(memory.users({"d#2026-11-22": None}))
        assert _requests(real, keys.ANONYMOUS) == _requests(memory, keys.ANONYMOUS) == 0


# ---------------------------------------------------------------- messages


@pytest.fixture
def sources(bucket: Bucket) -> dict[str, Source]:
    return {bucket.name: Source(IMAGE, bucket)}


@pytest.fixture
def usage() -> UsageTable:
    return _table(MemoryDynamoDB())


def _put(bucket: Bucket, number: int = 0, **changes: Any) -> str:
    record_id = identifier(rest=number)
    content = records.dumps(image_record(record_id, **changes))
    bucket.put(keys.record_object(record_id), content, "application/json")
    return record_id


def _told(bucket: Bucket, *record_ids: str) -> dict[str, Any]:
    """A message of SQS that tells of records."""
    return {
        "Records": [
            {"s3": {"bucket": {"name": bucket.name}, "object": {"key": keys.record_object(one)}}} for one in record_ids
        ]
    }


def _batch(*bodies: Any) -> dict[str, Any]:
    return {"Records": [{"messageId": f"m{number}", "body": json.dumps(body)} for number, body in enumerate(bodies)]}


def _failed(answer: Any) -> list[str]:
    return sorted(one["itemIdentifier"] for one in answer["batchItemFailures"])


def test_records_and_failures_are_counted(bucket: Bucket, sources: Any, usage: UsageTable) -> None:
    failure = usage_history.Failed(identifier(rest=9), USERS[1], "image", "painter", "brush-1")
    batch = _batch(_told(bucket, _put(bucket), _put(bucket, 1, cost={"usd": None})), {"failure": failure.message()})
    assert _failed(counting.count(sources, usage, batch, 30_000)) == []
    assert _failed(counting.count(sources, usage, batch, 30_000)) == []
    answer = answers.overview(usage, EVERYBODY, UTC_DAY, Filter(), with_users=False)
    assert (answer["requests"], answer["failed"], answer["unpriced"], answer["pictures"]) == (3, 1, 1, 2)
    assert answer["latencyMs"]["p50"] == 12


def test_a_call_that_was_told_as_failed_and_has_a_record_counts_as_what_the_record_says(
    bucket: Bucket, sources: Any, usage: UsageTable
) -> None:
    record_id = _put(bucket)
    failure = usage_history.Failed(record_id, "anonymous", "image", "painter", "brush-1")
    for batch in (_batch({"failure": failure.message()}), _batch(_told(bucket, record_id))):
        assert _failed(counting.count(sources, usage, batch, 30_000)) == []
    (entry,) = usage.ledger(DAY)
    assert (entry.counters.succeeded, entry.counters.failed) == (1, 0)
    assert Recount(tuple(sources.values()), usage).day(DAY, Deadline(PATIENT)).is_clean


def test_a_failure_of_a_service_that_is_gone_counts(sources: Any, usage: UsageTable) -> None:
    failure = usage_history.Failed(identifier(rest=9), USERS[1], "poems", "poet", "p")
    assert _failed(counting.count(sources, usage, _batch({"failure": failure.message()}), 30_000)) == []
    assert _requests(usage, USERS[1]) == 1


def test_messages_that_fail_are_named_and_the_others_counted(bucket: Bucket, sources: Any, usage: UsageTable) -> None:
    broken = _put(bucket, 3, latencyMs="long")
    batch = _batch(
        _told(bucket, _put(bucket)),
        _told(bucket, identifier(rest=7)),
        _told(bucket, broken),
        {"failure": {"id": "x"}},
        {"Event": "s3:TestEvent"},
        {"Records": [{"s3": {"bucket": {"name": "other"}, "object": {"key": keys.record_object(broken)}}}]},
        "nonsense",
    )
    assert _failed(counting.count(sources, usage, batch, 30_000)) == ["m1", "m2", "m3", "m5", "m6"]
    assert _requests(usage) == 1


def test_what_was_deleted_before_it_was_counted_counts(bucket: Bucket, sources: Any, usage: UsageTable) -> None:
    user = Identity(identifier(2), "a@b.c", "user", "s", 0)
    record_id = _put(bucket, userId=user.sub)
    Library(IMAGE, bucket, lambda: SIGNER).delete(record_id, user)
    assert _failed(counting.count(sources, usage, _batch(_told(bucket, record_id)), 30_000)) == []
    assert _requests(usage, user.sub) == 1
    (entry,) = usage.ledger(DAY)
    assert (entry.latency_ms, entry.counters.pictures) == (12, 1)


# ---------------------------------------------------------------- recount


def _counted(sources: Any, usage: UsageTable, *record_ids: str) -> None:
    (source,) = sources.values()
    counting.count(sources, usage, _batch(_told(source.bucket, *record_ids)), 30_000)


def _rows(usage: UsageTable) -> str:
    cells = [
        (whose, sk, cell)
        for whose in (EVERYBODY, *USERS)
        for first in ("d#", "m#")
        for sk, row in usage.between(whose, first, f"{first}~", "h")
        for cell in row.cells()
    ]
    return repr(sorted(cells, key=repr))


def test_recount_finds_nothing_where_nothing_is_wrong(bucket: Bucket, sources: Any, usage: UsageTable) -> None:
    _counted(sources, usage, _put(bucket), _put(bucket, 1))
    before = _rows(usage)
    for repair in (False, True):
        findings = Recount(tuple(sources.values()), usage).day(DAY, Deadline(PATIENT), repair=repair)
        assert findings.is_clean
        assert findings.records == 2
    assert _rows(usage) == before


def test_recount_brings_in_what_was_made_before(bucket: Bucket, sources: Any, usage: UsageTable) -> None:
    made = [_put(bucket, number) for number in range(3)]
    _counted(sources, usage, made[0])
    recount = Recount(tuple(sources.values()), usage)
    assert recount.day(DAY, Deadline(PATIENT)).missing == made[1:]
    assert _requests(usage) == 1
    recount.day(DAY, Deadline(PATIENT), repair=True)
    assert recount.day(DAY, Deadline(PATIENT)).is_clean
    _counted(sources, usage, *made)
    assert _requests(usage) == 3


def test_recount_gives_the_same_numbers_after_rows_were_ruined(bucket: Bucket, sources: Any, usage: UsageTable) -> None:
    _counted(sources, usage, *(_put(bucket, number) for number in range(4)))
    other = usage_history.Failed(identifier(MOMENT - 86_400_000, 8), USERS[1], "image", "painter", "x")
    failed = usage_history.Failed(identifier(rest=9), USERS[1], "image", "painter", "x")
    counting.count(sources, usage, _batch({"failure": failed.message()}, {"failure": other.message()}), 30_000)
    (source,) = sources.values()
    source.bucket.delete(keys.record_object(identifier(rest=0)))
    before = _rows(usage)
    memory = cast(Any, usage.client)
    for key, item in list(memory.items.items()):
        if key == (f"{EVERYBODY}#0", "d#2026-11-22"):
            del memory.items[key]
        elif key[0].startswith(USERS[1]) and key[1] == "m#2026-11":
            item |= {"c": memory.items["anonymous#0", "m#2026-11"]["c"]}
    recount = Recount(tuple(sources.values()), usage)
    assert len(recount.day(DAY, Deadline(PATIENT)).rows) == 2
    assert len(recount.day(DAY, Deadline(PATIENT), repair=True).rows) == 2
    recount.day(date(2026, 11, 21), Deadline(PATIENT), repair=True)
    assert recount.day(DAY, Deadline(PATIENT)).is_clean
    assert _rows(usage) == before


def test_recount_while_others_count_loses_nothing(usage: UsageTable) -> None:
    entries = _entries(200)
    usage.count(entries[:100], Deadline(PATIENT))
    memory = cast(Any, usage.client)
    for key in [key for key in memory.items if key[0].startswith((EVERYBODY, USERS[1]))]:
        del memory.items[key]
    rest = entries[100:]
    other = _table(memory, 5)
    lock = threading.Lock()
    queries = [0]

    def fault(operation: str, when: str) -> None:
        """While the ledger is read for the first row that is put right, somebody counts calls."""
        if operation != "Query" or when == "before":
            return
        with lock:
            queries[0] += 1
            own = [rest.pop() for _ in range(3)] if 12 < queries[0] <= 20 else []
        if own:
            other.count(own, Deadline(PATIENT))

    memory.fault = fault
    findings = Recount((), usage).day(DAY, Deadline(PATIENT), repair=True)
    assert not findings.busy
    assert len(rest) == 76
    assert _requests(usage) == _requests(usage, USERS[1]) == 124


def test_a_row_that_is_written_all_the_time_is_reported(usage: UsageTable) -> None:
    usage.count(_entries(2), Deadline(PATIENT))
    memory = cast(Any, usage.client)
    del memory.items[f"{EVERYBODY}#0", "d#2026-11-22"]
    with mock.patch.object(UsageTable, "replace", return_value=False):
        findings = Recount((), usage).day(DAY, Deadline(PATIENT), repair=True)
    assert findings.busy == [f"{EVERYBODY} 2026-11-22"]


def test_forgotten_calls_count_for_everybody_only(usage: UsageTable) -> None:
    entries = _entries(4)
    usage.count(entries, Deadline(PATIENT))
    usage.forget(USERS[1])
    for entry in entries:
        usage.correct(Entry(entry.id, FORGOTTEN, entry.source, entry.counters, entry.latency_ms))
    assert Recount((), usage).day(DAY, Deadline(PATIENT), repair=True).is_clean
    assert _requests(usage) == 4
    assert _requests(usage, USERS[1]) == 0


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (failures.Unprocessable("no", slug="prompt-refused"), True),
        (failures.Unprocessable("no"), False),
        (failures.ProblemError("bug"), True),
        (RuntimeError("bug"), True),
    ],
)
def test_failures_are_what_was_admitted_and_not_served(error: Exception, counts: bool) -> None:
    assert failures.is_failure(error) is counts


def test_a_failure_is_sent_and_the_error_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    queue = mock.Mock()
    queue.send_message.side_effect = lambda **message: sent.append(message)
    monkeypatch.setattr(failures, "_client", lambda: queue)
    monkeypatch.setenv("USAGE_QUEUE_URL", "https://queue")
    provider = mock.Mock(spec=["name"])
    provider.name = "painter"
    with pytest.raises(RuntimeError), failures.counted(IMAGE, [provider], mock.Mock(model="flux"), None):
        raise RuntimeError
    with failures.counted(IMAGE, [provider], mock.Mock(), None):
        pass

    def not_admitted() -> None:
        with failures.counted(IMAGE, [provider], mock.Mock(), None) as call:
            call.was_refused = True
            raise RuntimeError

    with pytest.raises(RuntimeError):
        not_admitted()
    (message,) = sent
    entry = of_failure(json.loads(message["MessageBody"])["failure"])
    assert (entry.user_id, entry.source, entry.counters.failed) == ("anonymous", ("image", "painter", "flux"), 1)
    queue.send_message.side_effect = timeout()
    with pytest.raises(RuntimeError), failures.counted(IMAGE, [provider], mock.Mock(), None):
        raise RuntimeError


def test_a_row_that_is_as_full_as_it_gets_fits_an_item() -> None:
    """The largest row there can be: every source that a row takes, in every quarter of a day, with many latencies."""
    chance = random.Random(1)
    row = rows.Row()
    for number in range(rows.SOURCES):
        made_by = MadeBy("chat", f"provider-{number}", f"model-{number}")
        row.counters[made_by] = {
            quarter: Counters(*(chance.randrange(1000) for _ in Counters._fields[:-1]), MOMENT + quarter)
            for quarter in range(96)
        }
        row.latencies[made_by] = {
            quarter: {one: chance.randrange(1, 50) for one in chance.sample(range(60, 110), 40)}
            for quarter in range(96)
        }
    sizes = {name: len(content) for name, content in row.pack().items()}
    assert sum(sizes.values()) < 400_000, sizes


def test_sources_that_a_row_has_no_place_for_count_together() -> None:
    row = rows.Row()
    for number, entry in enumerate(_entries(rows.SOURCES + 5)):
        row.add(Entry(entry.id, entry.user_id, MadeBy("chat", "p", f"m{number}"), entry.counters, 5), entry.quarter)
    assert len(row.counters) == rows.SOURCES + 1
    assert sum(cell.counters.succeeded for cell in row.cells()) == rows.SOURCES + 5
    assert sum(cell.counters.succeeded for cell in row.cells() if cell.source.model == rows.OTHER) == 5

"""What `GET /analytics/overview` over 400 days costs with a million calls behind it, and with a thousand.

The rows are made by the code that makes rows: those of a platform that is calm, as with a million calls in 400 days,
have one shard of everybody; those of one that had all of them in bursts have eight. First the real route answers from
tables in memory: what it asks DynamoDB for, and the time of the processor. Then the platform of this machine is asked
over HTTP, where it runs, by two new users who get the rows of a thousand calls and of a million, in turns, for a
machine is not the same from minute to minute. Ends with status 1 when more calls take more requests, or when p95 over
HTTP is more than 1.2 times as long.
"""

import argparse
import json
import logging
import os
import random
import secrets
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast
from unittest import mock

import requests
from benchmarks.usage_history import asked
from localstack.console import CommandFailed
from localstack.settings import STACK_NAME
from tests import tokens
from tests.unit.generation.memory_dynamodb import MemoryDynamoDB
from tests.unit.generation.samples import identifier
from tests.unit.generation.usage_history import SOURCES, USERS
from tools.operate import target

from analytics import overview
from generation.usage import endpoints
from generation.usage.entries import Counters, Entry, Source, milliseconds
from generation.usage.rows import EVERYBODY, Row
from generation.usage.table import SHARDS, Key, Stored, UsageTable, _Draft, day_key, month_key, shards_of

FIRST, DAYS = date(2025, 10, 19), 400
LAST = FIRST + timedelta(days=DAYS - 1)
FEW, MANY = 1_000, 1_000_000
MOST_TIMES = 1.2
ROUNDS = 200
CALM, BUSY = "one shard", "all shards"
RANGE = {"from": str(FIRST), "to": str(LAST), "tz": "Asia/Kathmandu"}


class Counting(MemoryDynamoDB):
    """Finds the rows of users by their periods at once; counts what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.items_read = self.bytes_read = 0
        self._users: dict[str, list[Any]] = {}

    def index(self) -> None:
        """Take note of the rows of users, when all are there."""
        for item in self.items.values():
            if "period" in item:
                self._users.setdefault(item["period"]["S"], []).append(item)

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        """As DynamoDB does."""
        answer = super().batch_get_item(RequestItems)
        self._read(next(iter(answer["Responses"].values())))
        return answer

    def query(self, **request: Any) -> dict[str, Any]:
        """Of the index of users alone."""
        self.calls.append("Query")
        found = self._users.get(request["ExpressionAttributeValues"][":period"]["S"], [])
        names = request["ProjectionExpression"].split(", ")
        self._read(answer := [{name: item[name] for name in names} for item in found])
        return {"Items": answer}

    def _read(self, items: list[Any]) -> None:
        self.items_read += len(items)
        self.bytes_read += sum(len(value.get("B", b"")) for item in items for value in item.values())


def rows_of(calls: int) -> dict[Key, Row]:
    """The rows of so many calls of all users over all days, of everybody and of each user, in all their shards."""
    chance = random.Random(3)
    begin = int(datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC).timestamp() * 1000)
    rows: dict[Key, Row] = {}
    for number in range(calls):
        service, provider, model, usd = chance.choice(SOURCES)
        call_id = identifier(begin + chance.randrange(DAYS * 86_400_000), number)
        latency = int(chance.lognormvariate(6.5, 1.5))
        counters = Counters(
            succeeded=1, input_tokens=chance.randrange(4000), output_tokens=chance.randrange(900), bytes=1000,
            micro_usd=round((usd or 0) * 1e6), unpriced=int(usd is None), latency_ms=latency,
            last=milliseconds(call_id),
        )  # fmt: skip
        entry = Entry(call_id, chance.choice(USERS), Source(service, provider, model), counters, latency)
        day, shard = entry.at.date(), chance.randrange(SHARDS)
        for whose in (EVERYBODY, entry.user_id):
            for sk, slot in ((day_key(day), entry.quarter), (month_key(day), day.day)):
                rows.setdefault(Key(f"{whose}#{shard % len(shards_of(whose))}", sk), Row()).add(entry, slot)
    return rows


def calm(rows: Mapping[Key, Row]) -> dict[Key, Row]:
    """The rows as they are where no two writers met: in one shard."""
    together: dict[Key, Row] = {}
    for key, row in rows.items():
        one = together.setdefault(Key(f"{key.pk.rpartition('#')[0]}#0", key.sk), Row())
        one += row
    return together


def store(table: UsageTable, rows: Mapping[Key, Row]) -> None:
    """Write rows that are not there yet."""
    for key, row in rows.items():
        table._write([], _Draft({key: Stored(row, 0)}))


def in_memory(sets: Mapping[tuple[int, str], Mapping[Key, Row]], rounds: int) -> bool:
    """Ask the route in this process; whether each set takes the same requests."""
    tables: dict[tuple[int, str], Counting] = {}
    for each, rows in sets.items():
        client = tables[each] = Counting()
        store(UsageTable(cast(Any, client), "usage"), rows)
        client.index()
    environment = {
        "JWKS": json.dumps(tokens.jwks()),
        "TOKEN_ISSUER": tokens.ISSUER,
        "TOKEN_AUDIENCE": tokens.AUDIENCE,
        "USAGE_TABLE": "usage",
    }
    same = True
    with mock.patch.dict(os.environ, environment):
        for whose in (USERS[1], "all"):
            query = {**RANGE, "userId": whose}
            took: dict[tuple[int, str], list[float]] = {each: [] for each in tables}
            for _ in range(rounds):
                for each, client in tables.items():
                    client.calls.clear()
                    client.items_read = client.bytes_read = 0
                    opened = UsageTable(cast(Any, client), "usage")
                    with mock.patch.object(endpoints, "open_table", return_value=opened):
                        began = time.process_time()
                        asked(overview, "overview", **query)
                        took[each].append(time.process_time() - began)
            for (size, shards), client in tables.items():
                who = "everybody" if whose == "all" else "one user"
                read = f"{len(client.calls)} requests, {client.items_read} rows got, {client.bytes_read / 1024:.0f} KiB"
                busy, few = took[size, shards], took[next(iter(tables))]
                print(f"  {who:<10}{size:>10,} calls, {shards}: {read}; processor {compared(busy, few)}")
            same &= len({len(client.calls) for client in tables.values()}) == 1
    return same


def over_http(sets: Mapping[int, Mapping[Key, Row]], rounds: int) -> bool:
    """Ask the platform of this machine, when it runs; whether many calls take no longer than few."""
    try:
        stack = target.find(target.LOCAL, STACK_NAME)
    except CommandFailed:
        print("  over HTTP: not asked, since no platform runs here (make up)")
        return True
    table = UsageTable(stack.client("dynamodb"), stack.outputs["UsageTableName"])
    callers: dict[int, dict[str, str]] = {}
    for size, rows in sets.items():
        account = {"email": f"bench-{secrets.token_hex(4)}@example.com", "password": "password123"}
        made = requests.post(f"{stack.api_url}/auth/register", json=account, timeout=60).json()
        # All that everybody does is this user's.
        own = {Key(f"{made['user']['id']}#0", key.sk): row for key, row in rows.items() if key.pk == f"{EVERYBODY}#0"}
        store(table, own)
        callers[size] = {"Authorization": f"Bearer {made['accessToken']}"}
    took: dict[int, list[float]] = {size: [] for size in callers}
    for _ in range(rounds):
        for size, headers in callers.items():
            began = time.perf_counter()
            answer = requests.get(f"{stack.api_url}/analytics/overview", params=RANGE, headers=headers, timeout=60)
            took[size].append(time.perf_counter() - began)
            # The range is of another zone's days than the calls, and so without some of them.
            if not (answer.ok and 0.99 * size < answer.json()["requests"] <= size):
                raise AssertionError(answer.text)
    few, much = took.values()
    for size, durations in took.items():
        print(f"  over HTTP {size:>10,} calls: {compared(durations, few)}")
    return p95(much) / p95(few) <= MOST_TIMES


def compared(durations: Sequence[float], few: Sequence[float]) -> str:
    """A quantile and the middle, and how many times as long that is as with few calls."""
    shown = [(name, take(durations), take(few)) for name, take in (("p95", p95), ("median", statistics.median))]
    return ", ".join(f"{name} {took * 1000:.1f} ms ({took / least:.2f} times)" for name, took, least in shown)


def p95(durations: Sequence[float]) -> float:
    """By nearest rank."""
    return sorted(durations)[-(-95 * len(durations) // 100) - 1]


def main() -> int:
    """Measure; the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.usage_overview", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the calls and of the rounds")
    quick = parser.parse_args().quick
    logging.disable(logging.CRITICAL)
    many, rounds = (MANY // 10, ROUNDS // 10) if quick else (MANY, ROUNDS)
    print(f"  making the rows of {many:,} calls", flush=True)
    busy = rows_of(many)
    few, much = calm(rows_of(FEW)), calm(busy)
    held = in_memory({(FEW, CALM): few, (many, CALM): much, (many, BUSY): busy}, rounds)
    return int(not (over_http({FEW: few, many: much}, rounds) and held))


if __name__ == "__main__":
    sys.exit(main())

"""What `GET /analytics/overview` over 400 days costs with a million calls behind it, and with a thousand.

The tables are made by the code that makes rows: a platform that is calm, as with a million calls in 400 days, has one
shard of everybody's rows; one that had all of them in bursts has eight. The real route answers from tables in memory,
of which each request takes 5 ms. They are asked in turns, for a machine is not the same from minute to minute. Ends
with status 1 when p95 at a million calls of a calm platform is more than 1.2 times that at a thousand.
"""

import argparse
import json
import logging
import os
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast
from unittest import mock

from benchmarks.usage_history import asked
from tests import tokens
from tests.unit.generation.memory_dynamodb import MemoryDynamoDB
from tests.unit.generation.samples import identifier
from tests.unit.generation.usage_history import SOURCES, USERS

from analytics import overview
from generation.usage import endpoints
from generation.usage.entries import Counters, Entry, Source, milliseconds
from generation.usage.rows import EVERYBODY, Row
from generation.usage.table import SHARDS, Key, Stored, UsageTable, _Draft, day_key, is_sharded, month_key

FIRST, DAYS = date(2025, 10, 19), 400
LAST = FIRST + timedelta(days=DAYS - 1)
FEW, MANY = 1_000, 1_000_000
MOST_TIMES = 1.2
ROUNDS = 200
REQUEST_SECONDS = 0.005
"""AWS promises single-digit milliseconds."""
ZONE = "Asia/Kathmandu"


class Counting(MemoryDynamoDB):
    """Finds items by their partition keys, each request in the time that DynamoDB takes; counts what is read."""

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
        time.sleep(REQUEST_SECONDS)
        answer = super().batch_get_item(RequestItems)
        self._read(next(iter(answer["Responses"].values())))
        return answer

    def query(self, **request: Any) -> dict[str, Any]:
        """Of the index of users alone."""
        time.sleep(REQUEST_SECONDS)
        self.calls.append("Query")
        found = self._users.get(request["ExpressionAttributeValues"][":period"]["S"], [])
        names = request["ProjectionExpression"].split(", ")
        self._read(answer := [{name: item[name] for name in names} for item in found])
        return {"Items": answer}

    def _read(self, items: list[Any]) -> None:
        self.items_read += len(items)
        self.bytes_read += sum(len(value.get("B", b"")) for item in items for value in item.values())


def table(calls: int, shards: int) -> UsageTable:
    """A table with the rows of so many calls over all days."""
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
        day = entry.at.date()
        for whose in (EVERYBODY, entry.user_id):
            shard = chance.randrange(shards) if is_sharded(whose) else 0
            for sk, slot in ((day_key(day), entry.quarter), (month_key(day), day.day)):
                rows.setdefault(Key(f"{whose}#{shard}", sk), Row()).add(entry, slot)
    made = UsageTable(cast(Any, Counting()), "usage")
    for key, row in rows.items():
        made._write([], _Draft({key: Stored(row, 0)}))
    cast(Counting, made.client).index()
    return made


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
    tables = {(FEW, 1): table(FEW, 1), (many, 1): table(many, 1), (many, SHARDS): table(many, SHARDS)}
    environment = {
        "JWKS": json.dumps(tokens.jwks()),
        "TOKEN_ISSUER": tokens.ISSUER,
        "TOKEN_AUDIENCE": tokens.AUDIENCE,
        "USAGE_TABLE": "usage",
    }
    failed = False
    with mock.patch.dict(os.environ, environment):
        for whose in (USERS[1], "all"):
            wanted = {"from": str(FIRST), "to": str(LAST), "tz": ZONE, "userId": whose}
            took: dict[tuple[int, int], list[tuple[float, float]]] = {each: [] for each in tables}
            for number in range(rounds + 5):
                for each, made in tables.items():
                    client = cast(Counting, made.client)
                    client.calls.clear()
                    client.items_read = client.bytes_read = 0
                    with mock.patch.object(endpoints, "open_table", return_value=made):
                        began, busy = time.perf_counter(), time.process_time()
                        asked(overview, "overview", **wanted)
                        if number >= 5:
                            took[each].append((time.perf_counter() - began, time.process_time() - busy))
            least = p95([wall for wall, _ in took[FEW, 1]])
            for (size, shards), made in tables.items():
                client = cast(Counting, made.client)
                walls, busies = zip(*took[size, shards], strict=True)
                print(
                    f"  {'one user' if whose != 'all' else 'everybody':<10}{size:>10,} calls, {shards} shards: "
                    f"p95 {p95(walls) * 1000:6.1f} ms ({p95(walls) / least:.2f} times), "
                    f"{p95(busies) * 1000:5.1f} ms of processor; {len(client.calls)} requests, "
                    f"{client.items_read} rows got, {client.bytes_read / 1024:.0f} KiB"
                )
                failed |= shards == 1 and p95(walls) > MOST_TIMES * least
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

"""Ninety days of made-up calls, and whether the analytics routes answer what a plain script finds in their records.

50,000 records of five users and of every service are put into S3's stand-in and told of by messages as SQS delivers
them: out of order, and every tenth twice; beside them are messages of failed calls. The real function counts them, the
real routes answer, and every value of every answer is compared with what the script makes of the records, one by one:
exactly, latencies within 5 %. Ends with status 1 at the first difference.
"""

import argparse
import json
import logging
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, cast
from unittest import mock

from tests import events, tokens
from tests.services import SERVICES
from tests.unit.functions.answers import ask
from tests.unit.generation import usage_history
from tests.unit.generation.memory_dynamodb import MemoryDynamoDB
from tests.unit.generation.memory_s3 import MemoryS3
from tests.unit.generation.usage_history import USERS, Failed, Script, compare

from analytics import costs, overview, performance, timeseries
from generation import keys, records
from generation.usage import counting, endpoints
from generation.usage.counting import Source
from generation.usage.table import UsageTable

FIRST, DAYS = date(2026, 8, 20), 90
LAST = FIRST + timedelta(days=DAYS - 1)
# Nepal is 5:45 ahead; the clocks of the others change within the ninety days, and not on the same day.
ZONES = ("Asia/Kathmandu", "Europe/Berlin", "America/New_York")
WHOSE = ("all", *USERS)
ADMINISTRATOR = "0199aa00-0000-7000-8000-000000000001"
_BATCH = 100


def whole(record: Mapping[str, Any]) -> dict[str, Any]:
    """A made-up record with all that a record has."""
    service = next(one for one in SERVICES if one.name == record["service"])
    artifact = keys.artifact_object(service, record["id"], service.extensions[0])
    return {
        **record,
        "username": "anonymous",
        "prompt": "a lighthouse",
        "promptHash": "sha256:0",
        "status": "completed",
        "artifacts": {service.artifact: artifact},
    }


def counted(made: Sequence[Mapping[str, Any]], failed: Sequence[Failed], chance: random.Random) -> UsageTable:
    """The table after the function of usage was told of all calls."""
    sources = {service.name: Source(service, MemoryS3().bucket()) for service in SERVICES}
    messages: list[tuple[str, dict[str, Any]]] = [(one.id, {"failure": one.message()}) for one in failed]
    for record in made:
        key = keys.record_object(record["id"])
        sources[record["service"]].bucket.put(key, records.dumps(cast(Any, whole(record))), "application/json")
        told = {"s3": {"bucket": {"name": record["service"]}, "object": {"key": key}}}
        messages.append((record["id"], {"Records": [told]}))
    messages += chance.sample(messages, len(messages) // 10)
    # As they come on a bad day: some hours late.
    messages.sort(key=lambda one: int(one[0].replace("-", "")[:12], 16) + chance.randrange(6 * 3_600_000))
    table = UsageTable(cast(Any, MemoryDynamoDB()), "usage", pause=lambda _seconds: None, chance=chance)
    for start in range(0, len(messages), _BATCH):
        batch = [
            {"messageId": str(number), "body": json.dumps(body)}
            for number, (_, body) in enumerate(messages[start : start + _BATCH])
        ]
        answer = counting.count(sources, table, {"Records": batch}, 600_000)
        _require(answer == {"batchItemFailures": []}, answer)
    return table


def asked(function: Any, path: str, **query: str) -> Any:
    """The answer of a route, without what it says of the question."""
    token = tokens.access_token(sub=ADMINISTRATOR, email="admin@example.com", role="admin", sid=ADMINISTRATOR)
    event = events.aws("GET", f"/analytics/{path}", query=query, headers={"Authorization": f"Bearer {token}"})
    answer = ask(function, event)
    _require(answer.status == 200, answer.body)
    return {name: value for name, value in answer.json.items() if name not in ("from", "to", "tz", "userId")}


def verify(made: Sequence[dict[str, Any]], failed: Sequence[Failed], tell: Callable[[str], object]) -> int:
    """How many values were compared, in all zones, for everybody and each user."""
    number = 0
    for zone in ZONES:
        # Not the first and last days, of which another zone's have a part only.
        for first, last in (
            (FIRST + timedelta(days=1), LAST - timedelta(days=1)),
            (date(2026, 9, 3), date(2026, 11, 7)),
        ):
            everybody = Script(made, failed, None, zone).within(first, last)
            for whose in WHOSE:
                script = Script(everybody.records, everybody.failed, None if whose == "all" else whose, zone)
                common = {"from": str(first), "to": str(last), "tz": zone, "userId": whose}
                found = {
                    "overview": compare(
                        asked(overview, "overview", **common), usage_history.overview(script), "overview"
                    ),
                    "timeseries": _series(script, first, last, common),
                    "performance": compare(
                        asked(performance, "performance", **common),
                        usage_history.performance(script, None),
                        "performance",
                    )
                    + compare(
                        asked(performance, "performance", **common, bucket="day"),
                        usage_history.performance(script, "day"),
                        "performance by day",
                    ),
                    "costs": compare(asked(costs, "costs", **common), usage_history.costs(script), "costs"),
                }
                number += sum(found.values())
                if whose == "all":
                    values = ", ".join(f"{name} {count}" for name, count in found.items())
                    tell(f"  {zone:<17} {first} to {last}  {script.requests} calls: {values} values equal")
    return number


def _series(script: Script, first: date, last: date, common: Mapping[str, str]) -> int:
    number = compare(
        asked(timeseries, "timeseries", **common, bucket="day"),
        usage_history.timeseries(script, first, last, "day"),
        "timeseries by day",
    )
    # Hours of the days on which clocks change.
    first, last = date(2026, 10, 20), date(2026, 11, 4)
    part = script.within(first, last)
    hours = {**common, "from": str(first), "to": str(last), "bucket": "hour"}
    return number + compare(
        asked(timeseries, "timeseries", **hours),
        usage_history.timeseries(part, first, last, "hour"),
        "timeseries by hour",
    )


def run(size: int, tell: Callable[[str], object] = print) -> int:
    """Make, count and compare so many records; how many values were compared."""
    chance = random.Random(7)
    made, failed = usage_history.history(-(-size * 10 // 9), FIRST, DAYS, chance)
    services = sorted({one["service"] for one in made})
    users = f"{len(USERS)} users over {DAYS} days: {', '.join(services)}"
    tell(f"  {len(made)} records and {len(failed)} failed calls of {users}")
    _require(services == sorted(service.name for service in SERVICES), services)
    began = time.monotonic()
    table = counted(made, failed, chance)
    calls = cast(MemoryDynamoDB, table.client).calls
    tell(
        f"  counted with {calls.count('TransactWriteItems')} transactions, {calls.count('BatchGetItem')} reads of rows "
        f"({time.monotonic() - began:.0f} s)"
    )
    environment = {
        "JWKS": json.dumps(tokens.jwks()),
        "TOKEN_ISSUER": tokens.ISSUER,
        "TOKEN_AUDIENCE": tokens.AUDIENCE,
        "USAGE_TABLE": "usage",
    }
    with mock.patch.dict(os.environ, environment), mock.patch.object(endpoints, "open_table", return_value=table):
        number = verify(made, failed, tell)
    tell(f"  {number} values compared, all equal (latencies within 5 %)")
    return number


def _require(holds: bool, what: object) -> None:
    if not holds:
        raise AssertionError(what)


def main(arguments: Iterable[str] | None = None) -> int:
    """Compare; the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.usage_history", description=__doc__)
    parser.add_argument("--records", type=int, default=50_000, help="how many; 50,000 unless said")
    logging.disable(logging.CRITICAL)
    try:
        run(parser.parse_args(list(arguments) if arguments is not None else None).records)
    except AssertionError as difference:
        print(f"  not equal: {difference}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A made-up history of calls, and what a plain script finds in its records: no row, no histogram, no quarter of an hour."""

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from generation.usage.table import BY_PERIOD, UsageTable
from tests.unit.generation.samples import identifier

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_numbers = count(1)
USERS = ("anonymous", *(identifier(1, rest) for rest in range(1, 5)))
# Service, provider, model, price: None is unknown.
SOURCES = (
    ("chat", "openai", "gpt-x", 0.000123),
    ("chat", "bedrock", "nova", 0.0),
    ("chat", "openai", "unknown", None),
    ("image", "pollinations", "flux", 0.02),
    ("image", "offline", "brush-1", 0.0),
    ("summarize", "offline", "lexrank", 0.0),
    ("tts", "gtts", "gtts", 0.0),
    ("tts", "polly", "neural", 0.0000005),
)


@dataclass(frozen=True)
class Failed:
    """A call that failed."""

    id: str
    user_id: str
    service: str
    provider: str
    model: str

    def message(self) -> dict[str, Any]:
        """What the function that failed sends."""
        return {
            "id": self.id,
            "userId": self.user_id,
            "service": self.service,
            "provider": self.provider,
            "model": self.model,
        }


def history(size: int, first: date, days: int, chance: random.Random) -> tuple[list[dict[str, Any]], list[Failed]]:
    """Records and failed calls over some days; every twentieth is in a burst, and every tenth failed."""
    records, failed = [], []
    begin = int(datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp() * 1000)
    for number in range(size):
        day = chance.randrange(days)
        at = begin + day * 86_400_000 + (chance.randrange(86_400_000) if number % 20 else 45_296_789)
        call_id = identifier(at, number)
        user = chance.choice(USERS)
        service, provider, model, usd = chance.choice(SOURCES)
        if number % 10 == 9:
            failed.append(Failed(call_id, user, service, provider, model))
            continue
        params: dict[str, Any] = {}
        if service in ("chat", "summarize"):
            params = {"inputTokens": chance.randrange(4000), "outputTokens": chance.randrange(900)}
        if service == "tts":
            params["durationSeconds"] = round(chance.uniform(0.1, 60), 3)
        if chance.random() < 0.05:
            params |= {"fallbackFrom": "first", "fallbackReason": "timeout"}
        records.append(
            {
                "id": call_id,
                "userId": user,
                "service": service,
                "provider": provider,
                "model": model,
                "latencyMs": int(chance.lognormvariate(6.5, 1.5)),
                "size": {"inputBytes": 10, "outputBytes": chance.randrange(100_000)},
                "cost": {"usd": usd},
                "createdAt": datetime.fromtimestamp(at / 1000, UTC).isoformat(),
                "meta": {"params": params},
            }
        )
    return records, failed


class Script:
    """Answers from all records of a history, one after another, for some user (None is everybody) and zone."""

    def __init__(
        self, records: Sequence[dict[str, Any]], failed: Sequence[Failed], user: str | None, zone: str
    ) -> None:
        self._zone = ZoneInfo(zone)
        self.records = [one for one in records if user in (None, one["userId"])]
        self.failed = [one for one in failed if user in (None, one.user_id)]

    def within(self, first: date, last: date) -> "Script":
        """Only what was on these local days."""
        part = Script([], [], None, str(self._zone))
        part.records = [one for one in self.records if first <= self.local(one["id"]).date() <= last]
        part.failed = [one for one in self.failed if first <= self.local(one.id).date() <= last]
        return part

    def local(self, call_id: str) -> datetime:
        milliseconds = int(call_id.replace("-", "")[:12], 16)
        return datetime.fromtimestamp(milliseconds / 1000, self._zone)

    def by(self, name: Callable[[str, str, str, str], Any]) -> dict[Any, "Script"]:
        """Groups by something of id, service, provider and model."""
        groups: dict[Any, Script] = defaultdict(lambda: Script([], [], None, str(self._zone)))
        for one in self.records:
            groups[name(one["id"], one["service"], one["provider"], one["model"])].records.append(one)
        for failure in self.failed:
            groups[name(failure.id, failure.service, failure.provider, failure.model)].failed.append(failure)
        return dict(groups)

    def tokens(self, direction: str) -> int:
        return sum(one["meta"]["params"].get(f"{direction}Tokens", 0) for one in self.records)

    @property
    def requests(self) -> int:
        return len(self.records) + len(self.failed)

    @property
    def usd(self) -> float | None:
        prices = [one["cost"]["usd"] for one in self.records]
        known = [price for price in prices if price is not None]
        # Half a millionth of a dollar is not kept.
        return None if prices and not known else sum(round(price * 1e6) for price in known) / 1e6

    def audio_seconds(self) -> float:
        milliseconds = sum(round(one["meta"]["params"].get("durationSeconds", 0) * 1000) for one in self.records)
        return milliseconds / 1000

    def percentile(self, percent: int) -> int | None:
        ordered = sorted(one["latencyMs"] for one in self.records)
        return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else None

    def rate(self, part: int, whole: int) -> float | None:
        return round(part / whole, 6) if whole else None

    def hours(self, first: date, last: date) -> Iterator[datetime]:
        """Every hour of the zone between two days, by walking minute by quarter through UTC."""
        at = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(days=1)
        seen: set[datetime] = set()
        while (local := at.astimezone(self._zone)).date() <= last:
            if local.date() >= first and local.minute == 0 and at not in seen:
                seen.add(at)
                yield local
            at += timedelta(minutes=15)


def table(client: "DynamoDBClient", **options: Any) -> UsageTable:
    """A new table as the template has it."""
    name = f"usage-{next(_numbers)}"
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in ("pk", "sk", "period")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": BY_PERIOD,
                "KeySchema": [
                    {"AttributeName": "period", "KeyType": "HASH"},
                    {"AttributeName": "pk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["c"]},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return UsageTable(client, name, **options)


def shuffled(items: Iterable[Any], chance: random.Random) -> list[Any]:
    """The same in another order."""
    listed = list(items)
    chance.shuffle(listed)
    return listed

"""A made-up history of calls, and what a plain script finds in its records: no row, no histogram, no quarter of an hour."""

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
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


@cache
def _local(call_id: str, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(int(call_id.replace("-", "")[:12], 16) / 1000, zone)


class Script:
    """Answers from all records of a history, one after another, for some user (None is everybody) and zone."""

    def __init__(
        self, records: Sequence[dict[str, Any]], failed: Sequence[Failed], user: str | None, zone: str
    ) -> None:
        self.zone = ZoneInfo(zone)
        self.records = [one for one in records if user in (None, one["userId"])]
        self.failed = [one for one in failed if user in (None, one.user_id)]

    def within(self, first: date, last: date) -> "Script":
        """Only what was on these local days."""
        part = Script([], [], None, str(self.zone))
        part.records = [one for one in self.records if first <= self.local(one["id"]).date() <= last]
        part.failed = [one for one in self.failed if first <= self.local(one.id).date() <= last]
        return part

    def local(self, call_id: str) -> datetime:
        return _local(call_id, self.zone)

    def by(self, name: Callable[[str, str, str, str], Any]) -> dict[Any, "Script"]:
        """Groups by something of id, service, provider and model."""
        groups: dict[Any, Script] = defaultdict(lambda: Script([], [], None, str(self.zone)))
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
        while (local := at.astimezone(self.zone)).date() <= last:
            if local.date() >= first and local.minute == 0 and at not in seen:
                seen.add(at)
                yield local
            at += timedelta(minutes=15)


def overview(script: Script) -> dict[str, Any]:
    """What the overview of a script's calls is, for an administrator."""
    users = {one["userId"] for one in script.records} | {one.user_id for one in script.failed}
    by_user = {user: Script(script.records, script.failed, user, "UTC") for user in users}
    return {
        "requests": script.requests,
        "succeeded": len(script.records),
        "failed": len(script.failed),
        "errorRate": script.rate(len(script.failed), script.requests),
        "inputTokens": script.tokens("input"),
        "outputTokens": script.tokens("output"),
        "bytes": sum(one["size"]["outputBytes"] for one in script.records),
        "audioSeconds": script.audio_seconds(),
        "pictures": sum(one["service"] == "image" for one in script.records),
        "usd": script.usd,
        "unpriced": sum(one["cost"]["usd"] is None for one in script.records),
        "latencyMs": _percentiles(script),
        "topServices": [
            {"service": name, "requests": group.requests}
            for name, group in most(script.by(lambda _id, service, _provider, _model: service))
        ],
        "topModels": [
            {"provider": name[0], "model": name[1], "requests": group.requests, "usd": group.usd}
            for name, group in most(script.by(lambda _id, _service, provider, model: (provider, model)))
        ],
        "users": len(by_user),
        "topUsers": [{"userId": name, "requests": group.requests, "usd": group.usd} for name, group in most(by_user)],
    }


def timeseries(script: Script, first: date, last: date, size: str) -> dict[str, Any]:
    """What the timeseries of a script's calls is."""

    def start(call_id: str) -> datetime:
        local = script.local(call_id)
        return local.replace(minute=0, second=0, microsecond=0, **({} if size == "hour" else {"hour": 0, "fold": 0}))

    groups = script.by(lambda call_id, service, _provider, _model: (start(call_id).isoformat(), service))
    starts = (
        [hour.isoformat() for hour in script.hours(first, last)]
        if size == "hour"
        else [
            datetime(day.year, day.month, day.day, tzinfo=script.zone).isoformat()
            for day in (first + timedelta(days=number) for number in range((last - first).days + 1))
        ]
    )
    items = []
    for begin in starts:
        for service in sorted({service for _, service in groups}):
            group = groups.get((begin, service), Script([], [], None, str(script.zone)))
            items.append(
                {
                    "start": begin,
                    "service": service,
                    "requests": group.requests,
                    "failed": len(group.failed),
                    "inputTokens": group.tokens("input"),
                    "outputTokens": group.tokens("output"),
                    "usd": group.usd,
                }
            )
    return {"bucket": size, "items": items}


def performance(script: Script, size: str | None) -> dict[str, Any]:
    """What the performance of a script's calls is, in all or by day."""

    def start(call_id: str) -> str:
        return script.local(call_id).replace(hour=0, minute=0, second=0, microsecond=0, fold=0).isoformat()

    groups = script.by(lambda call_id, *source: (start(call_id) if size else "", source))
    items = []
    for (begin, source), group in sorted(groups.items(), key=lambda one: (one[0][0][:10], one[0][1])):
        fallbacks = sum("fallbackFrom" in one["meta"]["params"] for one in group.records)
        items.append(
            {
                **({"start": begin} if size else {}),
                **dict(zip(("service", "provider", "model"), source, strict=True)),
                "requests": group.requests,
                "failed": len(group.failed),
                "errorRate": script.rate(len(group.failed), group.requests),
                "fallbackRate": script.rate(fallbacks, len(group.records)),
                "latencyMs": _percentiles(group),
            }
        )
    return {"items": items}


def costs(script: Script) -> dict[str, Any]:
    """What the costs of a script's calls are."""
    return {
        "usd": script.usd,
        "unpriced": sum(one["cost"]["usd"] is None for one in script.records),
        "items": [
            {
                **dict(zip(("service", "provider", "model"), source, strict=True)),
                "requests": group.requests,
                "inputTokens": group.tokens("input"),
                "outputTokens": group.tokens("output"),
                "audioSeconds": group.audio_seconds(),
                "pictures": sum(one["service"] == "image" for one in group.records),
                "usd": group.usd,
            }
            for source, group in sorted(script.by(lambda _id, *source: source).items())
        ],
    }


def most(groups: dict[Any, Script]) -> list[tuple[Any, Script]]:
    """The five with the most requests."""
    return sorted(groups.items(), key=lambda one: (-one[1].requests, one[0]))[:5]


def compare(answer: Any, expected: Any, place: str = "") -> int:
    """How many values an answer has; fails at the first that is not the expected one, or a latency more than 5 % off."""
    if isinstance(expected, dict):
        assert answer.keys() == expected.keys(), f"{place}: {sorted(answer)}"
        return sum(compare(answer[name], value, f"{place}.{name}") for name, value in expected.items())
    if isinstance(expected, list):
        assert len(answer) == len(expected), f"{place}: {len(answer)}, not {len(expected)}"
        return sum(compare(one, other, f"{place}[{n}]") for n, (one, other) in enumerate(zip(answer, expected)))  # noqa: B905
    if ".latencyMs." in place and expected is not None:
        assert abs(answer - expected) <= 0.05 * expected, f"{place}: {answer}, not {expected}"
    else:
        assert answer == expected, f"{place}: {answer}, not {expected}"
    return 1


def _percentiles(script: Script) -> dict[str, int | None]:
    return {f"p{percent}": script.percentile(percent) for percent in (50, 95, 99)}


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
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["c", "s"]},
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

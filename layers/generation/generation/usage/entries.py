"""What one call adds to the counters: an entry, which the ledger keeps and of which all rows are sums."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple, Self

from core import ids
from generation import keys
from generation.records import Record

MICRO = 1_000_000
FORGOTTEN = "forgotten"
"""Whose the calls of a removed account are: they count for everybody together and for nobody else."""
_NAME_CHARACTERS = 128


class Source(NamedTuple):
    """What made something: one of these has counters of its own in each row."""

    service: str
    provider: str
    model: str


class Counters(NamedTuple):
    """Numbers that add up, all of them whole; ``last`` is the latest call in milliseconds since the epoch."""

    succeeded: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    bytes: int = 0
    audio_ms: int = 0
    pictures: int = 0
    micro_usd: int = 0
    unpriced: int = 0
    fallbacks: int = 0
    latency_ms: int = 0
    last: int = 0

    @property
    def requests(self) -> int:
        """Calls that were admitted."""
        return self.succeeded + self.failed

    def plus(self, other: "Counters") -> "Counters":
        """Both together."""
        return Counters._make([*map(int.__add__, self[:-1], other[:-1]), max(self.last, other.last)])


def total(several: Iterable[Counters]) -> Counters:
    """All of them together."""
    columns = list(zip(*several, strict=True))
    return Counters._make([*map(sum, columns[:-1]), max(columns[-1])]) if columns else Counters()


@dataclass(frozen=True, slots=True)
class Entry:
    """One call: ``id`` is its record's, and tells when it was. A failed call has no ``latency_ms``."""

    id: str
    user_id: str
    source: Source
    counters: Counters
    latency_ms: int | None

    @property
    def at(self) -> datetime:
        """When the call was made, in UTC."""
        return ids.created_at(self.id)

    @property
    def quarter(self) -> int:
        """The quarter of an hour of its day, in UTC."""
        return self.at.hour * 4 + self.at.minute // 15

    def dumps(self) -> str:
        """Compact JSON; trailing zeros of the counters, and what the id tells, are left out."""
        document = {"u": self.user_id, "s": list(self.source), "n": packed(self.counters[:-1]), "l": self.latency_ms}
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def loads(cls, entry_id: str, text: str) -> Self:
        """The entry of ``dumps``. Raises ``ValueError``, ``KeyError`` or ``TypeError`` for anything else."""
        document = json.loads(text)
        numbers = [int(number) for number in document["n"]]
        numbers += [0] * (len(Counters._fields) - 1 - len(numbers))
        latency = document["l"]
        return cls(
            entry_id,
            str(document["u"]),
            Source(*map(str, document["s"])),
            Counters._make([*numbers, milliseconds(entry_id)]),
            None if latency is None else int(latency),
        )


def of_record(record: Record, *, makes_pictures: bool) -> Entry:
    """The entry of a record."""
    params = record["meta"]["params"]
    usd = record["cost"]["usd"]
    return Entry(
        record["id"],
        record["userId"],
        source(record["service"], record["provider"], record["model"]),
        Counters(
            succeeded=1,
            input_tokens=_whole(params.get("inputTokens")),
            output_tokens=_whole(params.get("outputTokens")),
            bytes=record["size"]["outputBytes"],
            audio_ms=_whole(params.get("durationSeconds"), 1000),
            pictures=int(makes_pictures),
            micro_usd=_whole(usd, MICRO),
            unpriced=int(usd is None),
            fallbacks=int("fallbackFrom" in params),
            latency_ms=record["latencyMs"],
            last=milliseconds(record["id"]),
        ),
        record["latencyMs"],
    )


def of_failure(document: Mapping[str, Any]) -> Entry:
    """The entry of what ``generation.usage.failures`` sent. Raises ``ValueError``, ``KeyError`` or ``TypeError``."""
    entry_id, user_id = document["id"], document["userId"]
    if not ids.is_valid(entry_id) or not (user_id == keys.ANONYMOUS or ids.is_valid(user_id)):
        raise ValueError("not a failure's ids")
    made_by = source(*(str(document[name]) for name in ("service", "provider", "model")))
    return Entry(entry_id, user_id, made_by, Counters(failed=1, last=milliseconds(entry_id)), None)


def source(service: str, provider: str, model: str) -> Source:
    """A source, whose names are cut so that a row stays small whatever a provider calls its models."""
    return Source(service, provider[:_NAME_CHARACTERS], model[:_NAME_CHARACTERS])


def packed(numbers: Iterable[int]) -> list[int]:
    """The numbers without the zeros at their end."""
    listed = list(numbers)
    while listed and not listed[-1]:
        listed.pop()
    return listed


def milliseconds(entry_id: str) -> int:
    """When the call of an id was, in milliseconds since the epoch."""
    return round(ids.created_at(entry_id).timestamp() * 1000)


def _whole(value: Any, scale: int = 1) -> int:
    """A number of a record as a whole one; what is no number counts nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) > MICRO**2:
        return 0
    # By its digits: 0.0000005 dollars must not become more or less by how floats are kept.
    return max(0, int((Decimal(str(value)) * scale).to_integral_value(ROUND_HALF_EVEN)))

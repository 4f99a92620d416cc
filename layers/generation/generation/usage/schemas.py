"""What the API's description says of the answers of usage; nothing that is answered is checked against it."""

from typing import Annotated, Required

from typing_extensions import TypedDict

from core.description import Described

Count = Annotated[int, Described(minimum=0)]
Rate = Annotated[float | None, Described("Null where there is nothing to divide by.")]
Usd = Annotated[float | None, Described("US dollars; null where no price is known of anything that it is the sum of.")]
Percentile = Annotated[float | None, Described("Milliseconds, within 5 %; null when nothing was made.")]
Moment = Annotated[str, Described("RFC 3339, with the zone's offset.", format="date-time")]


class UsageLatency(TypedDict):
    """How long generating took."""

    p50: Percentile
    p95: Percentile
    p99: Percentile


class UsageOfService(TypedDict):
    """Calls of a service."""

    service: str
    requests: Count


class UsageOfModel(TypedDict):
    """Calls of a model."""

    provider: str
    model: str
    requests: Count
    usd: Usd


class UsageOfUser(TypedDict):
    """Calls of a user."""

    userId: str
    requests: Count
    usd: Usd


_Asked = TypedDict("_Asked", {"from": str, "to": str, "tz": str, "userId": str})


class Overview(_Asked, total=False):
    """Totals of a range, and what was used most."""

    requests: Required[Count]
    succeeded: Required[Count]
    failed: Required[Count]
    errorRate: Required[Rate]
    users: Annotated[int, Described("For administrators.", minimum=0)]
    inputTokens: Required[Count]
    outputTokens: Required[Count]
    bytes: Required[Count]
    audioSeconds: Required[float]
    pictures: Required[Count]
    usd: Required[Usd]
    unpriced: Required[Annotated[int, Described("Calls whose price is not known.", minimum=0)]]
    latencyMs: Required[UsageLatency]
    topServices: Required[list[UsageOfService]]
    topModels: Required[list[UsageOfModel]]
    topUsers: Annotated[list[UsageOfUser], Described("For administrators.")]


class TimeseriesItem(TypedDict):
    """A service in a bucket."""

    start: Moment
    service: str
    requests: Count
    failed: Count
    inputTokens: Count
    outputTokens: Count
    usd: Usd


class Timeseries(_Asked):
    """A range bucket by bucket."""

    bucket: Annotated[str, Described(enum=["hour", "day"])]
    items: list[TimeseriesItem]


class PerformanceItem(TypedDict, total=False):
    """A service, provider and model."""

    start: Annotated[str, Described("With `bucket`: RFC 3339, with the zone's offset.", format="date-time")]
    service: Required[str]
    provider: Required[str]
    model: Required[str]
    requests: Required[Count]
    failed: Required[Count]
    errorRate: Required[Rate]
    fallbackRate: Required[Rate]
    latencyMs: Required[UsageLatency]


class Performance(_Asked):
    """How fast and how reliable everything was."""

    items: list[PerformanceItem]


class CostsItem(TypedDict):
    """A service, provider and model."""

    service: str
    provider: str
    model: str
    requests: Count
    inputTokens: Count
    outputTokens: Count
    audioSeconds: float
    pictures: Count
    usd: Usd


class Costs(_Asked):
    """What was used and what it cost."""

    usd: Usd
    unpriced: Count
    items: list[CostsItem]


class UsersItem(TypedDict):
    """A user."""

    userId: str
    requests: Count
    failed: Count
    inputTokens: Count
    outputTokens: Count
    usd: Usd
    lastAt: Annotated[str, Described("RFC 3339, UTC.", format="date-time")]


class Users(_Asked):
    """A page of users."""

    items: list[UsersItem]
    nextCursor: Annotated[str | None, Described("The `cursor` of the next page; null at the end.")]

"""Rate limits that are exact: one atomic counter for each caller and window, in DynamoDB.

A caller's window is the minute that begins with its first request. One UpdateItem counts a request and says which one
it was, so of any number of requests at once exactly as many pass as the limit allows. (AWS WAF and the gateway's own
throttling count roughly; minutes of the clock would let twice as many pass around their turn.)
"""

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from core import aws, settings
from core.errors import ServiceUnavailable
from core.logging import logger
from core.waiting import DeadlinePassed, Patience

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_Changed = Callable[[Patience], tuple[int, int] | None]
WINDOW_SECONDS = 60
# DynamoDB may remove a counter this long after its window's end.
_KEPT_SECONDS = 300
_RETRY_AFTER_SECONDS = 2
_REMEMBERED = 1000
# Over name, connection, answer and a second try. A caller waits for it: longer where the answer would be 503 otherwise,
# since a table that has a crowd to count, or a machine that is crowded, is not one that is down.
_OPEN_SECONDS, _CLOSED_SECONDS = 3.0, 8.0
_OPEN_READ_SECONDS, _CLOSED_READ_SECONDS = 2.0, 6.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """A caller's window: of ``limit`` requests ``count`` have come; it ends in ``reset`` seconds."""

    limit: int
    count: int
    reset: int

    @property
    def exceeded(self) -> bool:
        """Whether this request is one too many."""
        return self.count > self.limit

    def headers(self) -> dict[str, str]:
        """The RateLimit fields (draft-ietf-httpapi-ratelimit-headers, the form with one field each)."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(max(0, self.limit - self.count)),
            "RateLimit-Reset": str(self.reset),
        }


@dataclass(frozen=True, slots=True)
class Counting:
    """A request that is being counted; ``result`` waits for it, and tells and raises as ``RateLimiter.count``.

    ``has_room`` says whether it will hardly be refused: when this execution environment counted its caller last, at
    least half of the window was left, or that window is over.
    """

    result: Callable[[], Allowance | None]
    has_room: bool = True


@dataclass(frozen=True, slots=True)
class RateLimitSettings:
    """The rate limit of one function; ``per_user`` and ``per_address`` are requests a minute.

    Functions with the same ``name`` share their counters. Without a ``table`` nothing is limited. ``fail_open``: a
    request passes when it cannot be counted.
    """

    table: str | None
    name: str
    per_user: int
    per_address: int
    fail_open: bool

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "RateLimitSettings":
        """Read the settings. Raises ``core.settings.SettingsError`` with the name of a variable that is wrong."""
        per_user = settings.integer(environ, "RATE_LIMIT", 100, least=1, most=10**9)
        fail = settings.text(environ, "RATE_LIMIT_FAIL", "closed")
        if fail not in ("open", "closed"):
            raise settings.SettingsError("environment variable RATE_LIMIT_FAIL is neither open nor closed")
        return cls(
            table=settings.text(environ, "RATE_LIMIT_TABLE", "") or None,
            name=settings.text(environ, "RATE_LIMIT_NAME", "other"),
            per_user=per_user,
            per_address=settings.integer(environ, "RATE_LIMIT_ANONYMOUS", per_user, least=1, most=10**9),
            fail_open=fail == "open",
        )


class RateLimiter:
    """Counts the requests of each caller, minute by minute. ``clock`` gives seconds since the epoch.

    ``seconds`` is after how long a request is one that cannot be counted, whatever DynamoDB or the resolver does: 3 as
    a rule, and 8 where it must be counted.
    """

    def __init__(
        self,
        client: "Callable[[], DynamoDBClient]",
        configured: RateLimitSettings,
        *,
        clock: Callable[[], float] = time.time,
        seconds: float | None = None,
    ) -> None:
        self._client = client
        self._seconds = seconds or (_OPEN_SECONDS if configured.fail_open else _CLOSED_SECONDS)
        self._settings = configured
        self._clock = clock
        self._last: dict[str, tuple[int, float]] = {}

    def count(self, caller_key: str, *, is_user: bool) -> Allowance | None:
        """Count one request and tell what it leaves; None where limits are off or, failing open, out of order.

        Raises ``ServiceUnavailable`` when it cannot be counted and must be.
        """
        return self.begin(caller_key, is_user=is_user).result()

    def begin(self, caller_key: str, *, is_user: bool) -> Counting:
        """Begin to count one request, and go on."""
        if self._settings.table is None:
            return Counting(lambda: None)
        from botocore.exceptions import BotoCoreError, ClientError

        limit = self._settings.per_user if is_user else self._settings.per_address
        counter = f"{self._settings.name}#{caller_key}"
        now = self._now()
        try:
            self._client()  # made, with all that it imports, before time counts
            added = self._add(counter, now)
        except BotoCoreError as error:
            failed = error
            return Counting(lambda: self._uncounted(failed), has_room=False)

        def counted() -> Allowance | None:
            patience = Patience(self._seconds)
            try:
                window, asked = added(patience), now
                while window is None:
                    # The first of a new window, unless another request was faster.
                    asked = self._now()
                    window = self._begin(counter, asked)(patience) or self._add(counter, asked)(patience)
            except (BotoCoreError, ClientError, DeadlinePassed) as error:
                return self._uncounted(error)
            count, end = window
            self._remember(counter, count, end)
            return Allowance(limit, count, max(1, math.ceil((end - asked) / 1000)))

        last, last_end = self._last.get(counter, (limit, math.inf))
        return Counting(counted, has_room=2 * last <= limit or last_end <= now)

    def _remember(self, counter: str, count: int, end: int) -> None:
        self._last.pop(counter, None)
        self._last[counter] = count, end
        if len(self._last) > _REMEMBERED:
            del self._last[next(iter(self._last))]

    def _uncounted(self, error: Exception) -> Allowance | None:
        _alarm(error)
        if not self._settings.fail_open:
            raise ServiceUnavailable(
                "Requests cannot be counted at present; try again in a moment.", retry_after=_RETRY_AFTER_SECONDS
            ) from error
        return None

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _add(self, counter: str, now: int) -> "_Changed":
        return self._update(
            counter, "ADD requests :one", "window_end > :now", {":one": {"N": "1"}, ":now": {"N": str(now)}}
        )

    def _begin(self, counter: str, now: int) -> "_Changed":
        end = now + WINDOW_SECONDS * 1000
        return self._update(
            counter,
            "SET requests = :one, window_end = :end, expires = :expires",
            "attribute_not_exists(id) OR window_end <= :now",
            {
                ":one": {"N": "1"},
                ":now": {"N": str(now)},
                ":end": {"N": str(end)},
                ":expires": {"N": str(end // 1000 + _KEPT_SECONDS)},
            },
        )

    def _update(
        self, counter: str, change: str, condition: str, values: "Mapping[str, AttributeValueTypeDef]"
    ) -> "_Changed":
        """Begin to change a counter. What is returned tells the window's count, and its end in milliseconds, after it.

        That is None when the condition does not hold.
        """
        from botocore.exceptions import ClientError

        answer = aws.begin(
            self._client(),
            "update_item",
            TableName=self._settings.table or "",
            Key={"id": {"S": counter}},
            UpdateExpression=change,
            ConditionExpression=condition,
            ExpressionAttributeValues=values,
            ReturnValues="ALL_NEW",
        )

        def changed(patience: Patience) -> tuple[int, int] | None:
            try:
                attributes = answer(patience)["Attributes"]
            except ClientError as error:
                if aws.error_code(error) != "ConditionalCheckFailedException":
                    raise
                return None
            return int(attributes["requests"]["N"]), int(attributes["window_end"]["N"])

        return changed


def _alarm(error: Exception) -> None:
    """What the template's alarm watches, as a metric in the log, and a line for whoever looks into it."""
    from aws_lambda_powertools.metrics import MetricUnit, single_metric

    logger.warning("rate limits are out of order", error=type(error).__name__, detail=str(error))
    # The alarm is one for all functions, so the metric must not name the function's own service.
    dimensions = {"service": "rate-limits"}
    namespace = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "llm-microservices")
    with single_metric(
        "RateLimitsUnavailable", MetricUnit.Count, 1, namespace=namespace, default_dimensions=dimensions
    ):
        pass


@lru_cache(maxsize=1)
def _client() -> "DynamoDBClient":
    """DynamoDB, tried twice at most; the limiter bounds the whole, since no setting here bounds the resolver."""
    is_open = RateLimitSettings.from_env(os.environ).fail_open
    found: DynamoDBClient = aws.client(
        "dynamodb",
        connect_timeout=0.5 if is_open else 2,
        read_timeout=_OPEN_READ_SECONDS if is_open else _CLOSED_READ_SECONDS,
        retries={"total_max_attempts": 2, "mode": "standard"},
    )
    return found


def connect() -> None:
    """Make the client, where requests are counted. Raises ``core.settings.SettingsError``."""
    if RateLimitSettings.from_env(os.environ).table:
        _client()


@lru_cache(maxsize=1)
def from_env() -> RateLimiter:
    """The limiter of this execution environment. Raises ``core.settings.SettingsError``."""
    return RateLimiter(_client, RateLimitSettings.from_env(os.environ))

"""The routes of usage: who may ask what, and the answers as JSON or CSV."""

import os
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from core import ids, times
from core.errors import Forbidden, NotFound, ProblemError
from core.http import JSON, REQUIRED, Api, Response
from core.query import Cursor, Limit, Parameter
from generation import keys
from generation.usage import answers, ranges, reading, schemas
from generation.usage.ranges import Bound, Range
from generation.usage.reading import Filter
from generation.usage.rows import EVERYBODY
from generation.usage.table import UsageTable, open_table

CSV = "text/csv; charset=utf-8"
ALL = "all"
_UTC = ZoneInfo("UTC")
_NAME_CHARACTERS = 128


def _among(*names: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in names:
            raise ValueError(f"Must be {' or '.join(names)}.")
        return text

    return read


def _name(text: str) -> str:
    if not 0 < len(text) <= _NAME_CHARACTERS:
        raise ValueError(f"Must have 1 to {_NAME_CHARACTERS} characters.")
    return text


_BOUND = {"type": "string", "examples": ["2026-11-22", "2026-11-22T13:30:00Z"]}
First = Annotated[
    Bound | None,
    Parameter(
        ranges.bound,
        "The first day, or a time on a quarter of an hour; 29 days before `to` unless given.",
        "from",
        _BOUND,
    ),
]
Last = Annotated[
    Bound | None,
    Parameter(ranges.bound, "The last day, or a time, which ends the range; today unless given.", "to", _BOUND),
]
Zone = Annotated[
    ZoneInfo | None,
    Parameter(
        ranges.zone,
        "The zone whose days and hours count, by its IANA name; UTC unless given.",
        "tz",
        {"type": "string", "examples": ["Asia/Kathmandu"]},
    ),
]
Service = Annotated[str | None, Parameter(_name, "Only this service.", "service")]
Provider = Annotated[str | None, Parameter(_name, "Only this provider.", "provider")]
Model = Annotated[str | None, Parameter(_name, "Only this model.", "model")]
UserId = Annotated[
    str | None,
    Parameter(str, "Whose, for administrators; `all` is everybody, `anonymous` whoever sent no token.", "userId"),
]
Format = Annotated[
    Literal["json", "csv"] | None,
    Parameter(_among("json", "csv"), "As `Accept: text/csv`.", "format", {"type": "string", "enum": ["json", "csv"]}),
]
Bucket = Annotated[
    Literal["hour", "day"] | None,
    Parameter(_among("hour", "day"), "How long a bucket is.", "bucket", {"type": "string", "enum": ["hour", "day"]}),
]


def overview() -> Api:
    """The function that answers with the totals of a range."""
    api = Api(caller=REQUIRED)

    @api.get("/analytics/overview", **_options("getUsageOverview", schemas.Overview))
    def overview(
        first: First = None,
        last: Last = None,
        zone: Zone = None,
        service: Service = None,
        provider: Provider = None,
        model: Model = None,
        user_id: UserId = None,
        form: Format = None,
    ) -> Response[Any]:
        """200 with the totals of a range; 403 for another's, unless the caller is an administrator."""
        whose, wanted = _whose(api, user_id), _range(first, last, zone)
        filter_ = Filter(service, provider, model)
        answer = answers.overview(_table(), whose, wanted, filter_, with_users=api.user.is_admin)
        return _answer(api, whose, wanted, answer, form, rows=None)

    return api


def timeseries() -> Api:
    """The function that answers with a range bucket by bucket."""
    api = Api(caller=REQUIRED)

    @api.get("/analytics/timeseries", **_options("getUsageTimeseries", schemas.Timeseries))
    def timeseries(
        bucket: Bucket = "day",
        first: First = None,
        last: Last = None,
        zone: Zone = None,
        service: Service = None,
        provider: Provider = None,
        model: Model = None,
        user_id: UserId = None,
        form: Format = None,
    ) -> Response[Any]:
        """200 with a row for each bucket and service, those without calls included; 403 as for the overview."""
        whose, wanted = _whose(api, user_id), _range(first, last, zone)
        answer = answers.timeseries(_table(), whose, wanted, bucket or "day", Filter(service, provider, model))
        return _answer(api, whose, wanted, answer, form, rows="items")

    return api


def performance() -> Api:
    """The function that answers with latencies, errors and fallbacks."""
    api = Api(caller=REQUIRED)

    @api.get("/analytics/performance", **_options("getUsagePerformance", schemas.Performance))
    def performance(
        bucket: Bucket = None,
        first: First = None,
        last: Last = None,
        zone: Zone = None,
        service: Service = None,
        provider: Provider = None,
        model: Model = None,
        user_id: UserId = None,
        form: Format = None,
    ) -> Response[Any]:
        """200 with a row for each service, provider and model, in each bucket if asked for; 403 as for the overview."""
        whose, wanted = _whose(api, user_id), _range(first, last, zone)
        answer = answers.performance(_table(), whose, wanted, bucket, Filter(service, provider, model))
        return _answer(api, whose, wanted, answer, form, rows="items")

    return api


def costs() -> Api:
    """The function that answers with what was used and what it cost."""
    api = Api(caller=REQUIRED)

    @api.get("/analytics/costs", **_options("getUsageCosts", schemas.Costs))
    def costs(
        first: First = None,
        last: Last = None,
        zone: Zone = None,
        service: Service = None,
        provider: Provider = None,
        model: Model = None,
        user_id: UserId = None,
        form: Format = None,
    ) -> Response[Any]:
        """200 with a row for each service, provider and model; 403 as for the overview."""
        whose, wanted = _whose(api, user_id), _range(first, last, zone)
        answer = answers.costs(_table(), whose, wanted, Filter(service, provider, model))
        return _answer(api, whose, wanted, answer, form, rows="items")

    return api


def users() -> Api:
    """The function that answers with a page of users."""
    api = Api(caller=REQUIRED)

    @api.get("/analytics/users", **_options("listUsageUsers", schemas.Users))
    def users(
        limit: Limit = 20,
        cursor: Cursor = None,
        first: First = None,
        last: Last = None,
        zone: Zone = None,
        service: Service = None,
        provider: Provider = None,
        model: Model = None,
        form: Format = None,
    ) -> Response[Any]:
        """200 with a row for each user, those with the most requests first; 403 for whoever is no administrator."""
        if not api.user.is_admin:
            raise Forbidden("Only an administrator may list users.")
        wanted = _range(first, last, zone)
        everybody = reading.by_user(_table(), wanted, Filter(service, provider, model))
        return _answer(api, EVERYBODY, wanted, answers.users(everybody, limit, cursor), form, rows="items")

    return api


def _options(operation_id: str, schema: Any) -> dict[str, Any]:
    errors: tuple[type[ProblemError], ...] = (Forbidden, NotFound)
    as_csv = {"type": "string", "description": "The rows, named as in JSON."}
    return {"operation_id": operation_id, "answers": {200: {JSON: schema, "text/csv": as_csv}}, "errors": errors}


def _table() -> UsageTable:
    return open_table(os.environ["USAGE_TABLE"])


def _range(first: Bound | None, last: Bound | None, zone: ZoneInfo | None) -> Range:
    return ranges.resolve(first, last, zone or _UTC, times.now())


def _whose(api: Api, user_id: str | None) -> str:
    """Whose usage a caller asks for, as the table names it. Raises ``Forbidden``, ``NotFound``."""
    caller = api.user
    if user_id is None or user_id == caller.sub:
        return caller.sub
    if not caller.is_admin:
        raise Forbidden("Only an administrator may see the usage of others.")
    if user_id == ALL:
        return EVERYBODY
    if user_id != keys.ANONYMOUS and not ids.is_valid(user_id):
        raise NotFound("There is no such user.")
    return user_id


def _answer(
    api: Api, whose: str, wanted: Range, answer: Mapping[str, Any], form: str | None, *, rows: str | None
) -> Response[Any]:
    if form == "csv" or (form is None and _wants_csv(api.header("accept") or "")):
        return Response(200, CSV, answers.as_csv(answer[rows] if rows else [answer]), {"Vary": "Accept"})
    about = {
        "from": answers.shown(wanted.first),
        "to": answers.shown(wanted.last),
        "tz": str(wanted.zone),
        "userId": ALL if whose == EVERYBODY else whose,
    }
    return Response(200, JSON, {**about, **answer}, {"Vary": "Accept"})


def _wants_csv(accept: str) -> bool:
    """Whether ``Accept`` names CSV, and not JSON before it."""
    named = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return next((name for name in named if name in ("text/csv", JSON)), JSON) == "text/csv"

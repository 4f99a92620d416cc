"""The answers of the analytics routes, made of rows: nothing here reads a clock or a table by itself."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from core import times
from core.errors import FieldError, Unprocessable
from generation.usage import histograms, reading
from generation.usage.entries import MICRO, Counters, Source, total
from generation.usage.histograms import Histogram
from generation.usage.ranges import Bound, Range
from generation.usage.reading import Filter, Total
from generation.usage.rows import EVERYBODY
from generation.usage.table import UsageTable

TOP = 5
MOST_ROWS = 20_000
"""Of one answer: what Lambda lets a function answer is 6 MB."""
Row = dict[str, Any]
Answer = dict[str, Any]


def overview(table: UsageTable, whose: str, wanted: Range, filter_: Filter, *, with_users: bool) -> Answer:
    """Totals of a range, and what was used most; by whom, too, for administrators."""
    if filter_ == Filter():
        by_source, latencies = reading.overall(table, whose, wanted)
    else:
        by_source = reading.totals(table, whose, wanted, filter_)
        latencies = histograms.total(one.latencies for one in by_source.values())
    counters = total(one.counters for one in by_source.values())
    answer: Answer = {
        "requests": counters.requests,
        "succeeded": counters.succeeded,
        "failed": counters.failed,
        "errorRate": _rate(counters.failed, counters.requests),
        "inputTokens": counters.input_tokens,
        "outputTokens": counters.output_tokens,
        "bytes": counters.bytes,
        "audioSeconds": counters.audio_ms / 1000,
        "pictures": counters.pictures,
        "usd": _usd(counters),
        "unpriced": counters.unpriced,
        "latencyMs": _percentiles(latencies),
        "topServices": [
            {"service": service, "requests": found.counters.requests}
            for service, found in _most(_grouped(by_source, lambda source: source.service), lambda one: one.counters)
        ],
        "topModels": [
            {
                "provider": names[0],
                "model": names[1],
                "requests": found.counters.requests,
                "usd": _usd(found.counters),
            }
            for names, found in _most(
                _grouped(by_source, lambda source: (source.provider, source.model)), lambda one: one.counters
            )
        ],
    }
    if with_users:
        everybody = reading.by_user(table, wanted, filter_) if whose == EVERYBODY else {whose: counters}
        everybody = {user_id: found for user_id, found in everybody.items() if found.requests}
        answer["users"] = len(everybody)
        answer["topUsers"] = [
            {"userId": user_id, "requests": found.requests, "usd": _usd(found)}
            for user_id, found in _most(everybody, lambda one: one)
        ]
    return answer


def timeseries(table: UsageTable, whose: str, wanted: Range, size: str, filter_: Filter) -> Answer:
    """A row for every bucket and service of the range, those without calls included.

    Raises ``Unprocessable`` when there are too many.
    """
    found = reading.series(table, whose, wanted, size, filter_, latencies=False)
    by_service: dict[tuple[int, str], Counters] = {}
    for (source, start), cell in found.items():
        place = start, source.service
        by_service[place] = by_service.get(place, Counters()).plus(cell.counters)
    services = sorted({service for _, service in by_service} | ({filter_.service} if filter_.service else set()))
    starts = wanted.buckets(size)
    _require_rows(len(services) * len(starts))
    items = []
    for start in starts:
        shown = wanted.local(start).isoformat()
        for service in services:
            counters = by_service.get((start, service), Counters())
            items.append(
                {
                    "start": shown,
                    "service": service,
                    "requests": counters.requests,
                    "failed": counters.failed,
                    "inputTokens": counters.input_tokens,
                    "outputTokens": counters.output_tokens,
                    "usd": _usd(counters),
                }
            )
    return {"bucket": size, "items": items}


def performance(table: UsageTable, whose: str, wanted: Range, size: str | None, filter_: Filter) -> Answer:
    """How fast and how reliable each source was, in the range or in each of its buckets that had calls."""
    if size is None:
        whole = reading.totals(table, whose, wanted, filter_)
        return {"items": [_speed(source, found) for source, found in sorted(whole.items())]}
    buckets = reading.series(table, whose, wanted, size, filter_, latencies=True)
    _require_rows(len(buckets))
    return {
        "items": [
            {"start": wanted.local(start).isoformat(), **_speed(source, found)}
            for (source, start), found in sorted(buckets.items(), key=lambda one: (one[0][1], one[0][0]))
        ]
    }


def costs(table: UsageTable, whose: str, wanted: Range, filter_: Filter) -> Answer:
    """What each source was used for, and what that cost."""
    found = reading.totals(table, whose, wanted, filter_, with_latencies=False)
    whole = total(one.counters for one in found.values())
    return {
        "usd": _usd(whole),
        "unpriced": whole.unpriced,
        "items": [
            {
                **source._asdict(),
                "requests": one.counters.requests,
                "inputTokens": one.counters.input_tokens,
                "outputTokens": one.counters.output_tokens,
                "audioSeconds": one.counters.audio_ms / 1000,
                "pictures": one.counters.pictures,
                "usd": _usd(one.counters),
            }
            for source, one in sorted(found.items())
        ],
    }


def users(everybody: Mapping[str, Counters], limit: int, cursor: str | None) -> Answer:
    """A page of users, those with the most requests first. Raises ``Unprocessable`` for a cursor that is not one."""
    ordered = sorted(everybody.items(), key=_by_requests)
    if cursor:
        after = _position(cursor)
        ordered = [one for one in ordered if _by_requests(one) > after]
    page = ordered[:limit]
    return {
        "items": [
            {
                "userId": user_id,
                "requests": counters.requests,
                "failed": counters.failed,
                "inputTokens": counters.input_tokens,
                "outputTokens": counters.output_tokens,
                "usd": _usd(counters),
                "lastAt": times.rfc3339(times.at_millisecond(counters.last)),
            }
            for user_id, counters in page
        ],
        "nextCursor": f"{page[-1][1].requests}.{page[-1][0]}" if len(ordered) > limit else None,
    }


def shown(value: Bound) -> str:
    """A date or a time as it was asked for."""
    return value.isoformat() if isinstance(value, date | datetime) else value


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as CSV (RFC 4180), named as in JSON; what is null is empty, what is nested has a dot in its name."""
    flat = [_flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _flat(row: Mapping[str, Any]) -> Row:
    flat: Row = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": each for inner, each in _flat(value).items()}
        elif not isinstance(value, list):
            flat[name] = value
    return flat


def _speed(source: Source, found: Total) -> Row:
    counters = found.counters
    return {
        **source._asdict(),
        "requests": counters.requests,
        "failed": counters.failed,
        "errorRate": _rate(counters.failed, counters.requests),
        "fallbackRate": _rate(counters.fallbacks, counters.succeeded),
        "latencyMs": _percentiles(found.latencies),
    }


def _percentiles(latencies: Histogram) -> dict[str, float | None]:
    return {f"p{percent}": histograms.percentile(latencies, percent) for percent in (50, 95, 99)}


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _usd(counters: Counters) -> float | None:
    """Dollars of what has a price; None where nothing that was made has one."""
    if counters.unpriced and counters.unpriced == counters.succeeded:
        return None
    return counters.micro_usd / MICRO


def _grouped(by_source: Mapping[Source, Total], name: Callable[[Source], Any]) -> dict[Any, Total]:
    groups: dict[Any, list[Total]] = {}
    for source, found in by_source.items():
        groups.setdefault(name(source), []).append(found)
    return {key: Total(total(one.counters for one in group)) for key, group in groups.items()}


def _most(groups: Mapping[Any, Any], counters: Callable[[Any], Counters]) -> list[tuple[Any, Any]]:
    return sorted(groups.items(), key=lambda one: (-counters(one[1]).requests, one[0]))[:TOP]


def _by_requests(one: tuple[str, Counters]) -> tuple[int, str]:
    return -one[1].requests, one[0]


def _position(cursor: str) -> tuple[int, str]:
    requests, dot, user_id = cursor.partition(".")
    if not (dot and requests.isascii() and requests.isdigit() and len(requests) < 16):
        raise Unprocessable(
            "The request is not valid: see errors.",
            errors=[FieldError("cursor", "Send the nextCursor of an earlier answer, unchanged.")],
        )
    return -int(requests), user_id


def _require_rows(number: int) -> None:
    if number > MOST_ROWS:
        raise Unprocessable(
            "The request is not valid: see errors.",
            errors=[FieldError("from", f"This would be {number} rows, of {MOST_ROWS}: ask for less, or one service.")],
        )

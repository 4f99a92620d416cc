"""The counters of everybody as Prometheus reads them: its text format 0.0.4, or OpenMetrics 1.0 where it asks for that.

They are sums of all that was ever counted, so they never go down. No label tells of a user.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from generation.usage import histograms
from generation.usage.entries import MICRO, Counters, Source
from generation.usage.histograms import Histogram
from generation.usage.reading import Total
from generation.usage.rows import EVERYBODY
from generation.usage.table import UsageTable

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# Edges of the buckets of latencies, three a decade from 10 ms to 1,000 s, so that none of them is cut.
_EDGES = range(histograms.PER_DECADE, 6 * histograms.PER_DECADE + 1, histograms.PER_DECADE // 3)


class _Family(NamedTuple):
    name: str
    help: str
    unit: str
    values: Callable[[Counters], Mapping[tuple[tuple[str, str], ...], float]]


_COUNTERS = (
    _Family(
        "llm_requests",
        "Generating calls that were admitted.",
        "",
        lambda one: {(("outcome", "succeeded"),): one.succeeded, (("outcome", "failed"),): one.failed},
    ),
    _Family(
        "llm_tokens",
        "Tokens that models read and wrote.",
        "",
        lambda one: {(("direction", "input"),): one.input_tokens, (("direction", "output"),): one.output_tokens},
    ),
    _Family(
        "llm_cost_usd",
        "What providers charged, in US dollars, where the price is known.",
        "usd",
        lambda one: {(): one.micro_usd / MICRO},
    ),
    _Family("llm_output_bytes", "Bytes of what was made.", "bytes", lambda one: {(): one.bytes}),
    _Family(
        "llm_fallbacks",
        "Calls that another provider served than the one asked first.",
        "",
        lambda one: {(): one.fallbacks},
    ),
)


def totals(table: UsageTable) -> dict[Source, Total]:
    """All that was ever counted, by source."""
    found: dict[Source, Total] = {}
    for source, counters, latencies in table.all_sums(EVERYBODY, "m#", "m#~"):
        found.setdefault(source, Total()).add(counters, latencies)
    return found


def is_open_metrics(accept: str) -> bool:
    """Whether a scraper asks for OpenMetrics."""
    return "application/openmetrics-text" in accept.lower()


def expose(found: Mapping[Source, Total], version: str, *, open_metrics: bool) -> str:
    """The counters as a scraper reads them."""
    return "\n".join([*_lines(found, version, open_metrics=open_metrics), *(["# EOF"] if open_metrics else []), ""])


def _lines(found: Mapping[Source, Total], version: str, *, open_metrics: bool) -> Iterator[str]:
    ordered = sorted(found.items())
    for family in _COUNTERS:
        yield from _head(family.name, f"{family.name}_total", family.help, "counter", family.unit, open_metrics)
        for source, one in ordered:
            for labels, value in family.values(one.counters).items():
                yield f"{family.name}_total{_labels(source, *labels)} {value:.15g}"
    name = "llm_generation_seconds"
    yield from _head(name, name, "How long generating took.", "histogram", "seconds", open_metrics)
    for source, one in ordered:
        yield from _histogram(name, source, one)
    kind = "info" if open_metrics else "gauge"
    yield from _head("llm_build", "llm_build_info", "What is deployed.", kind, "", open_metrics)
    yield f'llm_build_info{{version="{_escaped(version)}"}} 1'


def _head(family: str, sample: str, text: str, kind: str, unit: str, open_metrics: bool) -> Iterator[str]:
    name = family if open_metrics else sample
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    if open_metrics and unit:
        yield f"# UNIT {name} {unit}"


def _histogram(name: str, source: Source, one: Total) -> Iterator[str]:
    for edge in _EDGES:
        shown = f"{histograms.upper_edge(edge) / 1000:.6g}"
        shown = shown if "." in shown else f"{shown}.0"
        yield f"{name}_bucket{_labels(source, ('le', shown))} {_up_to(one.latencies, edge)}"
    count = sum(one.latencies.values())
    yield f"{name}_bucket{_labels(source, ('le', '+Inf'))} {count}"
    yield f"{name}_sum{_labels(source)} {one.counters.latency_ms / 1000:.15g}"
    yield f"{name}_count{_labels(source)} {count}"


def _up_to(latencies: Histogram, edge: int) -> int:
    return sum(count for number, count in latencies.items() if number <= edge)


def _labels(source: Source, *more: tuple[str, str]) -> str:
    pairs = (*source._asdict().items(), *more)
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")

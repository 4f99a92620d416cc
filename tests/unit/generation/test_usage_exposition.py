"""What Prometheus reads: every call, once, in both formats."""

import re
import shutil
import subprocess

import pytest

from generation.usage import exposition, histograms
from generation.usage.entries import Counters, Source
from generation.usage.reading import Total

ODD = Source("chat", 'a "quoted"\\provider', "line\nbreak")
LATENCIES = (5, 10, 11, 900, 21_544, 21_545, 2_000_000)


def _found() -> dict[Source, Total]:
    one, other = Total(), Total()
    for latency in LATENCIES:
        one.add(Counters(1, 0, 10, 20, 1000, micro_usd=1500, latency_ms=latency), {histograms.bucket(latency): 1})
    one.add(Counters(failed=2), {})
    other.add(Counters(1, fallbacks=1, latency_ms=100), {histograms.bucket(100): 1})
    return {Source("image", "painter", "brush"): one, ODD: other}


@pytest.mark.parametrize("open_metrics", [False, True])
def test_numbers_are_those_of_the_counters(open_metrics: bool) -> None:
    text = exposition.expose(_found(), "1.0.0", open_metrics=open_metrics)
    source = 'service="image",provider="painter",model="brush"'
    for line in (
        f'llm_requests_total{{{source},outcome="succeeded"}} 7',
        f'llm_requests_total{{{source},outcome="failed"}} 2',
        f'llm_tokens_total{{{source},direction="output"}} 140',
        f"llm_cost_usd_total{{{source}}} 0.0105",
        f"llm_output_bytes_total{{{source}}} 7000",
        f'llm_generation_seconds_bucket{{{source},le="0.01"}} 2',
        f'llm_generation_seconds_bucket{{{source},le="21.5443"}} 5',
        f'llm_generation_seconds_bucket{{{source},le="1000.0"}} 6',
        f'llm_generation_seconds_bucket{{{source},le="+Inf"}} 7',
        f"llm_generation_seconds_count{{{source}}} 7",
        f"llm_generation_seconds_sum{{{source}}} {sum(LATENCIES) / 1000}",
        'llm_build_info{version="1.0.0"} 1',
        'llm_fallbacks_total{service="chat",provider="a \\"quoted\\"\\\\provider",model="line\\nbreak"} 1',
    ):
        assert f"\n{line}\n" in text
    assert text.endswith("# EOF\n") is open_metrics
    assert ("# TYPE llm_requests counter" in text) is open_metrics
    assert ("# UNIT llm_cost_usd usd" in text) is open_metrics


def test_buckets_of_latencies_never_fall() -> None:
    counts: dict[str, list[int]] = {}
    for source, count in re.findall(
        r'_bucket\{(service="image".*),le="[^"]*"\} (\d+)', exposition.expose(_found(), "1", open_metrics=False)
    ):
        counts.setdefault(source, []).append(int(count))
    assert all(numbers == sorted(numbers) for numbers in counts.values())


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text; version=1.0.0", "text/plain, Application/OpenMetrics-Text"]
)
def test_open_metrics_is_for_whoever_asks(accept: str) -> None:
    assert exposition.is_open_metrics(accept)
    assert not exposition.is_open_metrics("text/plain; version=0.0.4")


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not on this machine")
def test_promtool_finds_nothing_to_say() -> None:
    text = exposition.expose(_found(), "1.0.0", open_metrics=False)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

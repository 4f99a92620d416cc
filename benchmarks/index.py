"""What a line of the history costs when the day is long: ours, and the read-modify-write that it replaces.

Runs the index function's own code against an S3 emulator in a process of its own, counts every request and every
byte of a body, prints the tables and writes them, with a picture, under `benchmarks/results/`. Ends with status 1
when a line costs more than 1.2 times as much at the longest day as at 1,000 lines, when a page of the list
transfers more than two segments hold, or when a line was lost.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import chart, traffic
from benchmarks.chart import Chart
from benchmarks.history_costs import (
    LINES_OF_ALL_WRITERS,
    PAGE,
    RACE_LENGTH,
    Bench,
    Cost,
    Race,
    appends,
    deep_pages,
    first_pages,
    old_appends,
    races,
)
from benchmarks.history_day import Lines, SeededDay

from generation.segments import SEGMENT_BYTES

RESULTS = Path(__file__).parent / "results"
SIZES = (100, 1_000, 10_000, 100_000)
REFERENCE = 1_000
BATCHES = (1, 10, 100)
WRITERS = (8, 32)
MOST_TIMES = 1.2
# Beside the segments a page reads lists of keys; they grow with the days of a month, not with lines.
LISTS_BYTES = 64 * 1024
SPREAD = ("least to most", "just there")
SHORT = {"ListObjectsV2": "LIST", "GetObject": "GET", "PutObject": "PUT", "HeadObject": "HEAD"}


@dataclass(frozen=True)
class Scope:
    """How much is measured."""

    sizes: tuple[int, ...] = SIZES
    points: Mapping[int, int] = field(default_factory=lambda: {1: 96, 10: 48, 100: 12})
    old_points: int = 4
    pages: int = 8


QUICK = Scope(sizes=SIZES[:3], points={1: 8, 10: 4, 100: 2}, old_points=2, pages=2)


@dataclass
class Results:
    """Everything that was measured, by lines in the day (and lines in a batch), or by writers."""

    lines: Lines
    points: Mapping[int, int]
    appended: dict[tuple[int, int], Cost] = field(default_factory=dict)
    old: dict[int, Cost] = field(default_factory=dict)
    first: dict[int, Cost] = field(default_factory=dict)
    deep: dict[int, Cost] = field(default_factory=dict)
    raced: dict[int, tuple[Race, Race]] = field(default_factory=dict)

    @property
    def sizes(self) -> list[int]:
        """How long the days were."""
        return list(self.old)


def measure(bench: Bench, scope: Scope) -> Results:
    """Measure everything, a step at a time."""
    found = Results(bench.lines, scope.points)
    appends(bench, SeededDay(bench.seeder, bench.lines), 0, 1, 8)  # what is imported and connected at first use
    for size in scope.sizes:
        day = SeededDay(bench.seeder, bench.lines)
        for batch in BATCHES:
            found.appended[size, batch] = appends(bench, day, size, batch, scope.points[batch])
            bench.say(f"{size:>7,} lines, batch of {batch}")
        found.first[size] = first_pages(bench, day, size, scope.points[10])
        found.deep[size] = deep_pages(bench, day, size, scope.pages)
        bench.say(f"{size:>7,} lines, pages of the list")
        found.old[size] = old_appends(bench, size, scope.old_points)
        bench.say(f"{size:>7,} lines, read-modify-write of old")
    for writers in WRITERS:
        found.raced[writers] = races(bench, writers)
        bench.say(f"{writers} writers at once, both ways")
    return found


def verdicts(found: Results) -> list[tuple[bool, str]]:
    """What must hold, and whether it does."""
    longest = found.sizes[-1]
    checks = []
    for batch in BATCHES:
        long, short = found.appended[longest, batch], found.appended[REFERENCE, batch]
        for what, times in (
            ("requests", long.requests / short.requests),
            ("bytes", long.body_bytes / short.body_bytes),
        ):
            text = f"batch of {batch}: {what} a line at {longest:,} lines are {times:.3f} times those at {REFERENCE:,}"
            checks.append((times <= MOST_TIMES, f"{text} (at most {MOST_TIMES})"))
    most = max(cost.most_bytes for cost in (*found.first.values(), *found.deep.values()))
    bound = 2 * (SEGMENT_BYTES + found.lines.bytes_each) + LISTS_BYTES
    checks.append((most <= bound, f"the dearest page transfers {most / 1024:,.0f} KiB (at most {bound / 1024:,.0f})"))
    for writers, (ours, _) in found.raced.items():
        checks.append((ours.lost == 0, f"{writers} writers at once lose {ours.lost} lines (at most 0)"))
    return checks


def _rows(table: list[list[str]]) -> str:
    """A Markdown table whose source is aligned, to be read in a terminal as well; the first row is its head."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = [
        "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in table
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")
    return "\n".join(lines)


def _operations(cost: Cost) -> str:
    return ", ".join(f"{number:.3g} {SHORT[name]}" for name, number in cost.operations.items())


def _cost_cells(cost: Cost) -> list[str]:
    spread = f"{cost.least_bytes / 1024:,.1f} to {cost.most_bytes / 1024:,.1f}"
    return [
        f"{cost.requests:.2f}",
        _operations(cost),
        f"{cost.body_bytes / 1024:,.1f}",
        spread,
        f"{cost.first_bytes / 1024:,.1f}",
    ]


def _line_table(found: Results) -> str:
    unit = found.appended[found.sizes[0], 1].seconds
    table = [
        [
            "lines in the day",
            "batch",
            "requests a line",
            "which",
            "KiB a line",
            "least to most",
            "just there",
            "lines a second",
        ]
    ]
    for size in found.sizes:
        for batch in BATCHES:
            cost = found.appended[size, batch]
            table.append([f"{size:,}", str(batch), *_cost_cells(cost), f"{unit / cost.seconds:.2f}"])
        cost = found.old[size]
        table.append([f"{size:,}", "old way", *_cost_cells(cost), f"{unit / cost.seconds:.2f}"])
    return _rows(table)


def _page_table(found: Results) -> str:
    table = [["lines in the day", "page", "requests", "which", "KiB", *SPREAD]]
    for size in found.sizes:
        for name, cost in (("first", found.first[size]), ("deep", found.deep[size])):
            table.append([f"{size:,}", name, *_cost_cells(cost)])
    return _rows(table)


def _race_table(found: Results) -> str:
    table = [["writers", "way", "lines written", "lines lost", "requests a line", "lines a second"]]
    unit = found.raced[WRITERS[0]][0].seconds
    for writers, both in found.raced.items():
        for name, raced in zip(("ours", "old"), both, strict=True):
            speed = f"{unit / raced.seconds:.2f}"
            table.append(
                [str(writers), name, str(LINES_OF_ALL_WRITERS), str(raced.lost), f"{raced.requests:.2f}", speed]
            )
    return _rows(table)


def report(found: Results, seconds: float) -> str:
    """The results as Markdown."""
    each, in_segment = found.lines.bytes_each, found.lines.in_segment
    measured = ", ".join(f"{points} with batches of {batch}" for batch, points in found.points.items())
    checks = "\n".join(f"* {'holds' if holds else '**fails**'}: {text}" for holds, text in verdicts(found))
    return f"""\
# The history index: what a line and a page cost

Written by `make bench-index` in {seconds:.0f} s on {os.cpu_count()} processors, Python {platform.python_version()}.

![Bytes a line, and lines a second, by lines in the day](index.svg)

## How to read it

* *Ours* is the index function's own code: it reads each record (GET), lists the day's segments (LIST), reads the
  last one (GET), writes it with a line more if nobody else has meanwhile (PUT), and looks whether the record is still
  there (HEAD; a batch of more than eight lists tombstones instead). A batch shares all but the GET of the record.
* *Old way* is what the platform replaces: read the day's file, add a line, write it back. It knows no batches.
* Requests and bytes are exact: each attempt of the client counts, and the body of each request and answer.
* A line has {each} bytes here and a segment {in_segment:,} lines. What an append costs follows from how full the last
  segment is, so "at N lines" is the average over one whole segment's worth of appends that begins at N lines, or over a
  part of them that is evenly spread and comes within a few per cent of the whole:
  {measured}.
  *Least to most* are the cheapest and the dearest of those appends, per line; *just there* is the one at exactly N
  lines, which in a short day is cheap for both ways.
* *Lines a second* is a ratio: to ours at {found.sizes[0]:,} lines in batches of 1; among writers, to ours with
  {WRITERS[0]} writers. It is of this machine, with an S3 on the same one.

## A line

{_line_table(found)}

## A page of the list

{PAGE} lines a page. *First* is the newest page; *deep* are pages from the middle of the day on, by their cursors. In a
short day a page reads what there is; in a long one at most two segments of {SEGMENT_BYTES // 1024:,} KiB.

{_page_table(found)}

## Writers at once

Each writer adds its share of {LINES_OF_ALL_WRITERS} lines, one at a time, to a day that has {RACE_LENGTH}.

{_race_table(found)}

## What must hold

{checks}
"""


def picture(found: Results) -> str:
    """The results as SVG."""
    unit = found.appended[found.sizes[0], 1].seconds
    ours = {f"ours, batch {batch}": [found.appended[size, batch] for size in found.sizes] for batch in BATCHES}
    series = ours | {"old way": [found.old[size] for size in found.sizes]}

    def points(value: Callable[[Cost], float]) -> dict[str, list[tuple[float, float]]]:
        return {
            name: [(size, value(cost)) for size, cost in zip(found.sizes, costs, strict=True)]
            for name, costs in series.items()
        }

    sent, speed = points(lambda cost: cost.body_bytes / 1024), points(lambda cost: unit / cost.seconds)
    return chart.svg(
        [
            Chart("What a line transfers", "KiB a line", "lines in the day", sent),
            Chart("How fast lines are added", "lines a second, ours one by one = 1", "lines in the day", speed),
        ]
    )


def main() -> int:
    """Measure, print, write; the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.index", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer points and no day of 100,000 lines; writes nothing")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where to write (benchmarks/results)")
    options = parser.parse_args()
    scope = QUICK if options.quick else Scope()
    start = time.monotonic()
    lines = Lines(scope.sizes[-1] + 10_000)
    with traffic.serve() as endpoint:
        found = measure(Bench(endpoint, lines), scope)
    text = report(found, time.monotonic() - start)
    print(text)
    if not options.quick:
        options.results.mkdir(parents=True, exist_ok=True)
        (options.results / "index.md").write_text(text)
        (options.results / "index.svg").write_text(picture(found))
        print(f"  written to {options.results}/index.md and index.svg", file=sys.stderr)
    return 0 if all(holds for holds, _ in verdicts(found)) else 1


if __name__ == "__main__":
    sys.exit(main())

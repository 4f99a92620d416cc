"""Measures what a line and a page of a long day's history cost, by running the platform's code against a counted S3."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks import traffic
from benchmarks.history_day import DAY, Arrivals, Lines, SeededDay, line, notifications, put
from benchmarks.traffic import BUCKET, Traffic
from botocore.exceptions import ClientError

from core import ids
from core.logging import logger
from generation import keys, records
from generation.cursors import CursorSigner
from generation.history import History
from generation.indexing import index
from generation.library import Library
from generation.segments import Day
from generation.storage import Bucket
from image.service import SERVICE as IMAGE

LINES_OF_ALL_WRITERS = 128
RACE_LENGTH = 100
PAGE = 20
PATIENCE_MS = 300_000
SIGNER = CursorSigner(b"benchmark")


@dataclass(frozen=True)
class Cost:
    """What something cost each time, on average over a segment's worth; ``first_bytes`` where that begins."""

    operations: dict[str, float]
    body_bytes: float
    least_bytes: int
    most_bytes: int
    first_bytes: int
    seconds: float

    @property
    def requests(self) -> float:
        """All requests."""
        return sum(self.operations.values())


@dataclass(frozen=True)
class Race:
    """What became of the lines of writers at the same time."""

    lost: int
    requests: float
    seconds: float


class Bench:
    """The S3 that is measured, and the time since the start."""

    def __init__(self, endpoint: str, lines: Lines) -> None:
        self.lines = lines
        self.seeder = traffic.connect(endpoint)
        self.client = traffic.connect(endpoint)
        self.traffic = Traffic()
        self.traffic.of(self.client)
        self.bucket = Bucket(self.client, BUCKET)
        self.library = Library(IMAGE, self.bucket, lambda: SIGNER)
        self.arrivals = Arrivals(self.seeder)
        self._start = time.monotonic()
        logger.setLevel("CRITICAL")  # its lines would mix with the result

    def say(self, text: str) -> None:
        """Print progress, with the seconds since the start, where it does not mix with the result."""
        print(f"  {time.monotonic() - self._start:4.0f} s  {text}", file=sys.stderr, flush=True)

    def average(self, works: Iterable[Callable[[], object]], share: int = 1) -> Cost:
        """Run each piece of work after what its iterator prepares for it; the averages of a ``share``-th of one.

        The first is not in the averages.
        """
        operations: Counter[str] = Counter()
        seconds = 0.0
        sizes: list[int] = []
        for work in works:
            self.traffic.reset()
            start = time.perf_counter()
            work()
            if sizes:
                seconds += time.perf_counter() - start
                operations += self.traffic.requests
            sizes.append(self.traffic.body_bytes)
        first, *others = sizes
        count = len(others) * share
        return Cost(
            {name: number / count for name, number in sorted(operations.items())},
            sum(others) / count,
            min(others) // share,
            max(others) // share,
            first // share,
            seconds / count,
        )


def spread(first: int, lines: Lines, batch: int, most: int) -> list[int]:
    """How long the day is when something is measured: ``first``, then over a segment's worth of appends from there on.

    Of those all, or ``most``, evenly spread, each in the middle of those that it stands for.
    """
    appended = lines.in_segment // batch
    count = min(most, appended)
    return [first, *(first + batch * ((2 * number + 1) * appended // (2 * count)) for number in range(count))]


def appends(bench: Bench, day: SeededDay, size: int, batch: int, points: int) -> Cost:
    """A line's share of the index function's run, for days from ``size`` lines on."""

    def works() -> Iterable[Callable[[], object]]:
        for length in spread(size, bench.lines, batch, points):
            day.hold(length)
            _, event = bench.arrivals.batch(day.user_id, batch)
            yield partial(_index, bench.library, event)

    return bench.average(works(), batch)


def _index(library: Library, event: dict[str, Any]) -> None:
    failures = index(library, event, PATIENCE_MS)["batchItemFailures"]
    if failures:
        raise RuntimeError(f"{len(failures)} messages were not indexed")


def read_modify_write(client: Any, key: str, added: bytes) -> None:
    """The old way: the whole file, a line more, no condition."""
    try:
        present = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchKey":
            raise
        present = b""
    client.put_object(Bucket=BUCKET, Key=key, Body=present + added)


def old_appends(bench: Bench, size: int, points: int) -> Cost:
    """A line's cost when the day is one file."""
    key = keys.history_segment(IMAGE, ids.new(), DAY, 0)

    def works() -> Iterable[Callable[[], object]]:
        for length in spread(size, bench.lines, 1, points):
            put(bench.seeder, key, bench.lines.joined(0, length), {})
            yield lambda: read_modify_write(bench.client, key, bench.lines.content[0])

    return bench.average(works())


def first_pages(bench: Bench, day: SeededDay, size: int, points: int) -> Cost:
    """The newest page, for days from ``size`` lines on."""
    history = History(IMAGE, bench.bucket, day.user_id)

    def works() -> Iterable[Callable[[], object]]:
        for length in spread(size, bench.lines, 1, points):
            day.hold(length)
            yield lambda: history.page(SIGNER, limit=PAGE)

    return bench.average(works())


def deep_pages(bench: Bench, day: SeededDay, size: int, points: int) -> Cost:
    """Pages from the middle of the day on, with the cursors that reading until there gives."""
    day.hold(size)
    history = History(IMAGE, bench.bucket, day.user_id)
    reach = min(size // 2 - PAGE, bench.lines.in_segment)

    def works() -> Iterable[Callable[[], object]]:
        for number in (0, *range(points)):
            cursor = history.page(SIGNER, limit=size // 2 + reach * number // points).cursor
            yield partial(history.page, SIGNER, limit=PAGE, cursor=cursor)

    return bench.average(works())


def race(bench: Bench, writers: int, write: Callable[[str, str], None], user_id: str, made: Sequence[str]) -> Race:
    """Let as many writers write their share of the lines at once, one after another each; count what is there."""
    barrier = threading.Barrier(writers)

    def run(own: Sequence[str]) -> None:
        barrier.wait()
        for one in own:
            write(user_id, one)

    bench.traffic.reset()
    start = time.perf_counter()
    with ThreadPoolExecutor(writers) as pool:
        for done in [pool.submit(run, made[number::writers]) for number in range(writers)]:
            done.result()
    seconds = time.perf_counter() - start
    requests = bench.traffic.requests.total() / len(made)
    day = Day(IMAGE, bench.bucket, user_id, DAY)
    present = [one for segment in day.newest_first(day.numbers()) for one in segment.ids]
    if doubled := len(present) - len(set(present)):
        raise RuntimeError(f"{doubled} lines are there twice")
    return Race(len(set(made) - set(present)), requests, seconds)


def races(bench: Bench, writers: int) -> tuple[Race, Race]:
    """Ours and the old way's, each on a day of its own that has 100 lines."""
    day = SeededDay(bench.seeder, bench.lines)
    day.hold(RACE_LENGTH)
    made, _ = bench.arrivals.batch(day.user_id, LINES_OF_ALL_WRITERS)
    ours = race(bench, writers, lambda _, one: _index(bench.library, notifications([one])), day.user_id, made)

    def write_as_of_old(user_id: str, one: str) -> None:
        added = records.dumps(line(one)) + b"\n"
        read_modify_write(bench.client, keys.history_segment(IMAGE, user_id, DAY, 0), added)

    day = SeededDay(bench.seeder, bench.lines)
    day.hold(RACE_LENGTH)
    return ours, race(bench, writers, write_as_of_old, day.user_id, made)

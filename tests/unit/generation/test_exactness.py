"""Exactly one line for each record, whatever happens on the way.

Indexers, creations, deletions, readers and a repair take turns at every request to S3, in an order that is drawn;
messages come twice and in any order, requests fail before or after they took effect, workers are killed.
"""

import itertools
import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import times
from core.errors import ServiceUnavailable
from core.logging import logger
from generation import indexing, keys, records, segments, tombstones
from generation.history import History
from generation.library import Library
from generation.repair import Auditor
from generation.segments import Segment
from generation.storage import Stored
from image.service import SERVICE as IMAGE
from tests import events
from tests.unit.generation.interleaving import Turn, Turns
from tests.unit.generation.memory_s3 import NAME, Gate, MemoryS3, Version, error
from tests.unit.generation.queue_of_records import Message, RecordQueue
from tests.unit.generation.samples import DAY, MOMENT, SIGNER, identifier, image_record
from tests.unit.stand_ins import ADMIN, ANA, BEN

EXAMPLES = 250
TODAY = date(2026, 11, 22)
DAYS = (TODAY, TODAY + timedelta(days=1))
OWNERS = (ANA.sub, BEN.sub, keys.ANONYMOUS)
MUCH_LATER = times.at_millisecond(MOMENT + 40 * DAY)
NEVER_MADE = identifier(rest=1 << 40)
UNREADABLE = identifier(rest=1 << 41)

# What may happen to a request: an answer of S3 instead of it or after it was done, or the end of who sent it.
ERRORS = {
    "412": (412, "PreconditionFailed"),
    "409": (409, "ConditionalRequestConflict"),
    "429": (429, "TooManyRequests"),
    "500": (500, "InternalError"),
    "503": (503, "SlowDown"),
}
OPERATIONS = ("GetObject", "HeadObject", "PutObject", "DeleteObject", "ListObjectsV2")
BEFORE = (*ERRORS, "kill")
AFTER = ("500 but done", "kill when done")

QUIET: Gate = lambda _operation, _key: nullcontext()  # noqa: E731  (a gate like those that are closures)


class Killed(BaseException):
    """The end of a worker."""


@dataclass(frozen=True)
class Action:
    """A record to make, some milliseconds from the moment that all are near, and whether it is deleted again."""

    milliseconds: int
    owner: int
    is_deleted: bool


@dataclass(frozen=True)
class Plan:
    """A run, all of it: the rest follows from the seed."""

    seed: int
    restlessness: float
    segment_bytes: int
    batch_size: int
    workers: int
    few: int
    page: int
    remaining_ms: int
    copies: tuple[int, ...]
    faults: dict[tuple[str, int], str]
    actions: tuple[Action, ...]
    is_read: bool
    is_repaired: bool


PLANS = st.builds(
    Plan,
    seed=st.integers(0, 2**32),
    restlessness=st.sampled_from([0.1, 0.4, 1.0]),
    segment_bytes=st.sampled_from([1, 400, 700, 1500]),
    batch_size=st.sampled_from([1, 2, 5]),
    workers=st.sampled_from([2, 3]),
    # Tombstones are listed for more records than a few, as many of them as are on a page.
    few=st.sampled_from([0, 0, 2, 8]),
    page=st.sampled_from([1, 3, 1000]),
    # With no time left, what fails is left to the next delivery.
    remaining_ms=st.sampled_from([0, 28_000]),
    copies=st.sampled_from([(0,), (0, 0, 1), (0, 1, 2)]),
    faults=st.dictionaries(
        st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 25)), st.sampled_from([*BEFORE, *AFTER]), max_size=14
    ),
    actions=st.lists(
        st.builds(
            Action,
            milliseconds=st.integers(0, 3) | st.integers(-5, 20) | st.just(DAY),
            owner=st.sampled_from([0, 0, 0, 0, 1, 2]),
            is_deleted=st.booleans(),
        ),
        min_size=2,
        max_size=14,
    ).map(tuple),
    is_read=st.booleans(),
    is_repaired=st.sampled_from([False, False, True]),
)


class Platform:
    """The history of one service with everything around it, as a plan says."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.chance = random.Random(plan.seed)
        self.s3 = MemoryS3(page_size=3, on_change=self._changed)
        self.queue = RecordQueue(self.chance)
        self.making = 2
        self._requests = {operation: itertools.count() for operation in OPERATIONS}
        self._full: set[str] = set()
        self.poison = [
            "not JSON",
            self._told(NEVER_MADE),
            events.s3_notification("another", "k"),
            self._told(UNREADABLE),
        ]
        for body in (*self.poison[:-1], events.s3_test_event(NAME)):
            self.queue.send(body)
        self.s3.bucket().put(keys.record_object(UNREADABLE), b"{}", "application/json")

    def run(self) -> None:
        """Let everybody take turns until all is made, deleted and indexed, as far as the faults allow."""
        works = [self._work] * self.plan.workers + [self._make_even, self._make_odd]
        works += [self._read] * self.plan.is_read + [self._repair] * self.plan.is_repaired
        Turns(self.chance, restlessness=self.plan.restlessness).run(works)

    def finish(self) -> None:
        """Index what is left, dead letters included, with nothing going wrong."""
        self.queue.redrive()
        library = self.library(QUIET)
        while batch := self.queue.receive(10):
            self.queue.settle(batch, self._index(library, batch))

    def library(self, gate: Gate) -> Library:
        return Library(
            IMAGE,
            self.s3.bucket(gate),
            lambda: SIGNER,
            self.plan.segment_bytes,
            clock=lambda: times.at_millisecond(MOMENT),
        )

    def auditor(self, gate: Gate) -> Auditor:
        return Auditor(
            IMAGE,
            self.s3.bucket(gate),
            grace=timedelta(0),
            clock=lambda: MUCH_LATER,
            segment_bytes=self.plan.segment_bytes,
        )

    def segments(self, owner: str, day: date) -> list[Segment]:
        """The segments of a day as they are now, ascending."""
        found = []
        for key, version in self.s3.objects.items():
            segment = keys.segment_of(key)
            if segment and segment[0] == day and key.startswith(keys.history_prefix(IMAGE, owner)):
                found.append(Segment(segment[1], Stored(*version)))
        return sorted(found, key=lambda segment: segment.number)

    def listed(self, owner: str) -> list[str]:
        """The ids in an owner's segments, in no order."""
        return [one for day in DAYS for segment in self.segments(owner, day) for one in segment.ids]

    def pages(self, owner: str, gate: Gate) -> list[str]:
        """The ids in all pages of an owner's list."""
        history = History(IMAGE, self.s3.bucket(gate), owner)
        found: list[str] = []
        cursor: str | None = None
        while True:
            try:
                page = history.page(SIGNER, limit=2, cursor=cursor)
            except (ServiceUnavailable, Killed):
                continue
            found += [line["id"] for line in page.lines]
            cursor = page.cursor
            if cursor is None:
                return found

    def recorded(self, owner: str) -> list[str]:
        """The ids of the owner's records, the newest first."""
        found = (json.loads(version.content) for key, version in self.s3.objects.items() if keys.record_id_of(key))
        return sorted((record["id"] for record in found if record.get("userId") == owner), reverse=True)

    # ------------------------------------------------------------ who takes turns

    def _work(self, turn: Turn) -> None:
        """An index function, started again when it is killed, until there is nothing more to do."""
        while self.making or self.queue.waiting:
            turn.step()
            batch = self.queue.receive(self.plan.batch_size)
            try:
                failed = self._index(self.library(self._gate(turn)), batch)
            except Killed:
                failed = {message.message_id for message in batch}
            # Between the end of the work and its acknowledgement.
            turn.step()
            self.queue.settle(batch, failed)

    def _index(self, library: Library, batch: list[Message]) -> set[str]:
        event = events.sqs(*(message.body for message in batch))
        for item, message in zip(event["Records"], batch, strict=True):
            item["messageId"] = message.message_id
        answer = indexing.index(library, event, self.plan.remaining_ms)
        return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}

    def _make_even(self, turn: Turn) -> None:
        self._make(turn, 0)

    def _make_odd(self, turn: Turn) -> None:
        self._make(turn, 1)

    def _make(self, turn: Turn, first: int) -> None:
        """Store records, and delete some, now or later."""
        doomed: list[str] = []
        for place, action in list(enumerate(self.plan.actions))[first::2]:
            owner = OWNERS[action.owner]
            record_id = identifier(MOMENT + action.milliseconds, place)
            turn.step()
            record = records.dumps(image_record(record_id, userId=owner, username=owner))
            self.s3.bucket().put(keys.record_object(record_id), record, "application/json")
            if action.is_deleted:
                doomed.append(record_id)
            if doomed and self.chance.random() < 0.5:
                self._delete(turn, doomed.pop(0))
        for record_id in doomed:
            self._delete(turn, record_id)
        self.making -= 1

    def _delete(self, turn: Turn, record_id: str) -> None:
        library = self.library(self._gate(turn))
        while True:
            try:
                return library.delete(record_id, ADMIN)
            except (ServiceUnavailable, Killed):
                continue

    def _read(self, turn: Turn) -> None:
        """Read pages: each id once, in order, and none is left out that is there all the time."""
        while self.making:
            at_first = set(self.listed(ANA.sub))
            found = self.pages(ANA.sub, self._gate(turn))
            assert found == sorted(set(found), reverse=True)
            assert at_first & set(self.listed(ANA.sub)) & set(self.recorded(ANA.sub)) <= set(found)

    def _repair(self, turn: Turn) -> None:
        """Repair over and over; an operator repeats what broke off."""
        is_complete = False
        while self.making or not is_complete:
            try:
                self.auditor(self._gate(turn)).audit(TODAY, repair=True)
                is_complete = True
            except (ServiceUnavailable, Killed):
                is_complete = False
                turn.step()

    # ------------------------------------------------------------ what happens to requests

    def _gate(self, turn: Turn) -> Gate:
        @contextmanager
        def gate(operation: str, _key: str) -> Iterator[None]:
            turn.step()
            fault = self.plan.faults.get((operation, next(self._requests[operation])), "")
            if fault == "kill":
                raise Killed
            if fault in ERRORS:
                # Only a conditional write can lose a race.
                status, code = ERRORS["503" if fault[:2] == "41" and operation != "PutObject" else fault]
                raise error(operation, status, code)
            yield
            if fault == "kill when done":
                turn.step()
                raise Killed
            if fault == "500 but done":
                raise error(operation, *ERRORS["500"])

        return gate

    # ------------------------------------------------------------ what must be true at any time

    def _changed(self, key: str, before: Version | None, after: Version | None) -> None:
        record_id = keys.record_id_of(key)
        if record_id:
            self.queue.send(self._told(record_id), copies=1 + self.chance.choice(self.plan.copies))
        if keys.segment_of(key):
            assert after is not None, "a segment was removed"
            self._segment_changed(key, before, after)

    def _segment_changed(self, key: str, before: Version | None, after: Version) -> None:
        if key in self._full:
            assert before is not None
            gone = set(before.content.split(b"\n")) - set(after.content.split(b"\n"))
            assert gone, f"{key} was rewritten though it is full"
            assert set(after.content.split(b"\n")) <= {b"", *before.content.split(b"\n")}, f"{key} was appended to"
        if len(after.content) >= self.plan.segment_bytes:
            self._full.add(key)
        owner = key.split("/")[1]
        for day in DAYS:
            earlier: list[str] = []
            for segment in self.segments(owner, day):
                assert max(earlier, default="") <= segment.after
                earlier += segment.ids
            assert len(earlier) == len(set(earlier)), "a line is there twice"

    def _told(self, record_id: str) -> str:
        return events.s3_notification(NAME, keys.record_object(record_id))


class InTurn:
    """An executor that does one thing after the other, in an order that is the same each time."""

    def submit(self, work: Callable[[object], object], item: object) -> Future[object]:
        """What the work returned; who is killed in it goes no further."""
        done: Future[object] = Future()
        done.set_result(work(item))
        return done


@pytest.fixture(scope="module", autouse=True)
def _quick_and_quiet() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "_BACKOFF_SECONDS", 0.0)
        patch.setattr(indexing, "_readers", InTurn)
        level = logger.log_level
        logger.setLevel("CRITICAL")
        yield
        logger.setLevel(level)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(PLANS)
def test_each_record_has_one_line_and_nothing_else_has(plan: Plan) -> None:
    platform = Platform(plan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexing, "FEW", plan.few)
        patch.setattr(tombstones, "_PAGE", plan.page)
        platform.run()
        platform.finish()

    assert {message.body for message in platform.queue.dead} == set(platform.poison)
    for owner in OWNERS:
        expected = platform.recorded(owner)
        assert platform.pages(owner, QUIET) == expected
        assert sorted(platform.listed(owner), reverse=True) == expected

    platform.s3.requests.clear()
    for day in DAYS:
        for repair in (False, True):
            findings = platform.auditor(QUIET).audit(day, repair=repair)
            assert findings.unreadable == ([UNREADABLE] if day == TODAY else [])
            findings.unreadable.clear()
            assert findings.is_clean
    assert {request.operation for request in platform.s3.requests} <= {"GetObject", "ListObjectsV2"}

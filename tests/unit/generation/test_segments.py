import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date

import pytest

from core.errors import ServiceUnavailable
from generation import keys, segments
from generation.providers import Deadline
from generation.records import Line, dumps
from generation.segments import CONTENT_TYPE, SEGMENT_BYTES, Day, Segment, UnreadableSegment
from generation.storage import Bucket
from image.service import SERVICE as IMAGE
from tests.unit.generation.memory_s3 import Gate, MemoryS3, error
from tests.unit.generation.samples import MOMENT, identifier, line
from tests.unit.stand_ins import Watch

TODAY = date(2026, 11, 22)
USER = identifier(1_700_000_000_000)
# Two lines fill a segment.
SMALL = 400
assert SMALL / 2 < len(dumps(line(identifier()))) + 1 < SMALL


pytestmark = pytest.mark.usefixtures("_no_waiting")


def a_while() -> Deadline:
    return Deadline(20)


def no_time() -> Deadline:
    return Deadline(0)


def day_in(bucket: Bucket, segment_bytes: int = SMALL) -> Day:
    return Day(IMAGE, bucket, USER, TODAY, segment_bytes=segment_bytes)


def ids_of(count: int, first: int = 0) -> list[str]:
    return [identifier(MOMENT + number) for number in range(first, first + count)]


def add(day: Day, *record_ids: str) -> None:
    """Append lines one after the other."""
    for record_id in record_ids:
        assert day.append([line(record_id)], a_while()) == [record_id]


def key(number: int) -> str:
    return keys.history_segment(IMAGE, USER, TODAY, number)


def read(day: Day) -> dict[int, list[str]]:
    """The ids in each segment."""
    return {segment.number: segment.ids for segment in day.newest_first(day.numbers())}


def segment(day: Day, number: int) -> Segment:
    found = day.read(number)
    assert found is not None
    return found


def before(operation: str, act: Callable[[], object], *, times: int = 1) -> Gate:
    """A gate at which something happens before each of the first requests of an operation."""
    left = itertools.count(times, -1)

    @contextmanager
    def gate(this: str, _key: str) -> Iterator[None]:
        if this == operation and next(left) > 0:
            act()
        yield

    return gate


# ---------------------------------------------------------------- append


def test_an_ordinary_day_is_the_file_of_the_contract() -> None:
    s3 = MemoryS3()
    day = day_in(s3.bucket(), SEGMENT_BYTES)
    first, second = line(identifier(rest=1)), line(identifier(rest=2))
    day.append([first], a_while())
    day.append([second], a_while())
    assert list(s3.objects) == [f"users/{USER}/image/history/2026/11/22.jsonl"]
    assert s3.objects[key(0)].content == dumps(first) + b"\n" + dumps(second) + b"\n"


def test_a_segment_has_the_media_type_of_json_lines(bucket: Bucket, watch: Watch) -> None:
    add(day_in(bucket), identifier())
    head = watch.client.head_object(Bucket=bucket.name, Key=key(0))
    assert head["ContentType"] == CONTENT_TYPE


def test_a_segment_that_is_full_is_followed_by_the_next_one() -> None:
    s3 = MemoryS3()
    day = day_in(s3.bucket())
    record_ids = ids_of(7)
    add(day, *record_ids)
    assert read(day) == {3: record_ids[6:], 2: record_ids[4:6], 1: record_ids[2:4], 0: record_ids[:2]}
    assert sorted(s3.objects) == sorted(key(number) for number in range(4))


def test_a_segment_tells_which_ids_cannot_be_before_it() -> None:
    day = day_in(MemoryS3().bucket())
    record_ids = ids_of(6)
    add(day, *record_ids[4:6], *record_ids[:4])
    assert [segment(day, number).after for number in range(3)] == ["", record_ids[5], record_ids[5]]


def test_a_line_that_is_there_is_not_added_again() -> None:
    s3 = MemoryS3()
    day = day_in(s3.bucket(), SEGMENT_BYTES)
    known, fresh = ids_of(2)
    day.append([line(known), line(known)], a_while())
    assert day.append([line(known), line(fresh), line(fresh)], a_while()) == [fresh]
    assert read(day) == {0: [known, fresh]}
    s3.requests.clear()
    assert day.append([line(known), line(fresh)], a_while()) == []
    assert s3.count("PutObject") == 0


@pytest.mark.parametrize("late", range(7))
def test_a_line_of_any_segment_is_not_added_again(late: int) -> None:
    day = day_in(MemoryS3().bucket())
    record_ids = ids_of(7)
    add(day, *record_ids)
    present = read(day)
    assert day.append([line(record_ids[late])], a_while()) == []
    assert read(day) == present


def test_only_segments_that_may_hold_an_id_are_read() -> None:
    s3 = MemoryS3()
    day = day_in(s3.bucket())
    record_ids = ids_of(9)
    add(day, *record_ids[:3], *record_ids[4:])

    def segments_read(record_id: str) -> list[str]:
        s3.requests.clear()
        day.append([line(record_id)], a_while())
        return [request.key for request in s3.requests if request.operation == "GetObject"]

    assert segments_read(identifier(MOMENT + 9)) == [key(3)]
    assert segments_read(record_ids[8]) == [key(4), key(3)]
    assert segments_read(record_ids[3]) == [key(number) for number in (4, 3, 2, 1)]


def test_without_its_metadata_a_segment_tells_nothing_and_all_are_read() -> None:
    s3 = MemoryS3()
    bucket = s3.bucket()
    day = day_in(bucket)
    record_ids = ids_of(6)
    add(day, *record_ids)
    bucket.put(key(2), s3.objects[key(2)].content, CONTENT_TYPE)
    assert day.append([line(record_ids[0])], a_while()) == []
    add(day, identifier(MOMENT + 10))
    assert read(day)[0] == record_ids[:2]


def test_many_lines_at_once_are_several_segments_of_about_the_size() -> None:
    s3 = MemoryS3()
    day = day_in(s3.bucket(), 100_000)
    record_ids = ids_of(3500)
    assert day.append([line(record_id) for record_id in record_ids], a_while()) == record_ids
    assert sorted(read(day)) == [0, 1, 2, 3]
    assert len(s3.objects) == 4
    assert s3.count("PutObject") == 4


# ---------------------------------------------------------------- others at the same time


def test_racing_writers_lose_no_line(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "_BACKOFF_SECONDS", 0.005)
    lines = [line(record_id) for record_id in ids_of(16)]
    with ThreadPoolExecutor(16) as writers:
        added = list(writers.map(lambda one: day_in(bucket).append([one], a_while()), lines))
    assert added == [[one["id"]] for one in lines]
    assert sorted(one for ids in read(day_in(bucket)).values() for one in ids) == ids_of(16)


def test_who_was_overtaken_in_a_segment_reads_again() -> None:
    s3 = MemoryS3()
    first, second = ids_of(2)
    overtaken = s3.bucket(before("PutObject", lambda: add(day_in(s3.bucket(), SEGMENT_BYTES), first)))
    add(day_in(overtaken, SEGMENT_BYTES), second)
    assert read(day_in(s3.bucket())) == {0: [first, second]}


def test_who_was_overtaken_at_the_begin_of_a_segment_reads_again() -> None:
    s3 = MemoryS3()
    record_ids = ids_of(4)
    add(day_in(s3.bucket()), *record_ids[:2])
    overtaken = s3.bucket(before("PutObject", lambda: add(day_in(s3.bucket()), record_ids[2])))
    add(day_in(overtaken), record_ids[3])
    assert read(day_in(s3.bucket())) == {1: record_ids[2:], 0: record_ids[:2]}


def test_who_was_overtaken_by_the_same_line_adds_nothing() -> None:
    s3 = MemoryS3()
    (record_id,) = ids_of(1)
    overtaken = s3.bucket(before("PutObject", lambda: add(day_in(s3.bucket()), record_id)))
    assert day_in(overtaken).append([line(record_id)], a_while()) == []
    assert read(day_in(s3.bucket())) == {0: [record_id]}


def test_who_read_an_open_segment_cannot_append_when_it_was_closed_and_holds_the_same_lines_again() -> None:
    s3 = MemoryS3()
    record_ids = ids_of(4)
    add(day_in(s3.bucket()), record_ids[0])

    def fill_and_shrink() -> None:
        day = day_in(s3.bucket())
        add(day, *record_ids[1:3])
        day.remove([record_ids[1]], a_while())

    add(day_in(s3.bucket(before("PutObject", fill_and_shrink))), record_ids[3])
    assert read(day_in(s3.bucket())) == {1: record_ids[2:], 0: record_ids[:1]}


ANSWERS = {
    "412": error("PutObject", 412, "PreconditionFailed"),
    "409": error("PutObject", 409, "ConditionalRequestConflict"),
    "429": error("PutObject", 429, "TooManyRequests"),
    "500": error("PutObject", 500, "InternalError"),
    "503": error("PutObject", 503, "SlowDown"),
}


def failing(answer: str) -> Callable[[], object]:
    def fail() -> None:
        raise ANSWERS[answer]

    return fail


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_write_that_failed_is_tried_again_with_what_is_there_now(answer: str) -> None:
    s3 = MemoryS3()
    add(day_in(s3.bucket(before("PutObject", failing(answer), times=5))), identifier())
    assert read(day_in(s3.bucket())) == {0: [identifier()]}
    assert s3.count("ListObjectsV2") == 7


@pytest.mark.parametrize("operation", ["GetObject", "ListObjectsV2"])
@pytest.mark.parametrize("answer", ["429", "500", "503"])
def test_a_read_that_failed_is_tried_again(operation: str, answer: str) -> None:
    s3 = MemoryS3()
    add(day_in(s3.bucket()), *ids_of(1))
    add(day_in(s3.bucket(before(operation, failing(answer), times=5))), *ids_of(1, 1))
    assert read(day_in(s3.bucket())) == {0: ids_of(2)}


@pytest.mark.parametrize("answer", ANSWERS)
def test_when_the_time_is_over_it_is_not_tried_again(answer: str) -> None:
    s3 = MemoryS3()
    with pytest.raises(ServiceUnavailable):
        day_in(s3.bucket(before("PutObject", failing(answer)))).append([line(identifier())], no_time())
    assert s3.count("ListObjectsV2") == 1
    assert read(day_in(s3.bucket())) == {}


def test_the_pause_grows_and_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(segments, "_BACKOFF_SECONDS", 0.02)
    monkeypatch.setattr("time.sleep", pauses.append)
    monkeypatch.setattr("random.uniform", lambda _least, most: most)
    s3 = MemoryS3()
    add(day_in(s3.bucket(before("PutObject", failing("412"), times=1100))), identifier())
    assert pauses[:7] == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0]
    assert len(pauses) == 1100
    assert set(pauses[6:]) == {1.0}


def test_writers_that_collided_pause_for_different_times(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(segments, "_BACKOFF_SECONDS", 0.02)
    monkeypatch.setattr("time.sleep", pauses.append)
    add(day_in(MemoryS3().bucket(before("PutObject", failing("412"), times=20))), identifier())
    assert len(set(pauses)) > 15


# ---------------------------------------------------------------- remove


def test_lines_are_removed_wherever_they_are() -> None:
    day = day_in(MemoryS3().bucket())
    record_ids = ids_of(7)
    add(day, *record_ids)
    gone = [record_ids[0], record_ids[3], record_ids[6]]
    assert day.remove([*gone, identifier(MOMENT + 99)], a_while()) == gone
    assert read(day) == {3: [], 2: record_ids[4:6], 1: record_ids[2:3], 0: record_ids[1:2]}
    assert day.remove(gone, a_while()) == []


def test_removing_what_is_not_there_writes_nothing() -> None:
    s3 = MemoryS3()
    day = day_in(s3.bucket())
    add(day, *ids_of(3))
    s3.requests.clear()
    assert day.remove([identifier(MOMENT + 99)], a_while()) == []
    assert [request.key for request in s3.requests if request.operation != "ListObjectsV2"] == [key(1)]
    assert s3.count("PutObject") == 0
    assert day_in(MemoryS3().bucket()).remove([identifier()], a_while()) == []


@pytest.mark.parametrize("kept", [0, 1])
def test_a_full_segment_that_shrank_stays_closed(kept: int) -> None:
    s3 = MemoryS3()
    day = day_in(s3.bucket())
    record_ids = ids_of(4)
    add(day, *record_ids[:2])
    day.remove(record_ids[kept:2], a_while())
    add(day, *record_ids[2:])
    assert read(day) == {1: record_ids[2:], 0: record_ids[:kept]}
    lines = s3.objects[key(0)].content.split(b"\n")
    assert [json.loads(one)["id"] for one in lines if one] == record_ids[:kept]


def test_an_open_segment_that_shrank_stays_open() -> None:
    day = day_in(MemoryS3().bucket())
    record_ids = ids_of(3)
    add(day, record_ids[0])
    day.remove([record_ids[0]], a_while())
    add(day, *record_ids[1:])
    assert read(day) == {0: record_ids[1:]}


def test_a_removal_that_shrank_a_segment_keeps_what_it_tells() -> None:
    day = day_in(MemoryS3().bucket())
    record_ids = ids_of(4)
    add(day, *record_ids)
    day.remove(record_ids[2:], a_while())
    assert segment(day, 1).after == record_ids[1]


def test_a_removal_that_was_overtaken_reads_again() -> None:
    s3 = MemoryS3()
    first, second = ids_of(2)
    add(day_in(s3.bucket(), SEGMENT_BYTES), first)
    overtaken = s3.bucket(before("PutObject", lambda: add(day_in(s3.bucket(), SEGMENT_BYTES), second)))
    assert day_in(overtaken, SEGMENT_BYTES).remove([first], a_while()) == [first]
    assert read(day_in(s3.bucket())) == {0: [second]}


def test_a_removal_that_failed_between_two_segments_goes_on() -> None:
    s3 = MemoryS3()
    record_ids = ids_of(4)
    add(day_in(s3.bucket()), *record_ids)
    puts = itertools.count()

    def fail_the_second() -> None:
        if next(puts) == 1:
            raise ANSWERS["503"]

    gate = before("PutObject", fail_the_second, times=9)
    assert day_in(s3.bucket(gate)).remove([record_ids[0], record_ids[3]], a_while()) == [record_ids[0], record_ids[3]]
    assert read(day_in(s3.bucket())) == {1: record_ids[2:3], 0: record_ids[1:2]}


# ---------------------------------------------------------------- deduplicate


def test_of_doubled_lines_one_is_kept() -> None:
    s3 = MemoryS3()
    day = day_in(s3.bucket())
    record_ids = ids_of(4)
    add(day, *record_ids)
    # Somebody else's tool did this.
    doubled = [line(record_ids[0]), line(record_ids[2]), line(record_ids[2])]
    s3.bucket().put(key(2), b"".join(dumps(one) + b"\n" for one in doubled), CONTENT_TYPE)
    assert day.deduplicate(a_while()) == [record_ids[0], record_ids[2]]
    assert sorted(one for ids in read(day).values() for one in ids) == record_ids
    s3.requests.clear()
    assert day.deduplicate(a_while()) == []
    assert s3.count("PutObject") == 0


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize(
    "damage",
    [b"{", b"7\n", b"[]\n", b"null\n", b"{}\n", b'{"id":"x"}\n', b'{"id":7}\n', b"\xff\n", b"[" * 9999, b"\n\n\n"],
)
def test_a_segment_that_cannot_be_read_is_left_as_it_is_and_not_waited_for(damage: bytes) -> None:
    s3 = MemoryS3()
    s3.bucket().put(key(0), damage, CONTENT_TYPE)
    day = day_in(s3.bucket())
    works: list[Callable[[], object]] = [
        lambda: day.append([line(identifier())], a_while()),
        lambda: day.remove([identifier()], a_while()),
        lambda: day.deduplicate(a_while()),
    ]
    for work in works:
        s3.requests.clear()
        with pytest.raises(UnreadableSegment):
            work()
        assert [request.operation for request in s3.requests] == ["ListObjectsV2", "GetObject"]
    assert s3.objects[key(0)].content == damage


def test_a_segment_that_an_operator_removed_is_passed_over() -> None:
    s3 = MemoryS3()
    day = day_in(s3.bucket())
    record_ids = ids_of(7)
    add(day, *record_ids[:6])
    for number in (0, 2):
        del s3.objects[key(number)]
    add(day, record_ids[6])
    assert read(day) == {2: record_ids[6:], 1: record_ids[2:4]}


# ---------------------------------------------------------------- cost


def filled(line_count: int) -> tuple[MemoryS3, Day, "Iterator[Line]"]:
    """A day of so many lines in segments of the real size, and lines that come after them."""
    s3 = MemoryS3()
    day = day_in(s3.bucket(), SEGMENT_BYTES)
    coming = (line(identifier(MOMENT + number // 100, number)) for number in itertools.count())
    day.append(list(itertools.islice(coming, line_count)), a_while())
    return s3, day, coming


def cost_of_appends(line_count: int, batch: int) -> tuple[set[tuple[str, ...]], float]:
    """The sequences of requests that appends to a day of so many lines take, and bytes per append over a segment."""
    s3, day, coming = filled(line_count)
    while not segment(day, day.numbers()[-1]).is_closed(SEGMENT_BYTES):
        day.append(list(itertools.islice(coming, batch)), a_while())
    first = len(day.numbers())
    sequences: set[tuple[str, ...]] = set()
    appends = moved = 0
    while len(day.numbers()) == first or not segment(day, day.numbers()[-1]).is_closed(SEGMENT_BYTES):
        s3.requests.clear()
        day.append(list(itertools.islice(coming, batch)), a_while())
        sequences.add(tuple(request.operation for request in s3.requests))
        appends += 1
        moved += s3.transferred()
    return sequences, moved / appends


def test_appending_to_a_long_day_costs_what_appending_to_a_short_one_does() -> None:
    short, long = cost_of_appends(1_000, 100), cost_of_appends(100_000, 100)
    assert short[0] == long[0] == {("ListObjectsV2", "GetObject", "PutObject")}
    assert long[1] <= 1.2 * short[1]

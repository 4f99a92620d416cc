from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import ids
from core.errors import ServiceUnavailable, Unprocessable
from generation import history as history_module
from generation import keys, records
from generation.history import KEYS_A_PAGE, History
from generation.providers import Deadline
from generation.segments import CONTENT_TYPE, SEGMENT_BYTES, Day, Segment
from image.service import SERVICE as IMAGE
from tests.unit.generation.memory_s3 import MemoryS3
from tests.unit.generation.samples import DAY, MOMENT, SIGNER, identifier, line
from tts.service import SERVICE as SPEECH

TODAY = date(2026, 11, 22)
USER = identifier(1_700_000_000_000)
# Two lines fill a segment.
SMALL = 400


@pytest.fixture
def s3() -> MemoryS3:
    return MemoryS3()


def add(s3: MemoryS3, record_ids: Iterable[str], segment_bytes: int = SEGMENT_BYTES) -> None:
    """Append lines one after the other."""
    for record_id in record_ids:
        day = ids.created_at(record_id).date()
        Day(IMAGE, s3.bucket(), USER, day, segment_bytes=segment_bytes).append([line(record_id)], Deadline(9))


def history(s3: MemoryS3) -> History:
    return History(IMAGE, s3.bucket(), USER)


def walk(s3: MemoryS3, limit: int, first: date = date.min, last: date = date.max) -> list[list[str]]:
    """The ids of all pages."""
    pages: list[list[str]] = []
    cursor = None
    while len(pages) < 100:
        page = history(s3).page(SIGNER, limit=limit, cursor=cursor, first_day=first, last_day=last)
        pages.append([line["id"] for line in page.lines])
        cursor = page.cursor
        if cursor is None:
            return pages
    raise AssertionError("the pages have no end")


def read(s3: MemoryS3, operation: str = "GetObject") -> list[str]:
    """The keys that were read, or listed, since the last time."""
    found = [request.key for request in s3.requests if request.operation == operation]
    s3.requests.clear()
    return found


def newest_first(record_ids: Iterable[str]) -> list[str]:
    return sorted(record_ids, reverse=True)


# ---------------------------------------------------------------- pages


def test_a_user_without_a_history_has_an_empty_page(s3: MemoryS3) -> None:
    page = history(s3).page(SIGNER, limit=20)
    assert (page.lines, page.cursor) == ([], None)


@pytest.mark.parametrize("segment_bytes", [1, SMALL, SEGMENT_BYTES])
def test_the_newest_comes_first_whatever_the_order_of_arrival(s3: MemoryS3, segment_bytes: int) -> None:
    record_ids = [identifier(MOMENT + offset) for offset in (0, 5, 2, -400 * DAY, DAY, 1, 4, 3)]
    add(s3, record_ids, segment_bytes)
    assert walk(s3, 10) == [newest_first(record_ids)]
    assert walk(s3, 1) == [[record_id] for record_id in newest_first(record_ids)]


def test_pages_have_neither_gaps_nor_duplicates(s3: MemoryS3) -> None:
    record_ids = [identifier(MOMENT - day * DAY, rest) for day in (0, 1, 30, 400) for rest in range(3)]
    add(s3, record_ids)
    for limit in (1, 2, 3, 4, 5, 11, 12, 13):
        pages = walk(s3, limit)
        assert [one for page in pages for one in page] == newest_first(record_ids)
        assert all(len(page) == limit for page in pages[:-1])
        assert pages[-1]


@pytest.mark.parametrize("segment_bytes", [1, SMALL, SEGMENT_BYTES])
def test_what_arrives_between_two_pages_does_not_move_them(s3: MemoryS3, segment_bytes: int) -> None:
    record_ids = [identifier(MOMENT, rest) for rest in range(8)]
    add(s3, record_ids, segment_bytes)
    first = history(s3).page(SIGNER, limit=3)
    add(s3, [identifier(MOMENT + number) for number in range(1, 4)], segment_bytes)
    second = history(s3).page(SIGNER, limit=5, cursor=first.cursor)
    assert [line["id"] for line in second.lines] == record_ids[4::-1]


def test_days_are_bounds_that_are_included(s3: MemoryS3) -> None:
    record_ids = [identifier(MOMENT + day * DAY) for day in range(5)]
    add(s3, record_ids)
    bound = {number: TODAY + timedelta(days=number) for number in range(-9, 9)}
    assert walk(s3, 20, bound[1], bound[3]) == [record_ids[3:0:-1]]
    assert walk(s3, 20, bound[2], bound[2]) == [[record_ids[2]]]
    assert walk(s3, 20, bound[3]) == [record_ids[:2:-1]]
    assert walk(s3, 20, last=bound[1]) == [record_ids[1::-1]]
    assert walk(s3, 20, bound[-5], bound[-1]) == [[]]


def test_days_at_the_ends_of_the_calendar_are_bounds_too(s3: MemoryS3) -> None:
    add(s3, [identifier()])
    assert walk(s3, 5, date.min, date.max) == [[identifier()]]
    assert walk(s3, 5, last=date.min) == [[]]
    assert walk(s3, 5, date.max) == [[]]


def test_a_cursor_goes_together_with_bounds(s3: MemoryS3) -> None:
    record_ids = [identifier(MOMENT + day * DAY) for day in range(6)]
    add(s3, record_ids)
    bounds = TODAY + timedelta(days=1), TODAY + timedelta(days=4)
    assert [one for page in walk(s3, 2, *bounds) for one in page] == record_ids[4:0:-1]


def test_services_and_users_do_not_see_each_other(s3: MemoryS3) -> None:
    add(s3, [identifier()])
    assert History(SPEECH, s3.bucket(), USER).page(SIGNER, limit=5).lines == []
    assert History(IMAGE, s3.bucket(), "anonymous").page(SIGNER, limit=5).lines == []


def test_a_cursor_of_another_users_history_is_refused(s3: MemoryS3) -> None:
    add(s3, [identifier(rest=rest) for rest in range(2)])
    cursor = history(s3).page(SIGNER, limit=1).cursor
    assert cursor
    for other in (History(IMAGE, s3.bucket(), "anonymous"), History(SPEECH, s3.bucket(), USER)):
        with pytest.raises(Unprocessable):
            other.page(SIGNER, limit=1, cursor=cursor)


@pytest.mark.parametrize("damage", [b"{", b"7\n", b"{}\n", b'{"id":"x"}\n'])
def test_a_history_that_cannot_be_read_is_unavailable(s3: MemoryS3, damage: bytes) -> None:
    s3.bucket().put(keys.history_segment(IMAGE, USER, TODAY, 0), damage, "application/x-ndjson")
    with pytest.raises(ServiceUnavailable):
        history(s3).page(SIGNER, limit=1)


def test_what_is_not_a_segment_is_passed_over(s3: MemoryS3) -> None:
    add(s3, [identifier()])
    for name in ("index.html", "old/x", "2026/README", "2026/11/22.jsonl.bak", "2026/xx/22.jsonl"):
        s3.bucket().put(keys.history_prefix(IMAGE, USER) + name, b"?", "text/plain")
    assert walk(s3, 5) == [[identifier()]]


MILLISECONDS = (
    st.integers(MOMENT, MOMENT + 9) | st.integers(MOMENT - 3 * DAY, MOMENT + 3 * DAY) | st.integers(0, 10**14)
)
BOUNDS = st.none() | st.dates(TODAY - timedelta(days=4), TODAY + timedelta(days=4))
RECORD_IDS = st.lists(st.builds(identifier, MILLISECONDS, st.integers(0, 3)), max_size=14)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    record_ids=RECORD_IDS,
    removed=st.sets(st.integers(0, 13), max_size=5),
    segment_bytes=st.sampled_from([1, SMALL, 1500]),
    limit=st.integers(1, 6),
    first=BOUNDS,
    last=BOUNDS,
)
def test_paging_agrees_with_a_sorted_list(
    record_ids: list[str], removed: set[int], segment_bytes: int, limit: int, first: date | None, last: date | None
) -> None:
    s3 = MemoryS3(page_size=3)
    add(s3, record_ids, segment_bytes)
    gone = {record_id for place, record_id in enumerate(record_ids) if place in removed}
    for record_id in gone:
        day = Day(IMAGE, s3.bucket(), USER, ids.created_at(record_id).date(), segment_bytes=segment_bytes)
        assert day.remove([record_id], Deadline(9)) == [record_id]
    first, last = first or date.min, last or date.max
    pages = walk(s3, limit, first, last)
    expected = (one for one in {*record_ids} - gone if first <= ids.created_at(one).date() <= last)
    assert [one for page in pages for one in page] == newest_first(expected)
    assert all(len(page) == limit for page in pages[:-1])


# ---------------------------------------------------------------- cost


def test_only_the_days_that_a_page_needs_are_read(s3: MemoryS3) -> None:
    add(s3, [identifier(MOMENT - day * DAY, rest) for day in range(40) for rest in range(2)])
    days = [keys.history_segment(IMAGE, USER, TODAY - timedelta(days=day), 0) for day in range(3)]
    s3.requests.clear()
    first = history(s3).page(SIGNER, limit=3)
    assert s3.count("ListObjectsV2") == 1
    # Two days for the page's three lines, one of the second day's being the proof that there are more.
    assert read(s3) == days[:2]
    history(s3).page(SIGNER, limit=2, cursor=first.cursor)
    assert read(s3) == days[1:]


def test_of_more_days_than_a_page_of_keys_holds_those_outside_the_bounds_are_not_listed(s3: MemoryS3) -> None:
    for day in range(KEYS_A_PAGE):
        record_id = identifier(MOMENT - day * DAY)
        segment = keys.history_segment(IMAGE, USER, ids.created_at(record_id).date(), 0)
        s3.bucket().put(segment, records.dumps(line(record_id)) + b"\n", CONTENT_TYPE)
    s3.requests.clear()
    page = history(s3).page(SIGNER, limit=50, first_day=date(2024, 12, 31), last_day=date(2025, 1, 1))
    assert len(page.lines) == 2
    prefix = keys.history_prefix(IMAGE, USER)
    assert read(s3, "ListObjectsV2") == [
        prefix, prefix, f"{prefix}2025/", f"{prefix}2025/01/", f"{prefix}2024/", f"{prefix}2024/12/",
    ]  # fmt: skip
    s3.requests.clear()
    assert len(history(s3).page(SIGNER, limit=20).lines) == 20
    assert s3.count("ListObjectsV2") == 4  # all, years, months of the year, days of the month


def test_only_the_lines_of_the_page_are_read(s3: MemoryS3, monkeypatch: pytest.MonkeyPatch) -> None:
    add(s3, [identifier(MOMENT + number) for number in range(100)])
    parsed: list[bytes] = []
    parse = history_module.line_of
    monkeypatch.setattr(history_module, "line_of", lambda content: parsed.append(content) or parse(content))
    monkeypatch.setattr(Segment, "lines", None)
    assert len(history(s3).page(SIGNER, limit=20).lines) == 20
    assert len(parsed) == 20


def test_an_empty_year_costs_one_request(s3: MemoryS3) -> None:
    add(s3, [identifier(int(datetime(year, 6, 1, tzinfo=UTC).timestamp() * 1000)) for year in (2020, 2024)])
    s3.requests.clear()
    page = history(s3).page(SIGNER, limit=50, first_day=date(2022, 1, 1), last_day=date(2022, 12, 31))
    assert page.lines == []
    assert [request.operation for request in s3.requests] == ["ListObjectsV2"]


def test_a_history_of_nothing_costs_one_request_whatever_the_years(s3: MemoryS3) -> None:
    assert walk(s3, 50) == [[]]
    assert [request.operation for request in s3.requests] == ["ListObjectsV2"]


def test_a_page_reads_at_most_two_segments_of_a_day_in_order(s3: MemoryS3) -> None:
    record_ids = [identifier(MOMENT + number) for number in range(31)]
    add(s3, record_ids, segment_bytes=1500)
    assert len(s3.objects) == 6
    cursor = None
    for _page in range(8):
        s3.requests.clear()
        page = history(s3).page(SIGNER, limit=4, cursor=cursor)
        cursor = page.cursor
        assert len(page.lines) == 4 or cursor is None
        assert 1 <= len(read(s3)) <= 2
    assert cursor is None


def test_a_page_that_ends_with_its_segment_does_not_read_it_again(s3: MemoryS3) -> None:
    add(s3, [identifier(MOMENT + number) for number in range(6)], SMALL)
    cursor = history(s3).page(SIGNER, limit=2).cursor
    s3.requests.clear()
    history(s3).page(SIGNER, limit=1, cursor=cursor)
    assert read(s3) == [keys.history_segment(IMAGE, USER, TODAY, 1)]


def cost_of_pages(line_count: int) -> list[tuple[list[str], int]]:
    """The requests and the bytes of each of the first pages of a day that has so many lines and ends with a segment."""
    s3 = MemoryS3()
    day = Day(IMAGE, s3.bucket(), USER, TODAY)
    lines = (line(identifier(MOMENT + number // 100, number)) for number in range(line_count))
    day.append(list(lines), Deadline(60))
    costs = []
    cursor = None
    for _page in range(5):
        s3.requests.clear()
        cursor = history(s3).page(SIGNER, limit=100, cursor=cursor).cursor
        costs.append(([request.operation for request in s3.requests], s3.transferred()))
    return costs


def test_a_page_of_a_long_day_costs_what_one_of_a_short_day_does() -> None:
    short, long = cost_of_pages(4_000), cost_of_pages(100_000)
    one_segment = ["ListObjectsV2", "GetObject"]
    for operations, moved in (*short, *long):
        assert operations in (one_segment, [*one_segment, "GetObject"])
        assert moved <= 2.4 * SEGMENT_BYTES

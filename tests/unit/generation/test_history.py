import base64
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import ids
from core.errors import ServiceUnavailable, Unprocessable
from generation import history, keys
from generation.history import History
from generation.records import dumps
from generation.services import IMAGE, SPEECH
from generation.storage import Bucket
from tests.unit.generation.samples import DAY, MOMENT, identifier, line
from tests.unit.stand_ins import Watch

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TODAY = date(2026, 11, 22)
USER = identifier(1_700_000_000_000)
_users = count()


@pytest.fixture
def index(bucket: Bucket) -> History:
    return History(IMAGE, bucket)


@pytest.fixture
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_BACKOFF_SECONDS", 0.0)


def day_of(record_id: str) -> date:
    return ids.created_at(record_id).date()


def add(index: History, record_ids: Sequence[str], user_id: str = USER) -> None:
    for (owner, day), lines in history.group((user_id, line(record_id)) for record_id in record_ids).items():
        index.append(owner, day, lines)


def content(bucket: Bucket, day: date = TODAY, user_id: str = USER) -> bytes:
    stored = bucket.get(keys.history_object(IMAGE, user_id, day))
    assert stored is not None
    return stored.content


def walk(index: History, limit: int, first: date | None = None, last: date | None = None) -> list[list[str]]:
    """The ids of all pages."""
    pages = []
    cursor = None
    while True:
        page = index.page(USER, limit=limit, cursor=cursor, first_day=first, last_day=last)
        pages.append([line["id"] for line in page.lines])
        cursor = page.cursor
        if cursor is None:
            return pages


# ---------------------------------------------------------------- append


def test_lines_are_appended_as_json_lines(index: History, bucket: Bucket, s3: "S3Client") -> None:
    first, second = line(identifier(rest=1)), line(identifier(rest=2))
    assert index.append(USER, TODAY, [first]) == 1
    assert index.append(USER, TODAY, [second]) == 1
    assert content(bucket) == dumps(first) + b"\n" + dumps(second) + b"\n"
    head = s3.head_object(Bucket=bucket.name, Key=keys.history_object(IMAGE, USER, TODAY))
    assert head["ContentType"] == "application/x-ndjson"


def test_a_line_that_is_there_is_not_added_again(index: History, bucket: Bucket, watch: Watch) -> None:
    known, fresh = line(identifier(rest=1)), line(identifier(rest=2))
    index.append(USER, TODAY, [known, known])
    assert content(bucket).count(b"\n") == 1
    assert index.append(USER, TODAY, [known, fresh, fresh]) == 1
    assert content(bucket).count(b"\n") == 2
    watch.calls.clear()
    assert index.append(USER, TODAY, [known, fresh]) == 0
    assert watch.keys("PutObject") == []


def test_racing_writers_lose_no_line(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_BACKOFF_SECONDS", 0.005)
    lines = [line(identifier(rest=number)) for number in range(16)]
    with ThreadPoolExecutor(16) as writers:
        added = list(writers.map(lambda one: History(IMAGE, bucket).append(USER, TODAY, [one]), lines))
    assert added == [1] * 16
    written = content(bucket).splitlines()
    assert sorted(written) == sorted(dumps(one) for one in lines)


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize(("status", "code"), [(412, "PreconditionFailed"), (409, "ConditionalRequestConflict")])
def test_a_lost_race_is_run_again_with_what_is_there_now(
    index: History, bucket: Bucket, watch: Watch, status: int, code: str
) -> None:
    watch.answer("PutObject", status, code, times=3)
    assert index.append(USER, TODAY, [line(identifier())]) == 1
    assert len(watch.keys("GetObject")) == 4
    assert content(bucket).count(b"\n") == 1


@pytest.mark.usefixtures("_no_waiting")
def test_a_writer_that_loses_every_race_gives_up(index: History, watch: Watch) -> None:
    watch.answer("PutObject", 412, "PreconditionFailed", times=100)
    with pytest.raises(ServiceUnavailable):
        index.append(USER, TODAY, [line(identifier())])
    assert 5 <= len(watch.keys("PutObject")) <= 20


def test_a_failure_of_storage_is_not_taken_for_a_lost_race(index: History, watch: Watch) -> None:
    watch.answer("PutObject", 503, "SlowDown")
    with pytest.raises(ServiceUnavailable):
        index.append(USER, TODAY, [line(identifier())])
    assert len(watch.keys("PutObject")) == 1


@pytest.mark.parametrize("damage", [b"{", b"7\n", b"{}\n", b'{"id":"x"}\n', b'{"id":7}\n', b"\xff\n", b"[" * 9999])
def test_an_index_file_that_cannot_be_read_is_left_as_it_is(index: History, bucket: Bucket, damage: bytes) -> None:
    bucket.put(keys.history_object(IMAGE, USER, TODAY), damage, "application/x-ndjson")
    with pytest.raises(ServiceUnavailable):
        index.append(USER, TODAY, [line(identifier())])
    with pytest.raises(ServiceUnavailable):
        index.page(USER, limit=1)
    assert content(bucket) == damage


def test_the_wait_after_a_lost_race_grows_and_has_an_end() -> None:
    assert max(history._backoff(0) for _ in range(100)) <= 0.02
    assert max(history._backoff(50) for _ in range(100)) <= 1.0
    assert max(history._backoff(6) for _ in range(200)) > 0.1


def test_lines_are_grouped_by_user_and_day() -> None:
    today, tomorrow = identifier(), identifier(MOMENT + DAY)
    groups = history.group([("a", line(today)), ("b", line(today)), ("a", line(tomorrow)), ("a", line(today))])
    assert {key: [line["id"] for line in lines] for key, lines in groups.items()} == {
        ("a", TODAY): [today, today],
        ("b", TODAY): [today],
        ("a", TODAY + timedelta(days=1)): [tomorrow],
    }


# ---------------------------------------------------------------- page


def test_a_user_without_a_history_has_an_empty_page(index: History) -> None:
    page = index.page(USER, limit=20)
    assert (page.lines, page.cursor) == ([], None)


def test_the_newest_comes_first_whatever_the_order_of_arrival(index: History) -> None:
    record_ids = [identifier(MOMENT + offset) for offset in (0, 5, 2, -400 * DAY, DAY, 1)]
    add(index, record_ids)
    assert walk(index, 10) == [sorted(record_ids, reverse=True)]


def test_pages_have_neither_gaps_nor_duplicates(index: History) -> None:
    record_ids = [identifier(MOMENT - day * DAY, rest) for day in (0, 1, 30, 400) for rest in range(3)]
    add(index, record_ids)
    expected = sorted(record_ids, reverse=True)
    for limit in (1, 2, 3, 4, 5, 11, 12, 13):
        pages = walk(index, limit)
        assert [one for page in pages for one in page] == expected
        assert all(len(page) == limit for page in pages[:-1])
        assert pages[-1]


def test_what_arrives_between_two_pages_does_not_move_them(index: History) -> None:
    record_ids = [identifier(MOMENT, rest) for rest in range(4)]
    add(index, record_ids)
    first = index.page(USER, limit=2)
    add(index, [identifier(MOMENT + 1)])
    second = index.page(USER, limit=2, cursor=first.cursor)
    assert [line["id"] for line in second.lines] == record_ids[1::-1]


def test_days_are_bounds_that_are_included(index: History) -> None:
    record_ids = [identifier(MOMENT + day * DAY) for day in range(5)]
    add(index, record_ids)

    def days(first: int | None, last: int | None) -> list[str]:
        bound = {number: TODAY + timedelta(days=number) for number in range(-9, 9)}
        pages = walk(
            index,
            20,
            bound[first] if first is not None else None,
            bound[last] if last is not None else None,
        )
        return pages[0]

    assert days(1, 3) == record_ids[3:0:-1]
    assert days(2, 2) == [record_ids[2]]
    assert days(3, None) == record_ids[:2:-1]
    assert days(None, 1) == record_ids[1::-1]
    assert days(-5, -1) == []


def test_days_at_the_ends_of_the_calendar_are_bounds_too(index: History) -> None:
    record_id = identifier()
    add(index, [record_id])
    assert walk(index, 5, date.min, date.max) == [[record_id]]
    assert walk(index, 5, None, date.min) == [[]]
    assert walk(index, 5, date.max, None) == [[]]


def test_a_cursor_goes_together_with_bounds(index: History) -> None:
    record_ids = [identifier(MOMENT + day * DAY) for day in range(6)]
    add(index, record_ids)
    bounds = TODAY + timedelta(days=1), TODAY + timedelta(days=4)
    assert [one for page in walk(index, 2, *bounds) for one in page] == record_ids[4:0:-1]


MILLISECONDS = st.integers(MOMENT - 3 * DAY, MOMENT + 3 * DAY) | st.integers(0, 253_402_300_799_999)
DAYS = st.none() | st.dates(TODAY - timedelta(days=4), TODAY + timedelta(days=4))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    record_ids=st.lists(st.builds(identifier, MILLISECONDS, st.integers(0, 3)), max_size=10),
    limit=st.integers(1, 6),
    first=DAYS,
    last=DAYS,
)
def test_paging_agrees_with_a_sorted_list(
    s3: "S3Client", bucket: Bucket, record_ids: list[str], limit: int, first: date | None, last: date | None
) -> None:
    user_id = f"user-{next(_users)}"
    index = History(IMAGE, bucket)
    add(index, record_ids, user_id)
    expected = sorted(
        (one for one in set(record_ids) if (first or date.min) <= day_of(one) <= (last or date.max)), reverse=True
    )
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = index.page(user_id, limit=limit, cursor=cursor, first_day=first, last_day=last)
        assert len(page.lines) <= limit
        found += [line["id"] for line in page.lines]
        cursor = page.cursor
        if cursor is None:
            break
        assert len(page.lines) == limit
    assert found == expected


def test_services_and_users_do_not_see_each_other(index: History, bucket: Bucket) -> None:
    add(index, [identifier()])
    assert History(SPEECH, bucket).page(USER, limit=5).lines == []
    assert index.page("anonymous", limit=5).lines == []


# ---------------------------------------------------------------- only what is needed


def test_only_the_files_that_a_page_needs_are_read(index: History, bucket: Bucket, watch: Watch) -> None:
    record_ids = [identifier(MOMENT - day * DAY, rest) for day in range(40) for rest in range(2)]
    add(index, record_ids)
    watch.calls.clear()
    first = index.page(USER, limit=3)
    # Two days for the page's three lines, one of the second day's being the proof that there are more.
    assert watch.keys("GetObject") == [
        keys.history_object(IMAGE, USER, TODAY - timedelta(days=day)) for day in range(2)
    ]
    assert len(watch.keys("ListObjectsV2")) == 2

    watch.calls.clear()
    index.page(USER, limit=2, cursor=first.cursor)
    assert watch.keys("GetObject") == [
        keys.history_object(IMAGE, USER, TODAY - timedelta(days=day)) for day in range(1, 3)
    ]


def test_years_outside_the_bounds_are_not_listed(index: History, watch: Watch) -> None:
    add(index, [identifier(int(datetime(year, 6, 1, tzinfo=UTC).timestamp() * 1000)) for year in range(2020, 2027)])
    watch.calls.clear()
    page = index.page(USER, limit=50, first_day=date(2022, 1, 1), last_day=date(2023, 12, 31))
    assert len(page.lines) == 2
    assert [prefix.split("/")[-2] for prefix in watch.keys("ListObjectsV2")] == ["history", "2023", "2022"]
    assert len(watch.keys("GetObject")) == 2


# ---------------------------------------------------------------- cursors


def test_a_cursor_is_short_and_safe_in_a_url(index: History) -> None:
    add(index, [identifier(rest=rest) for rest in range(2)])
    cursor = index.page(USER, limit=1).cursor
    assert cursor is not None
    assert len(cursor) == 22
    assert cursor.replace("-", "").replace("_", "").isalnum()


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "====",
        "null",
        "0",
        identifier(),
        "é" * 22,
        "A" * 22,
        "A" * 100_000,
        "+" * 22,
        "\0",
        " ",
        encoded(b"\xff" * 16),
        encoded(b"x" * 15),
        encoded(b"x" * 17),
        encoded(bytes.fromhex(identifier().replace("-", ""))) + "=",
        encoded(bytes.fromhex(identifier().replace("-", ""))) + "\n",
    ],
)
def test_a_cursor_that_is_not_ours_is_refused(index: History, cursor: str) -> None:
    with pytest.raises(Unprocessable) as caught:
        index.page(USER, limit=5, cursor=cursor)
    assert [error.field for error in caught.value.errors] == ["cursor"]


@given(st.text(max_size=30))
def test_no_text_breaks_the_cursor(text: str) -> None:
    try:
        record_id = history._decode_cursor(text)
    except Unprocessable:
        return
    assert history._encode_cursor(record_id) == text

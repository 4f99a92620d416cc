"""The function behind `make verify-index` and `make reindex`."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from core import ids
from generation import keys, records
from generation.services import Service
from generation.storage import open_bucket
from image.service import SERVICE as IMAGE
from ops import reindex
from tests import events
from tests.services import SERVICES
from tests.unit.conftest import Log
from tests.unit.generation.samples import DAY, identifier, record_of
from tests.unit.stand_ins import ANA, BEN

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKETS = {service: f"llmhist-{service.name}-reindex" for service in SERVICES}
NOTHING: dict[str, Any] = {
    "records": 0, "lines": 0, "missing": [], "doubled": [], "orphaned": [], "differing": [], "unreadable": [],
}  # fmt: skip
OWNERS = (ANA.sub, BEN.sub, keys.ANONYMOUS)
# A time whose events have come.
PAST = int((datetime.now(UTC) - timedelta(days=400)).timestamp() * 1000) // DAY * DAY


@pytest.fixture(autouse=True)
def _buckets(s3: "S3Client", monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for service, name in BUCKETS.items():
        s3.create_bucket(Bucket=name)
        monkeypatch.setenv(f"{service.name.upper()}_BUCKET", name)
    yield
    for name in BUCKETS.values():
        for item in s3.list_objects_v2(Bucket=name).get("Contents", []):
            s3.delete_object(Bucket=name, Key=item["Key"])
        s3.delete_bucket(Bucket=name)


HURRIED = events.Context(remaining_ms=reindex.LEAST_MILLISECONDS - 1)
LEISURELY = events.Context(remaining_ms=900_000)


def ask(context: events.Context = LEISURELY, /, **order: Any) -> dict[str, Any]:
    wanted = {"service": "image", "from": day(0), "to": day(0)} | order
    return reindex.handler(wanted, context)


def day(number: int) -> str:
    return str(ids.created_at(identifier(PAST + number * DAY)).date())


def record(service: Service, number: int = 0, owner: str = ANA.sub) -> str:
    """Store a record of a day; returns its id."""
    record_id = identifier(PAST + number * DAY, OWNERS.index(owner))
    content = records.dumps({**record_of(service, record_id), "userId": owner, "username": owner})
    open_bucket(BUCKETS[service]).put(keys.record_object(record_id), content, "application/json")
    return record_id


@pytest.mark.parametrize("service", BUCKETS, ids=lambda service: service.name)
def test_each_service_is_compared_and_repaired_in_its_bucket(service: Service) -> None:
    record_id = record(service)
    answer = {"from": day(0), "to": day(0), "next": None, **NOTHING}
    missing = {**answer, "records": 1, "missing": [record_id]}
    assert ask(service=service.name) == missing
    assert ask(service=service.name, repair=True) == missing
    assert ask(service=service.name, repair=True) == {**answer, "records": 1, "lines": 1}
    for other in set(BUCKETS) - {service}:
        assert ask(service=other.name) == answer


def test_the_days_of_a_range_are_added_up() -> None:
    record_ids = [record(IMAGE, number) for number in (-1, 0, 1, 2, 3)]
    answer = ask(to=day(2))
    assert answer["missing"] == record_ids[1:4]
    assert (answer["from"], answer["to"], answer["next"]) == (day(0), day(2), None)


def test_when_the_time_is_short_one_day_is_done_and_the_next_is_told() -> None:
    record_ids = [record(IMAGE, number) for number in range(3)]
    found: list[str] = []
    following: str | None = day(0)
    answers = []
    while following:
        answer = ask(HURRIED, to=day(2), **{"from": following})
        answers.append((answer["from"], answer["to"], answer["next"]))
        found += answer["missing"]
        following = answer["next"]
    assert found == record_ids
    assert answers == [(day(0), day(0), day(1)), (day(1), day(1), day(2)), (day(2), day(2), None)]


def test_one_user_may_be_asked_for() -> None:
    mine, theirs = record(IMAGE), record(IMAGE, owner=BEN.sub)
    anonymous = record(IMAGE, owner=keys.ANONYMOUS)
    assert ask(user=ANA.sub)["missing"] == [mine]
    assert ask(user=keys.ANONYMOUS, repair=True)["missing"] == [anonymous]
    assert ask()["missing"] == [mine, theirs]


def test_how_long_events_may_take_may_be_said() -> None:
    assert ask()["records"] == 0
    record(IMAGE)
    assert ask(graceSeconds=500 * 86_400)["missing"] == []
    assert len(ask(graceSeconds=0)["missing"]) == 1


@pytest.mark.parametrize("year", ["0001-01-01", "9999-12-31"])
def test_the_ends_of_the_calendar_are_days_like_others(year: str) -> None:
    answer = ask(**{"from": year, "to": year})
    assert answer == {"from": year, "to": year, "next": None, **NOTHING}


@pytest.mark.parametrize(
    "order",
    [
        {"service": "users"}, {"service": None}, {"from": "yesterday"}, {"from": None}, {"to": "2026-02-30"},
        {"from": "2026-01-02", "to": "2026-01-01"}, {"user": "../anonymous"}, {"user": ""}, {"graceSeconds": -1},
        {"graceSeconds": "x"}, {"repair": "perhaps"}, {"days": 3},
    ],
    ids=str,
)  # fmt: skip
def test_an_order_that_is_not_valid_changes_nothing(order: dict[str, Any]) -> None:
    record(IMAGE)
    with pytest.raises(ValidationError):
        ask(**{"repair": True} | order)
    assert list(open_bucket(BUCKETS[IMAGE]).keys("users/")) == []


def test_each_day_is_told_in_the_log(log: Log) -> None:
    record(IMAGE)
    ask(to=day(1))
    told = [(line["service"], line["day"], line["records"], line["clean"]) for line in log.of("audited")]
    assert told == [("image", day(0), 1, False), ("image", day(1), 0, True)]

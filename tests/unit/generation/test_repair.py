from collections.abc import Callable
from datetime import date, timedelta

import pytest

from core import times
from core.errors import ServiceUnavailable
from generation import keys, records
from generation.library import Library
from generation.providers import Deadline
from generation.records import Line, dumps
from generation.repair import GRACE, Auditor, Findings
from generation.storage import Bucket
from generation.tombstones import Tombstone
from image.service import SERVICE as IMAGE
from tests.unit.generation.memory_s3 import MemoryS3
from tests.unit.generation.samples import DAY, MOMENT, SIGNER, identifier, image_record, line
from tests.unit.generation.test_segments import before
from tests.unit.stand_ins import ANA, BEN

TODAY = date(2026, 11, 22)
SMALL = 400
IDS = [identifier(MOMENT + number) for number in range(7)]
KINDS = ("missing", "doubled", "orphaned", "differing", "unreadable")


class World:
    """Ana's day, as it should be: a record and a line of each id."""

    def __init__(self) -> None:
        self.s3 = MemoryS3()
        self.bucket = self.s3.bucket()
        self.library = Library(IMAGE, self.bucket, lambda: SIGNER, SMALL)
        for record_id in IDS:
            self.record(record_id)
            self.append(record_id)

    def record(self, record_id: str, owner: str = ANA.sub) -> None:
        content = records.dumps(image_record(record_id, userId=owner, username=owner))
        self.bucket.put(keys.record_object(record_id), content, "application/json")

    def append(self, record_id: str, owner: str = ANA.sub, **changes: object) -> None:
        changed: Line = {**line(record_id), **changes}  # type: ignore[typeddict-item]
        self.library.day(owner, TODAY).append([changed], Deadline(9))

    def lines(self, owner: str = ANA.sub) -> list[Line]:
        day = self.library.day(owner, TODAY)
        return [line for segment in day.newest_first(day.numbers()) for line in segment.lines]

    def audit(
        self,
        *,
        repair: bool = False,
        user_id: str | None = None,
        after: timedelta = timedelta(days=1),
        bucket: Bucket | None = None,
    ) -> Findings:
        """Audit so long after the moment at which the records were made."""
        moment = times.at_millisecond(MOMENT) + after
        auditor = Auditor(IMAGE, bucket or self.bucket, clock=lambda: moment, segment_bytes=SMALL)
        return auditor.audit(TODAY, user_id=user_id, repair=repair)

    def writes(self) -> int:
        return self.s3.count("PutObject") + self.s3.count("DeleteObject")


@pytest.fixture
def world() -> World:
    return World()


def wrong(findings: Findings) -> dict[str, list[str]]:
    return {kind: found for kind in KINDS if (found := getattr(findings, kind))}


def lose_a_line(world: World) -> None:
    world.library.day(ANA.sub, TODAY).remove([IDS[2]], Deadline(9))


def double_a_line(world: World) -> None:
    last = world.library.day(ANA.sub, TODAY).numbers()[-1]
    key = keys.history_segment(IMAGE, ANA.sub, TODAY, last)
    content = world.s3.objects[key].content + dumps(line(IDS[2])) + b"\n"
    world.bucket.put(key, content, "application/x-ndjson")


def lose_a_record(world: World) -> None:
    world.bucket.delete(keys.record_object(IDS[2]))


def take_a_line_from_another(world: World) -> None:
    world.append(IDS[2], BEN.sub)


def change_a_line(world: World) -> None:
    world.library.day(ANA.sub, TODAY).remove([IDS[2]], Deadline(9))
    world.append(IDS[2], prompt="something else")


DAMAGES: dict[str, Callable[[World], None]] = {
    "missing": lose_a_line,
    "doubled": double_a_line,
    "orphaned": lose_a_record,
    "differing": change_a_line,
}


def test_nothing_is_found_and_nothing_changes_when_nothing_is_wrong(world: World) -> None:
    before = dict(world.s3.objects)
    world.s3.requests.clear()
    for repair in (False, True):
        findings = world.audit(repair=repair)
        assert findings.is_clean
        assert (findings.records, findings.lines) == (7, 7)
    assert world.writes() == 0
    assert world.s3.objects == before


@pytest.mark.parametrize("kind", DAMAGES)
def test_what_is_wrong_is_found_and_left_as_it_is(world: World, kind: str) -> None:
    DAMAGES[kind](world)
    world.s3.requests.clear()
    findings = world.audit()
    assert wrong(findings) == {kind: [IDS[2]]}
    assert not findings.is_clean
    assert world.writes() == 0


@pytest.mark.parametrize("kind", DAMAGES)
def test_what_is_wrong_is_repaired_once(world: World, kind: str) -> None:
    DAMAGES[kind](world)
    assert wrong(world.audit(repair=True)) == {kind: [IDS[2]]}
    present = [IDS[2]] if kind != "orphaned" else []
    assert sorted(one["id"] for one in world.lines()) == sorted({*IDS} - {IDS[2]} | {*present})
    assert all(one == line(one["id"]) for one in world.lines())
    world.s3.requests.clear()
    assert world.audit(repair=True).is_clean
    assert world.writes() == 0


def test_everything_at_once_is_repaired(world: World) -> None:
    for damage in DAMAGES.values():
        damage(world)
    world.record(IDS[2])
    take_a_line_from_another(world)
    world.audit(repair=True)
    assert world.audit().is_clean
    assert sorted(one["id"] for one in world.lines()) == IDS
    assert world.lines(BEN.sub) == []


def test_a_line_in_anothers_history_is_orphaned(world: World) -> None:
    take_a_line_from_another(world)
    assert wrong(world.audit()) == {"orphaned": [IDS[2]]}
    assert world.audit(user_id=ANA.sub).is_clean
    assert wrong(world.audit(user_id=BEN.sub, repair=True)) == {"orphaned": [IDS[2]]}
    assert world.lines(BEN.sub) == []
    assert len(world.lines()) == 7


def test_the_days_lines_are_rebuilt_from_its_records(world: World) -> None:
    before = sorted(world.lines(), key=lambda one: one["id"])
    for key in list(world.bucket.keys("users/")):
        world.bucket.delete(key)
    assert wrong(world.audit(repair=True)) == {"missing": IDS}
    assert sorted(world.lines(), key=lambda one: one["id"]) == before


def test_one_user_is_repaired_and_the_others_are_left(world: World) -> None:
    other = identifier(MOMENT + 99)
    world.record(other, BEN.sub)
    lose_a_line(world)
    assert wrong(world.audit(user_id=ANA.sub, repair=True)) == {"missing": [IDS[2]]}
    assert wrong(world.audit()) == {"missing": [other]}


def test_another_day_is_left(world: World) -> None:
    tomorrow = identifier(MOMENT + DAY)
    world.record(tomorrow)
    assert world.audit().is_clean
    # Ten seconds must pass before anything is missing.
    auditor = Auditor(IMAGE, world.bucket, clock=lambda: times.at_millisecond(MOMENT + DAY))
    assert wrong(auditor.audit(TODAY + timedelta(days=1))) == {}
    auditor = Auditor(IMAGE, world.bucket, clock=lambda: times.at_millisecond(MOMENT + 2 * DAY))
    assert wrong(auditor.audit(TODAY + timedelta(days=1))) == {"missing": [tomorrow]}


# ---------------------------------------------------------------- while the platform runs


def test_a_record_whose_event_may_still_come_is_not_missing(world: World) -> None:
    lose_a_line(world)
    assert world.audit(after=GRACE, repair=True).is_clean
    assert len(world.lines()) == 6
    assert wrong(world.audit(after=GRACE + timedelta(milliseconds=2), repair=True)) == {"missing": [IDS[2]]}
    assert len(world.lines()) == 7


def test_a_line_of_a_record_that_was_deleted_a_moment_ago_is_not_orphaned(world: World) -> None:
    deleted = times.at_millisecond(MOMENT) + timedelta(days=1)
    Tombstone(IDS[2], ANA.sub, deleted).write(world.bucket)
    world.bucket.delete(keys.record_object(IDS[2]))
    assert world.audit(after=timedelta(days=1), repair=True).is_clean
    assert len(world.lines()) == 7
    assert wrong(world.audit(after=timedelta(days=1) + GRACE, repair=True)) == {"orphaned": [IDS[2]]}
    assert len(world.lines()) == 6


def test_a_record_that_comes_while_it_is_looked_for_is_not_orphaned(world: World) -> None:
    lose_a_record(world)
    meddling = world.s3.bucket(before("ListObjectsV2", lambda: world.record(IDS[2]), times=9))
    late = world.s3.bucket(before("GetObject", lambda: world.record(IDS[2]), times=99))
    assert world.audit(bucket=meddling).is_clean
    lose_a_record(world)
    assert world.audit(bucket=late, repair=True).is_clean
    assert len(world.lines()) == 7


def test_a_record_that_goes_while_its_line_is_missed_is_not_missing(world: World) -> None:
    lose_a_line(world)
    segment = keys.history_segment(IMAGE, ANA.sub, TODAY, 0)

    def lose_the_record() -> None:
        if [request.key for request in world.s3.requests][-1] == segment:
            lose_a_record(world)

    world.s3.requests.clear()
    meddling = world.s3.bucket(before("GetObject", lose_the_record, times=99))
    assert world.audit(bucket=meddling, repair=True).is_clean
    assert len(world.lines()) == 6


def test_a_record_that_goes_while_its_line_is_repaired_leaves_no_line(world: World) -> None:
    lose_a_line(world)
    world.audit(bucket=world.s3.bucket(before("PutObject", lambda: lose_a_record(world))), repair=True)
    assert IDS[2] not in [one["id"] for one in world.lines()]


# ---------------------------------------------------------------- what cannot be read


def test_a_record_that_is_not_valid_is_told_and_its_line_is_left(world: World) -> None:
    world.bucket.put(keys.record_object(IDS[2]), b"{}", "application/json")
    world.bucket.put(keys.record_object(identifier(MOMENT + 50)), b"[", "application/json")
    world.s3.requests.clear()
    findings = world.audit(repair=True)
    assert wrong(findings) == {"unreadable": [IDS[2], identifier(MOMENT + 50)]}
    assert world.writes() == 0


def test_what_is_not_a_record_is_passed_over(world: World) -> None:
    for name in ("input.json", "image/original.png", "record.json.bak", "x/record.json"):
        world.bucket.put(f"{keys.folder(IDS[0])}/{name}", b"?", "text/plain")
    world.bucket.put("requests/2026/11/22/notes.txt", b"?", "text/plain")
    assert world.audit().is_clean


def test_a_segment_that_cannot_be_read_ends_the_audit_and_may_be_removed_and_rebuilt(world: World) -> None:
    key = keys.history_segment(IMAGE, ANA.sub, TODAY, 1)
    world.bucket.put(key, b"damaged", "text/plain")
    with pytest.raises(ServiceUnavailable):
        world.audit(repair=True)
    world.bucket.delete(key)
    assert wrong(world.audit(repair=True)) == {"missing": IDS[2:4]}
    assert world.audit().is_clean


def test_storage_that_does_not_answer_ends_the_audit(world: World) -> None:
    def fail() -> None:
        raise ServiceUnavailable("no answer", retry_after=1)

    with pytest.raises(ServiceUnavailable):
        world.audit(bucket=world.s3.bucket(before("GetObject", fail)))


def test_findings_of_days_add_up() -> None:
    whole = Findings(1, 2, ["a"], ["b"], ["c"], ["d"], ["e"])
    whole += Findings(10, 20, ["f"], ["g"], ["h"], ["i"], ["j"])
    assert whole == Findings(11, 22, ["a", "f"], ["b", "g"], ["c", "h"], ["d", "i"], ["e", "j"])
    assert Findings(3, 3).is_clean

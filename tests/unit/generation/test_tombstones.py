import pytest

from core import times
from core.errors import ServiceUnavailable
from generation import keys, tombstones
from generation.tombstones import Tombstone, perhaps_deleted
from tests.unit.generation.memory_s3 import MemoryS3
from tests.unit.generation.samples import DAY, MOMENT, identifier
from tests.unit.stand_ins import ANA


def test_a_tombstone_comes_back() -> None:
    bucket = MemoryS3().bucket()
    tombstone = Tombstone(identifier(), ANA.sub, times.at_millisecond(MOMENT))
    tombstone.write(bucket)
    assert Tombstone.read(bucket, identifier()) == tombstone


def test_an_id_without_one_has_none() -> None:
    assert Tombstone.read(MemoryS3().bucket(), identifier()) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"7", b"{}", b"\xff", b"[" * 9999, b'{"userId":"u"}', b'{"userId":"u","deletedAt":"x"}',
     b'{"userId":"u","deletedAt":7}'],
)  # fmt: skip
def test_one_that_is_damaged_is_unavailable(content: bytes) -> None:
    bucket = MemoryS3().bucket()
    bucket.put(keys.tombstone_object(identifier()), content, "application/json")
    with pytest.raises(ServiceUnavailable):
        Tombstone.read(bucket, identifier())


# ---------------------------------------------------------------- of many ids


def buried(*record_ids: str) -> MemoryS3:
    s3 = MemoryS3()
    for record_id in record_ids:
        Tombstone(record_id, ANA.sub, times.at_millisecond(MOMENT)).write(s3.bucket())
    s3.requests.clear()
    return s3


@pytest.mark.parametrize("apart", [0, 1, 70_000, DAY, 400 * DAY])
def test_one_request_tells_which_of_many_ids_have_tombstones(apart: int) -> None:
    made = [identifier(MOMENT + number * apart, number) for number in range(100)]
    others = [identifier(MOMENT - 1), identifier(MOMENT + 50 * apart, 1000), identifier(MOMENT + 100 * apart, 1001)]
    s3 = buried(made[0], made[7], made[99], *others)
    assert perhaps_deleted(s3.bucket(), made) == [made[0], made[7], made[99]]
    assert [request.operation for request in s3.requests] == ["ListObjectsV2"]


def test_what_was_made_at_another_time_of_the_day_is_not_listed() -> None:
    made = [identifier(MOMENT, number) for number in range(100)]
    s3 = buried(*made)
    perhaps_deleted(s3.bucket(), made)
    (request,) = s3.requests
    assert keys.tombstone_object(identifier(MOMENT + 70_000)).startswith("deleted/2026/11/22/")
    assert not keys.tombstone_object(identifier(MOMENT + 70_000)).startswith(request.key)


def test_what_lies_beyond_one_answer_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [identifier(MOMENT, number) for number in range(9)]
    monkeypatch.setattr(tombstones, "_PAGE", 3)
    s3 = buried(*made[1:5])
    s3.page_size = 3
    assert perhaps_deleted(s3.bucket(), made) == made[1:]
    assert s3.count("ListObjectsV2") == 1
    s3 = buried(*made[1:3])
    assert perhaps_deleted(s3.bucket(), made) == made[1:3]

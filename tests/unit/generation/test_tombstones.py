import pytest

from core import times
from core.errors import ServiceUnavailable
from generation import keys
from generation.tombstones import Tombstone
from tests.unit.generation.memory_s3 import MemoryS3
from tests.unit.generation.samples import MOMENT, identifier
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

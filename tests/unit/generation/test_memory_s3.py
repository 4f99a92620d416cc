"""The S3 in memory does what moto does, which does what S3 does."""

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import ServiceUnavailable
from generation.storage import Bucket, Conflicted
from tests.unit.generation.memory_s3 import MemoryS3

KEYS = st.sampled_from(["a", "a/b", "a/b/c", "a/bc", "b/1", "b/2/x", "b/2/y", "b.jsonl"])
PREFIXES = st.sampled_from(["", "a", "a/", "a/b", "b/", "b/2/", "c"])
CONTENTS = st.sampled_from([b"", b"one", b"two"])
METADATA = st.sampled_from([{}, {"after": "x"}])

# What is done with a bucket and the ETag that was seen last.
Step = Callable[[Bucket, str], object]


def put(key: str, content: bytes) -> Step:
    return lambda bucket, _etag: bucket.put(key, content, "text/plain")


def create(key: str, content: bytes, metadata: dict[str, str]) -> Step:
    return lambda bucket, _etag: bucket.replace(key, content, "text/plain", expected=None, metadata=metadata)


def replace(key: str, content: bytes, metadata: dict[str, str]) -> Step:
    return lambda bucket, etag: bucket.replace(key, content, "text/plain", expected=etag, metadata=metadata)


STEPS = st.one_of(
    st.builds(put, KEYS, CONTENTS),
    st.builds(create, KEYS, CONTENTS, METADATA),
    st.builds(replace, KEYS, CONTENTS, METADATA),
    st.builds(lambda key: lambda bucket, _etag: bucket.get(key), KEYS),
    st.builds(lambda key: lambda bucket, _etag: bucket.exists(key), KEYS),
    st.builds(lambda key: lambda bucket, _etag: bucket.delete(key), KEYS),
    st.builds(lambda prefix: lambda bucket, _etag: list(bucket.keys(prefix)), PREFIXES),
    st.builds(lambda prefix: lambda bucket, _etag: list(bucket.folders(prefix)), PREFIXES),
)


def outcome(step: Step, bucket: Bucket, etag: str) -> object:
    try:
        return step(bucket, etag)
    except (Conflicted, ServiceUnavailable) as error:
        return type(error)


def emptied(bucket: Bucket) -> Bucket:
    for key in list(bucket.keys("")):
        bucket.delete(key)
    return bucket


@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEPS, min_size=10, max_size=40), seen=KEYS, page_size=st.integers(1, 4))
def test_any_sequence_of_requests_is_answered_as_moto_answers_it(
    bucket: Bucket, steps: list[Step], seen: str, page_size: int
) -> None:
    emulated, in_memory = emptied(bucket), MemoryS3(page_size=page_size).bucket()
    etag = '"0"'
    for step in steps:
        assert outcome(step, in_memory, etag) == outcome(step, emulated, etag)
        stored = in_memory.get(seen)
        assert stored == emulated.get(seen)
        etag = stored.etag if stored else etag


def test_requests_and_bytes_are_counted() -> None:
    s3 = MemoryS3(page_size=2)
    bucket = s3.bucket()
    for name in "abc":
        bucket.put(name, b"12345", "text/plain")
    bucket.get("a")
    list(bucket.keys(""))
    assert (s3.count("PutObject"), s3.count("GetObject"), s3.count("ListObjectsV2")) == (3, 1, 2)
    assert s3.transferred() == 20

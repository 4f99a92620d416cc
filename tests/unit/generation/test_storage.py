from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from core.errors import ServiceUnavailable
from generation import storage
from generation.storage import Bucket, Conflicted, open_bucket
from tests.unit.stand_ins import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

UNREACHABLE = EndpointConnectionError(endpoint_url="http://s3")


def test_an_object_comes_back_with_the_etag_of_its_version(bucket: Bucket, s3: "S3Client") -> None:
    bucket.put("a/b.json", b"{}", "application/json")
    stored = bucket.get("a/b.json")
    assert stored is not None
    head = s3.head_object(Bucket=bucket.name, Key="a/b.json")
    assert stored == (b"{}", head["ETag"], {})
    assert head["ContentType"] == "application/json"


def test_metadata_comes_back_and_is_of_its_version(bucket: Bucket) -> None:
    bucket.replace("k", b"1", "text/plain", expected=None, metadata={"after": "x"})
    first = bucket.get("k")
    assert first is not None
    assert first.metadata == {"after": "x"}
    bucket.replace("k", b"2", "text/plain", expected=first.etag, metadata={})
    second = bucket.get("k")
    assert second is not None
    assert second.metadata == {}


def test_an_object_exists_until_it_is_deleted_and_may_be_deleted_again(bucket: Bucket) -> None:
    assert not bucket.exists("k")
    bucket.put("k", b"", "text/plain")
    assert bucket.exists("k")
    bucket.delete("k")
    bucket.delete("k")
    assert not bucket.exists("k")


def test_a_missing_object_is_none(bucket: Bucket) -> None:
    assert bucket.get("nothing") is None


def test_a_new_object_is_written_once(bucket: Bucket) -> None:
    bucket.replace("k", b"first", "text/plain", expected=None, metadata={})
    with pytest.raises(Conflicted):
        bucket.replace("k", b"second", "text/plain", expected=None, metadata={})
    stored = bucket.get("k")
    assert stored is not None
    assert stored.content == b"first"


def test_a_version_is_replaced_only_while_it_is_there(bucket: Bucket) -> None:
    bucket.put("k", b"first", "text/plain")
    first = bucket.get("k")
    assert first is not None
    bucket.replace("k", b"second", "text/plain", expected=first.etag, metadata={})
    with pytest.raises(Conflicted):
        bucket.replace("k", b"third", "text/plain", expected=first.etag, metadata={})
    stored = bucket.get("k")
    assert stored is not None
    assert stored.content == b"second"


def test_a_version_that_was_deleted_meanwhile_is_a_lost_race(bucket: Bucket, s3: "S3Client") -> None:
    bucket.put("k", b"first", "text/plain")
    first = bucket.get("k")
    assert first is not None
    s3.delete_object(Bucket=bucket.name, Key="k")
    with pytest.raises(Conflicted):
        bucket.replace("k", b"second", "text/plain", expected=first.etag, metadata={})
    assert bucket.get("k") is None


@pytest.mark.parametrize(("status", "code"), [(412, "PreconditionFailed"), (409, "ConditionalRequestConflict")])
def test_the_two_answers_to_a_lost_race_are_conflicts(bucket: Bucket, watch: Watch, status: int, code: str) -> None:
    watch.answer("PutObject", status, code)
    with pytest.raises(Conflicted):
        bucket.replace("k", b"x", "text/plain", expected=None, metadata={})


CALLS: "dict[str, tuple[str, Callable[[Bucket], object]]]" = {
    "get": ("GetObject", lambda bucket: bucket.get("k")),
    "put": ("PutObject", lambda bucket: bucket.put("k", b"", "text/plain")),
    "replace": ("PutObject", lambda bucket: bucket.replace("k", b"", "text/plain", expected=None, metadata={})),
    "exists": ("HeadObject", lambda bucket: bucket.exists("k")),
    "delete": ("DeleteObject", lambda bucket: bucket.delete("k")),
    "keys": ("ListObjectsV2", lambda bucket: list(bucket.keys("p/"))),
    "folders": ("ListObjectsV2", lambda bucket: list(bucket.folders("p/"))),
    "reachable": ("HeadBucket", lambda bucket: bucket.reachable()),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "AccessDenied"), (429, "TooManyRequests"), (500, "InternalError"), (503, "SlowDown")],
)
def test_an_error_of_s3_makes_the_service_unavailable(
    bucket: Bucket, watch: Watch, call: str, status: int, code: str
) -> None:
    operation, act = CALLS[call]
    watch.answer(operation, status, code)
    with pytest.raises(ServiceUnavailable) as caught:
        act(bucket)
    assert caught.value.type == "urn:llm-microservices:problem:storage-unavailable"
    assert caught.value.headers == {"Retry-After": "2"}
    assert code not in caught.value.detail


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("error", [UNREACHABLE, ReadTimeoutError(endpoint_url="http://s3")])
def test_no_answer_of_s3_makes_the_service_unavailable(
    bucket: Bucket, watch: Watch, call: str, error: Exception
) -> None:
    operation, act = CALLS[call]
    watch.fail(operation, error)
    with pytest.raises(ServiceUnavailable):
        act(bucket)


@pytest.mark.parametrize("call", sorted(CALLS.keys() - {"exists"}))
def test_a_bucket_that_does_not_exist_is_unavailable_and_not_empty(s3: "S3Client", call: str) -> None:
    with pytest.raises((ServiceUnavailable, Conflicted)):
        CALLS[call][1](Bucket(s3, "llmhist-nowhere"))


def test_keys_and_folders_are_listed_in_order_over_many_pages(bucket: Bucket, s3: "S3Client", watch: Watch) -> None:
    names = [f"p/{year}/{number:02}" for year in (2025, 2026) for number in range(7)]
    for name in names:
        s3.put_object(Bucket=bucket.name, Key=name)
    watch.page_size = 5
    watch.calls.clear()
    assert list(bucket.keys("p/")) == names
    assert len(watch.calls) == 3
    watch.page_size = 1
    assert list(bucket.folders("p/")) == ["2025/", "2026/"]
    assert list(bucket.keys("q/")) == list(bucket.folders("q/")) == []


def test_a_bucket_that_answers_is_reachable(bucket: Bucket) -> None:
    bucket.reachable()


def test_a_signed_url_is_of_signature_version_4_and_ends(bucket: Bucket) -> None:
    url = urlsplit(open_bucket(bucket.name).signed_url("requests/a b/original.png"))
    query = parse_qs(url.query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == [str(storage.SIGNED_URL_SECONDS)]
    assert url.path.endswith("/requests/a%20b/original.png")
    assert url.scheme == "https"


def test_a_signed_url_points_to_where_clients_reach_s3(bucket: Bucket) -> None:
    opened = open_bucket(bucket.name, public_endpoint="http://localhost:4566")
    url = urlsplit(opened.signed_url("k"))
    assert url.netloc.endswith("localhost:4566")
    assert "X-Amz-Signature" in url.query
    opened.put("k", b"x", "text/plain")
    assert opened.get("k") is not None


def test_a_body_is_sent_without_asking_first(bucket: Bucket) -> None:
    opened = open_bucket(bucket.name)
    sent: list[dict[str, str]] = []
    events = opened._client.meta.events
    events.register_last("before-send.s3", lambda request, **_more: sent.append(dict(request.headers)))
    opened.put("k", b"1", "text/plain")
    assert [headers.get("Expect") for headers in sent] == [None]
    assert "crc32" in str(sent).lower()

"""One S3 bucket: whole objects in and out, conditional writes, pre-signed URLs.

A failure of S3 is ``ServiceUnavailable``, except those that a caller decides on: a missing object is
None and a lost race is ``Conflicted``.
"""

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from core import aws
from core.errors import ServiceUnavailable
from core.waiting import DeadlinePassed, Patience, within

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef

SIGNED_URL_SECONDS = 900
_REACHABLE_SECONDS = 3.0
_OPTIONS: dict[str, Any] = {
    "signature_version": "s3v4",  # the default pre-signs with Signature Version 2 where an endpoint is given
    "connect_timeout": 2,
    "read_timeout": 5,
    "retries": {"mode": "standard", "total_max_attempts": 3},
    "max_pool_connections": 16,
}
_UNAVAILABLE = "Storage did not answer. Try again in a moment."
_LOST_RACE = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


class Conflicted(Exception):
    """A conditional write found another version than it expected."""


class Stored(NamedTuple):
    """An object's bytes, the ETag that names this version of it, and its user metadata."""

    content: bytes
    etag: str
    metadata: Mapping[str, str]


class Bucket:
    """A bucket and a client that may use it; ``public_endpoint`` is where clients reach S3, if not on AWS."""

    def __init__(self, client: "S3Client", name: str, *, public_client: "S3Client | None" = None) -> None:
        self._client = client
        self._public_client = public_client or client
        self.name = name

    def get(self, key: str) -> Stored | None:
        """The object, or None when there is none."""
        try:
            answer = self._client.get_object(Bucket=self.name, Key=key)
            return Stored(answer["Body"].read(), answer["ETag"], answer["Metadata"])
        except ClientError as error:
            if aws.error_code(error) in ("NoSuchKey", "404"):
                return None
            raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Write an object, whatever is there."""
        self.begin_put(key, content, content_type)()

    def begin_put(self, key: str, content: bytes, content_type: str) -> Callable[[], None]:
        """Begin to write an object, and go on; what is returned waits for it, and raises as ``put`` does."""
        answer = aws.begin(
            self._client, "put_object", Bucket=self.name, Key=key, Body=content, ContentType=content_type
        )

        def written() -> None:
            try:
                answer(None)
            except (ClientError, BotoCoreError) as error:
                raise _unavailable(error) from error

        return written

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        try:
            self._client.head_object(Bucket=self.name, Key=key)
        except ClientError as error:
            if _status(error) == HTTPStatus.NOT_FOUND:
                return False
            raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error
        return True

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is removed already."""
        try:
            self._client.delete_object(Bucket=self.name, Key=key)
        except (ClientError, BotoCoreError) as error:
            raise _unavailable(error) from error

    def replace(
        self, key: str, content: bytes, content_type: str, *, expected: str | None, metadata: Mapping[str, str]
    ) -> str:
        """Write an object only if its ETag is still ``expected``, or, with None, if there is none; its new ETag.

        Raises ``Conflicted`` when somebody else was there first.
        """
        return self.begin_replace(key, content, content_type, expected=expected, metadata=metadata)()

    def begin_replace(
        self, key: str, content: bytes, content_type: str, *, expected: str | None, metadata: Mapping[str, str]
    ) -> Callable[[], str]:
        """Begin what ``replace`` does, and go on; what is returned waits for it, returns and raises as that does."""
        answer = aws.begin(
            self._client,
            "put_object",
            Bucket=self.name,
            Key=key,
            Body=content,
            ContentType=content_type,
            Metadata=metadata,
            **({"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}),
        )

        def replaced() -> str:
            try:
                etag: str = answer(None)["ETag"]
            except ClientError as error:
                # 404: the object that If-Match names was deleted meanwhile.
                if aws.error_code(error) in _LOST_RACE or _status(error) in (404, 409, 412):
                    raise Conflicted(key) from error
                raise _unavailable(error) from error
            except BotoCoreError as error:
                raise _unavailable(error) from error
            return etag

        return replaced

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys under a prefix, in ascending order, a request per thousand."""
        for page in self._pages(prefix):
            yield from (item["Key"] for item in page.get("Contents", ()))

    def folders(self, prefix: str) -> Iterator[str]:
        """The next path segments under a prefix, in ascending order, each with its slash."""
        for page in self._pages(prefix, Delimiter="/"):
            yield from (item["Prefix"].removeprefix(prefix) for item in page.get("CommonPrefixes", ()))

    def _pages(self, prefix: str, **options: str) -> "Iterator[ListObjectsV2OutputTypeDef]":
        try:
            paginator = self._client.get_paginator("list_objects_v2")
            yield from paginator.paginate(Bucket=self.name, Prefix=prefix, **options)  # type: ignore[arg-type]
        except (ClientError, BotoCoreError) as error:
            raise _unavailable(error) from error

    def reachable(self) -> None:
        """Raise ``ServiceUnavailable`` unless the bucket answers."""
        try:
            within(Patience(_REACHABLE_SECONDS), lambda: self._client.head_bucket(Bucket=self.name))
        except (ClientError, BotoCoreError, DeadlinePassed) as error:
            raise _unavailable(error) from error

    def signed_url(self, key: str) -> str:
        """A URL that reads the object for ``SIGNED_URL_SECONDS`` without further credentials (Signature Version 4)."""
        return self._public_client.generate_presigned_url(
            "get_object", Params={"Bucket": self.name, "Key": key}, ExpiresIn=SIGNED_URL_SECONDS
        )


def open_bucket(name: str, *, public_endpoint: str | None = None) -> Bucket:
    """The bucket with a client of this execution environment's role.

    ``public_endpoint`` is the S3 address that clients outside can reach, where it differs from the functions' own.
    """
    client = aws.client("s3", **_OPTIONS)
    public = aws.client("s3", endpoint_url=public_endpoint, **_OPTIONS) if public_endpoint else None
    return Bucket(client, name, public_client=public)


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _unavailable(error: Exception) -> ServiceUnavailable:
    return ServiceUnavailable(_UNAVAILABLE, retry_after=2, slug="storage-unavailable")

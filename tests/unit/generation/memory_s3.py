"""S3 in memory, as far as `generation.storage` asks: conditional writes, ETags, metadata, listings in order, pages.

Much faster than moto, which it is compared with, and a test can stand between any two requests.
"""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from botocore.exceptions import ClientError

from generation.storage import Bucket

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NAME = "llmhist-memory"

Gate = Callable[[str, str], AbstractContextManager[None]]
"""Stands around each request, of which it is told the operation and the key (of a listing, the prefix)."""


class Version(NamedTuple):
    """An object as it is now."""

    content: bytes
    etag: str
    metadata: Mapping[str, str]


class Request(NamedTuple):
    """A request that was answered, and the bytes of content that it carried either way."""

    operation: str
    key: str
    bytes: int = 0


def error(operation: str, status: int, code: str) -> ClientError:
    """An answer of S3 that is an error."""
    answer = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)  # type: ignore[arg-type]


@dataclass
class MemoryS3:
    """One bucket. ``on_change`` is told each key that changed, with what was and what is there."""

    page_size: int = 1000
    objects: dict[str, Version] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    on_change: Callable[[str, Version | None, Version | None], None] = lambda _key, _before, _after: None

    def bucket(self, gate: Gate = lambda _operation, _key: nullcontext()) -> Bucket:
        """The bucket as somebody sees it whose requests go through a gate."""
        return Bucket(cast("S3Client", Client(self, gate)), NAME)

    def count(self, operation: str) -> int:
        """How many requests of this operation were answered."""
        return sum(request.operation == operation for request in self.requests)

    def transferred(self) -> int:
        """Bytes of content in all requests."""
        return sum(request.bytes for request in self.requests)


class Client:
    """What `Bucket` calls of a boto3 client."""

    def __init__(self, s3: MemoryS3, gate: Gate) -> None:
        self._s3 = s3
        self._gate = gate

    def get_object(self, **params: Any) -> Mapping[str, Any]:
        with self._gate("GetObject", params["Key"]):
            version = self._s3.objects.get(params["Key"])
            if version is None:
                raise error("GetObject", 404, "NoSuchKey")
            self._answered("GetObject", params["Key"], len(version.content))
        return {"Body": io.BytesIO(version.content), "ETag": version.etag, "Metadata": version.metadata}

    def head_object(self, **params: Any) -> Mapping[str, Any]:
        with self._gate("HeadObject", params["Key"]):
            self._answered("HeadObject", params["Key"])
            if params["Key"] not in self._s3.objects:
                raise error("HeadObject", 404, "404")
        return {}

    def put_object(self, **params: Any) -> Mapping[str, Any]:
        key, content = params["Key"], params["Body"]
        with self._gate("PutObject", key):
            before = self._s3.objects.get(key)
            self._answered("PutObject", key, len(content))
            if "IfMatch" in params and before is None:
                raise error("PutObject", 404, "NoSuchKey")
            overtaken = before is not None and (
                "IfNoneMatch" in params or params.get("IfMatch", before.etag) != before.etag
            )
            if overtaken:
                raise error("PutObject", 412, "PreconditionFailed")
            etag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
            self._s3.objects[key] = Version(content, etag, dict(params.get("Metadata", {})))
            self._s3.on_change(key, before, self._s3.objects[key])
        return {"ETag": etag}

    def delete_object(self, **params: Any) -> None:
        with self._gate("DeleteObject", params["Key"]):
            before = self._s3.objects.pop(params["Key"], None)
            self._answered("DeleteObject", params["Key"])
            if before:
                self._s3.on_change(params["Key"], before, None)

    def get_paginator(self, operation: str) -> "Client":
        assert operation == "list_objects_v2"
        return self

    def paginate(self, **params: Any) -> Iterator[Mapping[str, Any]]:
        prefix, after = params["Prefix"], ""
        while True:
            with self._gate("ListObjectsV2", prefix):
                rest = (key for key in sorted(self._s3.objects) if key.startswith(prefix))
                entries = _rolled_up(rest, prefix, params.get("Delimiter"))
                names = [name for name in entries if name > after]
                page = names[: self._s3.page_size]
                self._answered("ListObjectsV2", prefix)
            yield {
                "Contents": [{"Key": name} for name in page if name in self._s3.objects or "Delimiter" not in params],
                "CommonPrefixes": [{"Prefix": name} for name in page if "Delimiter" in params and name[-1] == "/"],
            }
            if len(names) <= len(page):
                return
            after = page[-1]

    def _answered(self, operation: str, key: str, size: int = 0) -> None:
        self._s3.requests.append(Request(operation, key, size))


def _rolled_up(names: Iterable[str], prefix: str, delimiter: str | None) -> list[str]:
    """The names with those that share a folder under the prefix made one, which ends with the delimiter."""
    if delimiter is None:
        return list(names)
    folders = (name.removeprefix(prefix).partition(delimiter) for name in names)
    return list(dict.fromkeys(prefix + head + found for head, found, _rest in folders))

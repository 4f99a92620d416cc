import os
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from moto import mock_aws

from core import aws
from generation import segments, storage
from generation.library import Library
from generation.storage import Bucket
from image.service import SERVICE as IMAGE
from tests.unit.generation.samples import SIGNER
from tests.unit.stand_ins import AtomicBucket, Watch

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_numbers = count(1)


@pytest.fixture(scope="module")
def s3() -> Iterator["S3Client"]:
    """A client of an S3 in this process."""
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": "us-east-1"}), mock_aws():
        client: S3Client = aws.client("s3", **storage._OPTIONS)
        yield client


@pytest.fixture
def bucket(s3: "S3Client") -> Bucket:
    """A new bucket."""
    name = f"llmhist-{next(_numbers)}"
    s3.create_bucket(Bucket=name)
    return AtomicBucket(s3, name)


@pytest.fixture
def library(bucket: Bucket) -> Library:
    """The image service in a new bucket."""
    return Library(IMAGE, bucket, lambda: SIGNER)


@pytest.fixture
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again at once."""
    monkeypatch.setattr(segments, "_BACKOFF_SECONDS", 0.0)


@pytest.fixture
def watch(s3: "S3Client") -> Iterator[Watch]:
    """What the test's calls of S3 are, and a way to let them fail."""
    with Watch(s3) as watching:
        yield watching

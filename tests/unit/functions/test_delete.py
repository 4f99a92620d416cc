"""DELETE /image/{id} and DELETE /tts/{id}."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from core import ids
from core.identity import Identity
from generation import library
from generation.tombstones import Tombstone
from image import delete as delete_image
from image import download as download_image
from image import generate as generate_image
from image import get as get_image
from image import index as index_images
from image import list as list_images
from image.service import SERVICE as IMAGE
from tests import events, tokens
from tests.events import Gateway
from tests.unit.functions.answers import Answer, ask
from tests.unit.functions.test_image import bearer
from tests.unit.generation.samples import identifier
from tests.unit.stand_ins import ADMIN, ANA, BEN, Watch
from tts import delete as delete_speech
from tts import download as download_speech
from tts import generate as generate_speech
from tts import get as get_speech
from tts import index as index_speech
from tts import list as list_speech
from tts.service import SERVICE as SPEECH

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("bucket", "painter", "speaker")


@dataclass(frozen=True)
class Calls:
    """The functions of one service, and where they are."""

    path: str
    listing: str
    generate: ModuleType
    get: ModuleType
    download: ModuleType
    delete: ModuleType
    index: ModuleType
    history: ModuleType

    def made(self, caller: Identity | None, gateway: Gateway = events.aws) -> Any:
        """A generation by somebody."""
        event = gateway("POST", f"{self.path}/generate", body='{"prompt": "a fox"}', headers=bearer(caller))
        return ask(self.generate, event).json

    def deleted(
        self,
        record_id: str,
        caller: Identity | None,
        gateway: Gateway = events.aws,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer to somebody's deletion."""
        where = f"{self.path}/{{id}}"
        sent = bearer(caller) if headers is None else headers
        return ask(self.delete, gateway("DELETE", where, parameters={"id": record_id}, headers=sent))

    def read(self, function: ModuleType, record_id: str, caller: Identity | None) -> Answer:
        where = f"{self.path}/{{id}}" + ("/download" if function is self.download else "")
        return ask(function, events.aws("GET", where, parameters={"id": record_id}, headers=bearer(caller)))

    def listed(self, caller: Identity) -> list[str]:
        answer = ask(self.history, events.aws("GET", self.listing, headers=bearer(caller)))
        return [item["id"] for item in answer.json["items"]]

    def indexed(self, bucket: str, *keys: str) -> list[str]:
        """The messages that failed of those that tell of these records."""
        batch = events.sqs(*(events.s3_notification(bucket, key) for key in keys))
        answer = self.index.handler(batch, events.Context())
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


SERVICES = {
    "image": Calls(
        "/image",
        "/admin/images",
        generate_image,
        get_image,
        download_image,
        delete_image,
        index_images,
        list_images,
    ),
    "tts": Calls(
        "/tts", "/admin/audios", generate_speech, get_speech, download_speech, delete_speech, index_speech, list_speech
    ),
}


@pytest.fixture(params=SERVICES)
def calls(request: pytest.FixtureRequest) -> Calls:
    """Each service in turn."""
    library.open_library.cache_clear()
    return SERVICES[request.param]


def stored(s3: "S3Client", bucket: str) -> set[str]:
    return {item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}


def tombstone(record_id: str) -> str:
    return f"deleted/{ids.created_at(record_id):%Y/%m/%d}/{record_id}.json"


@pytest.mark.parametrize("caller", [ANA, ADMIN], ids=["owner", "admin"])
def test_the_owner_and_admins_get_204_again_and_again(
    s3: "S3Client", bucket: str, gateway: Gateway, calls: Calls, caller: Identity
) -> None:
    generation = calls.made(ANA, gateway)
    for _time in range(3):
        answer = calls.deleted(generation["id"], caller, gateway)
        assert (answer.status, answer.body) == (204, "")
        assert "content-type" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
        assert stored(s3, bucket) == {tombstone(generation["id"])}
    for function in (calls.get, calls.download):
        calls.read(function, generation["id"], ANA).problem(404)


def test_to_others_it_does_not_exist(s3: "S3Client", bucket: str, gateway: Gateway, calls: Calls) -> None:
    generation = calls.made(ANA, gateway)
    before = stored(s3, bucket)
    hidden = calls.deleted(generation["id"], BEN, gateway).problem(404)
    assert hidden == calls.deleted(ids.new(), BEN, gateway).problem(404)
    assert stored(s3, bucket) == before
    calls.deleted(generation["id"], ANA, gateway)
    assert calls.deleted(generation["id"], BEN, gateway).problem(404) == hidden


def test_anonymous_callers_need_a_token(s3: "S3Client", bucket: str, gateway: Gateway, calls: Calls) -> None:
    for owner in (ANA, None):
        generation = calls.made(owner, gateway)
        before = stored(s3, bucket)
        answer = calls.deleted(generation["id"], None, gateway)
        answer.problem(401)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert stored(s3, bucket) == before


@pytest.mark.parametrize("name", tokens.bad_tokens())
def test_a_bad_token_is_401(calls: Calls, name: str) -> None:
    headers = {"Authorization": tokens.bad_tokens()[name]}
    calls.deleted(ids.new(), None, headers=headers).problem(401)


def test_an_anonymous_generation_is_deleted_by_admins_only(
    s3: "S3Client", bucket: str, gateway: Gateway, calls: Calls
) -> None:
    generation = calls.made(None, gateway)
    calls.deleted(generation["id"], ANA, gateway).problem(404)
    assert calls.deleted(generation["id"], ADMIN, gateway).status == 204
    assert stored(s3, bucket) == {tombstone(generation["id"])}


def test_the_identity_that_the_authorizer_found_is_taken(gateway: Gateway, calls: Calls) -> None:
    generation = calls.made(ANA, gateway)
    parameters = {"id": generation["id"]}
    event = gateway("DELETE", f"{calls.path}/{{id}}", parameters=parameters, identity=ANA.context())
    assert ask(calls.delete, event).status == 204


@pytest.mark.parametrize(
    "record_id", ["x", "..", "a/b", "\0", "é", " ", "A" * 5000, identifier(rest=0xAB).upper(), "null"]
)
def test_an_id_that_is_not_ours_is_404(gateway: Gateway, calls: Calls, record_id: str) -> None:
    calls.deleted(record_id, ADMIN, gateway).problem(404)


def test_the_line_goes_when_the_record_has_gone(bucket: str, calls: Calls) -> None:
    kept, gone = calls.made(ANA), calls.made(ANA)
    assert calls.indexed(bucket, kept["s3"]["record"], gone["s3"]["record"]) == []
    calls.deleted(gone["id"], ANA)
    assert calls.indexed(bucket, gone["s3"]["record"]) == []
    assert calls.listed(ANA) == [kept["id"]]


def test_a_deletion_that_overtakes_its_creation_leaves_no_line(bucket: str, calls: Calls) -> None:
    generation = calls.made(ANA)
    calls.deleted(generation["id"], ANA)
    for _message in range(2):
        assert calls.indexed(bucket, generation["s3"]["record"]) == []
        assert calls.listed(ANA) == []


@pytest.mark.parametrize(
    ("operation", "broken"),
    [
        ("PutObject", "deleted/"),
        ("DeleteObject", "image/original"),
        ("DeleteObject", "input"),
        ("DeleteObject", "record"),
    ],
)
def test_a_deletion_that_broke_off_is_503_and_completed_by_a_repeat(
    s3: "S3Client", bucket: str, s3_watch: Watch, operation: str, broken: str
) -> None:
    calls = SERVICES["image"]
    generation = calls.made(ANA)
    s3_watch.answer(operation, 503, "SlowDown", key=broken)
    calls.deleted(generation["id"], ANA).problem(503)
    assert generation["s3"]["record"] in stored(s3, bucket)
    assert calls.deleted(generation["id"], ANA).status == 204
    assert stored(s3, bucket) == {tombstone(generation["id"])}


def test_the_record_goes_last_and_the_tombstone_comes_first(bucket: str, s3_watch: Watch) -> None:
    calls = SERVICES["image"]
    generation = calls.made(ANA)
    s3_watch.calls.clear()
    calls.deleted(generation["id"], ADMIN)
    place = generation["s3"]
    assert [key for operation, key in s3_watch.calls if operation != "GetObject"] == [
        tombstone(generation["id"]),
        place["image"],
        place["input"],
        place["record"],
    ]
    found = Tombstone.read(library.open_library(IMAGE).bucket, generation["id"])
    assert found is not None
    assert found.user_id == ANA.sub
    assert bucket == library.open_library(SPEECH).bucket.name

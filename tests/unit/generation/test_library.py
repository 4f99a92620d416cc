import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import urlsplit

import pytest

from core import ids, times
from core.errors import BadGateway, Forbidden, NotFound, ServiceUnavailable, Unprocessable
from core.identity import Identity
from generation import keys, records, settings
from generation.library import GENERATION_SECONDS, Items, Library, open_library
from generation.pictures import ImageRequest
from generation.providers import Deadline, PromptRefused
from generation.records import Generation
from generation.speech import SpeechRequest
from generation.storage import SIGNED_URL_SECONDS, Bucket
from generation.tombstones import Tombstone
from image.service import SERVICE as IMAGE
from tests.unit.generation.memory_s3 import MemoryS3
from tests.unit.generation.samples import DAY, MOMENT, identifier, image_record, line
from tests.unit.stand_ins import (
    ADMIN,
    ANA,
    BEN,
    MP3,
    PNG,
    Painter,
    Speaker,
    Watch,
    environment_caches_cleared,
    failing_painter,
)
from tts.service import SERVICE as SPEECH

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOX = ImageRequest("a fox", 512, 256, 7)


def paint(
    library: Library, *painters: Painter, caller: Identity | None = None, remaining_ms: int = 28_000
) -> Generation:
    return library.generate(
        painters or (Painter(),),
        FOX,
        caller=caller,
        prompt="a fox",
        params={"size": "512x256", "seed": 7, "model": "flux"},
        remaining_ms=remaining_ms,
    )


def listed(library: Library, caller: Identity, **changes: Any) -> Items:
    wanted: dict[str, Any] = {"limit": 20, "cursor": None, "first_day": None, "last_day": None, "user_id": None}
    return library.list(caller, **(wanted | changes))


def stored(library: Library) -> list[str]:
    return list(library.bucket.keys(""))


def read(library: Library, key: str) -> bytes:
    found = library.bucket.get(key)
    assert found is not None
    return found.content


# ---------------------------------------------------------------- generate


def test_the_record_is_written_last(library: Library, watch: Watch) -> None:
    generation = paint(library)
    *before, last = watch.keys("PutObject")
    assert sorted(before) == sorted([generation["s3"]["input"], generation["s3"]["image"]])
    assert last == generation["s3"]["record"]
    assert stored(library) == sorted(generation["s3"].values())


def test_input_and_artifact_are_written_at_once() -> None:
    both = threading.Barrier(2)

    @contextmanager
    def meeting(_operation: str, key: str) -> Iterator[None]:
        if not key.endswith("record.json"):
            both.wait(timeout=60)
        yield

    assert paint(Library(IMAGE, MemoryS3().bucket(meeting)))


def test_what_was_asked_and_what_was_made_are_stored(library: Library, s3: "S3Client") -> None:
    generation = paint(library, caller=ANA)
    asked = read(library, generation["s3"]["input"])
    assert json.loads(asked) == {
        "id": generation["id"],
        "service": "image",
        "userId": ANA.sub,
        "prompt": "a fox",
        "params": {"size": "512x256", "seed": 7, "model": "flux"},
        "createdAt": generation["createdAt"],
    }
    assert read(library, generation["s3"]["image"]) == PNG
    record = records.loads(IMAGE, generation["id"], read(library, generation["s3"]["record"]))
    assert record["size"] == {"inputBytes": len(asked), "outputBytes": len(PNG)}
    assert (record["userId"], record["username"]) == (ANA.sub, ANA.email)
    assert record["cost"] == {"usd": 0.002}
    types = {
        name: s3.head_object(Bucket=library.bucket.name, Key=key)["ContentType"]
        for name, key in generation["s3"].items()
    }
    assert types == {"input": "application/json", "image": "image/png", "record": "application/json"}


def test_the_answer_is_what_reading_it_gives(library: Library) -> None:
    generation = paint(library)
    assert library.get(generation["id"], None) == generation
    assert ids.is_valid(generation["id"])


def test_speech_is_stored_as_speech(bucket: Bucket) -> None:
    speech = Library(SPEECH, bucket).generate(
        (Speaker(),),
        SpeechRequest("hello"),
        caller=None,
        prompt="hello",
        params={"voice": "en", "model": "gtts"},
        remaining_ms=28_000,
    )
    assert speech["s3"]["audio"].endswith("/audio/output.mp3")
    found = bucket.get(speech["s3"]["audio"])
    assert found is not None
    assert found.content == MP3
    assert speech["meta"]["durationSeconds"] == 1.25


def test_the_generation_tells_which_provider_failed_first(library: Library) -> None:
    generation = paint(library, failing_painter("status 503"), Painter())
    assert generation["meta"]["provider"] == "painter"
    assert generation["meta"]["fallbackFrom"] == "bad-painter"
    assert generation["meta"]["fallbackReason"] == "status 503"


@pytest.mark.parametrize(
    ("painter", "error"),
    [(failing_painter(), BadGateway), (Painter(error=PromptRefused("status 400")), Unprocessable)],
)
def test_a_request_that_failed_stores_nothing(library: Library, painter: Painter, error: type[Exception]) -> None:
    with pytest.raises(error):
        paint(library, painter)
    assert stored(library) == []


@pytest.mark.parametrize(("broken", "written"), [("input.json", 1), ("original.png", 1), ("record.json", 2)])
def test_nothing_is_committed_when_storage_fails_on_the_way(
    library: Library, watch: Watch, broken: str, written: int
) -> None:
    watch.answer("PutObject", 503, "SlowDown", key=broken)
    with pytest.raises(ServiceUnavailable):
        paint(library)
    keys_written = stored(library)
    assert len(keys_written) == written
    assert not any(keys.record_id_of(key) for key in keys_written)


@pytest.mark.parametrize(("remaining_ms", "least", "most"), [(28_000, 23.0, GENERATION_SECONDS), (10_000, 6.0, 7.0)])
def test_providers_get_the_time_that_storing_does_not_need(
    library: Library, remaining_ms: int, least: float, most: float
) -> None:
    with mock.patch("generation.library.Deadline", wraps=Deadline) as deadline:
        paint(library, remaining_ms=remaining_ms)
    (seconds,) = deadline.call_args.args
    assert least <= seconds <= most


# ---------------------------------------------------------------- read


@pytest.mark.parametrize("caller", [None, ANA, ADMIN])
def test_anybody_who_knows_its_id_reads_an_anonymous_generation(library: Library, caller: Identity | None) -> None:
    generation = paint(library)
    assert library.get(generation["id"], caller) == generation
    assert library.download(generation["id"], caller)["contentType"] == "image/png"


@pytest.mark.parametrize("caller", [ANA, ADMIN])
def test_the_owner_and_admins_read_a_users_generation(library: Library, caller: Identity) -> None:
    generation = paint(library, caller=ANA)
    assert library.get(generation["id"], caller)["userId"] == ANA.sub
    assert library.download(generation["id"], caller)["url"]


@pytest.mark.parametrize("caller", [None, BEN])
def test_to_everybody_else_it_does_not_exist(library: Library, caller: Identity | None) -> None:
    generation = paint(library, caller=ANA)
    for read_it in (library.get, library.download):
        with pytest.raises(NotFound) as hidden:
            read_it(generation["id"], caller)
        with pytest.raises(NotFound) as missing:
            read_it(ids.new(), caller)
        assert hidden.value.detail == missing.value.detail


@pytest.mark.parametrize(
    "record_id", ["", "x", "..", "../../users/anonymous", identifier(rest=0xABC).upper(), "0" * 10_000, "é", "\0"]
)
def test_an_id_that_is_not_one_of_ours_is_not_found_without_asking_storage(
    library: Library, watch: Watch, record_id: str
) -> None:
    with pytest.raises(NotFound):
        library.get(record_id, ADMIN)
    with pytest.raises(NotFound):
        library.download(record_id, ADMIN)
    assert watch.calls == []


@pytest.mark.parametrize("content", [b"", b"{}", b"<html>", records.dumps({"id": "x"})])
def test_a_record_that_cannot_be_read_is_unavailable(library: Library, content: bytes) -> None:
    record_id = ids.new()
    library.bucket.put(keys.record_object(record_id), content, "application/json")
    with pytest.raises(ServiceUnavailable):
        library.get(record_id, ADMIN)


def test_a_record_under_the_key_of_another_is_unavailable(library: Library) -> None:
    record_id = ids.new()
    library.bucket.put(keys.record_object(record_id), records.dumps(image_record()), "application/json")
    with pytest.raises(ServiceUnavailable):
        library.get(record_id, ADMIN)


def test_a_download_is_a_signed_url_of_the_artifact(library: Library) -> None:
    generation = paint(library, Painter(content_type="image/jpeg"))
    answer = library.download(generation["id"], None)
    assert answer["expiresIn"] == SIGNED_URL_SECONDS
    assert answer["contentType"] == "image/jpeg"
    assert urlsplit(answer["url"]).path.endswith(generation["s3"]["image"])


# ---------------------------------------------------------------- list


def remember(library: Library, owner: str, *record_ids: str) -> None:
    """Put lines into an owner's history."""
    for record_id in record_ids:
        day = library.day(owner, ids.created_at(record_id).date())
        day.append([line(record_id)], Deadline(9))


def test_a_list_is_of_lines_with_links_newest_first(library: Library) -> None:
    lines = [line(identifier(rest=rest)) for rest in range(3)]
    remember(library, ANA.sub, *(one["id"] for one in lines))
    answer = listed(library, ANA, limit=2)
    assert answer["items"] == [
        {**one, "links": {"self": f"/image/{one['id']}", "download": f"/image/{one['id']}/download"}}
        for one in lines[:0:-1]
    ]
    assert answer["nextCursor"]
    rest = listed(library, ANA, limit=2, cursor=answer["nextCursor"])
    assert [item["id"] for item in rest["items"]] == [lines[0]["id"]]
    assert rest["nextCursor"] is None


def test_a_list_is_the_callers_own_unless_an_admin_asks_for_anothers(library: Library) -> None:
    owners = {"anonymous": identifier(rest=1), ANA.sub: identifier(rest=2), ADMIN.sub: identifier(rest=3)}
    for owner, record_id in owners.items():
        remember(library, owner, record_id)

    def seen(caller: Identity, user_id: str | None = None) -> list[str]:
        return [item["id"] for item in listed(library, caller, user_id=user_id)["items"]]

    assert seen(ANA) == seen(ANA, ANA.sub) == seen(ADMIN, ANA.sub) == [owners[ANA.sub]]
    assert seen(ADMIN) == [owners[ADMIN.sub]]
    assert seen(ADMIN, "anonymous") == [owners["anonymous"]]
    assert seen(BEN) == []
    assert seen(ADMIN, BEN.sub) == []


@pytest.mark.parametrize("user_id", [BEN.sub, "anonymous", ADMIN.sub, "x", "../x"])
def test_anothers_list_is_forbidden_to_a_user(library: Library, user_id: str) -> None:
    with pytest.raises(Forbidden):
        listed(library, ANA, user_id=user_id)


@pytest.mark.parametrize("user_id", ["x", "../anonymous", "Anonymous", "\0", ANA.sub.upper() + "A"])
def test_a_user_who_cannot_exist_is_not_found_by_an_admin(library: Library, watch: Watch, user_id: str) -> None:
    with pytest.raises(NotFound):
        listed(library, ADMIN, user_id=user_id)
    assert watch.calls == []


def test_bounds_the_wrong_way_round_are_refused(library: Library) -> None:
    with pytest.raises(Unprocessable) as caught:
        listed(library, ANA, first_day=date(2026, 1, 2), last_day=date(2026, 1, 1))
    assert [error.field for error in caught.value.errors] == ["from"]
    assert listed(library, ANA, first_day=date(2026, 1, 1), last_day=date(2026, 1, 1))["items"] == []


def test_bounds_select_days(library: Library) -> None:
    record_ids = [identifier(MOMENT + day * DAY) for day in range(3)]
    remember(library, ANA.sub, *record_ids)
    answer = listed(library, ANA, first_day=date(2026, 11, 23), last_day=date(2026, 11, 23))
    assert [item["id"] for item in answer["items"]] == [record_ids[1]]


def test_a_cursor_is_of_one_users_list(library: Library) -> None:
    remember(library, ANA.sub, identifier(rest=1), identifier(rest=2))
    cursor = listed(library, ANA, limit=1)["nextCursor"]
    assert listed(library, ADMIN, cursor=cursor, user_id=ANA.sub)["items"]
    with pytest.raises(Unprocessable) as caught:
        listed(library, BEN, cursor=cursor)
    assert [error.field for error in caught.value.errors] == ["cursor"]


# ---------------------------------------------------------------- delete


@pytest.mark.parametrize("caller", [ANA, ADMIN])
def test_the_owner_and_admins_delete_all_of_a_generation(library: Library, caller: Identity) -> None:
    generation = paint(library, caller=ANA)
    library.delete(generation["id"], caller)
    assert stored(library) == [keys.tombstone_object(generation["id"])]
    with pytest.raises(NotFound):
        library.get(generation["id"], ANA)


def test_the_tombstone_comes_first_and_the_record_goes_last(library: Library, watch: Watch) -> None:
    generation = paint(library, caller=ANA)
    watch.calls.clear()
    library.delete(generation["id"], ANA)
    place = generation["s3"]
    assert watch.calls == [
        ("GetObject", place["record"]),
        ("PutObject", keys.tombstone_object(generation["id"])),
        ("DeleteObject", place["image"]),
        ("DeleteObject", place["input"]),
        ("DeleteObject", place["record"]),
    ]


def test_the_tombstone_tells_whose_it_was_and_when_it_was_deleted(library: Library) -> None:
    generation = paint(library, caller=ANA)
    before = times.now()
    library.delete(generation["id"], ADMIN)
    tombstone = Tombstone.read(library.bucket, generation["id"])
    assert tombstone is not None
    assert tombstone.user_id == ANA.sub
    assert before <= tombstone.deleted_at <= times.now()


@pytest.mark.parametrize("caller", [ANA, ADMIN])
def test_a_deletion_may_be_repeated_and_changes_nothing(library: Library, watch: Watch, caller: Identity) -> None:
    generation = paint(library, caller=ANA)
    library.delete(generation["id"], ANA)
    watch.calls.clear()
    library.delete(generation["id"], caller)
    assert {operation for operation, _key in watch.calls} == {"GetObject"}


@pytest.mark.parametrize("is_deleted", [False, True])
@pytest.mark.parametrize("owner", [ANA, None])
def test_to_everybody_else_there_is_nothing_to_delete(
    library: Library, owner: Identity | None, is_deleted: bool
) -> None:
    generation = paint(library, caller=owner)
    if is_deleted:
        library.delete(generation["id"], ADMIN)
    before = stored(library)
    with pytest.raises(NotFound) as hidden:
        library.delete(generation["id"], BEN)
    with pytest.raises(NotFound) as missing:
        library.delete(ids.new(), BEN)
    assert hidden.value.detail == missing.value.detail
    assert stored(library) == before


def test_only_an_admin_deletes_an_anonymous_generation(library: Library) -> None:
    generation = paint(library)
    library.delete(generation["id"], ADMIN)
    assert stored(library) == [keys.tombstone_object(generation["id"])]


def test_what_never_was_is_not_found_by_an_admin(library: Library, watch: Watch) -> None:
    with pytest.raises(NotFound):
        library.delete(ids.new(), ADMIN)
    watch.calls.clear()
    for record_id in ("", "x", "..", identifier(rest=0xABC).upper()):
        with pytest.raises(NotFound):
            library.delete(record_id, ADMIN)
    assert watch.calls == []


@pytest.mark.parametrize(
    ("operation", "broken"),
    [("PutObject", "deleted/"), ("DeleteObject", "original"), ("DeleteObject", "input"), ("DeleteObject", "record")],
)
def test_a_deletion_that_broke_off_is_completed_by_a_repeat(
    library: Library, watch: Watch, operation: str, broken: str
) -> None:
    generation = paint(library, caller=ANA)
    watch.answer(operation, 503, "SlowDown", key=broken)
    with pytest.raises(ServiceUnavailable):
        library.delete(generation["id"], ANA)
    assert generation["s3"]["record"] in stored(library)
    library.delete(generation["id"], ANA)
    assert stored(library) == [keys.tombstone_object(generation["id"])]


def test_a_record_that_cannot_be_read_is_not_deleted(library: Library) -> None:
    record_id = ids.new()
    library.bucket.put(keys.record_object(record_id), b"{}", "application/json")
    with pytest.raises(ServiceUnavailable):
        library.delete(record_id, ADMIN)
    assert stored(library) == [keys.record_object(record_id)]


# ---------------------------------------------------------------- configuration


def test_the_library_of_an_execution_environment_is_opened_once_from_its_settings(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUCKET", bucket.name)
    monkeypatch.setenv("S3_PUBLIC_ENDPOINT", "http://localhost:4566")
    with environment_caches_cleared(open_library, settings.current):
        opened = open_library(IMAGE)
        assert opened is open_library(IMAGE)
        assert (opened.service, opened.bucket.name) == (IMAGE, bucket.name)
        generation = paint(opened)
        assert "localhost:4566" in opened.download(generation["id"], None)["url"]

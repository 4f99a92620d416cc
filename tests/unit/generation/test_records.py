import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.identity import Identity
from generation import records
from generation.chain import Outcome
from generation.providers import Artifact
from generation.records import InvalidRecord
from generation.services import Service
from image.service import SERVICE as IMAGE
from tests.services import NAMES, SERVICES
from tests.unit.generation.samples import identifier, image_record, record_of, speech_record
from tests.unit.stand_ins import ADMIN, ANA, BEN, MP3, PNG
from tts.service import SERVICE as SPEECH

RECORD_ID = identifier()
FOLDER = f"requests/2026/11/22/{RECORD_ID}"

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def test_record_json_has_exactly_the_fields_of_the_contract() -> None:
    record = records.build(
        IMAGE,
        RECORD_ID,
        caller=ANA,
        prompt="a fox",
        params={"size": "512x512", "seed": 7, "model": "flux"},
        outcome=Outcome(Artifact(PNG, "image/webp", "offline", "sketch", cost_usd=0.01), "pollinations", "status 503"),
        latency_ms=1234,
        input_bytes=99,
    )
    assert record == {
        "id": RECORD_ID,
        "userId": ANA.sub,
        "username": "ana@example.com",
        "service": "image",
        "provider": "offline",
        "model": "sketch",
        "prompt": "a fox",
        "promptHash": "sha256:" + hashlib.sha256(b"a fox").hexdigest(),
        "status": "completed",
        "latencyMs": 1234,
        "size": {"inputBytes": 99, "outputBytes": len(PNG)},
        "cost": {"usd": 0.01},
        "createdAt": "2026-11-22T13:30:00.123Z",
        "artifacts": {"image": f"{FOLDER}/image/original.webp"},
        "meta": {
            "params": {
                "size": "512x512",
                "seed": 7,
                "model": "flux",
                "fallbackFrom": "pollinations",
                "fallbackReason": "status 503",
            }
        },
    }


def test_the_record_of_an_anonymous_caller_says_so() -> None:
    record = image_record()
    assert (record["userId"], record["username"]) == ("anonymous", "anonymous")


def test_the_view_of_a_picture_has_exactly_the_fields_of_the_contract() -> None:
    assert records.view(IMAGE, image_record(RECORD_ID)) == {
        "id": RECORD_ID,
        "service": "image",
        "status": "completed",
        "prompt": "a fox",
        "createdAt": "2026-11-22T13:30:00.123Z",
        "userId": None,
        "s3": {
            "input": f"{FOLDER}/input.json",
            "record": f"{FOLDER}/record.json",
            "image": f"{FOLDER}/image/original.png",
        },
        "meta": {
            "provider": "painter",
            "model": "brush-1",
            "size": "512x512",
            "seed": 7,
            "latencyMs": 12,
            "contentType": "image/png",
            "bytes": len(PNG),
        },
        "links": {"self": f"/image/{RECORD_ID}", "download": f"/image/{RECORD_ID}/download"},
    }


def test_the_view_of_speech_tells_its_duration_and_the_fallback() -> None:
    view = records.view(SPEECH, speech_record(RECORD_ID))
    assert view["s3"]["audio"] == f"{FOLDER}/audio/output.mp3"
    assert view["links"]["self"] == f"/tts/{RECORD_ID}"
    assert view["meta"] == {
        "provider": "offline",
        "model": "pico",
        "voice": "en",
        "latencyMs": 12,
        "contentType": "audio/mpeg",
        "bytes": len(MP3),
        "durationSeconds": 1.25,
        "fallbackFrom": "gtts",
        "fallbackReason": "timeout",
    }


def test_an_index_line_has_exactly_the_fields_of_the_contract() -> None:
    assert records.line(IMAGE, image_record(RECORD_ID, prompt="x" * 300)) == {
        "id": RECORD_ID,
        "createdAt": "2026-11-22T13:30:00.123Z",
        "service": "image",
        "provider": "painter",
        "model": "brush-1",
        "prompt": "x" * 200,
        "status": "completed",
        "contentType": "image/png",
        "bytes": len(PNG),
        "record": f"{FOLDER}/record.json",
    }


@given(st.text())
def test_a_line_is_one_line_of_compact_json_whatever_the_prompt(prompt: str) -> None:
    written = records.dumps(records.line(IMAGE, image_record(prompt=prompt)))
    assert written.splitlines() == [written]
    assert b'", "' not in written.replace(json.dumps(prompt[:200], ensure_ascii=False).encode(), b"")
    assert json.loads(written)["prompt"] == prompt[:200]


@pytest.mark.parametrize(
    ("content_type", "extension"),
    [("image/png", "png"), ("image/jpeg", "jpg"), ("image/webp", "webp"), ("audio/mpeg", "mp3")],
)
def test_the_ending_of_the_artifact_follows_its_bytes_and_tells_its_type(content_type: str, extension: str) -> None:
    record = records.build(
        IMAGE,
        RECORD_ID,
        caller=None,
        prompt="x",
        params={},
        outcome=Outcome(Artifact(PNG, content_type, "p", "m")),
        latency_ms=1,
        input_bytes=1,
    )
    assert record["artifacts"] == {"image": f"{FOLDER}/image/original.{extension}"}
    assert records.content_type(IMAGE, record) == content_type


@pytest.mark.parametrize("service", SERVICES, ids=NAMES)
def test_a_record_survives_storage(service: Service) -> None:
    record = record_of(service)
    assert records.loads(service, record["id"], records.dumps(record)) == record


def test_a_record_of_another_service_is_not_valid() -> None:
    with pytest.raises(InvalidRecord):
        records.loads(SPEECH, RECORD_ID, records.dumps(image_record()))


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"{}", b'"x"', b"7", b"\xff", b"[" * 100_000, b'{"id":' + b"9" * 5000 + b"}"],
)
def test_what_is_not_a_record_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidRecord):
        records.loads(IMAGE, RECORD_ID, content)


def test_a_record_whose_text_cannot_be_written_again_is_refused() -> None:
    content = json.dumps(image_record(RECORD_ID, prompt="\ud800")).encode()
    with pytest.raises(InvalidRecord):
        records.loads(IMAGE, RECORD_ID, content)


@pytest.mark.parametrize("name", records.Record.__annotations__)
def test_a_record_without_a_field_is_refused_or_shows_without_it(name: str) -> None:
    content = records.dumps({key: value for key, value in image_record().items() if key != name})
    if name == "cost":  # nothing reads it
        assert records.view(IMAGE, records.loads(IMAGE, RECORD_ID, content))
        return
    with pytest.raises(InvalidRecord):
        records.loads(IMAGE, RECORD_ID, content)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": identifier(rest=1)},
        {"id": "017F22E2-79B0-7CC3-98C4-DC0C0C07398F"},
        {"userId": "../../anonymous"},
        {"userId": ""},
        {"size": {"inputBytes": 1, "outputBytes": "1"}},
        {"latencyMs": "12"},
        {"meta": {"params": []}},
        {"artifacts": {"image": f"{FOLDER}/image/original.exe"}},
        {"artifacts": {"image": "users/somebody/secret.png"}},
        {"artifacts": {"image": f"{FOLDER}/image/original.png", "more": 7}},
        {"artifacts": {"audio": f"{FOLDER}/audio/output.mp3"}},
        {"prompt": None},
    ],
)
def test_a_record_with_a_wrong_field_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecord):
        records.loads(IMAGE, RECORD_ID, records.dumps(image_record(RECORD_ID, **changes)))


@given(st.sampled_from(sorted(records.Record.__annotations__)), JSON_VALUES)
def test_whatever_is_accepted_can_be_shown(name: str, value: Any) -> None:
    content = json.dumps(image_record(**{name: value})).encode()
    try:
        record = records.loads(IMAGE, RECORD_ID, content)
    except InvalidRecord:
        return
    records.dumps({**records.view(IMAGE, record)})
    records.dumps({**records.line(IMAGE, record)})


@given(JSON_VALUES)
def test_arbitrary_json_is_not_a_record(value: Any) -> None:
    with pytest.raises(InvalidRecord):
        records.loads(IMAGE, RECORD_ID, json.dumps(value).encode())


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_not_a_record(content: bytes) -> None:
    with pytest.raises(InvalidRecord):
        records.loads(IMAGE, RECORD_ID, content)


@pytest.mark.parametrize(
    ("owner", "caller", "readable"),
    [
        (None, None, True),
        (None, BEN, True),
        (ANA, None, False),
        (ANA, BEN, False),
        (ANA, ANA, True),
        (ANA, ADMIN, True),
    ],
)
def test_who_may_read_a_record(owner: Identity | None, caller: Identity | None, readable: bool) -> None:
    record = image_record(userId=owner.sub if owner else "anonymous")
    assert records.readable_by(record, caller) is readable

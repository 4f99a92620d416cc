import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from core import ids
from core.identity import Identity
from generation import chain
from generation.providers import PromptRefused, ProviderTimeout
from tests import events
from tests.events import Gateway
from tests.unit.functions.answers import Answer, ask
from tests.unit.functions.test_image import bearer
from tests.unit.stand_ins import ADMIN, ANA, BEN, MP3, Speaker
from tts import download, generate, get, index
from tts import list as list_audios

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def post(body: Any, *, caller: Identity | None = None, gateway: Gateway = events.aws, key: str | None = None) -> Answer:
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    headers = bearer(caller) | ({} if key is None else {"Idempotency-Key": key})
    return ask(generate, gateway("POST", "/tts/generate", body=text, headers=headers))


def test_speech_is_created_read_downloaded_and_listed(
    s3: "S3Client", bucket: str, gateway: Gateway, speaker: Speaker
) -> None:
    created = post({"prompt": " hola ", "voice": "es", "model": "gtts-slow"}, caller=ANA, gateway=gateway)
    assert created.status == 201
    generation = created.json
    assert created.headers["location"] == f"/tts/{generation['id']}"
    assert set(generation["s3"]) == {"input", "record", "audio"}
    assert set(generation["meta"]) == {
        "provider", "model", "voice", "latencyMs", "contentType", "bytes", "durationSeconds",
    }  # fmt: skip
    assert (generation["service"], generation["prompt"]) == ("tts", "hola")
    assert (speaker.asked[0].prompt, speaker.asked[0].voice, speaker.asked[0].model) == ("hola", "es", "gtts-slow")
    assert s3.get_object(Bucket=bucket, Key=generation["s3"]["audio"])["Body"].read() == MP3

    parameters, headers = {"id": generation["id"]}, bearer(ANA)
    assert ask(get, gateway("GET", "/tts/{id}", parameters=parameters, headers=headers)).json == generation
    found = ask(download, gateway("GET", "/tts/{id}/download", parameters=parameters, headers=headers)).json
    assert (found["expiresIn"], found["contentType"]) == (900, "audio/mpeg")
    moved = gateway("GET", "/tts/{id}/download", parameters=parameters, headers=headers, query={"redirect": "true"})
    assert ask(download, moved).headers["location"].startswith(found["url"].partition("?")[0])

    batch = events.sqs(events.s3_notification(bucket, generation["s3"]["record"]))
    assert index.handler(batch, events.Context()) == {"batchItemFailures": []}
    (item,) = ask(list_audios, gateway("GET", "/admin/audios", headers=headers)).json["items"]
    assert (item["id"], item["contentType"]) == (generation["id"], "audio/mpeg")


@pytest.mark.usefixtures("bucket")
def test_english_is_what_is_spoken_unless_something_else_is_asked(speaker: Speaker) -> None:
    assert post({"prompt": "hello"}).json["meta"]["voice"] == "en"
    assert (speaker.asked[0].voice, speaker.asked[0].model) == ("en", "gtts")


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("prompt", ["x" * 4096, "😀" * 4096, "שלום", "مرحبا بالعالم", "line\nline"])
def test_every_text_is_a_prompt(speaker: Speaker, prompt: str) -> None:
    assert post({"prompt": prompt}).json["prompt"] == prompt
    assert speaker.asked[0].prompt == prompt


WRONG: dict[str, list[Any]] = {
    "prompt": [None, 7, [], {}, "", "  ", "x" * 4097, "a\0b", "\ud800"],
    "voice": [None, 7, [], {}, "", "xx", "EN", "en ", "e\0n", "../en", "\ud800", "x" * 5000],
    "model": [None, 7, [], "", "GTTS", "gtts ", "flux", "\ud800"],
}


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in WRONG.items() for value in values],
    ids=lambda value: repr(value)[:30].encode("ascii", "replace").decode(),
)
def test_a_wrong_field_is_named(gateway: Gateway, speaker: Speaker, field: str, value: Any) -> None:
    assert post({"prompt": "a", field: value}, gateway=gateway).wrong_fields() == {field}
    assert speaker.asked == []


@pytest.mark.usefixtures("speaker")
@pytest.mark.parametrize("voice", ["tlh", "", None, 5, 1.5, True, [], ["en"], {}])
def test_a_voice_that_nobody_speaks_is_answered_with_those_that_somebody_does(voice: Any) -> None:
    (error,) = post({"prompt": "a", "voice": voice}).problem(422)["errors"]
    assert "en, es" in error["message"]


@pytest.mark.usefixtures("answers_table")
def test_a_request_that_is_sent_again_with_its_key_gets_the_first_answer(
    s3: "S3Client", bucket: str, gateway: Gateway, speaker: Speaker
) -> None:
    first = post({"prompt": "hello"}, caller=ANA, gateway=gateway, key="a-key")
    again = post({"prompt": " hello ", "voice": "en"}, caller=ANA, gateway=gateway, key="a-key")
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["location"] == first.headers["location"] == f"/tts/{first.json['id']}"
    assert len(speaker.asked) == 1
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 3


@pytest.mark.usefixtures("bucket", "answers_table")
@pytest.mark.parametrize("change", [{"prompt": "bye"}, {"voice": "es"}, {"model": "gtts-slow"}])
def test_a_key_that_came_with_another_request_is_422(speaker: Speaker, change: Any) -> None:
    post({"prompt": "hello"}, key="a-key")
    problem = post({"prompt": "hello"} | change, key="a-key").problem(422)
    assert problem["type"] == "urn:llm-microservices:problem:idempotency-key-reused"
    assert len(speaker.asked) == 1


@pytest.mark.usefixtures("bucket", "answers_table")
def test_a_request_that_is_not_valid_leaves_its_key_free(speaker: Speaker) -> None:
    assert post({"prompt": "hello", "voice": "tlh"}, key="a-key").wrong_fields() == {"voice"}
    assert post({"prompt": "hello"}, key="a-key").status == 201
    assert len(speaker.asked) == 1


@pytest.mark.usefixtures("bucket")
def test_without_its_table_the_key_is_503_and_no_provider_is_asked(answers_table: str, speaker: Speaker) -> None:
    boto3.client("dynamodb").delete_table(TableName=answers_table)
    post({"prompt": "hello"}, key="a-key").problem(503)
    assert speaker.asked == []


@pytest.mark.usefixtures("bucket")
def test_a_prompt_that_cannot_be_spoken_is_the_field_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "providers", lambda _service: (Speaker(error=PromptRefused("nothing to say")),))
    (error,) = post({"prompt": "..."}).problem(422)["errors"]
    assert error["field"] == "prompt"
    assert "nothing to say" in error["message"]


def test_a_failure_stores_nothing(s3: "S3Client", bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "providers", lambda _service: (Speaker(error=ProviderTimeout()),))
    post({"prompt": "a"}).problem(504)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.usefixtures("bucket", "speaker")
def test_a_users_speech_is_404_to_everybody_else(gateway: Gateway) -> None:
    parameters = {"id": post({"prompt": "a"}, caller=ANA).json["id"]}
    for stranger in (None, BEN):
        for function, resource in ((get, "/tts/{id}"), (download, "/tts/{id}/download")):
            ask(function, gateway("GET", resource, parameters=parameters, headers=bearer(stranger))).problem(404)
    assert ask(get, gateway("GET", "/tts/{id}", parameters=parameters, headers=bearer(ADMIN))).status == 200


@pytest.mark.usefixtures("bucket")
def test_the_list_needs_a_token_and_valid_values(gateway: Gateway) -> None:
    ask(list_audios, gateway("GET", "/admin/audios")).problem(401)
    wrong = {"limit": "0", "from": "x", "to": "0"}
    answer = ask(list_audios, gateway("GET", "/admin/audios", query=wrong, headers=bearer(ANA)))
    assert answer.wrong_fields() == {"limit", "from", "to"}
    ask(get, gateway("GET", "/tts/{id}", parameters={"id": ids.new()})).problem(404)

"""What every generating service promises of POST /{service}/generate."""

import json
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from core import identity
from core.errors import FieldError
from generation import library, settings
from generation.providers import PromptRefused, ProviderError, ProviderTimeout
from generation.services import CONTENT_TYPES, Service
from generation.usage import failures
from generation.usage.entries import Entry, of_failure
from tests import events, tokens
from tests.events import Gateway
from tests.unit.conftest import Log
from tests.unit.functions.answers import Answer
from tests.unit.functions.calls import KEY, Calls, stored
from tests.unit.stand_ins import ADMIN, ANA, BEN, CONTENT, Watch, environment_caches_cleared, is_generic

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


# ---------------------------------------------------------------- what is made


def test_a_generation_is_answered_as_the_contract_says_and_stored_as_it_says(
    s3: "S3Client", bucket: str, gateway: Gateway, calls: Calls, service: Service
) -> None:
    answer = calls.post(calls.body(ignored=True), caller=ANA, gateway=gateway)
    assert answer.status == 201, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json
    assert answer.headers["location"] == f"/{service.name}/{made['id']}"

    folder = calls.of(made["id"])
    meta = made.pop("meta")
    told = {name: made.pop(name) for name in service.told}
    artifact = f"{folder}/{service.artifact}/{service.filename}.{service.extensions[0]}"
    assert made == {
        "id": made["id"],
        "service": service.name,
        "status": "completed",
        "prompt": service.sample[calls.text],
        "createdAt": made["createdAt"],
        "userId": ANA.sub,
        "s3": {"input": f"{folder}/input.json", "record": f"{folder}/record.json", service.artifact: artifact},
        "links": {"self": f"/{service.name}/{made['id']}", "download": f"/{service.name}/{made['id']}/download"},
    }
    facts = calls.provider.facts
    shown = set(service.shown) & (set(calls.decided) | set(facts))
    assert set(meta) == {"provider", "model", "latencyMs", "contentType", "bytes"} | shown
    assert (meta["provider"], meta["model"], meta["bytes"]) == ("stand-in", "model-1", len(CONTENT))
    assert meta["contentType"] == service.content_types[0]
    assert {**meta, **told}.items() >= facts.items()
    assert {name: meta[name] for name in shown & set(service.sample)} == {
        name: service.sample[name] for name in shown & set(service.sample)
    }

    objects = stored(s3, bucket)
    assert set(objects) == set(made["s3"].values())
    assert objects[artifact] == CONTENT
    asked = json.loads(objects[made["s3"]["input"]])
    assert set(asked) == {"id", "service", "userId", "prompt", "params", "createdAt"}
    assert (asked["service"], asked["userId"], asked["prompt"]) == (service.name, ANA.sub, service.sample[calls.text])
    record = json.loads(objects[made["s3"]["record"]])
    assert set(record) == {
        "id", "userId", "username", "service", "provider", "model", "prompt", "promptHash", "status", "latencyMs",
        "size", "cost", "createdAt", "artifacts", "meta",
    }  # fmt: skip
    assert (record["service"], record["username"], record["artifacts"]) == (
        service.name,
        ANA.email,
        {service.artifact: artifact},
    )


def test_every_ending_of_the_service_is_kept_with_its_media_type(
    s3: "S3Client", bucket: str, calls: Calls, service: Service
) -> None:
    for extension in service.extensions:
        calls.provider.artifact = type(calls.provider.artifact)(CONTENT, CONTENT_TYPES[extension], "stand-in", "m")
        made = calls.made(None)
        key = made["s3"][service.artifact]
        assert key.endswith(f"{service.filename}.{extension}")
        assert made["meta"]["contentType"] == CONTENT_TYPES[extension]
        assert s3.head_object(Bucket=bucket, Key=key)["ContentType"] == CONTENT_TYPES[extension]
        assert calls.ask("download", made["id"]).json["contentType"] == CONTENT_TYPES[extension]


@pytest.mark.usefixtures("bucket")
def test_the_identity_that_the_authorizer_found_is_taken(gateway: Gateway, calls: Calls) -> None:
    assert calls.made(None, gateway=gateway, identity=ADMIN)["userId"] == ADMIN.sub
    assert calls.made(None, gateway=gateway)["userId"] is None


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    "text", ["a", "שלום עולם", "مرحبا", "\u202eabc", "a\nb", "a\u2028b", 'a "\\/', "<script>", "💩🏳️‍🌈 a"]
)
def test_any_text_comes_back_as_it_is(calls: Calls, text: str) -> None:
    assert calls.post(calls.body(text)).json["prompt"] == text


@pytest.mark.usefixtures("bucket")
def test_a_text_is_as_long_as_the_description_says_in_characters_however_it_is_written(
    calls: Calls, service: Service
) -> None:
    for character in ("x", "😀"):
        text = character * calls.longest
        for escaped in (True, False):
            body = json.dumps(calls.body(text), ensure_ascii=escaped)
            answer = calls.post(body)
            # As it is, the longest text is let through by the body's limit; with escapes, as far as there is room.
            assert answer.status == (201 if len(body.encode()) <= service.body_bytes else 413), answer.body
            assert escaped or answer.status == 201
        longer = json.dumps(calls.body(text + character), ensure_ascii=False)
        (error,) = calls.post(longer).problem(422)["errors"]
        assert error == {"field": calls.text, "message": f"String should have at most {calls.longest} characters"}


# ---------------------------------------------------------------- bodies


@pytest.mark.usefixtures("bucket")
def test_a_body_in_base64_is_read_and_its_content_type_is_not_asked(gateway: Gateway, calls: Calls) -> None:
    raw = events.in_base64(json.dumps(calls.body("señal"), ensure_ascii=False).encode())
    assert calls.ask("generate", gateway=gateway, body=raw, base64_encoded=True).json["prompt"] == "señal"
    headers = {"Content-Type": "text/plain"}
    assert calls.ask("generate", gateway=gateway, body=json.dumps(calls.body()), headers=headers).status == 201


def test_a_body_that_is_no_request_is_told_by_the_status(gateway: Gateway, calls: Calls, service: Service) -> None:
    for body in ("", "{", "\ufeff", '{"x": NaN}', '{"x": "\ufffd"}'):
        calls.post(body, gateway=gateway).problem(400)
    calls.ask("generate", gateway=gateway, body=events.in_base64(b"\xff"), base64_encoded=True).problem(400)
    at_most = '{"x": ""' + " " * (service.body_bytes - 9) + "}"
    assert len(at_most) == service.body_bytes
    assert calls.text in calls.post(at_most, gateway=gateway).wrong_fields()
    calls.post(at_most + " ", gateway=gateway).problem(413)
    for body in ("[]", "null", "7"):
        calls.post(body, gateway=gateway).problem(422)
    assert calls.provider.asked == []


@pytest.mark.parametrize("value", [None, 7, True, [], {}, ["a"], "", " \t\n ", "a\0b", "\ud800"], ids=repr)
def test_a_text_that_is_none_is_named(calls: Calls, value: Any) -> None:
    assert calls.post(calls.body() | {calls.text: value}).wrong_fields() == {calls.text}
    assert calls.provider.asked == []


# ---------------------------------------------------------------- the same request again


@pytest.mark.usefixtures("answers_table")
def test_a_request_that_is_sent_again_with_its_key_gets_the_first_answer(
    s3: "S3Client", bucket: str, gateway: Gateway, calls: Calls
) -> None:
    first = calls.post(caller=ANA, gateway=gateway, key=KEY)
    turned = dict(reversed(calls.body(ignored=1).items()))
    for same in (calls.body(), turned, json.dumps(calls.body()).replace("o", "\\u006f")):
        again = calls.post(same, caller=ANA, gateway=gateway, key=KEY)
        assert (again.status, again.body) == (201, first.body)
        assert again.headers["location"] == first.headers["location"]
    assert len(calls.provider.asked) == 1
    assert len(stored(s3, bucket)) == 3

    problem = calls.post(calls.body("another"), caller=ANA, gateway=gateway, key=KEY).problem(422)
    assert problem["type"] == "urn:llm-microservices:problem:idempotency-key-reused"
    assert len(calls.provider.asked) == 1


@pytest.mark.usefixtures("bucket", "answers_table")
def test_each_caller_has_keys_of_their_own_and_each_address(calls: Calls) -> None:
    def post_from(address: str) -> str:
        event = events.aws(
            "POST", f"{calls.path}/generate", body=json.dumps(calls.body()), headers={"Idempotency-Key": KEY}
        )
        event["requestContext"]["identity"]["sourceIp"] = address
        response = calls.function("generate").handler(event, events.Context())
        return str(json.loads(response["body"])["id"])

    def everybodys() -> list[str]:
        of_users = [calls.made(caller, key=KEY)["id"] for caller in (ANA, BEN)]
        return of_users + [post_from(address) for address in ("192.0.2.1", "192.0.2.2")]

    made = everybodys()
    assert len(set(made)) == 4
    assert everybodys() == made


@pytest.mark.usefixtures("bucket", "answers_table")
def test_while_the_first_is_in_flight_the_same_is_409_and_another_422(calls: Calls) -> None:
    elsewhere, meanwhile = calls.elsewhere("generate"), list[Answer]()

    def others() -> None:
        meanwhile.extend(calls.post(calls.body(text), key=KEY, function=elsewhere) for text in (None, "another"))

    calls.provider.before = others
    first = calls.post(key=KEY)
    conflict, refused = meanwhile
    assert conflict.problem(409)["type"] == "urn:llm-microservices:problem:idempotency-key-in-use"
    assert int(conflict.headers["retry-after"]) > 0
    assert refused.problem(422)["type"] == "urn:llm-microservices:problem:idempotency-key-reused"
    assert calls.post(key=KEY, function=elsewhere).body == first.body
    assert len(calls.provider.asked) == 1


FAILURES = [
    (ProviderError("status 503"), 502),
    (ProviderTimeout(), 504),
    (PromptRefused("status 400"), 422),
    (RuntimeError("secret of the library"), 502),
]


@pytest.mark.usefixtures("answers_table")
@pytest.mark.parametrize(("error", "status"), FAILURES)
def test_a_provider_that_fails_is_told_by_the_status_stores_nothing_and_leaves_the_key_free(
    s3: "S3Client", bucket: str, calls: Calls, error: Exception, status: int
) -> None:
    calls.provider.error = error
    problem = calls.post(key=KEY).problem(status)
    assert "secret" not in problem["detail"]
    assert stored(s3, bucket) == {}
    calls.provider.error = None
    first = calls.post(key=KEY)
    assert first.status == 201
    assert calls.post(key=KEY).body == first.body
    assert len(calls.provider.asked) == 2


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """The failed calls of which the queue of usage was told."""
    entries: list[Entry] = []
    queue = mock.Mock()
    queue.send_message.side_effect = lambda QueueUrl, MessageBody: entries.append(  # noqa: N803
        of_failure(json.loads(MessageBody)["failure"])
    )
    monkeypatch.setattr(failures, "_client", lambda: queue)
    monkeypatch.setenv("USAGE_QUEUE_URL", "https://queue")
    return entries


@pytest.mark.usefixtures("bucket", "answers_table")
@pytest.mark.parametrize(("error", "status"), FAILURES)
def test_a_call_that_fails_is_told_to_the_counters_once_and_no_other_is(
    calls: Calls, told: list[Entry], error: Exception, status: int
) -> None:
    first = calls.post(caller=ANA, key=KEY)
    assert calls.post(caller=ANA, key=KEY).body == first.body
    calls.post(calls.body("another"), caller=ANA, key=KEY).problem(422)
    calls.post("{}", caller=ANA).problem(422)
    assert told == []
    calls.provider.error = error
    calls.post(caller=ANA).problem(status)
    calls.post().problem(status)
    assert [entry.user_id for entry in told] == [ANA.sub, "anonymous"]
    assert {(entry.source.service, entry.source.provider) for entry in told} == {(calls.service.name, "stand-in")}
    assert {entry.counters.failed for entry in told} == {1}


@pytest.mark.usefixtures("answers_table")
def test_a_call_whose_record_is_there_after_all_has_the_id_of_its_failure(
    s3: "S3Client", bucket: str, s3_watch: Watch, calls: Calls, told: list[Entry]
) -> None:
    def lost() -> None:
        key = next(key for key in s3_watch.keys("PutObject") if key.endswith("record.json"))
        s3.put_object(Bucket=bucket, Key=key, Body=b"{}")
        raise EndpointConnectionError(endpoint_url="s3")

    s3_watch.interrupt("PutObject", lost, key="record.json")
    calls.post().problem(503)
    (key,) = (key for key in stored(s3, bucket) if key.endswith("record.json"))
    assert [entry.id for entry in told] == [key.split("/")[-2]]


@pytest.mark.usefixtures("bucket", "answers_table")
def test_a_request_that_nobody_can_serve_is_422_that_names_the_field_and_leaves_the_key_free(
    calls: Calls, service: Service
) -> None:
    calls.provider.refusal = FieldError(calls.text, "Must be at most 7 bytes long.")
    problem = calls.post(key=KEY).problem(422)
    assert problem["errors"] == [{"field": calls.text, "message": "Must be at most 7 bytes long."}]
    assert calls.provider.asked == []
    calls.provider.refusal = None
    assert calls.post(calls.body("another"), key=KEY).status == 201
    calls.provider.refusal = FieldError(calls.text, "Must be at most 7 bytes long.")
    if is_generic(service):
        # It is told so whatever its key has answered before.
        assert calls.post(key=KEY).wrong_fields() == {calls.text}
    else:
        # Only what the request is put together with, behind the key, tells who can serve it.
        assert calls.post(key=KEY).problem(422)["type"].endswith(":idempotency-key-reused")


@pytest.mark.usefixtures("answers_table")
def test_storage_that_fails_is_503_and_leaves_the_key_free(s3_watch: Watch, calls: Calls) -> None:
    for key in ("input.json", calls.service.filename, "record.json"):
        s3_watch.answer("PutObject", 500, "InternalError", key=key)
        calls.post(key=KEY).problem(503)
    assert calls.post(key=KEY).status == 201


@pytest.mark.usefixtures("bucket")
def test_without_its_table_the_key_is_503_and_no_provider_is_asked(answers_table: str, calls: Calls) -> None:
    boto3.client("dynamodb").delete_table(TableName=answers_table)
    problem = calls.post(key=KEY).problem(503)
    assert answers_table not in problem["detail"]
    assert calls.provider.asked == []
    assert calls.post().status == 201


def test_what_was_made_is_answered_although_the_table_is_gone_when_it_is_made(
    s3: "S3Client", bucket: str, answers_table: str, calls: Calls, log: Log
) -> None:
    calls.provider.before = lambda: boto3.client("dynamodb").delete_table(TableName=answers_table)
    made = calls.made(None, key=KEY)
    assert set(stored(s3, bucket)) == set(made["s3"].values())
    assert [line["id"] for line in log.of("the answer is not kept for its idempotency key")] == [made["id"]]


@pytest.mark.usefixtures("bucket", "answers_table")
def test_every_visible_text_is_a_key_and_no_other(gateway: Gateway, calls: Calls) -> None:
    for good in ("!", "~" * 255, '"8e03978e"', "a,b", "%00"):
        assert calls.post(gateway=gateway, key=good).status == 201, good
    asked = len(calls.provider.asked)
    for bad in ("", " ", "a b", "a, b", "x" * 256, "é", "a\n", "\0", "\x7f", "\t", "\ud800", "１"):
        assert calls.post(gateway=gateway, key=bad).wrong_fields() == {"idempotency-key"}, bad
    assert len(calls.provider.asked) == asked


@pytest.mark.usefixtures("bucket")
def test_neither_the_key_nor_who_sent_it_is_kept_or_logged(answers_table: str, calls: Calls, log: Log) -> None:
    calls.made(ANA, key=KEY)
    calls.post(calls.body("another"), caller=ANA, key=KEY).problem(422)
    (item,) = boto3.client("dynamodb").scan(TableName=answers_table)["Items"]
    assert item["id"]["S"].startswith(f"{calls.service.name}#")
    assert KEY not in json.dumps(item) + log.getvalue()


# ---------------------------------------------------------------- who is calling, and settings


@pytest.mark.usefixtures("bucket")
def test_a_bad_token_is_401_and_never_anonymous(gateway: Gateway, calls: Calls) -> None:
    made = calls.made(None)
    asked = len(calls.provider.asked)
    for flaw in ("foreign key, our kid", "expired", "alg none"):
        headers = {"Authorization": f"Bearer {tokens.bad_tokens()[flaw]}"}
        for name in calls.routes:
            answer = calls.ask(name, made["id"], gateway=gateway, headers=headers, body=json.dumps(calls.body()))
            answer.problem(401)
            assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    for authorization in ("Basic YTpi", "Bearer", "Bearer  x", "token", ""):
        calls.ask("generate", gateway=gateway, headers={"Authorization": authorization}, body="{}").problem(401)
    assert len(calls.provider.asked) == asked


def test_a_function_that_is_not_configured_answers_500_without_details(
    monkeypatch: pytest.MonkeyPatch, gateway: Gateway, calls: Calls
) -> None:
    monkeypatch.delenv("BUCKET", raising=False)
    with environment_caches_cleared(settings.current, library.open_library, identity.verifier):
        problem = calls.post(gateway=gateway).problem(500)
    assert "BUCKET" not in problem["detail"]

import importlib.util
import json
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from core import identity, ids
from core.errors import FieldError, Unauthorized
from core.identity import Identity, TokenVerifier
from generation import chain, library, settings
from generation.pictures import ImageRequest
from generation.providers import Artifact, Deadline, PromptRefused, ProviderError, ProviderTimeout
from generation.segments import Day
from generation.storage import open_bucket
from image import download, generate, get, index
from image import list as list_images
from image.service import SERVICE as IMAGE
from tests import events, tokens
from tests.events import Gateway
from tests.unit.conftest import Log
from tests.unit.functions import bodies
from tests.unit.functions.answers import Answer, ask
from tests.unit.generation.samples import identifier, line
from tests.unit.stand_ins import ADMIN, ANA, BEN, Painter, Watch, environment_caches_cleared, failing_painter

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


BAD_TOKENS = tokens.bad_tokens()


def bearer(caller: Identity | None) -> dict[str, str]:
    """The header of a caller who has logged in."""
    if caller is None:
        return {}
    token = tokens.access_token(sub=caller.sub, email=caller.email, role=caller.role, sid=caller.sid)
    return {"Authorization": f"Bearer {token}"}


def post(
    body: Any,
    *,
    caller: Identity | None = None,
    gateway: Gateway = events.aws,
    key: str | None = None,
    function: ModuleType = generate,
) -> Answer:
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    headers = bearer(caller) | ({} if key is None else {"Idempotency-Key": key})
    return ask(function, gateway("POST", "/image/generate", body=text, headers=headers))


def another_environment(function: ModuleType) -> ModuleType:
    """The function in a second execution environment, which has a request of its own at the same time."""
    assert function.__file__
    spec = importlib.util.spec_from_file_location(f"another.{function.__name__}", function.__file__)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(
    function: ModuleType,
    record_id: str,
    *,
    caller: Identity | None = None,
    query: dict[str, str] | None = None,
    gateway: Gateway = events.aws,
) -> Answer:
    resource = "/image/{id}/download" if function is download else "/image/{id}"
    return ask(function, gateway("GET", resource, parameters={"id": record_id}, query=query, headers=bearer(caller)))


def lists(
    query: dict[str, Any] | None = None, *, caller: Identity | None = ANA, gateway: Gateway = events.aws
) -> Answer:
    return ask(list_images, gateway("GET", "/admin/images", query=query, headers=bearer(caller)))


# ---------------------------------------------------------------- generate


@pytest.mark.usefixtures("bucket")
def test_a_picture_is_created_and_can_be_read_and_downloaded(gateway: Gateway, painter: Painter) -> None:
    body = {"prompt": "  a fox  ", "size": "512x256", "seed": 7, "model": "turbo"}
    created = post(body, caller=ANA, gateway=gateway)
    assert created.status == 201
    generation = created.json
    assert created.headers["location"] == f"/image/{generation['id']}"
    assert created.headers["content-type"] == "application/json"
    assert created.headers["cache-control"] == "no-store"
    assert generation["prompt"] == "a fox"
    assert generation["userId"] == ANA.sub
    (asked,) = painter.asked
    assert (asked.prompt, asked.width, asked.height, asked.seed, asked.model) == ("a fox", 512, 256, 7, "turbo")

    assert read(get, generation["id"], caller=ANA, gateway=gateway).json == generation
    found = read(download, generation["id"], caller=ANA, gateway=gateway)
    assert found.status == 200
    assert set(found.json) == {"url", "expiresIn", "contentType"}
    assert found.headers["cache-control"] == "no-store"


@pytest.mark.usefixtures("bucket")
def test_the_answer_has_exactly_the_fields_of_the_contract(painter: Painter) -> None:
    generation = post({"prompt": "a fox"}).json
    assert set(generation) == {
        "id", "service", "status", "prompt", "createdAt", "userId", "s3", "meta", "links",
    }  # fmt: skip
    assert set(generation["s3"]) == {"input", "record", "image"}
    assert set(generation["meta"]) == {"provider", "model", "size", "seed", "latencyMs", "contentType", "bytes"}
    assert generation["userId"] is None
    assert generation["meta"]["size"] == "1024x1024"
    assert painter.asked[0].model == "flux"
    assert painter.asked[0].seed == generation["meta"]["seed"]


@pytest.mark.usefixtures("bucket", "painter")
def test_a_seed_that_is_not_given_is_drawn_each_time() -> None:
    assert len({post({"prompt": "a fox"}).json["meta"]["seed"] for _ in range(5)}) > 1


@pytest.mark.usefixtures("bucket", "painter")
def test_the_identity_that_the_authorizer_found_is_taken(gateway: Gateway) -> None:
    event = gateway("POST", "/image/generate", body='{"prompt": "a"}', identity=ADMIN.context())
    assert ask(generate, event).json["userId"] == ADMIN.sub


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    "prompt",
    [
        "a",
        "x" * 2000,
        "😀" * 2000,
        "שלום עולם",
        "مرحبا",
        "\u202eabc",
        "line\nline",
        "a\u2028b",
        "💩🏳️‍🌈",
        '"\\/',
        "<script>",
    ],
)
def test_every_text_is_a_prompt_and_comes_back_as_it_is(painter: Painter, prompt: str) -> None:
    assert post({"prompt": prompt}).json["prompt"] == prompt
    assert painter.asked[0].prompt == prompt


@pytest.mark.usefixtures("bucket", "painter")
def test_the_longest_prompt_may_be_written_with_escapes() -> None:
    assert post(json.dumps({"prompt": "😀" * 2000}, ensure_ascii=True)).status == 201


@pytest.mark.usefixtures("bucket", "painter")
def test_a_body_in_base64_is_read(gateway: Gateway) -> None:
    body = events.in_base64('{"prompt": "señal"}'.encode())
    answer = ask(generate, gateway("POST", "/image/generate", body=body, base64_encoded=True))
    assert answer.json["prompt"] == "señal"


@pytest.mark.usefixtures("bucket", "painter")
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; x", ""])
def test_the_body_is_json_whatever_its_content_type_says(gateway: Gateway, content_type: str) -> None:
    event = gateway("POST", "/image/generate", body='{"prompt": "a"}', headers={"Content-Type": content_type})
    assert ask(generate, event).status == 201


@pytest.mark.parametrize("name", bodies.REFUSED)
def test_a_body_that_is_not_a_request_is_refused(gateway: Gateway, painter: Painter, name: str) -> None:
    status, body = bodies.REFUSED[name]
    post(body, gateway=gateway).problem(status)
    assert painter.asked == []


@pytest.mark.parametrize("name", bodies.BINARY)
def test_a_body_that_is_not_utf_8_is_not_json(painter: Painter, name: str) -> None:
    body = events.in_base64(bodies.BINARY[name])
    ask(generate, events.aws("POST", "/image/generate", body=body, base64_encoded=True)).problem(400)
    assert painter.asked == []


@pytest.mark.parametrize("body", ["{}", "a", "eyJ9=", "é", "===="])
def test_a_body_that_is_not_base64_is_refused(body: str) -> None:
    ask(generate, events.aws("POST", "/image/generate", body=body, base64_encoded=True)).problem(400)


WRONG: dict[str, list[Any]] = {
    "prompt": [None, 7, True, [], {}, ["a"], "", " \t\n ", "x" * 2001, "a\0b", "\ud800", [[[["a"]]]]],
    "size": [
        None, 512, [], "", "0x0", "-1x5", "99999x99999", "512X512", " 512x512", "512x512 ", "512x512\n", "512",
        "512x", "x512", "512x512x512", "63x64", "64x63", "2049x64", "64x2049", "0512x0512", "５１２x５１２", "٥١٢x٥١٢",
        "512×512", "512.0x512", "1e3x512", "+512x512", "\ud800", "512x" + "9" * 5000,
    ],
    "seed": [True, 1.5, "1", -1, 2**31, 2**63, 10**4000, [], {}, "x"],
    "model": [None, 7, "", "../x", "a/b", "a b", "x\n", "-x", "x" * 65, "é", "\ud800", []],
}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in WRONG.items() for value in values],
    ids=lambda value: repr(value)[:30].encode("ascii", "replace").decode(),
)
def test_a_wrong_field_is_named(painter: Painter, field: str, value: Any) -> None:
    assert post({"prompt": "a", **{field: value}}).wrong_fields() == {field}
    assert painter.asked == []


@pytest.mark.parametrize("seed", ["9" * 5000, "-" + "9" * 5000, "1e999", "1.5e-7", "9" * 5000 + ".5"])
def test_no_number_is_too_much_to_be_named_as_wrong(painter: Painter, seed: str) -> None:
    assert post(f'{{"prompt": "a", "seed": {seed}}}').wrong_fields() == {"seed"}
    assert painter.asked == []


@pytest.mark.parametrize("seed", ["NaN", "Infinity", "-Infinity"])
def test_what_is_a_number_to_python_alone_is_not_json(painter: Painter, seed: str) -> None:
    post(f'{{"prompt": "a", "seed": {seed}}}').problem(400)
    assert painter.asked == []


@pytest.mark.parametrize("size", [None, 5, True, [], ["512x512"], {}, "512"])
def test_a_wrong_size_is_told_the_form(size: Any) -> None:
    (error,) = post({"prompt": "a", "size": size}).problem(422)["errors"]
    assert "1024x1024" in error["message"]


@pytest.mark.parametrize("prompt", ["a" * 2001, "  " + "😀" * 2001 + "  "])
def test_the_length_of_a_text_is_told_in_characters(prompt: str) -> None:
    (error,) = post({"prompt": prompt}).problem(422)["errors"]
    assert error["message"] == "String should have at most 2000 characters"


def test_all_wrong_fields_are_named_at_once() -> None:
    assert post({"size": "0x0", "seed": -1}).wrong_fields() == {"prompt", "size", "seed"}


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(("size", "side"), [("64x64", 64), ("2048x2048", 2048)])
def test_the_smallest_and_the_largest_size_are_accepted(painter: Painter, size: str, side: int) -> None:
    assert post({"prompt": "a", "size": size, "seed": 2**31 - 1}).status == 201
    assert (painter.asked[0].width, painter.asked[0].height) == (side, side)


# ---------------------------------------------------------------- the same request again

KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"


def records_in(s3: "S3Client", bucket: str) -> list[str]:
    """The keys of all records."""
    found = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return [item["Key"] for item in found if item["Key"].endswith("record.json")]


@pytest.mark.usefixtures("answers_table")
def test_a_request_that_is_sent_again_with_its_key_gets_the_first_answer(
    s3: "S3Client", bucket: str, gateway: Gateway, painter: Painter
) -> None:
    body = {"prompt": "a fox", "size": "512x256", "seed": 7}
    first, again = (post(body, caller=ANA, gateway=gateway, key=KEY) for _ in range(2))
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["location"] == first.headers["location"] == f"/image/{first.json['id']}"
    assert len(painter.asked) == 1
    assert records_in(s3, bucket) == [first.json["s3"]["record"]]


@pytest.mark.usefixtures("bucket", "answers_table")
def test_a_request_is_the_same_whatever_its_spelling_and_its_seed_is_drawn_once(painter: Painter) -> None:
    first = post({"prompt": "a fox"}, key=KEY)
    for same in (
        {"model": "flux", "size": "1024x1024", "seed": None, "prompt": "a fox"},
        {"prompt": "  a fox\n", "ignored": True},
        '{"prompt": "\\u0061 fox"}',
    ):
        assert post(same, key=KEY).body == first.body
    assert len(painter.asked) == 1


@pytest.mark.usefixtures("bucket", "answers_table")
@pytest.mark.parametrize("change", [{"prompt": "a dog"}, {"size": "512x512"}, {"seed": 0}, {"model": "turbo"}])
def test_a_key_that_came_with_another_request_is_422(gateway: Gateway, painter: Painter, change: Any) -> None:
    first = post({"prompt": "a fox"}, gateway=gateway, key=KEY)
    problem = post({"prompt": "a fox"} | change, gateway=gateway, key=KEY).problem(422)
    assert problem["type"] == "urn:llm-microservices:problem:idempotency-key-reused"
    assert post({"prompt": "a fox"}, gateway=gateway, key=KEY).body == first.body
    assert len(painter.asked) == 1


@pytest.mark.usefixtures("answers_table")
def test_each_caller_has_keys_of_their_own(s3: "S3Client", bucket: str, painter: Painter) -> None:
    made = {post({"prompt": "a fox"}, caller=caller, key=KEY).json["id"] for caller in (ANA, BEN, None)}
    again = {post({"prompt": "a fox"}, caller=caller, key=KEY).json["id"] for caller in (ANA, BEN, None)}
    assert made == again
    assert len(made) == len(painter.asked) == len(records_in(s3, bucket)) == 3


@pytest.mark.usefixtures("bucket", "answers_table", "painter")
def test_anonymous_callers_are_told_apart_by_their_addresses() -> None:
    def post_from(address: str) -> str:
        event = events.aws("POST", "/image/generate", body='{"prompt": "a fox"}', headers={"Idempotency-Key": KEY})
        event["requestContext"]["identity"]["sourceIp"] = address
        return str(ask(generate, event).json["id"])

    assert post_from("192.0.2.1") != post_from("192.0.2.2")
    assert post_from("192.0.2.1") == post_from("192.0.2.1")


@pytest.mark.usefixtures("bucket", "answers_table")
def test_while_the_first_is_in_flight_the_same_is_409_and_another_422(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = another_environment(generate)
    meanwhile: list[Answer] = []

    class Busy(Painter):
        def generate(self, request: ImageRequest, deadline: Deadline) -> Artifact:
            if not self.asked:
                self.asked.append(request)
                meanwhile.extend(post({"prompt": prompt}, key=KEY, function=elsewhere) for prompt in ("a fox", "a dog"))
                self.asked.pop()
            return super().generate(request, deadline)

    busy = Busy()
    monkeypatch.setattr(chain, "providers", lambda _service: (busy,))
    first = post({"prompt": "a fox"}, key=KEY)
    conflict, refused = meanwhile
    assert conflict.problem(409)["type"] == "urn:llm-microservices:problem:idempotency-key-in-use"
    assert int(conflict.headers["retry-after"]) > 0
    assert refused.problem(422)["type"] == "urn:llm-microservices:problem:idempotency-key-reused"
    assert post({"prompt": "a fox"}, key=KEY, function=elsewhere).body == first.body
    assert len(busy.asked) == 1


@pytest.mark.usefixtures("bucket", "answers_table")
@pytest.mark.parametrize(
    ("error", "status"),
    [(ProviderError("status 503"), 502), (ProviderTimeout(), 504), (PromptRefused("status 400"), 422)],
)
def test_after_a_failure_the_key_may_be_tried_again(painter: Painter, error: Exception, status: int) -> None:
    painter.error = error
    post({"prompt": "a fox"}, key=KEY).problem(status)
    painter.error = None
    first = post({"prompt": "a fox"}, key=KEY)
    assert post({"prompt": "a fox"}, key=KEY).body == first.body
    assert len(painter.asked) == 2


@pytest.mark.usefixtures("answers_table", "painter")
def test_after_storage_failed_the_key_may_be_tried_again(s3_watch: Watch) -> None:
    s3_watch.answer("PutObject", 500, "InternalError", key="record.json")
    post({"prompt": "a fox"}, key=KEY).problem(503)
    assert post({"prompt": "a fox"}, key=KEY).status == 201


@pytest.mark.usefixtures("bucket")
def test_without_its_table_the_key_is_503_and_no_provider_is_asked(
    answers_table: str, gateway: Gateway, painter: Painter
) -> None:
    boto3.client("dynamodb").delete_table(TableName=answers_table)
    problem = post({"prompt": "a fox"}, gateway=gateway, key=KEY).problem(503)
    assert answers_table not in problem["detail"]
    assert painter.asked == []
    assert post({"prompt": "a fox"}, gateway=gateway).status == 201


def test_a_picture_is_answered_although_the_table_is_gone_when_it_is_made(
    s3: "S3Client", bucket: str, answers_table: str, monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    class Demolishing(Painter):
        def generate(self, request: ImageRequest, deadline: Deadline) -> Artifact:
            boto3.client("dynamodb").delete_table(TableName=answers_table)
            return super().generate(request, deadline)

    monkeypatch.setattr(chain, "providers", lambda _service: (Demolishing(),))
    answer = post({"prompt": "a fox"}, key=KEY)
    assert answer.status == 201
    assert records_in(s3, bucket) == [answer.json["s3"]["record"]]
    assert [line["id"] for line in log.of("the answer is not kept for its idempotency key")] == [answer.json["id"]]


@pytest.mark.usefixtures("bucket", "answers_table", "painter")
@pytest.mark.parametrize("key", ["!", "~" * 255, '"8e03978e"', "a,b", "%00", KEY])
def test_every_visible_text_is_a_key(gateway: Gateway, key: str) -> None:
    assert post({"prompt": "a"}, gateway=gateway, key=key).status == 201


@pytest.mark.usefixtures("answers_table")
@pytest.mark.parametrize("key", ["", " ", "a b", "a, b", "x" * 256, "é", "a\n", "\0", "\x7f", "\t", "\ud800", "１"])
def test_a_key_that_is_not_one_is_named(gateway: Gateway, painter: Painter, key: str) -> None:
    assert post({"prompt": "a"}, gateway=gateway, key=key).wrong_fields() == {"idempotency-key"}
    assert painter.asked == []


@pytest.mark.usefixtures("answers_table", "painter")
def test_neither_the_key_nor_who_sent_it_is_kept_or_logged(bucket: str, answers_table: str, log: Log) -> None:
    assert bucket
    post({"prompt": "a fox"}, caller=ANA, key=KEY)
    post({"prompt": "a dog"}, caller=ANA, key=KEY).problem(422)
    (item,) = boto3.client("dynamodb").scan(TableName=answers_table)["Items"]
    assert item["id"]["S"].startswith("image#")
    assert KEY not in json.dumps(item) + log.getvalue()


# ---------------------------------------------------------------- failures


def test_a_prompt_that_no_provider_can_serve_is_422_that_names_the_field_and_the_limit(
    s3: "S3Client", bucket: str, painter: Painter, gateway: Gateway
) -> None:
    painter.refusal = FieldError("prompt", "Must be at most 7 bytes long.")
    problem = post({"prompt": "a large fox"}, gateway=gateway).problem(422)
    assert problem["errors"] == [{"field": "prompt", "message": "Must be at most 7 bytes long."}]
    assert painter.asked == []
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize(
    ("painter_of_today", "status"),
    [
        (failing_painter("status 503"), 502),
        (Painter(error=ProviderTimeout()), 504),
        (Painter(error=PromptRefused("status 400")), 422),
        (Painter(error=RuntimeError("secret of the library")), 502),
    ],
)
def test_a_provider_that_fails_is_told_by_the_status(
    s3: "S3Client", bucket: str, monkeypatch: pytest.MonkeyPatch, painter_of_today: Painter, status: int
) -> None:
    monkeypatch.setattr(chain, "providers", lambda _service: (painter_of_today,))
    problem = post({"prompt": "a fox"}).problem(status)
    assert "secret" not in problem["detail"]
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.usefixtures("painter")
def test_storage_that_is_down_is_503(s3_watch: Watch) -> None:
    s3_watch.answer("PutObject", 500, "InternalError")
    post({"prompt": "a fox"}).problem(503)
    s3_watch.answer("GetObject", 403, "AccessDenied")
    read(get, ids.new()).problem(503)


@pytest.mark.usefixtures("painter")
def test_a_function_that_is_not_configured_answers_500_without_details(
    monkeypatch: pytest.MonkeyPatch, gateway: Gateway
) -> None:
    monkeypatch.delenv("BUCKET", raising=False)
    with environment_caches_cleared(settings.current, library.open_library):
        problem = post({"prompt": "a fox"}, gateway=gateway).problem(500)
    assert "BUCKET" not in problem["detail"]


# ---------------------------------------------------------------- who is calling


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("flaw", BAD_TOKENS)
def test_a_bad_token_is_401_and_never_anonymous(gateway: Gateway, painter: Painter, flaw: str) -> None:
    headers = {"Authorization": f"Bearer {BAD_TOKENS[flaw]}"}
    for function, event in (
        (generate, gateway("POST", "/image/generate", body='{"prompt": "a"}', headers=headers)),
        (get, gateway("GET", "/image/{id}", parameters={"id": ids.new()}, headers=headers)),
        (download, gateway("GET", "/image/{id}/download", parameters={"id": ids.new()}, headers=headers)),
        (list_images, gateway("GET", "/admin/images", headers=headers)),
    ):
        answer = ask(function, event)
        answer.problem(401)
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert painter.asked == []


@pytest.mark.parametrize("authorization", ["Basic YTpi", "Bearer", "Bearer  x", "token", ""])
def test_a_header_that_is_not_a_bearer_token_is_a_bad_one(painter: Painter, authorization: str) -> None:
    event = events.aws("POST", "/image/generate", body='{"prompt": "a"}', headers={"Authorization": authorization})
    ask(generate, event).problem(401)
    assert painter.asked == []


@pytest.mark.usefixtures("bucket")
def test_the_list_needs_a_token(gateway: Gateway) -> None:
    answer = lists(caller=None, gateway=gateway)
    answer.problem(401)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.usefixtures("bucket")
def test_the_list_takes_the_identity_of_the_authorizer_without_verifying_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_arguments: object) -> Identity:
        raise Unauthorized("verified again")

    monkeypatch.setattr(TokenVerifier, "verify", never)
    assert ask(list_images, gateway("GET", "/admin/images", identity=ANA.context())).status == 200
    identity.verifier.cache_clear()


@pytest.mark.usefixtures("bucket", "painter")
def test_a_users_picture_is_404_to_everybody_else() -> None:
    record_id = post({"prompt": "a"}, caller=ANA).json["id"]
    for function in (get, download):
        for stranger in (None, BEN):
            hidden = read(function, record_id, caller=stranger).problem(404)
            missing = read(function, ids.new(), caller=stranger).problem(404)
            assert hidden == missing
        for friend in (ANA, ADMIN):
            assert read(function, record_id, caller=friend).status == 200


# ---------------------------------------------------------------- get and download


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("function", [get, download])
@pytest.mark.parametrize(
    "record_id",
    [
        "x",
        "..",
        "%2e%2e",
        "a/b",
        "\0",
        "é",
        "😀",
        " ",
        "A" * 5000,
        identifier(rest=0xAB).upper(),
        "1;DROP",
        "<x>",
        "null",
    ],
)
def test_an_id_that_is_not_ours_is_404(gateway: Gateway, function: ModuleType, record_id: str) -> None:
    read(function, record_id, gateway=gateway).problem(404)


@pytest.mark.usefixtures("bucket")
def test_a_prompt_is_measured_without_the_white_space_at_its_ends(painter: Painter) -> None:
    assert post({"prompt": " " * 3000 + "a" * 2000 + "\n"}).status == 201
    assert painter.asked[0].prompt == "a" * 2000
    assert post({"prompt": " " + "a" * 2001}).wrong_fields() == {"prompt"}


@pytest.mark.usefixtures("bucket", "painter")
@pytest.mark.parametrize("value", ["true", "True", "1"])
def test_a_download_can_be_a_redirect(gateway: Gateway, value: str) -> None:
    record_id = post({"prompt": "a"}).json["id"]
    answer = read(download, record_id, query={"redirect": value}, gateway=gateway)
    assert answer.status == 302
    assert "X-Amz-Signature" in parse_qs(urlsplit(answer.headers["location"]).query)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.body == ""


@pytest.mark.usefixtures("bucket", "painter")
@pytest.mark.parametrize("value", ["false", "False", "0"])
def test_a_download_need_not_be_a_redirect(value: str) -> None:
    record_id = post({"prompt": "a"}).json["id"]
    assert read(download, record_id, query={"redirect": value}).json["expiresIn"] == 900


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("value", ["", "x", "2", "-1", "TRUE", "yes", "null", "tru", "\0", "é", "x" * 5000])
def test_a_redirect_that_is_neither_true_nor_false_is_refused(gateway: Gateway, value: str) -> None:
    answer = read(download, ids.new(), query={"redirect": value}, gateway=gateway)
    assert answer.wrong_fields() == {"redirect"}


# ---------------------------------------------------------------- list


def remember(bucket: str, owner: str, count: int) -> list[str]:
    record_ids = [identifier(rest=rest) for rest in range(count)]
    day = Day(IMAGE, open_bucket(bucket), owner, ids.created_at(record_ids[0]).date())
    day.append([line(record_id) for record_id in record_ids], Deadline(9))
    return record_ids[::-1]


def test_the_list_is_paged_newest_first(bucket: str, gateway: Gateway) -> None:
    record_ids = remember(bucket, ANA.sub, 25)
    first = lists(gateway=gateway).json
    assert [item["id"] for item in first["items"]] == record_ids[:20]
    assert set(first) == {"items", "nextCursor"}
    assert set(first["items"][0]) == {
        "id", "createdAt", "service", "provider", "model", "prompt", "status", "contentType", "bytes", "record", "links",
    }  # fmt: skip
    second = lists({"cursor": first["nextCursor"], "limit": "100"}, gateway=gateway).json
    assert [item["id"] for item in second["items"]] == record_ids[20:]
    assert second["nextCursor"] is None


def test_a_cursor_of_another_users_list_is_refused(bucket: str, gateway: Gateway) -> None:
    remember(bucket, ANA.sub, 2)
    cursor = lists({"limit": "1"}, gateway=gateway).json["nextCursor"]
    assert lists({"cursor": cursor[:-1]}, gateway=gateway).wrong_fields() == {"cursor"}
    assert lists({"cursor": cursor}, caller=BEN, gateway=gateway).wrong_fields() == {"cursor"}
    admins = lists({"cursor": cursor, "userId": ANA.sub}, caller=ADMIN, gateway=gateway)
    assert len(admins.json["items"]) == 1


def test_days_bound_the_list(bucket: str, gateway: Gateway) -> None:
    remember(bucket, ANA.sub, 1)
    day = {"from": "2026-11-22", "to": "2026-11-22"}
    assert len(lists(day, gateway=gateway).json["items"]) == 1
    assert lists({"to": "2026-11-21"}, gateway=gateway).json == {"items": [], "nextCursor": None}
    assert lists({"from": "2026-11-23"}, gateway=gateway).json["items"] == []


def test_an_admin_lists_anybodys_and_a_user_only_the_own(bucket: str, gateway: Gateway) -> None:
    remember(bucket, ANA.sub, 1)
    wanted = {"userId": ANA.sub}
    assert len(lists(wanted, caller=ADMIN, gateway=gateway).json["items"]) == 1
    assert len(lists(wanted, caller=ANA, gateway=gateway).json["items"]) == 1
    lists(wanted, caller=BEN, gateway=gateway).problem(403)
    lists({"userId": "nobody"}, caller=ADMIN, gateway=gateway).problem(404)


WRONG_QUERY: dict[str, list[str]] = {
    "limit": ["0", "101", "-1", "", "x", "1.5", "1e1", "٥", "true", "\0", "9" * 5000],
    "cursor": ["", "x", "0", "A" * 22, "A" * 60, "é", "\0", "../x", "A" * 10_240],
    "from": ["", "x", "0", "1700000000", "2026-13-01", "2026-02-30", "2026-1-2", "20261122", "2026-11-22T00:00:00",
             "0000-01-01", "99999-01-01", "２０２６-01-01", "2026-11-22 ", "\0", "2026-W01-1"],
}  # fmt: skip


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in WRONG_QUERY.items() for value in values]
    + [("to", value) for value in WRONG_QUERY["from"]],
    ids=lambda value: repr(value)[:30].encode("ascii", "replace").decode(),
)
def test_a_wrong_value_in_the_query_is_named(field: str, value: str) -> None:
    assert lists({field: value}).wrong_fields() == {field}


@pytest.mark.usefixtures("bucket")
def test_bounds_the_wrong_way_round_are_refused(gateway: Gateway) -> None:
    assert lists({"from": "2026-01-02", "to": "2026-01-01"}, gateway=gateway).wrong_fields() == {"from"}


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("name", ["limit", "cursor", "from", "to"])
def test_a_value_that_comes_twice_is_never_an_error_of_ours(gateway: Gateway, name: str) -> None:
    answer = lists({name: ["1", "2"]}, gateway=gateway)
    answer.problem(422)


@pytest.mark.usefixtures("bucket")
def test_names_that_the_contract_does_not_have_are_ignored(gateway: Gateway) -> None:
    assert lists({"page": "x", "LIMIT": "0", "constructor": "y"}, gateway=gateway).status == 200


# ---------------------------------------------------------------- index


@pytest.mark.usefixtures("painter")
def test_what_is_generated_is_listed_once_it_is_indexed(bucket: str) -> None:
    generation = post({"prompt": "a fox"}, caller=ANA).json
    batch = events.sqs(
        events.s3_notification(bucket, generation["s3"]["record"]), events.s3_test_event(bucket), "poison"
    )
    expected = {"batchItemFailures": [{"itemIdentifier": "message-2"}]}
    assert index.handler(batch, events.Context()) == expected
    assert index.handler(batch, events.Context()) == expected
    (item,) = lists().json["items"]
    assert item["id"] == generation["id"]
    assert item["record"] == generation["s3"]["record"]
    assert item["links"] == generation["links"]

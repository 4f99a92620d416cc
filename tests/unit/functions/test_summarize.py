"""The routes of summaries, with the offline engine and with stand-ins."""

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from core.errors import FieldError
from core.identity import Identity
from generation import chain
from generation.providers import Artifact, Deadline, ProviderError
from generation.summary_form import whole_sentences
from generation.summary_providers import artifact
from generation.texts import Model, Summary, SummaryRequest, Usage
from offline.summary import OfflineSummary
from summarize import delete, download, generate, get, index
from summarize import list as list_summaries
from tests import events
from tests.events import Gateway
from tests.unit.functions.answers import Answer, ask
from tests.unit.functions.calls import bearer
from tests.unit.stand_ins import ADMIN, ANA, BEN

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def essay(sentences: int, seed: int = 1) -> str:
    """A text in English whose sentences are all different."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghiklmnoprstu", k=rng.randint(5, 9))) for _ in range(300)]
    return " ".join(
        "The {} {} of the {} was {} by a {}, and it is {} with their {}.".format(*rng.choices(words, k=7))
        for _ in range(sentences)
    )


TEXT = essay(60)
META = {
    "provider", "model", "length", "style", "language", "sourceCharacters", "inputTokens", "outputTokens",
    "tokensEstimated", "latencyMs", "contentType", "bytes",
}  # fmt: skip


@dataclass
class Clerk:
    """A provider of summaries that says one sentence, or refuses or raises what it was given."""

    name: str = "clerk"
    models: tuple[Model, ...] = (Model("pen", 4096, "pen-1"),)
    error: Exception | None = None
    refusal: FieldError | None = None
    asked: list[SummaryRequest] = field(default_factory=list)

    def refuses(self, request: SummaryRequest) -> FieldError | None:
        return self.refusal

    def generate(self, request: SummaryRequest, deadline: Deadline) -> Artifact:
        self.asked.append(request)
        if self.error:
            raise self.error
        summary = Summary("Walls were rebuilt.", "en", self.models[0].upstream, Usage(900, 4))
        return artifact(self.name, request, summary, cost_usd=0.001)


@pytest.fixture
def providers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Who is asked: the offline engine, unless a test says otherwise."""
    asked: list[Any] = [OfflineSummary()]
    monkeypatch.setattr(chain, "providers", lambda _service: tuple(asked))
    return asked


@pytest.fixture
def clerk(providers: list[Any]) -> Clerk:
    """The only provider."""
    providers[:] = [Clerk()]
    only: Clerk = providers[0]
    return only


def post(body: Any, *, caller: Identity | None = None, gateway: Gateway = events.aws, key: str | None = None) -> Answer:
    text = body if isinstance(body, str) or body is None else json.dumps(body, ensure_ascii=False)
    headers = bearer(caller) | ({} if key is None else {"Idempotency-Key": key})
    return ask(generate, gateway("POST", "/summarize/generate", body=text, headers=headers))


def stored(s3: "S3Client", bucket: str, key: str) -> tuple[bytes, str]:
    found = s3.get_object(Bucket=bucket, Key=key)
    return found["Body"].read(), found["ContentType"]


@pytest.mark.usefixtures("providers")
def test_a_summary_is_made_read_downloaded_listed_and_deleted(s3: "S3Client", bucket: str, gateway: Gateway) -> None:
    created = post({"text": f"\n {TEXT} "}, caller=ANA, gateway=gateway)
    assert created.status == 201
    generation = created.json
    record_id = generation["id"]
    assert created.headers["location"] == f"/summarize/{record_id}"
    assert set(generation) == {
        "id", "service", "status", "prompt", "createdAt", "userId", "s3", "meta", "links", "summary",
    }  # fmt: skip
    assert set(generation["meta"]) == META
    folder = "requests/" + generation["createdAt"][:10].replace("-", "/") + f"/{record_id}"
    assert generation["s3"] == {
        "input": f"{folder}/input.json",
        "text": f"{folder}/text/summary.txt",
        "record": f"{folder}/record.json",
    }
    keys = sorted(item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"])
    assert keys == sorted(generation["s3"].values())
    assert stored(s3, bucket, generation["s3"]["text"]) == (
        generation["summary"].encode(), "text/plain; charset=utf-8",
    )  # fmt: skip
    meta = generation["meta"]
    assert (meta["provider"], meta["model"], meta["language"]) == ("offline", "lexrank", "en")
    assert (meta["length"], meta["style"], meta["sourceCharacters"]) == ("medium", "paragraph", len(TEXT))
    sentences = whole_sentences(generation["summary"], "en")
    assert 3 <= len(sentences) <= 5
    places = [TEXT.index(sentence) for sentence in sentences]
    assert places == sorted(places)

    parameters, headers = {"id": record_id}, bearer(ANA)
    assert ask(get, gateway("GET", "/summarize/{id}", parameters=parameters, headers=headers)).json == generation
    ask(get, gateway("GET", "/summarize/{id}", parameters=parameters, headers=bearer(BEN))).problem(404)
    found = ask(download, gateway("GET", "/summarize/{id}/download", parameters=parameters, headers=headers)).json
    assert found["contentType"] == "text/plain; charset=utf-8"

    batch = events.sqs(events.s3_notification(bucket, generation["s3"]["record"]))
    assert index.handler(batch, events.Context()) == {"batchItemFailures": []}
    (item,) = ask(list_summaries, gateway("GET", "/admin/summaries", headers=headers)).json["items"]
    assert (item["id"], item["contentType"], item["prompt"]) == (record_id, meta["contentType"], TEXT[:200])
    day = generation["createdAt"][:10].replace("-", "/")
    lines = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix="users/")["Contents"]]
    assert lines == [f"users/{ANA.sub}/summarize/history/{day}.jsonl"]

    gone = gateway("DELETE", "/summarize/{id}", parameters=parameters, identity=ANA.context())
    assert ask(delete, gone).status == 204
    ask(get, gateway("GET", "/summarize/{id}", parameters=parameters, headers=bearer(ADMIN))).problem(404)


@pytest.mark.usefixtures("providers")
def test_the_whole_text_is_kept_and_two_hundred_characters_are_shown(s3: "S3Client", bucket: str) -> None:
    generation = post({"text": TEXT, "length": "short"}).json
    assert generation["prompt"] == TEXT[:200]
    asked = json.loads(stored(s3, bucket, generation["s3"]["input"])[0])
    assert asked["prompt"] == TEXT
    assert asked["params"] == {"length": "short", "style": "paragraph", "sourceCharacters": len(TEXT)}
    record = json.loads(stored(s3, bucket, generation["s3"]["record"])[0])
    assert record["prompt"] == TEXT[:200]
    assert record["promptHash"] == f"sha256:{hashlib.sha256(TEXT.encode()).hexdigest()}"


@pytest.mark.usefixtures("providers")
@pytest.mark.parametrize(("length", "fewest", "most"), [("short", 3, 3), ("medium", 5, 7), ("long", 8, 12)])
def test_bullets_are_a_list_in_markdown(s3: "S3Client", bucket: str, length: str, fewest: int, most: int) -> None:
    generation = post({"text": TEXT, "style": "bullets", "length": length}).json
    lines = generation["summary"].split("\n")
    assert fewest <= len(lines) <= most
    assert all(line.startswith("- ") and line[2:] in TEXT for line in lines)
    assert generation["s3"]["text"].endswith(f"/{generation['id']}/text/summary.md")
    content = stored(s3, bucket, generation["s3"]["text"])
    assert content == (generation["summary"].encode(), "text/markdown; charset=utf-8")
    assert generation["meta"]["contentType"] == "text/markdown; charset=utf-8"


@pytest.mark.usefixtures("bucket")
def test_near_duplicates_and_fragments_of_lists_are_not_in_a_summary(providers: Sequence[Any]) -> None:
    assert isinstance(providers[0], OfflineSummary)
    first = "The harbour of the old town was rebuilt after the storm destroyed its walls."
    second = "Fishermen say that the walls of the harbour have kept the town safe from every storm since."
    text = f"# Harbour, storm, walls\n\n- harbour walls\n- the storm\n\n{first} {first} {second} A cat slept. {first}"
    assert post({"text": text, "length": "short"}).json["summary"] == f"{first} {second}"


@pytest.mark.usefixtures("bucket")
def test_a_text_shorter_than_its_summary_comes_back_and_nobody_is_asked(clerk: Clerk) -> None:
    text = "The harbour was rebuilt.\nThe storm is over."
    generation = post({"text": text}).json
    assert generation["summary"] == text
    meta = generation["meta"]
    assert (meta["provider"], meta["model"], meta["language"]) == ("none", "unchanged", "en")
    assert (meta["inputTokens"], meta["outputTokens"], meta["tokensEstimated"]) == (0, 0, False)
    listed = post({"text": text, "style": "bullets"}).json
    assert listed["summary"] == "- The harbour was rebuilt.\n- The storm is over."
    assert clerk.asked == []
    # To be translated it is put to somebody.
    assert post({"text": text, "language": "es"}).json["meta"]["provider"] == "clerk"
    assert len(clerk.asked) == 1


@pytest.mark.usefixtures("bucket")
def test_the_request_reaches_the_provider_as_it_was_sent(clerk: Clerk) -> None:
    body = {"text": TEXT, "length": "long", "style": "bullets", "language": "pt-BR", "model": "pen"}
    generation = post(body).json
    assert clerk.asked == [SummaryRequest(TEXT, "long", "bullets", "pt-BR", "pen")]
    assert generation["meta"]["language"] == "pt-BR"
    assert generation["meta"]["tokensEstimated"] is False
    assert (generation["meta"]["inputTokens"], generation["meta"]["outputTokens"]) == (900, 4)
    post({"text": TEXT})
    assert clerk.asked[1] == SummaryRequest(TEXT, "medium", "paragraph", None, "")


@pytest.mark.usefixtures("bucket")
def test_whoever_offers_the_wanted_model_is_asked_first(providers: list[Any]) -> None:
    first, second = Clerk("first"), Clerk("second", models=(Model("quill", 4096, "quill-1"),))
    providers[:] = [first, second]
    assert post({"text": TEXT}).json["meta"]["provider"] == "first"
    assert post({"text": TEXT, "model": "quill"}).json["meta"]["provider"] == "second"
    second.error = ProviderError("status 503")
    meta = post({"text": TEXT, "model": "quill"}).json["meta"]
    assert (meta["provider"], meta["model"], meta["fallbackFrom"]) == ("first", "pen-1", "second")


@pytest.mark.usefixtures("bucket")
def test_an_unknown_model_is_refused_with_the_choices(providers: list[Any]) -> None:
    providers[:] = [Clerk(), OfflineSummary()]
    for text in (TEXT, "One."):
        (error,) = post({"text": text, "model": "brush"}).problem(422)["errors"]
        assert error == {"field": "model", "message": "Must be one of: pen, lexrank."}


@pytest.mark.usefixtures("bucket")
def test_who_cannot_translate_is_passed_over_and_nobody_is_422(providers: list[Any]) -> None:
    assert post({"text": TEXT, "language": "fr"}).wrong_fields() == {"language"}
    assert post({"text": TEXT, "language": "en-US"}).json["meta"]["language"] == "en-US"
    providers.append(Clerk())
    meta = post({"text": TEXT, "language": "fr"}).json["meta"]
    assert (meta["provider"], meta["language"]) == ("clerk", "fr")
    assert "fallbackFrom" not in meta


@pytest.mark.usefixtures("providers")
def test_when_every_provider_fails_nothing_is_stored(s3: "S3Client", bucket: str, clerk: Clerk) -> None:
    clerk.error = ProviderError("status 503")
    post({"text": TEXT}).problem(502)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.usefixtures("bucket", "answers_table")
def test_a_request_that_is_sent_again_gets_the_first_summary(clerk: Clerk) -> None:
    body = {"text": TEXT, "length": "short"}
    first = post(body, caller=ANA, key="k-1")
    assert first.status == 201
    assert post(body, caller=ANA, key="k-1").json == first.json
    assert len(clerk.asked) == 1
    assert post({**body, "text": TEXT + "!"}, caller=ANA, key="k-1").problem(422)["type"].endswith("key-reused")
    assert post(body, caller=BEN, key="k-1").json["id"] != first.json["id"]


WRONG: dict[str, list[Any]] = {
    "text": ["", "  \n\u3000", "a\0b", "x" * 100_001, 7, None, ["a"], {"a": 1}],
    "length": ["", "SHORT", "med", 1, None, ["short"]],
    "style": ["", "bullet", "list", 1, None],
    "language": [
        "",
        "e",
        "english",
        "en_US",
        "en-",
        "en-US-x-ignore",
        "e1",
        "en US",
        "en\n",
        "русский",
        "ignore-all",
        7,
    ],
    "model": ["", "a b", "x" * 65, 7, "../x"],
}


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in WRONG.items() for value in values],
    ids=lambda value: repr(value)[:30].encode("ascii", "replace").decode(),
)
def test_a_wrong_value_is_named(clerk: Clerk, name: str, value: Any) -> None:
    assert post({"text": TEXT, name: value}).wrong_fields() == {name}
    assert clerk.asked == []


@pytest.mark.usefixtures("bucket", "clerk")
@pytest.mark.parametrize("language", ["en", "EN", "pt-BR", "zh-Hant", "zh-Hant-TW", "es-419", "fil"])
def test_a_tag_of_a_language_is_taken(language: str) -> None:
    assert post({"text": TEXT, "language": language}).json["meta"]["language"] == language


@pytest.mark.usefixtures("bucket")
def test_the_longest_text_is_taken_in_any_script(clerk: Clerk, gateway: Gateway) -> None:
    for character in ("x", "é", "漢", "😀"):
        text = character * 100_000
        answer = post({"text": f" {text} "}, gateway=gateway)
        assert answer.status == 201
        assert answer.json["meta"]["sourceCharacters"] == 100_000
        assert clerk.asked[-1].text == text


@pytest.mark.usefixtures("bucket")
def test_a_body_of_more_than_512_kilobytes_is_too_large(clerk: Clerk) -> None:
    assert post('{"text": "' + TEXT + '"' + " " * (512 * 1024 - len(TEXT) - 12) + "}").status == 201
    post('{"text": "' + TEXT + '"' + " " * (512 * 1024 - len(TEXT) - 11) + "}").problem(413)
    assert len(clerk.asked) == 1


@pytest.mark.usefixtures("providers", "bucket")
def test_the_longest_text_is_summarised_offline() -> None:
    text = essay(1300)[:100_000].strip()
    generation = post({"text": text, "length": "long"}).json
    assert generation["meta"]["sourceCharacters"] > 90_000
    assert 6 <= len(whole_sentences(generation["summary"], "en")) <= 10

"""Text by Pollinations: what differs from other servers of OpenAI's shape."""

import json
from urllib.parse import quote

import pytest
from tests.fakes.pollinations import NOTICE, FakePollinations

from generation.completions import CompletionStream
from generation.http_client import HttpClient
from generation.pollinations_text import PollinationsText
from generation.providers import Deadline, PromptRefused, ProviderError
from generation.texts import Message, Model, TextRequest

MODELS = (Model("openai", 32000, "openai"),)


def text(fake: FakePollinations, http: HttpClient, key: str | None = "good-key") -> PollinationsText:
    read_key = None if key is None else lambda: key
    return PollinationsText(MODELS, f"{fake.url}/v1", fake.keyless_text_url, read_key, http=http)


def begin(provider: PollinationsText, prompt: str) -> CompletionStream:
    return provider.stream(TextRequest((Message("user", prompt),)), Deadline(60))


def test_with_a_key_the_supported_host_writes(fake_pollinations: FakePollinations, http: HttpClient) -> None:
    provider = text(fake_pollinations, http)
    assert "".join(begin(provider, "hello")) == "You said: hello"
    (request,) = fake_pollinations.requests
    assert (request.target, request.headers["authorization"]) == ("/v1/chat/completions", "Bearer good-key")
    assert json.loads(request.body)["private"] is True


def test_without_a_key_the_keyless_host_writes(fake_pollinations: FakePollinations, http: HttpClient) -> None:
    assert "".join(begin(text(fake_pollinations, http, None), "hello")) == "You said: hello"
    (request,) = fake_pollinations.requests
    assert request.target == "/legacy/v1/chat/completions"
    assert "authorization" not in request.headers


def test_a_legacy_host_is_never_sent_a_key(
    fake_pollinations: FakePollinations, http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", fake_pollinations.url)
    provider = PollinationsText(MODELS, "http://text.pollinations.ai/v1", "", lambda: "good-key", http=http)
    with pytest.raises(ProviderError, match="status 404"):
        begin(provider, "hello")
    (request,) = fake_pollinations.requests
    assert "authorization" not in request.headers


def test_a_refused_key_is_a_failure(fake_pollinations: FakePollinations, http: HttpClient) -> None:
    with pytest.raises(ProviderError, match="status 401"):
        begin(text(fake_pollinations, http, "old-key"), "hello")
    assert len(fake_pollinations.requests) == 1


@pytest.mark.parametrize("how", ["", "[[one-chunk]]", "[[whole]]", "[[bytes]]"])
def test_a_notice_is_no_answer(fake_pollinations: FakePollinations, http: HttpClient, how: str) -> None:
    stream = begin(text(fake_pollinations, http), f"[[say:{quote(NOTICE)}]]{how}")
    pieces = []
    with pytest.raises(ProviderError, match="a notice instead of an answer"):
        pieces.extend(stream)
    assert pieces == []


@pytest.mark.parametrize(
    "answer",
    [
        "IMPORTANT NOTICE: the pool is closed.",
        "IMPORTANT",
        "I",
        "In the beginning",
        "**",
        "IMPORTANT NOTICE " + "x " * 400,
    ],
)
def test_an_answer_that_only_begins_like_the_notice_is_one(
    fake_pollinations: FakePollinations, http: HttpClient, answer: str
) -> None:
    assert "".join(begin(text(fake_pollinations, http), f"[[say:{quote(answer)}]]")) == answer


def test_other_answers_are_not_held_back(fake_pollinations: FakePollinations, http: HttpClient) -> None:
    assert list(begin(text(fake_pollinations, http), "a b")) == ["You ", "said: ", "a ", "b"]


def error(status: int, upstream: int | None = None) -> str:
    details = {"details": {"upstreamStatus": upstream}} if upstream else {}
    document = {"status": status, "success": False, "error": {"code": "BAD_GATEWAY", "message": "no", **details}}
    return f"body:{status}:{quote(json.dumps(document))}"


@pytest.mark.parametrize("upstream", [401, 403, 404, 409, 415, 429])
def test_what_is_inside_a_502_is_told(fake_pollinations: FakePollinations, http: HttpClient, upstream: int) -> None:
    fake_pollinations.script(error(502, upstream))
    with pytest.raises(ProviderError, match=f"^status {upstream}$"):
        begin(text(fake_pollinations, http), "hello")


def test_a_refusal_inside_a_502_is_a_refusal(fake_pollinations: FakePollinations, http: HttpClient) -> None:
    fake_pollinations.script(error(502, 400))
    with pytest.raises(PromptRefused, match="status 400"):
        begin(text(fake_pollinations, http), "hello")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"error":"Queue full","status":402}', "status 402"),
        ('{"error":"Queue full"}', "status 500"),
        ("oops", "status 500"),
    ],
)
def test_a_legacy_error_tells_its_own_status(
    fake_pollinations: FakePollinations, http: HttpClient, body: str, reason: str
) -> None:
    fake_pollinations.script(f"body:500:{quote(body)}")
    with pytest.raises(ProviderError, match=f"^{reason}$"):
        begin(text(fake_pollinations, http), "hello")


def test_a_reasoning_model_that_says_nothing_is_a_failure(
    fake_pollinations: FakePollinations, http: HttpClient
) -> None:
    with pytest.raises(ProviderError, match="no text"):
        list(begin(text(fake_pollinations, http), "[[empty]]"))


def test_its_settings_are_those_of_the_pictures_and_its_models(
    fake_pollinations: FakePollinations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generation.pollinations_text.ApiKey", lambda arn: lambda: {"arn:key": "good-key"}[arn])
    environ = {
        "POLLINATIONS_URL": fake_pollinations.supported_url,
        "POLLINATIONS_SECRET_ARN": "arn:key",
        "POLLINATIONS_MODELS": "fast=openai-fast:9000",
    }
    provider = PollinationsText.from_env(environ)
    assert provider.models == (Model("fast", 9000, "openai-fast"),)
    assert "".join(begin(provider, "hello")) == "You said: hello"
    assert fake_pollinations.requests[0].target == "/v1/chat/completions"

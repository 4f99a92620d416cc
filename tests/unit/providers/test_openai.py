"""Text by a server of OpenAI's shape, on its good days and on its bad ones."""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from tests.fakes.openai import FakeOpenAi

from core.errors import FieldError
from core.settings import SettingsError
from generation.completions import CompletionStream
from generation.http_client import HttpClient
from generation.openai import OpenAi
from generation.providers import Deadline, PromptRefused, ProviderError, ProviderTimeout
from generation.texts import Message, Model, TextRequest, Usage

MODELS = (Model("small", 8000, "org/small-1"), Model("large", 64000, "org/large-1"))
SILENCE = 0.4


@pytest.fixture
def fake() -> Iterator[FakeOpenAi]:
    with FakeOpenAi() as running:
        yield running


@pytest.fixture
def provider(fake: FakeOpenAi, http: HttpClient) -> OpenAi:
    return OpenAi(MODELS, fake.base_url, http=http)


def begin(provider: OpenAi, prompt: str, *, seconds: float = 60.0, **wishes: Any) -> CompletionStream:
    return provider.stream(TextRequest((Message("user", prompt),), **wishes), Deadline(seconds))


def sent(fake: FakeOpenAi) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in fake.requests]


def test_an_answer_comes_in_pieces_with_its_usage_and_the_models_real_name(provider: OpenAi) -> None:
    stream = begin(provider, "a b c")
    assert list(stream) == ["You ", "said: ", "a ", "b ", "c"]
    assert stream.usage == Usage(3, 5)
    assert (stream.model, stream.finish_reason) == ("org/small-1-2026-01-01", "stop")


def test_the_request_is_as_servers_of_this_shape_expect_it(provider: OpenAi, fake: FakeOpenAi) -> None:
    messages = (Message("system", "Be kind."), Message("user", "half a pair: \ud83d"))
    list(provider.stream(TextRequest(messages, "large", max_tokens=9, temperature=0.5, seed=7), Deadline(60)))
    (body,) = sent(fake)
    assert body == {
        "model": "org/large-1",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "half a pair: ?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 9,
        "temperature": 0.5,
        "seed": 7,
    }
    (request,) = fake.requests
    assert (request.method, request.target) == ("POST", "/v1/chat/completions")
    assert "authorization" not in request.headers


def test_what_is_not_wished_is_not_sent(provider: OpenAi, fake: FakeOpenAi) -> None:
    list(begin(provider, "hello"))
    assert sent(fake)[0].keys() == {"model", "messages", "stream", "stream_options"}


@pytest.mark.parametrize(
    "difference",
    ["crlf", "comments", "no-done", "no-space", "parts", "bytes", "reason", "unchunked", "whole", "one-chunk",
     "crlf]][[bytes]][[comments]][[no-done", "unchunked]][[no-done]][[bytes", "pause:0.01"],
)  # fmt: skip
def test_servers_differ_and_the_answer_is_the_same(provider: OpenAi, difference: str) -> None:
    stream = begin(provider, f"[[{difference}]][[say:{quote('Grüße, 世界 🎉.')}]]")
    assert "".join(stream) == "Grüße, 世界 🎉."
    assert stream.usage is not None
    assert stream.usage.input_tokens == 1
    assert (stream.model, stream.finish_reason) == ("org/small-1-2026-01-01", "stop")


def test_without_usage_there_is_none(provider: OpenAi) -> None:
    stream = begin(provider, "[[no-usage]] hello")
    assert "".join(stream)
    assert stream.usage is None


def test_an_answer_that_reaches_its_limit_says_so(provider: OpenAi) -> None:
    stream = begin(provider, "a b c", max_tokens=2)
    assert "".join(stream) == "You said: "
    assert stream.finish_reason == "length"


@pytest.mark.parametrize("how", ["stall", "stall]][[unchunked"])
def test_pieces_are_there_before_the_answer_is_over(provider: OpenAi, how: str) -> None:
    """The second half never comes."""
    deadline = Deadline(20)
    stream = provider.stream(TextRequest((Message("user", f"a b c d [[{how}]]"),)), deadline)
    assert next(stream) == "You "
    assert deadline.remaining()
    stream.close()


def test_a_connection_serves_one_answer_after_another(provider: OpenAi, fake: FakeOpenAi) -> None:
    for _ in range(3):
        list(begin(provider, "hello"))
    assert fake.connections == 1


def test_an_answer_that_is_given_up_leaves_nothing_for_the_next_one(provider: OpenAi, fake: FakeOpenAi) -> None:
    stream = begin(provider, "one two three [[pause:0.05]]")
    next(stream)
    stream.close()
    stream.close()
    assert list(stream) == []
    assert "".join(begin(provider, "hello")) == "You said: hello"


def test_the_key_goes_by_bearer_and_is_asked_for_at_each_call(http: HttpClient) -> None:
    keys = iter(["good-key\n", "new-key"])
    with FakeOpenAi(keys=frozenset({"good-key", "new-key"})) as fake:
        provider = OpenAi(MODELS, fake.base_url, lambda: next(keys), http=http)
        assert ["".join(begin(provider, "a")) for _ in range(2)] == ["You said: a"] * 2
        assert [each.headers["authorization"] for each in fake.requests] == ["Bearer good-key", "Bearer new-key"]


def test_a_refused_key_is_a_failure_that_does_not_show_it(http: HttpClient) -> None:
    with FakeOpenAi(keys=frozenset({"good-key"})) as fake, pytest.raises(ProviderError) as failure:
        begin(OpenAi(MODELS, fake.base_url, lambda: "sk-secret", http=http), "a")
    assert failure.value.reason == "status 401, invalid_api_key"


@pytest.mark.parametrize("key", ["two\r\nlines: x", "clé"])
def test_a_key_that_no_header_can_carry_is_not_sent(fake: FakeOpenAi, http: HttpClient, key: str) -> None:
    with pytest.raises(ProviderError, match=r"^key not valid$"):
        begin(OpenAi(MODELS, fake.base_url, lambda: key, http=http), "a")
    assert fake.requests == []


@pytest.mark.parametrize("status", [302, 401, 402, 403, 404, 408, 409, 413, 429, 500, 502, 503, 504, 529])
def test_another_provider_is_asked_when_the_server_fails(provider: OpenAi, fake: FakeOpenAi, status: int) -> None:
    fake.script(f"refuse:{status}::{quote('a bad day')}")
    with pytest.raises(ProviderError, match=f"^status {status}"):
        begin(provider, "a")
    assert len(fake.requests) == 1


@pytest.mark.parametrize("status", [400, 422])
def test_a_refused_prompt_is_nobody_elses(provider: OpenAi, fake: FakeOpenAi, status: int) -> None:
    fake.script(f"refuse:{status}:messages:{quote('flagged: a secret prompt')}")
    with pytest.raises(PromptRefused) as refusal:
        begin(provider, "a secret prompt")
    assert str(refusal.value) == f"status {status}, invalid_request_error"


@pytest.mark.parametrize(
    "message", ["API key not valid. Please pass a valid API key.", "model 'org/small-1' not found"]
)
def test_a_400_that_is_about_the_key_or_the_model_is_a_failure(
    provider: OpenAi, fake: FakeOpenAi, message: str
) -> None:
    fake.script(f"refuse:400::{quote(message)}")
    with pytest.raises(ProviderError, match=r"^status 400"):
        begin(provider, "a")


@pytest.mark.parametrize(
    "body", ['{"error":"busy"}', '{"detail":[{"msg":"busy"}]}', "busy", "", "[]", '{"error":null}']
)
def test_errors_of_any_shape_are_errors(provider: OpenAi, fake: FakeOpenAi, body: str) -> None:
    fake.script(f"body:503:{quote(body)}")
    with pytest.raises(ProviderError, match=r"^status 503$"):
        begin(provider, "a")


@pytest.mark.parametrize("naming", ["", "[[unnamed]]"])
@pytest.mark.parametrize(
    ("parameter", "instead"),
    [("temperature", None), ("seed", None), ("stream-options", None), ("max-tokens", "max_completion_tokens")],
)
def test_a_parameter_that_the_server_does_not_take_is_left_out_from_then_on(
    provider: OpenAi, fake: FakeOpenAi, parameter: str, instead: str | None, naming: str
) -> None:
    name = parameter.replace("-", "_")
    for _ in range(2):
        assert "".join(begin(provider, f"[[{parameter}]]{naming}", max_tokens=9, temperature=0.5, seed=7))
    first, again, next_time = sent(fake)
    assert name in first
    assert name not in again
    assert again == next_time
    expected = first | ({instead: 9} if instead else {})
    del expected[name]
    assert again == expected
    begin(provider, "hello", model="large", temperature=0.5, max_tokens=9).close()
    assert sent(fake)[-1].keys() >= {"temperature", "max_tokens", "stream_options"}


def test_several_parameters_may_be_at_fault_one_after_another(provider: OpenAi, fake: FakeOpenAi) -> None:
    assert "".join(begin(provider, "[[max-tokens]][[temperature]]", max_tokens=9, temperature=0.5))
    assert len(fake.requests) == 3


def test_a_parameter_that_is_refused_in_every_form_is_a_refusal(provider: OpenAi, fake: FakeOpenAi) -> None:
    fake.script(*["refuse:400:max_tokens:too%20large"] * 2)
    with pytest.raises(PromptRefused):
        begin(provider, "a", max_tokens=10**6)
    assert len(fake.requests) == 2
    # Nothing was learnt from it.
    list(begin(provider, "a", max_tokens=9))
    assert sent(fake)[-1]["max_tokens"] == 9


@pytest.mark.parametrize(
    ("marker", "reason"),
    [("error-late", "the provider reported an error: server_error"), ("cut", "answer broken off"),
     ("end", "answer broken off"), ("garbage", "answer not valid"), ("filter-late", "content filter")],
)  # fmt: skip
def test_a_break_in_the_middle_comes_after_the_pieces(provider: OpenAi, marker: str, reason: str) -> None:
    stream = begin(provider, f"a b c d [[{marker}]]")
    pieces: list[str] = []
    with pytest.raises(ProviderError) as failure:
        pieces.extend(stream)
    assert pieces[0] == "You "
    assert failure.value.reason == reason
    assert not isinstance(failure.value, ProviderTimeout)
    assert list(stream) == []


@pytest.mark.parametrize("marker", ["stall", "stall-comments"])
def test_silence_ends_an_answer(fake: FakeOpenAi, http: HttpClient, marker: str) -> None:
    provider = OpenAi(MODELS, fake.base_url, http=http, silent_seconds=SILENCE)
    stream = begin(provider, f"a b c d [[{marker}]]")
    assert next(stream) == "You "
    with pytest.raises(ProviderTimeout):
        list(stream)


def test_who_reads_slowly_is_not_taken_for_a_silent_server(fake: FakeOpenAi, http: HttpClient) -> None:
    provider = OpenAi(MODELS, fake.base_url, http=http, silent_seconds=1.0)
    # The pieces behind the first two are not there yet when it goes on: what has arrived can be read after a cut.
    stream = begin(provider, "a b c d [[pause:0.4]]")
    next(stream)
    time.sleep(1.4)
    assert "".join(stream) == "said: a b c d [[pause:0.4]]"


@pytest.mark.parametrize("marker", ["hang", "drip-headers", "stall", "stall-comments"])
def test_an_answer_ends_at_the_deadline(provider: OpenAi, marker: str) -> None:
    with pytest.raises(ProviderTimeout):
        list(begin(provider, f"a b c [[{marker}]]", seconds=SILENCE))
    with pytest.raises(ProviderTimeout):
        begin(provider, "a", seconds=0)


@pytest.mark.parametrize(
    ("marker", "reason"),
    [("empty", "no text"), ("error-first", "the provider reported an error: server_error"), ("html", "answer broken off"),
     ("say:%20%0A", "no text"), ("reset", "connection failed"), ("truncate]][[whole", "answer not valid"),
     ("json", "the provider reported an error")],
)  # fmt: skip
def test_an_answer_without_text_is_a_failure(provider: OpenAi, marker: str, reason: str) -> None:
    with pytest.raises(ProviderError) as failure:
        list(begin(provider, f"[[{marker}]]"))
    assert failure.value.reason == reason


@pytest.mark.parametrize(("marker", "reason"), [("filter", "content filter"), ("refusal", "refused by the model")])
def test_a_filter_before_the_first_piece_is_a_refusal(provider: OpenAi, marker: str, reason: str) -> None:
    with pytest.raises(PromptRefused, match=reason):
        list(begin(provider, f"[[{marker}]]"))


def test_messages_that_do_not_fit_may_fit_elsewhere(provider: OpenAi, fake: FakeOpenAi) -> None:
    error = {
        "message": "too long",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }
    fake.script("body:400:" + quote(json.dumps({"error": error})))
    with pytest.raises(ProviderError, match=r"^status 400, context_length_exceeded$"):
        begin(provider, "a")


def test_an_error_of_a_router_in_a_200_tells_its_status(provider: OpenAi, fake: FakeOpenAi) -> None:
    fake.script("body:200:" + quote('{"error":{"message":"Rate limit exceeded","code":429}}'))
    with pytest.raises(ProviderError, match=r"^status 429$"):
        list(begin(provider, "a"))


def test_an_answer_without_end_is_given_up(provider: OpenAi) -> None:
    with pytest.raises(ProviderError, match="answer too large"):
        list(begin(provider, "[[endless]]"))


def test_a_model_that_is_not_offered_is_refused_beforehand(provider: OpenAi, fake: FakeOpenAi) -> None:
    request = TextRequest((Message("user", "a"),), "huge")
    assert provider.refuses(request) == FieldError("model", "Must be one of: small, large.")
    assert provider.refuses(TextRequest((Message("user", "a"),))) is None
    with pytest.raises(ProviderError, match="no such model"):
        provider.stream(request, Deadline(60))
    assert fake.requests == []


def test_its_settings_say_where_it_is_and_what_it_offers(fake: FakeOpenAi) -> None:
    provider = OpenAi.from_env(
        {"OPENAI_URL": f"{fake.base_url}/", "OPENAI_MODELS": "mini = llama3.2:3b:131072 , big=x:9"}
    )
    assert provider.models == (Model("mini", 131072, "llama3.2:3b"), Model("big", 9, "x"))
    assert "".join(begin(provider, "hello")) == "You said: hello"
    assert sent(fake)[0]["model"] == "llama3.2:3b"


@pytest.mark.parametrize(
    ("models", "reason"),
    [("a=b", "model 1 is not written"), ("a=b:1,c", "model 2 is not written"), ("a=b:0", "not written"),
     ("a=b:1,a=c:2", "the alias a twice"), (",", "lists no model"), ("a b=c:1", "not written"), ("=b:1", "not written")],
)  # fmt: skip
def test_models_that_are_not_listed_as_they_must_be_are_an_error_of_the_settings(models: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        OpenAi.from_env({"OPENAI_MODELS": models})

"""Pictures by Pollinations, on its good days and on its bad ones."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, unquote

import pytest
from tests.fakes.certificate import self_signed, server_context
from tests.fakes.pollinations import FakePollinations

from generation.http_client import HttpClient
from generation.media import image_type
from generation.pictures import ImageRequest
from generation.pollinations import KEYLESS_URL, SUPPORTED_URL, Pollinations
from generation.providers import Artifact, Deadline, PromptRefused, ProviderError, ProviderTimeout


def draw(provider: Pollinations, prompt: str, *, seconds: float = 60.0, seed: int = 7, model: str = "flux") -> Artifact:
    return provider.generate(ImageRequest(prompt, 64, 48, seed, model), Deadline(seconds))


def with_key(fake: FakePollinations, http: HttpClient, key: str | None) -> Pollinations:
    return Pollinations(lambda: key, supported_url=fake.supported_url, keyless_url=fake.keyless_url, http=http)


def test_without_a_key_the_keyless_host_draws(keyless: Pollinations, fake_pollinations: FakePollinations) -> None:
    picture = draw(keyless, "a cat")
    assert (picture.provider, picture.model, picture.cost_usd) == ("pollinations", "flux", 0.0)
    assert image_type(picture.content) == (picture.content_type, "jpg", 64, 48)
    (request,) = fake_pollinations.requests
    assert request.target.startswith("/prompt/a%20cat?")
    assert "authorization" not in request.headers


def test_with_a_key_the_supported_host_draws(fake_pollinations: FakePollinations, http: HttpClient) -> None:
    draw(with_key(fake_pollinations, http, "good-key\n"), "a cat")
    (request,) = fake_pollinations.requests
    assert request.target.startswith("/image/a%20cat?")
    assert request.headers["authorization"] == "Bearer good-key"


@pytest.mark.parametrize("key", [None, "", "  "])
def test_an_empty_key_is_no_key(fake_pollinations: FakePollinations, http: HttpClient, key: str | None) -> None:
    draw(with_key(fake_pollinations, http, key), "a cat")
    assert fake_pollinations.requests[0].target.startswith("/prompt/")


def test_a_refused_key_is_a_failure_and_the_keyless_host_is_not_asked(
    fake_pollinations: FakePollinations, http: HttpClient
) -> None:
    with pytest.raises(ProviderError, match="status 401"):
        draw(with_key(fake_pollinations, http, "old-key"), "a cat")
    assert len(fake_pollinations.requests) == 1


@pytest.mark.parametrize("key", ["two\r\nlines: x", "clé"])
def test_a_key_that_no_header_can_carry_is_a_failure_that_does_not_show_it(
    fake_pollinations: FakePollinations, http: HttpClient, key: str
) -> None:
    with pytest.raises(ProviderError) as failure:
        draw(with_key(fake_pollinations, http, key), "a cat")
    assert failure.value.reason == "key not valid"
    assert fake_pollinations.requests == []


def test_the_wishes_are_in_the_query(keyless: Pollinations, fake_pollinations: FakePollinations) -> None:
    draw(keyless, "a cat", seed=2**31 - 1, model="gpt-image_1.5")
    assert parse_qs(fake_pollinations.requests[0].target.partition("?")[2]) == {
        "model": ["gpt-image_1.5"],
        "width": ["64"],
        "height": ["48"],
        "seed": [str(2**31 - 1)],
        "nologo": ["true"],
        "private": ["true"],
    }


@pytest.mark.parametrize(
    "prompt",
    [
        "a/b", "50% off", "%2F is not a slash", "what? #1 & more = 2", "../../models", "...", "a+b", "back\\slash",
        "line\nline", "ünïcode 猫 😀", "שלום עולם", "http://example.org/?q=1#top", "~-._", "'\"<>[]{}|^`;:@,$!*()",
    ],
)  # fmt: skip
def test_any_prompt_arrives_whole_as_one_segment(
    keyless: Pollinations, fake_pollinations: FakePollinations, prompt: str
) -> None:
    draw(keyless, prompt)
    segment = fake_pollinations.requests[0].target.partition("?")[0].removeprefix("/prompt/")
    assert "/" not in segment
    assert unquote(segment, errors="strict") == prompt


@pytest.mark.parametrize("prompt", [".", ".."])
def test_a_prompt_of_dots_is_not_taken_for_a_path(
    keyless: Pollinations, fake_pollinations: FakePollinations, prompt: str
) -> None:
    draw(keyless, prompt)
    assert fake_pollinations.requests[0].target.startswith(f"/prompt/{prompt}%20?")


def test_half_a_surrogate_pair_is_replaced(keyless: Pollinations, fake_pollinations: FakePollinations) -> None:
    draw(keyless, "a \ud83d cat")
    assert fake_pollinations.requests[0].target.startswith("/prompt/a%20%3F%20cat?")


LONG = "😀" * 2000


def test_two_thousand_letters_fit_and_two_thousand_emoji_do_not(
    keyless: Pollinations, fake_pollinations: FakePollinations
) -> None:
    words = "word " * 399 + "word."
    assert keyless.refuses(ImageRequest(words, 64, 48, 7)) is None
    assert draw(keyless, words).content
    refusal = keyless.refuses(ImageRequest(LONG, 64, 48, 7))
    assert refusal is not None
    assert refusal.field == "prompt"
    assert len(fake_pollinations.requests) == 1


def test_the_limit_that_is_told_is_the_limit(keyless: Pollinations, fake_pollinations: FakePollinations) -> None:
    refusal = keyless.refuses(ImageRequest("x" * 9000, 64, 48, 7))
    assert refusal is not None
    room = int(refusal.message.removeprefix("Must be at most ").partition(" ")[0])
    assert keyless.refuses(ImageRequest("x" * (room + 1), 64, 48, 7)) is not None
    assert keyless.refuses(ImageRequest("x" * room, 64, 48, 7)) is None
    assert draw(keyless, "x" * room).content
    assert len(fake_pollinations.requests[0].target) <= 8000


def test_with_a_key_a_prompt_that_is_too_long_for_an_address_is_posted(
    fake_pollinations: FakePollinations, http: HttpClient
) -> None:
    provider = with_key(fake_pollinations, http, "good-key")
    assert provider.refuses(ImageRequest(LONG, 64, 48, 7)) is None
    picture = draw(provider, LONG, model="gptimage")
    assert image_type(picture.content) == ("image/jpeg", "jpg", 64, 48)
    assert (picture.content_type, picture.provider, picture.model) == ("image/jpeg", "pollinations", "gptimage")
    (request,) = fake_pollinations.requests
    assert (request.method, request.target) == ("POST", "/v1/images/generations")
    assert request.headers["authorization"] == "Bearer good-key"
    assert json.loads(request.body) == {
        "prompt": LONG, "model": "gptimage", "n": 1, "size": "64x48", "response_format": "b64_json",
        "seed": 7, "nologo": True, "private": True,
    }  # fmt: skip


def test_an_empty_key_does_not_open_the_way_to_the_post(fake_pollinations: FakePollinations, http: HttpClient) -> None:
    with pytest.raises(ProviderError, match="prompt too long"):
        draw(with_key(fake_pollinations, http, ""), LONG)
    assert fake_pollinations.requests == []


@pytest.mark.parametrize("status", [400, 422])
def test_a_posted_prompt_can_be_refused(fake_pollinations: FakePollinations, http: HttpClient, status: int) -> None:
    with pytest.raises(PromptRefused):
        draw(with_key(fake_pollinations, http, "good-key"), f"{LONG}[[status:{status}]]")


@pytest.mark.parametrize(
    ("bad_day", "reason"),
    [
        ("status:402", "status 402"), ("status:502", "status 502"), ("html", "not an image"), ("json", "not an image"),
        ("truncate", "not an image"), ("break", "answer broken off"), ("huge", "answer too large"),
    ],
)  # fmt: skip
def test_a_bad_day_of_the_post_is_a_failure(
    fake_pollinations: FakePollinations, http: HttpClient, bad_day: str, reason: str
) -> None:
    with pytest.raises(ProviderError) as failure:
        draw(with_key(fake_pollinations, http, "good-key"), f"{LONG}[[{bad_day}]]")
    assert failure.value.reason == reason


def test_half_a_surrogate_pair_is_replaced_in_a_post_too(fake_pollinations: FakePollinations, http: HttpClient) -> None:
    draw(with_key(fake_pollinations, http, "good-key"), f"{LONG}\ud83d")
    assert json.loads(fake_pollinations.requests[0].body)["prompt"] == f"{LONG}?"


def test_the_settings_are_its_own(fake_pollinations: FakePollinations) -> None:
    keyless = Pollinations.from_env({"POLLINATIONS_KEYLESS_URL": f"{fake_pollinations.keyless_url}/"})
    assert draw(keyless, "a cat").content
    assert keyless.refuses(ImageRequest(LONG, 64, 48, 7)) is not None
    keyed = Pollinations.from_env({"POLLINATIONS_SECRET_ARN": "arn:x", "POLLINATIONS_URL": fake_pollinations.url})
    assert keyed.refuses(ImageRequest(LONG, 64, 48, 7)) is None


@pytest.mark.parametrize(
    ("wish", "content_type"), [("png", "image/png"), ("jpeg", "image/jpeg"), ("webp", "image/webp")]
)
def test_the_type_follows_the_bytes(keyless: Pollinations, wish: str, content_type: str) -> None:
    assert draw(keyless, f"a cat [[{wish}]]").content_type == content_type


def test_another_size_than_the_one_asked_for_is_accepted(keyless: Pollinations) -> None:
    picture = image_type(draw(keyless, "[[half]]").content)
    assert picture is not None
    assert (picture.width, picture.height) == (32, 24)


@pytest.mark.parametrize("status", [400, 422])
def test_a_refusal_is_not_a_failure(keyless: Pollinations, status: int) -> None:
    with pytest.raises(PromptRefused):
        draw(keyless, f"[[status:{status}]]")


@pytest.mark.parametrize(
    "status", [201, 204, 401, 402, 403, 404, 405, 408, 410, 413, 414, 418, 429, 431, 500, 502, 503, 504, 520, 530]
)
def test_any_other_status_is_a_failure(keyless: Pollinations, status: int) -> None:
    with pytest.raises(ProviderError) as failure:
        draw(keyless, f"[[status:{status}]]")
    assert failure.value.reason == f"status {status}"


@pytest.mark.parametrize(
    ("bad_day", "reason"),
    [
        ("queue-full", "status 402"),
        ("1033", "status 530"),
        ("html", "not an image"),
        ("json", "not an image"),
        ("truncate", "not an image"),
        ("break", "answer broken off"),
        ("huge", "answer too large"),
        ("endless", "answer too large"),
        ("reset", "connection failed"),
    ],
)
def test_a_bad_day_is_a_failure(keyless: Pollinations, bad_day: str, reason: str) -> None:
    with pytest.raises(ProviderError) as failure:
        draw(keyless, f"a cat [[{bad_day}]]")
    assert failure.value.reason == reason


@pytest.mark.parametrize("bad_day", ["hang", "drip", "drip-headers"])
def test_a_stalling_host_is_a_timeout(keyless: Pollinations, bad_day: str) -> None:
    with pytest.raises(ProviderTimeout):
        draw(keyless, f"a cat [[{bad_day}]]", seconds=0.15)


def test_a_slow_host_within_the_deadline_is_waited_for(keyless: Pollinations) -> None:
    assert draw(keyless, "a cat [[slow:0.2]]").content


def test_a_redirect_does_not_carry_the_key_away(fake_pollinations: FakePollinations, http: HttpClient) -> None:
    with FakePollinations() as other:
        target = f"{other.supported_url}/stolen"
        with pytest.raises(ProviderError, match="status 302"):
            draw(with_key(fake_pollinations, http, "good-key"), f"[[redirect:{target}]]")
        assert other.requests == []


def test_a_second_request_at_once_meets_a_full_queue(
    keyless: Pollinations, fake_pollinations: FakePollinations
) -> None:
    """What the keyless host does with two callers behind one address."""

    def outcome(_: int) -> str:
        try:
            return draw(keyless, "[[slow:0.3]]").content_type
        except ProviderError as error:
            return error.reason

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(outcome, range(2))) == ["image/jpeg", "status 402"]


def test_certificates_are_verified(http: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    with FakePollinations(tls=server_context(certificate)) as fake:
        provider = with_key(fake, http, "good-key")
        with pytest.raises(ProviderError, match="TLS failed"):
            draw(provider, "a cat")
        assert fake.requests == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        # A client looks into the environment once.
        assert draw(with_key(fake, HttpClient(), "good-key"), "a cat").content


def test_the_deadline_holds_over_tls(http: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with FakePollinations(tls=server_context(certificate)) as fake:
        provider = with_key(fake, http, "good-key")
        assert draw(provider, "a cat").content
        for bad_day in ("drip", "drip-headers"):
            with pytest.raises(ProviderTimeout):
                draw(provider, f"[[{bad_day}]]", seconds=0.15)


def test_it_has_the_public_hosts_by_default() -> None:
    assert SUPPORTED_URL.startswith("https://gen.pollinations.ai/")
    assert KEYLESS_URL.startswith("https://image.pollinations.ai/")


def test_a_picture_that_is_paid_for_costs_what_the_stack_says_or_nobody_knows(
    fake_pollinations: FakePollinations, http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = with_key(fake_pollinations, http, "good-key")
    assert draw(provider, "a cat").cost_usd is None
    monkeypatch.setenv("MODEL_PRICES", '{"pollinations/flux": {"perPicture": 0.002}}')
    assert draw(provider, "a cat").cost_usd == 0.002

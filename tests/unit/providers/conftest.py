"""Fake providers on loopback, and short deadlines."""

from collections.abc import Iterator

import pytest
from tests.fakes.google import FakeGoogleTranslate
from tests.fakes.pollinations import FakePollinations

from generation.google_tts import GoogleTts
from generation.http_client import HttpClient
from generation.pollinations import Pollinations


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def http() -> Iterator[HttpClient]:
    client = HttpClient()
    yield client
    client.close()


@pytest.fixture
def fake_pollinations() -> Iterator[FakePollinations]:
    with FakePollinations() as fake:
        yield fake


@pytest.fixture
def fake_google() -> Iterator[FakeGoogleTranslate]:
    with FakeGoogleTranslate() as fake:
        yield fake


@pytest.fixture
def keyless(fake_pollinations: FakePollinations, http: HttpClient) -> Pollinations:
    """Pollinations without a key."""
    return Pollinations(
        supported_url=fake_pollinations.supported_url, keyless_url=fake_pollinations.keyless_url, http=http
    )


@pytest.fixture
def gtts(fake_google: FakeGoogleTranslate, http: HttpClient) -> GoogleTts:
    return GoogleTts(base_url=fake_google.url, http=http)

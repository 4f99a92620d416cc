"""Speech by Google Translate, on its good days and on its bad ones."""

import socket
import threading
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes import media_samples
from tests.fakes.certificate import self_signed, server_context
from tests.fakes.google import FakeGoogleTranslate, Spoken

from generation import sentences
from generation.google_tts import BASE_URL, LONGEST_PIECE, GoogleTts
from generation.http_client import HttpClient
from generation.media import mp3_duration
from generation.providers import Artifact, Deadline, PromptRefused, ProviderError, ProviderTimeout
from generation.speech import NOTHING_TO_SAY, SpeechProvider, SpeechRequest

LONGEST = 4096
TEXTS = {
    "short sentences": "Hello, world. " * 300,
    "long words": "Donaudampfschifffahrtsgesellschaft " * 120,
    "no spaces": "x" * LONGEST,
    "Japanese": "今日は天気がいいです。明日も行きましょう、ね。" * 180,
    "Arabic": "مرحبا بالعالم، كيف حالك؟ " * 170,
    "numbers": "3.14159, 2.71828; 1,000,000: " * 150,
}


def speak(
    provider: GoogleTts, prompt: str, *, voice: str = "en", model: str = "gtts", seconds: float = 60.0
) -> Artifact:
    return provider.generate(SpeechRequest(prompt, voice, model), Deadline(seconds))


def letters(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def test_a_sentence_is_spoken(gtts: GoogleTts, fake_google: FakeGoogleTranslate) -> None:
    speech = speak(gtts, "Hello, world!")
    assert speech.content == media_samples.speech("Hello, world!")
    assert (speech.provider, speech.model, speech.content_type) == ("gtts", "gtts", "audio/mpeg")
    assert speech.facts["durationSeconds"] == pytest.approx(mp3_duration(speech.content), abs=0.001)
    assert fake_google.spoken == [Spoken("Hello, world!", "en", slow=False)]


def test_the_slow_model_asks_for_slow_speech(gtts: GoogleTts, fake_google: FakeGoogleTranslate) -> None:
    speech = speak(gtts, "Hello", model="gtts-slow")
    assert speech.model == "gtts-slow"
    assert fake_google.spoken == [Spoken("Hello", "en", slow=True)]


def test_the_languages_of_the_contract_are_among_the_voices(gtts: GoogleTts) -> None:
    assert {"en", "es", "fr", "de", "it", "pt", "ja", "zh-CN", "ko"} <= gtts.voices
    provider: SpeechProvider = gtts
    assert provider.refuses(SpeechRequest("Hello", "de")) is None
    refusal = provider.refuses(SpeechRequest("Hello", "tlh"))
    assert refusal is not None
    assert (refusal.field, " de," in refusal.message) == ("voice", True)


@pytest.mark.parametrize("voice", ["zh-CN", "zh-TW", "fr-CA", "pt-PT", "iw"])
def test_a_voice_arrives_as_it_is(gtts: GoogleTts, fake_google: FakeGoogleTranslate, voice: str) -> None:
    """gTTS's own check warns of some tags that it offers, and sends another language."""
    speak(gtts, "Hello", voice=voice)
    assert fake_google.spoken[0].language == voice


@pytest.mark.parametrize("name", TEXTS)
def test_a_long_text_is_spoken_whole_in_order_and_in_few_requests(
    gtts: GoogleTts, fake_google: FakeGoogleTranslate, name: str
) -> None:
    text = TEXTS[name][:LONGEST]
    speech = speak(gtts, text)
    # Requests arrive in any order: it is the sound that must be in the order of the text.
    expected = sentences.pieces(text, "en", LONGEST_PIECE)
    assert sorted(spoken.text for spoken in fake_google.spoken) == sorted(expected)
    assert b"".join(media_samples.speech(piece) for piece in expected) == speech.content
    assert letters("".join(expected)) == letters(text)
    assert len(fake_google.requests) <= 2 * LONGEST / 100
    assert 1 < fake_google.connections <= 6


AS_WRITTEN = {
    "This is the best. It works.": "en",
    "Look-\nahead": "en",
    "Das ist ein Test. Er geht.": "de",
    "Look! Look! All of it is at https://example.com/a,b;c:d and nothing is missing there, as you can see": "en",
    "M. Dupont paie 3,50 €: c'est cher !": "fr",
}


@pytest.mark.parametrize("text", AS_WRITTEN)
def test_a_text_arrives_as_it_is_written(gtts: GoogleTts, fake_google: FakeGoogleTranslate, text: str) -> None:
    speak(gtts, text, voice=AS_WRITTEN[text])
    assert [spoken.text for spoken in fake_google.spoken] == [text]


def test_a_long_text_arrives_as_it_is_written_too(gtts: GoogleTts, fake_google: FakeGoogleTranslate) -> None:
    """An abbreviation, a line break in a word and the marks of an address are no ends of pieces."""
    pieces = {
        "We left in May.",
        "They moved to the west coast of the U.S. because of the weather there and of the work they found.",
        "Look-\nahead parsing is explained at https://example.com/a,b;c:d e.g. in its third part.",
    }
    speak(gtts, " ".join(sorted(pieces, reverse=True)))
    assert {spoken.text for spoken in fake_google.spoken} == pieces


def test_a_text_is_cut_at_the_ends_of_sentences_then_phrases_then_words(
    gtts: GoogleTts, fake_google: FakeGoogleTranslate
) -> None:
    sentence = "This sentence has more than forty characters in it."
    phrase = "while this phrase, which has no full stop at its end, goes on"
    words = "and on and on with words " * 6
    speak(gtts, f"{sentence} {phrase} {words}")
    pieces = {spoken.text for spoken in fake_google.spoken}
    assert sentence in pieces
    assert "while this phrase, which has no full stop at its end," in pieces
    assert all(piece.split()[-1] in {"it.", "end,", "words", "on", "and", "with"} for piece in pieces)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.sampled_from("ab 1.,!?。、\n-😀é"), min_size=1, max_size=400))
def test_no_letter_is_lost_whatever_the_text(gtts: GoogleTts, fake_google: FakeGoogleTranslate, text: str) -> None:
    fake_google.requests.clear()
    try:
        speak(gtts, text)
    except PromptRefused:
        assert not letters(text)
    spoken = "".join(spoken.text for spoken in fake_google.spoken)
    assert sorted(letters(spoken)) == sorted(letters(text))


@pytest.mark.parametrize("text", ["!!!", "…", "。", "¿?", "." * LONGEST, " \n "])
def test_a_text_with_nothing_to_say_is_refused_without_asking(
    gtts: GoogleTts, fake_google: FakeGoogleTranslate, text: str
) -> None:
    assert gtts.refuses(SpeechRequest(text)) == NOTHING_TO_SAY
    with pytest.raises(PromptRefused, match="nothing to say"):
        speak(gtts, text)
    assert fake_google.requests == []


def test_signs_that_google_stays_silent_about_are_nothing_to_say(
    gtts: GoogleTts, fake_google: FakeGoogleTranslate
) -> None:
    fake_google.script("silent")
    assert gtts.refuses(SpeechRequest("* * *")) is None
    with pytest.raises(PromptRefused, match="nothing to say") as refusal:
        speak(gtts, "* * *")
    assert refusal.value.wrong == NOTHING_TO_SAY


def test_a_row_of_signs_that_google_stays_silent_about_does_not_spoil_the_rest(
    gtts: GoogleTts, fake_google: FakeGoogleTranslate
) -> None:
    words = "One sentence that fills up what Google takes at a time, and so stands alone before the row of stars."
    fake_google.silent_about = "*" * 100
    assert speak(gtts, f"{words} {'*' * 100}").content == media_samples.speech(words)


def test_a_text_whose_words_google_stays_silent_about_is_a_failure(
    gtts: GoogleTts, fake_google: FakeGoogleTranslate
) -> None:
    fake_google.script("silent")
    with pytest.raises(ProviderError, match="no audio"):
        speak(gtts, "Hello")


@pytest.mark.parametrize(
    ("bad_day", "reason"),
    [
        ("status:429", "status 429"),
        ("status:503", "status 503"),
        ("status:400", "status 400"),
        ("consent", "status 302"),
        ("html", "no audio"),
        ("json", "no audio"),
        ("silent", "no audio"),
        ("not-base64", "no audio"),
        ("garbled", "no audio"),
        ("noise", "not speech"),
        ("truncate", "no audio"),
        ("break", "answer broken off"),
        ("huge", "answer too large"),
        ("endless", "answer too large"),
        ("reset", "connection failed"),
    ],
)
def test_a_bad_day_is_a_failure(gtts: GoogleTts, fake_google: FakeGoogleTranslate, bad_day: str, reason: str) -> None:
    fake_google.script(bad_day)
    with pytest.raises(ProviderError) as failure:
        speak(gtts, "Hello")
    assert failure.value.reason == reason


@pytest.mark.parametrize("bad_day", ["hang", "drip", "drip-headers"])
@pytest.mark.parametrize("text", ["Hello", "One sentence of forty characters or so. " * 12], ids=["short", "long"])
def test_a_stalling_host_is_a_timeout(
    gtts: GoogleTts, fake_google: FakeGoogleTranslate, bad_day: str, text: str
) -> None:
    fake_google.script(bad_day)
    with pytest.raises(ProviderTimeout):
        speak(gtts, text, seconds=0.15)


def test_one_failed_piece_gives_up_the_others(gtts: GoogleTts, fake_google: FakeGoogleTranslate) -> None:
    """Six are under way at a time: two hang, one fails, and the rest of the sixty is not asked for."""
    fake_google.script("hang", "hang", "status:429")
    with pytest.raises(ProviderError, match="status 429"):
        speak(gtts, "One sentence of forty characters or so. " * 100, seconds=1.0)
    for thread in threading.enumerate():
        if thread.name.startswith(gtts.name):
            thread.join()
    assert len(fake_google.requests) < 30


def test_the_deadline_holds_when_the_name_of_the_host_is_not_resolved(
    gtts: GoogleTts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can interrupt the resolver: its thread is left behind."""
    released = threading.Event()

    def resolve(*args: object, **options: object) -> NoReturn:
        released.wait(600)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    try:
        with pytest.raises(ProviderTimeout):
            speak(gtts, "Hello", seconds=0.15)
    finally:
        released.set()


def test_without_time_nothing_is_asked(gtts: GoogleTts, fake_google: FakeGoogleTranslate) -> None:
    with pytest.raises(ProviderTimeout):
        speak(gtts, "Hello", seconds=0.0)
    assert fake_google.requests == []


def test_certificates_are_verified(http: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    with FakeGoogleTranslate(tls=server_context(certificate)) as fake:
        provider = GoogleTts(base_url=fake.url, http=http)
        with pytest.raises(ProviderError, match="TLS failed"):
            speak(provider, "Hello")
        assert fake.requests == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        # A client looks into the environment once.
        assert speak(GoogleTts(base_url=fake.url, http=HttpClient()), "Hello").content


def test_it_has_the_public_host_by_default() -> None:
    assert BASE_URL == "https://translate.google.com"

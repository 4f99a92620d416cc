"""Speech by Amazon Polly: voices by language, long texts in pieces, text that is only text."""

import io
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from moto.polly.resources import VOICE_DATA
from tests.fakes import media_samples

from core.errors import FieldError
from generation.polly import LONGEST_PIECE, VOICES, Polly
from generation.providers import Artifact, Deadline, PromptRefused, ProviderError
from generation.speech import NOTHING_TO_SAY, SpeechRequest

if TYPE_CHECKING:
    from mypy_boto3_polly import PollyClient

SECOND = media_samples.mp3(1.0)


class Mouth:
    """A client of Polly that says every text in a second, and remembers what it was asked."""

    def __init__(self, sound: bytes = SECOND) -> None:
        self.asked: list[dict[str, Any]] = []
        self._sound = sound

    def synthesize_speech(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        return {"AudioStream": StreamingBody(io.BytesIO(self._sound), len(self._sound))}


def speak(client: Any, text: str, voice: str = "en") -> Artifact:
    return Polly(client).generate(SpeechRequest(text, voice), Deadline(60))


def test_a_text_is_spoken_by_the_languages_voice() -> None:
    client: PollyClient = boto3.client("polly")
    expected = {"Text": "Guten Tag.", "TextType": "text", "OutputFormat": "mp3", "VoiceId": "Vicki", "Engine": "neural"}
    with Stubber(client) as stub:
        stub.add_response(
            "synthesize_speech", {"AudioStream": StreamingBody(io.BytesIO(SECOND), len(SECOND))}, expected
        )
        made = speak(client, "Guten Tag.", "de")
    assert (made.content, made.content_type) == (SECOND, "audio/mpeg")
    assert (made.provider, made.model) == ("polly", "polly-neural")
    assert made.facts["durationSeconds"] == pytest.approx(1.0, abs=0.1)
    assert made.cost_usd == pytest.approx(10 * 16 / 1_000_000)


def test_a_caller_cannot_send_ssml() -> None:
    mouth = Mouth()
    speak(mouth, '<speak><audio src="https://example.com/a.mp3"/>hello</speak>')
    assert {asked["TextType"] for asked in mouth.asked} == {"text"}


def test_a_long_text_is_spoken_in_pieces_of_whole_sentences() -> None:
    sentence = "This is a sentence of some forty characters. "
    mouth = Mouth()
    made = speak(mouth, sentence * 90)
    texts = [asked["Text"] for asked in mouth.asked]
    assert len(texts) == 2
    assert all(len(text) <= LONGEST_PIECE and text.endswith(".") for text in texts)
    assert made.content == SECOND * 2
    assert made.facts["durationSeconds"] == pytest.approx(2.0, abs=0.2)
    assert made.cost_usd == pytest.approx(sum(map(len, texts)) * 16 / 1_000_000)


def test_every_voice_is_one_of_polly_with_its_engine_and_language() -> None:
    known = {str(voice["Id"]): voice for voice in VOICE_DATA}
    for language, (name, engine, spoken) in VOICES.items():
        voice = known[name]
        assert engine in voice["SupportedEngines"], name
        codes = [str(voice["LanguageCode"]), *map(str, voice.get("AdditionalLanguageCodes", []))]
        names = {"no": "nb", "zh": "cmn", "zh-CN": "cmn", "ar": "arb"}
        assert any(code.startswith(names.get(language, language)) for code in codes), name
        assert spoken is None or spoken in codes


def test_a_voice_of_two_languages_is_told_which_one() -> None:
    mouth = Mouth()
    speak(mouth, "नमस्ते", "hi")
    assert mouth.asked[0]["LanguageCode"] == "hi-IN"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (SpeechRequest("hello"), None),
        (SpeechRequest("!!!"), NOTHING_TO_SAY.field),
        (SpeechRequest("hello", "la"), "voice"),
        (SpeechRequest("hello", "en", "gtts-slow"), "model"),
    ],
)
def test_it_says_beforehand_what_it_cannot_speak(request_: SpeechRequest, field: str | None) -> None:
    refusal = Polly.from_env({}).refuses(request_)
    assert isinstance(refusal, FieldError | None)
    assert (refusal and refusal.field) == field


@pytest.mark.parametrize(
    ("code", "expected"),
    [("ThrottlingException", ProviderError), ("AccessDeniedException", ProviderError),
     ("EngineNotSupportedException", ProviderError), ("ValidationException", PromptRefused)],
)  # fmt: skip
def test_errors_are_told_apart(code: str, expected: type[Exception]) -> None:
    client: PollyClient = boto3.client("polly")
    with Stubber(client) as stub:
        stub.add_client_error("synthesize_speech", code, "a secret text", 400)
        with pytest.raises(expected, match=f"^{code}$"):
            speak(client, "hello")


def test_what_is_no_sound_is_a_failure() -> None:
    with pytest.raises(ProviderError, match="not speech"):
        speak(Mouth(b"no sound"), "hello")

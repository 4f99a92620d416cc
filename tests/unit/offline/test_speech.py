"""The offline speech provider: what a caller can rely on."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from gtts.lang import tts_langs  # type: ignore[import-untyped]

from generation.providers import Artifact, Deadline, PromptRefused, ProviderError, ProviderTimeout
from generation.speech import NOTHING_TO_SAY, SpeechProvider, SpeechRequest
from offline.speech import OfflineSpeech

# ISO 13818-3, layer III: kbit/s, and Hz of MPEG-2.
BIT_RATES = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
SAMPLE_RATES = (22050, 24000, 16000)
SAMPLES_PER_FRAME = 576
GREETINGS = {
    "en": "Hello, good morning.",
    "es": "Hola, ¿qué tal estás?",
    "fr": "Bonjour à tous.",
    "de": "Guten Tag, schöne Grüße.",
    "it": "Buongiorno a tutti.",
    "pt": "Olá, bom dia a todos.",
    "ja": "こんにちは、おげんきですか。",
    "zh-CN": "你好，早上好。",
    "ko": "안녕하세요, 좋은 아침입니다.",
    "ar": "صباح الخير للجميع",
    "hi": "नमस्ते, आप कैसे हैं?",
    "ru": "Доброе утро всем.",
    "pt-PT": "Bom dia a todos.",
    "iw": "שלום לכולם",
    "no": "God morgen alle sammen.",
}


def say(prompt: str, voice: str = "en", model: str = "gtts", seconds: float = 60) -> Artifact:
    return OfflineSpeech().generate(SpeechRequest(prompt, voice, model), Deadline(seconds))


def mp3_seconds(content: bytes) -> float:
    """The length of an MP3, found by walking all of its frames."""
    place = samples = 0
    rate = 1
    while place < len(content):
        first, second, third = content[place : place + 3]
        assert (first, second & 0xFE) == (0xFF, 0xF2), f"no MPEG-2 layer III frame at {place}"
        rate = SAMPLE_RATES[third >> 2 & 3]
        bit_rate = BIT_RATES[third >> 4]
        place += 72 * bit_rate * 1000 // rate + (third >> 1 & 1)
        samples += SAMPLES_PER_FRAME
    assert place == len(content)
    return samples / rate


def seconds_of(artifact: Artifact) -> float:
    assert "durationSeconds" in artifact.facts
    return float(artifact.facts["durationSeconds"])


@pytest.mark.parametrize(("voice", "text"), GREETINGS.items())
def test_a_greeting_is_an_mp3_of_plausible_length(voice: str, text: str) -> None:
    artifact = say(text, voice)
    assert (artifact.content_type, artifact.provider) == ("audio/mpeg", "offline")
    assert 0.6 < seconds_of(artifact) < 5
    # The encoder pads the first and the last frame.
    assert mp3_seconds(artifact.content) == pytest.approx(seconds_of(artifact), abs=0.2)


def test_the_model_names_the_engine() -> None:
    assert say("Hello").model == "pico"
    assert say("Olá", "pt").model == "espeak-ng"
    assert say("Hello 世界").model == "espeak-ng"


def test_the_voices_are_tags_of_gtts_and_include_the_promised_ones() -> None:
    provider: SpeechProvider = OfflineSpeech()
    assert {"en", "es", "fr", "de", "it", "pt", "ja", "zh-CN", "ko"} <= provider.voices
    assert provider.voices <= set(tts_langs())
    assert provider.name == "offline"


@pytest.mark.parametrize("voice", ["en", "pt"])
def test_slow_is_slower(voice: str) -> None:
    text = "Um momento por favor amigos"
    assert seconds_of(say(text, voice, "gtts-slow")) > seconds_of(say(text, voice)) * 1.2


@pytest.mark.parametrize("voice", ["de", "pl"])
def test_sentences_are_parted_by_a_pause(voice: str) -> None:
    parted = seconds_of(say("Radio. Radio. Radio.", voice))
    assert parted > seconds_of(say("Radio Radio Radio.", voice)) + 0.5


@pytest.mark.parametrize("text", ["!!!", "...", " \n ", "¿?", "\u0301", "\x00", "\ud800", "\u202e"])
def test_text_without_anything_to_say_is_refused_before_it_is_asked(text: str) -> None:
    assert OfflineSpeech().refuses(SpeechRequest(text)) == NOTHING_TO_SAY


def test_text_that_leaves_the_engines_silent_is_refused() -> None:
    silent = json.dumps({"engine": None, "seconds": None}).encode() + b"\n"
    with pytest.raises(PromptRefused, match="nothing to say") as refusal:
        OfflineSpeech(lambda request, seconds: silent).generate(SpeechRequest("😀"), Deadline(5))
    assert refusal.value.wrong == NOTHING_TO_SAY


@pytest.mark.parametrize("voice", ["en", "pt"])
@pytest.mark.parametrize(
    "text",
    [
        "<speak>",
        '<volume level="0">hello</volume>',
        "<usesig file='x'> &lt; [[h@]] %s",
        "1" * 300,
        "a" * 600,
        "é" * 200 + "\u0301" * 60,
        "\x00a\ud800b\U0010ffffc",
        "½ ² № ﬁ İ ſ ß ẞ",
        "a😀b\u200d\u202ec",
    ],
)
def test_odd_text_is_spoken_all_the_same(text: str, voice: str) -> None:
    artifact = say(text, voice)
    assert mp3_seconds(artifact.content) > 0.1


def test_a_long_text_is_spoken_to_its_end() -> None:
    text = ("The quick brown fox jumps over the lazy dog. " * 92)[:4096]
    short = seconds_of(say(text[:450]))
    assert seconds_of(say(text)) == pytest.approx(short * len(text) / 450, rel=0.1)


def test_several_at_once_do_not_disturb_each_other() -> None:
    jobs = list(GREETINGS.items())[:8]
    alone = [seconds_of(say(text, voice)) for voice, text in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: seconds_of(say(job[1], job[0])), jobs))
    assert together == pytest.approx(alone, rel=0.05)


def test_a_voice_that_nobody_has_is_refused() -> None:
    wrong = OfflineSpeech().refuses(SpeechRequest("hello", "tlh"))
    assert wrong is not None
    assert wrong.field == "voice"
    assert " en," in wrong.message
    assert OfflineSpeech().refuses(SpeechRequest("hello", "en")) is None


def test_a_deadline_that_is_over_is_a_timeout() -> None:
    with pytest.raises(ProviderTimeout):
        say("hello", seconds=0)


def test_speech_ends_at_the_deadline() -> None:
    with pytest.raises(ProviderTimeout):
        say("日本語。" * 1000, "ja", seconds=0.3)


def test_an_engine_that_crashes_is_a_failure_of_the_provider_only() -> None:
    def crash(request: bytes, seconds: float) -> bytes:
        raise subprocess.CalledProcessError(-11, "voicebox")

    with pytest.raises(ProviderError, match="speech engine failed"):
        OfflineSpeech(crash).generate(SpeechRequest("hello"), Deadline(5))

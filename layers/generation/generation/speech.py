"""What providers of speech are asked, and what they say of voices."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from core.errors import FieldError, Unprocessable
from generation.providers import Provider

NOTHING_TO_SAY = FieldError("prompt", "Must have something to say: letters or digits, not marks alone.")


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """Speech to make: ``voice`` is a language as gTTS writes it (``en``, ``zh-CN``), ``model`` gtts or gtts-slow."""

    prompt: str
    voice: str = "en"
    model: str = "gtts"


class SpeechProvider(Provider[SpeechRequest], Protocol):
    """A provider of speech: ``voices`` are the language tags that it speaks."""

    voices: frozenset[str]


def lacks_voice(voice: str, voices: Iterable[str]) -> FieldError | None:
    """What a provider of speech says of a voice that it does not speak."""
    choices = sorted(voices)
    return None if voice in choices else FieldError("voice", f"Must be one of: {', '.join(choices)}.")


def require_voice(voice: str, providers: Iterable[SpeechProvider]) -> None:
    """Raise ``Unprocessable``, naming the choices of all providers, unless one of them speaks the voice."""
    spoken: frozenset[str] = frozenset().union(*(provider.voices for provider in providers))
    if lacking := lacks_voice(voice, spoken):
        raise Unprocessable("The request is not valid: see errors.", errors=[lacking])

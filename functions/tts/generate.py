"""POST /tts/generate: turn a prompt into speech."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from core.description import Described
from generation.endpoints.generate import Order, Wanted, generate
from generation.requests import Prompt
from generation.speech import SpeechProvider, SpeechRequest, require_voice
from tts.service import SERVICE

# What every provider speaks; a single one may speak more.
VOICES = [
    "af", "am", "ar", "bg", "bn", "bs", "ca", "cs", "cy", "da", "de", "el", "en", "es", "et", "eu", "fi", "fr",
    "fr-CA", "gu", "hi", "hr", "hu", "id", "is", "it", "iw", "ja", "kn", "ko", "la", "lt", "lv", "ml", "mr", "ms",
    "my", "ne", "nl", "no", "pa", "pl", "pt", "pt-PT", "ro", "ru", "si", "sk", "sq", "sr", "sv", "sw", "ta", "te",
    "th", "tr", "uk", "ur", "vi", "yue", "zh", "zh-CN", "zh-TW"
]  # fmt: skip


def _voice(voice: object) -> object:
    if not isinstance(voice, str):
        raise ValueError(f"Must be one of: {', '.join(VOICES)}.")
    return voice


Voice = Annotated[str, BeforeValidator(_voice), Described("The language to speak.", enum=VOICES)]


class SpeechGeneration(Wanted):
    """What to say, in which language, at which pace."""

    prompt: Annotated[Prompt, Field(max_length=4096, examples=["Good morning."])]
    voice: Voice = "en"
    model: Literal["gtts", "gtts-slow"] = "gtts"

    def order(self, providers: Sequence[SpeechProvider]) -> Order:
        """The text, its language and its pace, as they were sent. Raises ``Unprocessable`` for a voice of nobody's."""
        require_voice(self.voice, providers)
        request = SpeechRequest(self.prompt, self.voice, self.model)
        return Order(request, self.prompt, {"voice": self.voice, "model": self.model})


handler = generate(SERVICE, SpeechGeneration)

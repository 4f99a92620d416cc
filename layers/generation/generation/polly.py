"""Speech by Amazon Polly, with the function's own role; a text is only ever text, never SSML."""

from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from core.errors import FieldError
from generation import aws, media, prices, sentences
from generation.providers import Artifact, Deadline, ProviderError, ProviderTimeout
from generation.speech import NOTHING_TO_SAY, SpeechRequest, lacks_voice

if TYPE_CHECKING:
    from mypy_boto3_polly import PollyClient

LONGEST_PIECE = 3000
"""Characters that Polly bills a call at most."""

PARALLEL_REQUESTS = 2
_SLOW_MODEL = "gtts-slow"


class Voice(NamedTuple):
    """A voice of Polly: its name, its engine, and its language where it speaks several."""

    name: str
    engine: str = "neural"
    language: str | None = None


# By language, as the API names them.
VOICES: Mapping[str, Voice] = {
    "ar": Voice("Zeina", "standard"),
    "ca": Voice("Arlet"),
    "cs": Voice("Jitka"),
    "cy": Voice("Gwyneth", "standard"),
    "da": Voice("Sofie"),
    "de": Voice("Vicki"),
    "en": Voice("Joanna"),
    "es": Voice("Lucia"),
    "fi": Voice("Suvi"),
    "fr": Voice("Lea"),
    "fr-CA": Voice("Gabrielle"),
    "hi": Voice("Kajal", language="hi-IN"),
    "is": Voice("Dora", "standard"),
    "it": Voice("Bianca"),
    "ja": Voice("Takumi"),
    "ko": Voice("Seoyeon"),
    "nl": Voice("Laura"),
    "no": Voice("Ida"),
    "pl": Voice("Ola"),
    "pt": Voice("Camila"),
    "pt-PT": Voice("Ines"),
    "ro": Voice("Carmen", "standard"),
    "ru": Voice("Tatyana", "standard"),
    "sv": Voice("Elin"),
    "tr": Voice("Burcu"),
    "yue": Voice("Hiujin"),
    "zh": Voice("Zhiyu"),
    "zh-CN": Voice("Zhiyu"),
}


class Polly:
    """Asks Polly to read a text aloud, at Polly's own pace; ``voices`` are the languages that it speaks."""

    name = "polly"
    settings = (prices.PRICES,)
    unbounded: ClassVar[Mapping[str, str]] = {
        "polly:SynthesizeSpeech": "Polly limits this action to lexicons, and none is used.",
    }

    def __init__(self, client: "PollyClient | None" = None) -> None:
        self.voices = frozenset(VOICES)
        self._client = client

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """It has no settings of its own."""
        return cls()

    def refuses(self, request: SpeechRequest) -> FieldError | None:
        """A text with nothing to say, a language that it does not speak, and a slow pace."""
        if not sentences.says_something(request.prompt):
            return NOTHING_TO_SAY
        if request.model == _SLOW_MODEL:
            return FieldError("model", "Must be gtts: Polly reads at its own pace.")
        return lacks_voice(request.voice, self.voices)

    def generate(self, request: SpeechRequest, deadline: Deadline) -> Artifact:
        """Read the text aloud. Raises ``ProviderError`` when that fails."""
        voice = VOICES[request.voice]
        pieces = sentences.pieces(request.prompt, request.voice, LONGEST_PIECE)
        texts = [piece for piece in pieces if sentences.says_something(piece)]
        content = b"".join(self._speak(texts, voice, deadline))
        duration = media.mp3_duration(content)
        if duration is None:
            raise ProviderError("not speech")
        model = f"polly-{voice.engine}"
        return Artifact(
            content,
            "audio/mpeg",
            provider=self.name,
            model=model,
            facts={"durationSeconds": round(duration, 3)},
            cost_usd=prices.usd(self.name, model, characters=sum(map(len, texts))),
        )

    def _speak(self, texts: Sequence[str], voice: Voice, deadline: Deadline) -> list[bytes]:
        """The sound of each piece, in order; all are given up as soon as one fails."""
        client: PollyClient = self._client or aws.client("polly")
        pool = ThreadPoolExecutor(PARALLEL_REQUESTS, thread_name_prefix=self.name)
        pieces = [pool.submit(_piece, client, text, voice) for text in texts]
        try:
            done, waiting = wait(pieces, deadline.remaining(), FIRST_EXCEPTION)
            failed = next((error for piece in done if (error := piece.exception()) is not None), None)
            if failed is not None:
                raise failed
            if waiting:
                raise ProviderTimeout
            return [piece.result() for piece in pieces]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _piece(client: "PollyClient", text: str, voice: Voice) -> bytes:
    language = {"LanguageCode": voice.language} if voice.language else {}
    try:
        answer = client.synthesize_speech(
            Text=text.encode("utf-8", "replace").decode(),
            TextType="text",
            OutputFormat="mp3",
            VoiceId=voice.name,  # type: ignore[arg-type]
            Engine=voice.engine,  # type: ignore[arg-type]
            **language,  # type: ignore[arg-type]
        )
        return answer["AudioStream"].read()
    except Exception as error:
        raise aws.meaning(error) from None

"""Speech by Google Translate: gTTS knows the languages and the form of a request, our own HTTP client sends it.

gTTS itself sends a request for each phrase, however short, one after another, without a deadline and without
verifying certificates; and it drops the stops between phrases and cuts at every mark. Here the text goes out as it is
written, in whole sentences as far as Google takes them, several requests at once.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Self

from gtts import gTTS  # type: ignore[import-untyped]
from gtts.lang import tts_langs  # type: ignore[import-untyped]
from gtts.tokenizer.symbols import ALL_PUNC  # type: ignore[import-untyped]

from core.errors import FieldError
from core.settings import Setting
from generation import media, sentences
from generation.http_client import HttpClient
from generation.providers import (
    Artifact,
    Deadline,
    PromptRefused,
    ProviderError,
    ProviderTimeout,
)
from generation.speech import NOTHING_TO_SAY, SpeechRequest, lacks_voice

BASE_URL = "https://translate.google.com"
HOST = Setting("GttsUrl", "Where speech is asked for.", BASE_URL)
PARALLEL_REQUESTS = 6
MOST_BYTES_OF_PIECE = 4 * 1024 * 1024
_PATH = "/_/TranslateWebserverUi/data/batchexecute"
_SLOW_MODEL = "gtts-slow"

# What Google takes at a time, in characters.
LONGEST_PIECE: int = gTTS.GOOGLE_TTS_MAX_CHARS
# Marks that Google has no sound for: gTTS does not even ask.
_SILENT = frozenset(ALL_PUNC)


class _NoAudioError(ProviderError):
    """Google answered without sound."""

    def __init__(self) -> None:
        super().__init__("no audio")


class GoogleTts:
    """Asks Google Translate to read a text aloud; models ``gtts`` and ``gtts-slow``.

    ``voices`` are gTTS's language tags, the aliases that ISO has withdrawn (``iw``, ``jw``) and ``zh`` included.
    """

    name = "gtts"
    settings = (HOST,)

    def __init__(self, *, base_url: str = BASE_URL, http: HttpClient | None = None) -> None:
        self.voices: frozenset[str] = frozenset(tts_langs())
        self._url = base_url + _PATH
        self._http = http or HttpClient(connections=PARALLEL_REQUESTS)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """With its settings."""
        return cls(base_url=HOST.read(environ))

    def refuses(self, request: SpeechRequest) -> FieldError | None:
        """A voice that it does not speak, and a text with nothing to say."""
        if _is_silent(request.prompt):
            return NOTHING_TO_SAY
        return lacks_voice(request.voice, self.voices)

    def generate(self, request: SpeechRequest, deadline: Deadline) -> Artifact:
        """Read the text aloud. Raises ``PromptRefused`` when it has nothing to say, else ``ProviderError``."""
        content = b"".join(self._speak(_spoken(request), request, deadline))
        if not content:
            raise PromptRefused("nothing to say", NOTHING_TO_SAY)
        duration = media.mp3_duration(content)
        if duration is None:
            raise ProviderError("not speech")
        facts = {"durationSeconds": round(duration, 3)}
        return Artifact(content, "audio/mpeg", provider=self.name, model=request.model, facts=facts)

    def _speak(self, texts: Sequence[str], request: SpeechRequest, deadline: Deadline) -> list[bytes]:
        """The sound of each piece, in order; all are given up as soon as one fails."""
        pool = ThreadPoolExecutor(PARALLEL_REQUESTS, thread_name_prefix=self.name)
        pieces = [pool.submit(self._speak_piece, text, request, deadline) for text in texts]
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

    def _speak_piece(self, text: str, request: SpeechRequest, deadline: Deadline) -> bytes:
        answer = self._http.send(
            "POST",
            self._url,
            headers=gTTS.GOOGLE_TTS_HEADERS,
            body=_form(text, request),
            deadline=deadline,
            most_bytes=MOST_BYTES_OF_PIECE,
        )
        if answer.status != 200:
            raise ProviderError(f"status {answer.status}")
        try:
            return _audio(answer.content.decode("utf-8", "replace"))
        except _NoAudioError:
            if any(character.isalnum() for character in text):
                raise
            return b""  # a row of stars, say: there is nothing to hear


def _is_silent(text: str) -> bool:
    return all(character in _SILENT or character.isspace() for character in text)


def _spoken(request: SpeechRequest) -> list[str]:
    """The pieces of the text in which there is something to say."""
    pieces = sentences.pieces(request.prompt, request.voice, LONGEST_PIECE)
    return [piece for piece in pieces if not _is_silent(piece)]


def _form(text: str, request: SpeechRequest) -> str:
    """A piece of the text as the form that Google expects."""
    speech = gTTS(
        text,
        lang=request.voice,
        slow=request.model == _SLOW_MODEL,
        lang_check=False,  # the chain has; gTTS's own check warns of tags that it lists itself, such as zh-CN
        pre_processor_funcs=[],
        tokenizer_func=lambda text: [text],
    )
    form: str
    (form,) = speech.get_bodies()
    return form


def _audio(text: str) -> bytes:
    """The sound in an answer of ``batchexecute``: base64 in a list, in JSON, in a string, in JSON."""
    before, found, _ = text.partition(f'"{gTTS.GOOGLE_TTS_RPC}",')
    try:
        payload, _ = json.JSONDecoder().raw_decode(text, len(before) + len(found))
        audio = base64.b64decode(json.loads(payload)[0], validate=True) if found else b""
    except (ValueError, TypeError, LookupError, binascii.Error):
        audio = b""
    if not audio:
        raise _NoAudioError
    return audio

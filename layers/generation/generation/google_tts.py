"""Speech by Google Translate: gTTS knows the languages and packs the text, our own HTTP client sends it.

gTTS itself sends a request for each phrase, however short, one after another, without a deadline and without
verifying certificates. Here the pieces are as long as Google takes them, and several are under way at once.
"""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from gtts import gTTS  # type: ignore[import-untyped]
from gtts.lang import tts_langs  # type: ignore[import-untyped]

from generation import media
from generation.http_client import HttpClient
from generation.providers import Artifact, Deadline, PromptRefused, ProviderError, ProviderTimeout, SpeechRequest

BASE_URL = "https://translate.google.com"
PARALLEL_REQUESTS = 6
MOST_BYTES_OF_PIECE = 4 * 1024 * 1024
_PATH = "/_/TranslateWebserverUi/data/batchexecute"
_SLOW_MODEL = "gtts-slow"

# At most 100 characters: the rest of the text, else up to where a sentence, a phrase or a word ends, else a cut.
_PIECE = re.compile(
    r"""
      .{1,100}\Z
    | .{40,99}(?: [.!?…;:](?=\s) | [。！？；：] )
    | .{40,99}(?: ,(?=\s) | [、，] )
    | .{1,100}(?=\s)
    | .{1,100}
    """,  # noqa: RUF001 (the punctuation of Chinese and Japanese)
    re.DOTALL | re.VERBOSE,
)


class _NoAudioError(ProviderError):
    """Google answered without sound."""

    def __init__(self) -> None:
        super().__init__("no audio")


class GoogleTts:
    """Asks Google Translate to read a text aloud; models ``gtts`` and ``gtts-slow``.

    ``voices`` are gTTS's language tags, the aliases that ISO has withdrawn (``iw``, ``jw``) and ``zh`` included.
    """

    name = "gtts"

    def __init__(self, *, base_url: str = BASE_URL, http: HttpClient | None = None) -> None:
        self.voices: frozenset[str] = frozenset(tts_langs())
        self._url = base_url + _PATH
        self._http = http or HttpClient(connections=PARALLEL_REQUESTS)

    def generate(self, request: SpeechRequest, deadline: Deadline) -> Artifact:
        """Read the text aloud. Raises ``PromptRefused`` when it has nothing to say, else ``ProviderError``."""
        try:
            content = b"".join(self._speak(_bodies(request), deadline))
        except _NoAudioError as error:
            if any(character.isalnum() for character in request.prompt):
                raise
            raise PromptRefused("nothing to say") from error
        duration = media.mp3_duration(content)
        if duration is None:
            raise ProviderError("not speech")
        return Artifact(
            content, "audio/mpeg", provider=self.name, model=request.model, duration_seconds=round(duration, 3)
        )

    def _speak(self, bodies: Sequence[str], deadline: Deadline) -> list[bytes]:
        """The sound of each piece, in order; all are given up as soon as one fails."""
        pool = ThreadPoolExecutor(PARALLEL_REQUESTS, thread_name_prefix=self.name)
        pieces = [pool.submit(self._speak_piece, body, deadline) for body in bodies]
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

    def _speak_piece(self, body: str, deadline: Deadline) -> bytes:
        answer = self._http.send(
            "POST",
            self._url,
            headers=gTTS.GOOGLE_TTS_HEADERS,
            body=body,
            deadline=deadline,
            most_bytes=MOST_BYTES_OF_PIECE,
        )
        if answer.status != 200:
            raise ProviderError(f"status {answer.status}")
        return _audio(answer.content.decode("utf-8", "replace"))


def _bodies(request: SpeechRequest) -> Sequence[str]:
    """The text in pieces, each as the form that Google expects."""
    bodies = [body for piece in _PIECE.findall(request.prompt.strip()) for body in _forms(piece, request)]
    if not bodies:
        raise PromptRefused("nothing to say")
    return bodies


def _forms(piece: str, request: SpeechRequest) -> list[str]:
    """The forms of a piece: none when there is nothing to say, two when gTTS's own changes make it too long."""
    # Our handler has checked the voice; gTTS's own check warns of tags that it lists itself, such as zh-CN.
    speech = gTTS(piece, lang=request.voice, slow=request.model == _SLOW_MODEL, lang_check=False)
    try:
        forms: list[str] = speech.get_bodies()
    except AssertionError:  # how gTTS says that only punctuation is there
        return []
    return forms


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

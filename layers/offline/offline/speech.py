"""The speech provider that needs no network: SVOX Pico and eSpeak NG, as MP3."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Self

from core.errors import FieldError
from core.settings import Setting
from generation.providers import (
    Artifact,
    Deadline,
    PromptRefused,
    ProviderError,
    ProviderTimeout,
)
from generation.sentences import says_something
from generation.speech import NOTHING_TO_SAY, SpeechRequest, lacks_voice
from offline import sentences, voices

_PROGRAM = (sys.executable, "-m", "offline.voicebox")

Run = Callable[[bytes, float], bytes]


def _run(request: bytes, seconds: float) -> bytes:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(  # noqa: S603 - our own program, and the text is on its standard input
        _PROGRAM, input=request, stdout=subprocess.PIPE, timeout=seconds, env=environment, check=True
    )
    return done.stdout


class OfflineSpeech:
    """Speaks in a process of its own; ``gtts-slow`` speaks slower, every other model at the usual pace."""

    name = "offline"
    settings: tuple[Setting, ...] = ()
    voices = voices.EVERY

    def __init__(self, run: Run = _run) -> None:
        self._run = run

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """It has no settings."""
        return cls()

    def refuses(self, request: SpeechRequest) -> FieldError | None:
        """A voice that the engines do not speak, and a text with nothing to say."""
        if not says_something(request.prompt):
            return NOTHING_TO_SAY
        return lacks_voice(request.voice, self.voices)

    def generate(self, request: SpeechRequest, deadline: Deadline) -> Artifact:
        """Say the text.

        Raises ``ProviderTimeout`` when the deadline passes first, ``PromptRefused`` when there is nothing to hear, and
        ``ProviderError`` when the engine failed.
        """
        seconds = deadline.remaining()
        if seconds <= 0:
            raise ProviderTimeout
        order = {
            "language": request.voice,
            "slow": request.model == "gtts-slow",
            "sentences": sentences.split(request.prompt, request.voice),
        }
        try:
            answer = self._run(json.dumps(order).encode(), seconds)
        except subprocess.TimeoutExpired:
            raise ProviderTimeout from None
        except subprocess.CalledProcessError as error:
            raise ProviderError("speech engine failed") from error
        head, _, mp3 = answer.partition(b"\n")
        made = json.loads(head)
        if made["engine"] is None:
            raise PromptRefused("nothing to say", NOTHING_TO_SAY)
        return Artifact(mp3, "audio/mpeg", self.name, made["engine"], facts={"durationSeconds": made["seconds"]})

"""The speech provider that needs no network: SVOX Pico and eSpeak NG, as MP3."""

import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable

from generation.providers import Artifact, Deadline, PromptRefused, ProviderError, ProviderTimeout, SpeechRequest
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
    voices = voices.EVERY

    def __init__(self, run: Run = _run) -> None:
        self._run = run

    def generate(self, request: SpeechRequest, deadline: Deadline) -> Artifact:
        """Say the text.

        Raises ``ProviderTimeout`` when the deadline passes first, ``PromptRefused`` when there is nothing to say, and
        ``ProviderError`` when the voice is not one of ours or the engine failed.
        """
        if request.voice not in self.voices:
            raise ProviderError("unknown voice")
        if not any(unicodedata.category(character)[0] in "LNS" for character in request.prompt):
            raise PromptRefused("nothing to say")
        seconds = deadline.remaining()
        if seconds <= 0:
            raise ProviderTimeout
        order = {
            "language": request.voice,
            "slow": request.model == "gtts-slow",
            "sentences": sentences.split(request.prompt),
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
            raise PromptRefused("nothing to say")
        return Artifact(mp3, "audio/mpeg", self.name, made["engine"], duration_seconds=made["seconds"])

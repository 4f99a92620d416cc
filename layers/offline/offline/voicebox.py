"""Say sentences and answer with MP3: the program that ``offline.speech`` runs for each request.

The engines are native code that was not written for hostile text, so they work in a process of their own: one that
hangs is ended at the deadline, and one that crashes takes nothing with it.

In, on standard input, JSON: ``{"language", "slow", "sentences"}``. Out: a line of JSON ``{"engine", "seconds"}``
and the bytes of the MP3; ``engine`` is null, and no MP3 follows, when nothing of the text can be heard.
"""

import array
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import lameenc  # type: ignore[import-not-found]

from offline import espeak, pico
from offline.voices import PICO

_KILOBITS_PER_SECOND = 48
_PAUSE_SECONDS = 0.35
# Below it a sample of 16 bits is silence to the ear.
_AUDIBLE = 200


@dataclass(frozen=True, slots=True)
class Speech:
    """Samples of 16 bits, mono, and the name of the engine that made them."""

    engine: str
    rate: int
    samples: bytes

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / 2 / self.rate


def say(sentences: Sequence[str], language: str, *, slow: bool) -> Speech | None:
    """The sentences with a pause between them, by one engine for all; None when nothing can be heard."""
    if language in PICO:
        spoken = [pico.speak(sentence, language, slow=slow) for sentence in sentences]
        clear = [part for part in spoken if part is not None]
        if len(clear) == len(spoken) and (joined := _joined(clear, pico.RATE)):
            return Speech("pico", pico.RATE, joined)
    engine = espeak.engine()
    joined = _joined([engine.speak(sentence, language, slow=slow) for sentence in sentences], engine.rate)
    return Speech("espeak-ng", engine.rate, joined) if joined else None


def mp3_of(speech: Speech) -> bytes:
    """The speech as MP3 (mono, constant bit rate)."""
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_channels(1)
    encoder.set_in_sample_rate(speech.rate)
    encoder.set_bit_rate(_KILOBITS_PER_SECOND)
    encoder.set_quality(5)
    return bytes(encoder.encode(speech.samples)) + bytes(encoder.flush())


def main() -> None:
    """Serve the one request on standard input."""
    request = json.load(sys.stdin.buffer)
    speech = say(request["sentences"], request["language"], slow=request["slow"])
    head = {"engine": speech and speech.engine, "seconds": speech and speech.seconds}
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + (mp3_of(speech) if speech else b""))


def _joined(parts: Sequence[bytes], rate: int) -> bytes:
    audible = [part for part in parts if _is_audible(part)]
    return bytes(2 * round(rate * _PAUSE_SECONDS)).join(audible)


def _is_audible(samples: bytes) -> bool:
    values = array.array("h", samples)
    return bool(values) and max(max(values), -min(values)) >= _AUDIBLE


if __name__ == "__main__":
    main()

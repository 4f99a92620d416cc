"""eSpeak NG: intelligible speech in most of the languages that gTTS names."""

import ctypes
import os
from collections.abc import Callable
from functools import cache

import espeakng_loader  # type: ignore[import-untyped]

from offline.voices import ESPEAK

_SYNCHRONOUS = 2
# Without it an error in eSpeak NG ends the process.
_DO_NOT_EXIT = 0x8000
_UTF8 = 1
_LONGEST_PATH = 120
_AT_CHARACTER = 1
_RATE_PARAMETER = 1
_WORDS_PER_MINUTE = 165
_SLOW_WORDS_PER_MINUTE = 112

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class EspeakError(RuntimeError):
    """eSpeak NG did not start, or refused a voice or a text."""


class Espeak:
    """The engine of this process: it has one voice and says one thing at a time."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = _short(espeakng_loader.get_data_path()).encode()
        self.rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DO_NOT_EXIT)
        if self.rate <= 0:
            raise EspeakError("espeak-ng did not start")
        self._samples = bytearray()
        # Kept, since the library calls it for as long as it lives.
        self._callback: Callable[..., int] = _Callback(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, sentence: str, tag: str, *, slow: bool) -> bytes:
        """Samples of the sentence (16 bits, mono, at ``rate``); none when nothing of it is said."""
        if self._library.espeak_SetVoiceByName(ESPEAK[tag].encode()):
            raise EspeakError(f"espeak-ng has no voice {ESPEAK[tag]}")
        self._library.espeak_SetParameter(_RATE_PARAMETER, _SLOW_WORDS_PER_MINUTE if slow else _WORDS_PER_MINUTE, 0)
        self._samples.clear()
        text = sentence.encode()
        # Neither the flag for SSML nor the one for phonemes is set: tags and brackets are only text.
        if self._library.espeak_Synth(text, len(text) + 1, 0, _AT_CHARACTER, 0, _UTF8, None, None):
            raise EspeakError("espeak-ng refused the text")
        return bytes(self._samples)

    def _collect(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int) -> int:
        if samples and count > 0:
            self._samples += ctypes.string_at(samples, count * 2)
        return 0


def _short(folder: str) -> str:
    """The folder, by a path that fits into the 160 bytes that eSpeak NG keeps for it."""
    if len(folder.encode()) <= _LONGEST_PATH:
        return folder
    # Never closed: the engine reads dictionaries from it later.
    return f"/proc/self/fd/{os.open(folder, os.O_RDONLY | os.O_DIRECTORY)}"


@cache
def engine() -> Espeak:
    """The engine, started once in a process."""
    return Espeak()

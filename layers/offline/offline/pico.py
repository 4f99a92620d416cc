"""SVOX Pico: clear speech in five languages."""

import unicodedata

import py_nanotts  # type: ignore[import-untyped]

from offline.voices import PICO

RATE = 16_000
_TYPOGRAPHY = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "–": ", ", "—": ", ", "…": "...", "«": '"', "»": '"'}  # noqa: RUF001
)
# Pico reads tags and entities, which are commands in a text that is not ours, and stumbles over runs of symbols.
_SAID = set(" .,;:!?'\"()-%$€£&@+/=°")
_SYMBOLS_IN_A_ROW = 4
# A longer number makes Pico fail.
_DIGITS_IN_A_ROW = 12


def readable(sentence: str) -> str | None:
    """The sentence as Pico can read it, or None when it has letters that Pico does not know."""
    out: list[str] = []
    for character in unicodedata.normalize("NFC", sentence).translate(_TYPOGRAPHY):
        if character <= "ÿ":
            out.append(character if character.isalnum() or character in _SAID else " ")
            continue
        bare = unicodedata.normalize("NFKD", character)
        bare = "".join(part for part in bare if not unicodedata.combining(part))
        if bare and all(part <= "ÿ" and part.isalnum() for part in bare):
            out.append(bare)
        elif unicodedata.category(character)[0] in "LN":
            return None
        else:
            out.append(" ")
    return " ".join(_without_runs("".join(out)).split())


def speak(sentence: str, language: str, *, slow: bool) -> bytes | None:
    """Samples of the sentence (16 bits, mono, at ``RATE``), or None when Pico cannot say it."""
    text = readable(sentence)
    if text is None:
        return None
    if not any(character.isalnum() for character in text):
        return b""
    try:
        # The full stop makes Pico lower its voice and end; the speed is a factor.
        spoken = py_nanotts.NanoTTS().speak(f"{text} .", voice=PICO[language], speed=0.72 if slow else None)
    except (RuntimeError, ValueError):
        # A text that it fails on, or an installation whose path is too long for it.
        return None
    return bytes(spoken) or None


def _without_runs(text: str) -> str:
    out: list[str] = []
    digits = symbols = 0
    for character in text:
        digits = digits + 1 if character.isdigit() else 0
        symbols = 0 if character.isalnum() or character == " " else symbols + 1
        if digits > _DIGITS_IN_A_ROW:
            out.append(" ")
            digits = 1
        if symbols < _SYMBOLS_IN_A_ROW:
            out.append(character)
    return "".join(out)

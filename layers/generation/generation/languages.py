"""Languages of texts: which one a text is in, and how a language is called."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

import stop_words  # type: ignore[import-untyped]

NAMES: Mapping[str, str] = stop_words.LANGUAGE_MAPPING
"""What languages whose frequent words are known are called in English, by their code (ISO 639-1)."""
WITHOUT_SPACES = ("ja", "zh")

_SAMPLE_CHARACTERS = 20_000
_SAMPLE_WORDS = 2000
# So many words of a text are frequent ones of its language, and so many would be if those of several counted in part.
_LEAST_FREQUENT = 0.2
_LEAST_TELLING = 0.08
_WORD = re.compile(r"[^\W\d_]+")
_KANA = re.compile(r"[\u3040-\u30ff]")
_HAN = re.compile(r"[\u3400-\u9fff]")
_HANGUL = re.compile(r"[\uac00-\ud7a3]")


def detect(text: str) -> str | None:
    """The language by script, or by its most frequent words, which tell more the fewer languages have them.

    None where that is not clear.
    """
    sample = text[:_SAMPLE_CHARACTERS]
    han, kana, hangul = (len(script.findall(sample)) for script in (_HAN, _KANA, _HANGUL))
    if han + kana > len(sample) * 0.2:
        return "ja" if kana > han * 0.1 else "zh"
    if hangul > len(sample) * 0.2:
        return "ko"
    words = [word.lower() for word in _WORD.findall(unicodedata.normalize("NFC", sample))[:_SAMPLE_WORDS]]
    hits: Counter[str] = Counter()
    scores: dict[str, float] = {}
    for languages in (_languages_of().get(word, ()) for word in words):
        hits.update(languages)
        for language in languages:
            scores[language] = scores.get(language, 0.0) + 1 / len(languages)
    found = max(scores, key=lambda language: scores[language] * hits[language], default="")
    clear = found and hits[found] >= len(words) * _LEAST_FREQUENT and scores[found] >= len(words) * _LEAST_TELLING
    return found if clear else None


def primary(language: str | None) -> str | None:
    """The language of a tag (BCP 47) without its script and region."""
    return language.replace("_", "-").partition("-")[0].lower() if language else None


@lru_cache
def frequent_words(language: str | None) -> frozenset[str]:
    """The most frequent words of a language; none of one that is not known."""
    name = NAMES.get(language or "")
    return frozenset(stop_words.get_stop_words(name)) if name else frozenset()


@lru_cache(maxsize=1)
def _languages_of() -> Mapping[str, tuple[str, ...]]:
    """The languages that have a word among their most frequent."""
    found: dict[str, list[str]] = {}
    for language in NAMES:
        for word in frequent_words(language) if language not in WITHOUT_SPACES else ():
            found.setdefault(word, []).append(language)
    return {word: tuple(languages) for word, languages in found.items()}

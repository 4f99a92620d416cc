"""Summaries that need no network: the sentences of a text that say most of it, in its own words and order.

LexRank (Erkan and Radev, 2004): a sentence matters when it is like many others that matter, by the cosine of TF-IDF.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Self

import snowballstemmer  # type: ignore[import-untyped]

from core.errors import FieldError
from core.settings import Setting
from generation.languages import NAMES, WITHOUT_SPACES, detect, frequent_words, primary
from generation.providers import Artifact, Deadline, ProviderTimeout
from generation.summary_form import BOUNDS, bullets, whole_sentences
from generation.summary_providers import artifact
from generation.texts import Model, Summary, SummaryRequest

MODEL = "lexrank"
LARGEST_GRAPH = 300
"""Sentences that are compared with each other; of a longer text those that have most of its words in common."""

_SHARE = 0.2
_ALIKE = 0.1
_THE_SAME = 0.8
_DAMPING = 0.85
_ROUNDS = 30
_LONGEST_WORD = 40

_END = re.compile(r"[.!?…。！？｡]['\"’”»)\]」』）]*\Z")  # noqa: RUF001
_ADDRESS = re.compile(r"https?://\S+|www\.\S+|\S+@\S+\.\w+")
_WORD = re.compile(r"[^\W\d_]+")
_HIRAGANA = re.compile(r"[\u3040-\u309f]+")

Vector = Mapping[str, float]


class OfflineSummary:
    """Picks sentences; the same text always gives the same summary."""

    name = "offline"
    models = (Model(MODEL, 100_000, MODEL),)
    settings: tuple[Setting, ...] = ()

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """It has no settings."""
        return cls()

    def refuses(self, request: SummaryRequest) -> FieldError | None:
        """A language that is not known to be the text's own: it has no other words than the text's."""
        own = detect(request.text)
        if request.language is None or primary(request.language) == own:
            return None
        known = f"the text's own, {own}" if own else "the text's own, which is not known"
        return FieldError("language", f"Must be {known}, or left out: the offline engine does not translate.")

    def generate(self, request: SummaryRequest, deadline: Deadline) -> Artifact:
        """Summarise; raises what ``summarize`` does. Nobody charges, so the tokens are counted here."""
        return artifact(self.name, request, self.summarize(request, deadline), cost_usd=0.0)

    def summarize(self, request: SummaryRequest, deadline: Deadline) -> Summary:
        """Summarise. Raises ``ProviderTimeout`` when there is no time left to begin."""
        if not deadline.remaining():
            raise ProviderTimeout
        language = primary(request.language) or detect(request.text)
        everything = whole_sentences(request.text, language)
        fewest, most = BOUNDS[request.style, request.length]
        count = min(most, max(fewest, round(len(everything) * _SHARE)))
        picked = _pick(everything, count, language)
        if request.style == "bullets":
            text = bullets(picked)
        elif len(everything) <= count:
            text = request.text
        else:
            text = ("" if language in WITHOUT_SPACES else " ").join(picked)
        return Summary(text, language, MODEL)


def summarize(text: str, *, sentences: int, language: str | None) -> list[str]:
    """At most so many sentences of the text, whole and in its order, white space apart; ``language`` as in BCP 47."""
    known = primary(language) or detect(text)
    return _pick(whole_sentences(text, known), sentences, known)


def _pick(everything: Sequence[str], count: int, language: str | None) -> list[str]:
    if len(everything) <= count:
        return list(everything)
    terms = [_terms(sentence, language) for sentence in everything]
    places = [place for place, sentence in enumerate(everything) if _is_whole(sentence, terms[place])]
    # A text of fragments only is summarised by its fragments.
    places = places or [place for place, found in enumerate(terms) if found] or list(range(len(everything)))
    vectors = _vectors([terms[place] for place in places])
    kept = _most_central(vectors)
    vectors = [vectors[each] for each in kept]
    places = [places[each] for each in kept]
    similar = _similarities(vectors)
    scores = [score * _lead(place) for score, place in zip(_rank(similar), places, strict=True)]
    picked: list[int] = []
    for each in sorted(range(len(places)), key=lambda each: -scores[each]):
        if len(picked) < count and all(similar[each][other] < _THE_SAME for other in picked):
            picked.append(each)
    return [everything[place] for place in sorted(places[each] for each in picked)]


def _is_whole(sentence: str, terms: Sequence[str]) -> bool:
    """Whether it is a sentence: it ends as one, and is more than an address or an exclamation."""
    return bool(_END.search(sentence)) and len(terms) >= 3 and len(_ADDRESS.sub("", sentence)) > len(sentence) / 2


def _terms(sentence: str, language: str | None) -> list[str]:
    words = [word.lower() for word in _WORD.findall(sentence)]
    if language in WITHOUT_SPACES:
        pairs = (word[start : start + 2] for word in words for start in range(max(1, len(word) - 1)))
        # Hiragana alone is grammar.
        return [pair for pair in pairs if not _HIRAGANA.fullmatch(pair)]
    return [_stem(word, language) for word in words if word not in frequent_words(language)]


@lru_cache(maxsize=50_000)
def _stem(word: str, language: str | None) -> str:
    # The time of a stemmer grows with the square of the length; no word is so long.
    name = NAMES.get(language or "")
    if name not in snowballstemmer.algorithms() or len(word) > _LONGEST_WORD:
        return word
    stemmed: str = _stemmer(name).stemWord(word)
    return stemmed


@lru_cache
def _stemmer(name: str) -> snowballstemmer.stemmer:
    return snowballstemmer.stemmer(name)


def _vectors(sentences: Sequence[Sequence[str]]) -> list[Vector]:
    """TF-IDF of each sentence, of length 1."""
    spread = Counter(term for terms in sentences for term in set(terms))
    vectors: list[Vector] = []
    for terms in sentences:
        weights = {term: count * math.log(1 + len(sentences) / spread[term]) for term, count in Counter(terms).items()}
        norm = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        vectors.append({term: weight / norm for term, weight in weights.items()})
    return vectors


def _most_central(vectors: Sequence[Vector]) -> list[int]:
    """The places of those that are compared: the likest to the whole text, when there are too many."""
    if len(vectors) <= LARGEST_GRAPH:
        return list(range(len(vectors)))
    whole: Counter[str] = Counter()
    for vector in vectors:
        whole.update(vector)
    order = sorted(range(len(vectors)), key=lambda place: -_cosine(vectors[place], whole) * _lead(place))
    return sorted(order[:LARGEST_GRAPH])


def _cosine(one: Vector, other: Vector) -> float:
    if len(one) > len(other):
        one, other = other, one
    return sum(weight * other[term] for term, weight in one.items() if term in other)


def _similarities(vectors: Sequence[Vector]) -> list[list[float]]:
    similar = [[1.0] * len(vectors) for _ in vectors]
    for place, one in enumerate(vectors):
        for other in range(place):
            similar[place][other] = similar[other][place] = _cosine(one, vectors[other])
    return similar


def _rank(similar: Sequence[Sequence[float]]) -> list[float]:
    """How much each sentence matters, by power iteration."""
    size = len(similar)
    # Not by its likeness to itself, or what stands alone would matter as much as what all agree with.
    links = [
        [value if value >= _ALIKE and other != place else 0.0 for other, value in enumerate(row)]
        for place, row in enumerate(similar)
    ]
    totals = [sum(row) or 1.0 for row in links]
    scores = [1.0] * size
    for _ in range(_ROUNDS):
        shares = [score / total for score, total in zip(scores, totals, strict=True)]
        scores = [
            1 - _DAMPING + _DAMPING * sum(share * value for share, value in zip(shares, row, strict=True))
            for row in links
        ]
    return scores


def _lead(place: int) -> float:
    """What comes first counts more: a text begins with what it is about."""
    return 1 + 2 / (place + 2)

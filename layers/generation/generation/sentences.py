"""A text cut where a reader would breathe: at the ends of sentences, else of clauses, else of words.

``sentencex`` knows where sentences end in some 300 languages, and the abbreviations that do not end one.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

import sentencex  # type: ignore[import-untyped]

# A piece that ends at a clause must be at least this part of the longest; shorter ones sound chopped.
_LEAST_CLAUSE = 0.4
_MARKS_OF_CLAUSES = "(?: [,;:،؛—–](?=\\s) | [、，；：] | (?=\\n) )"  # noqa: RUF001 (Arabic, Chinese, Japanese)
_PARAGRAPH = re.compile(r".+?(?:\n\s*\n\s*|\Z)", re.DOTALL)
_SPACE = re.compile(r"\s")
_JOINERS = "\u200c\u200d"


def sentences(text: str, language: str) -> list[str]:
    """The sentences of a text with the white space behind them: put together, they are the text."""
    ends = [0]
    for paragraph in _PARAGRAPH.findall(text):
        for part in sentencex.segment(language, _plain(paragraph)):
            ends.append(ends[-1] + len(part))
    return [text[start:end] for start, end in pairwise(ends)]


def pieces(text: str, language: str, longest: int) -> list[str]:
    """The text in pieces of at most ``longest`` characters, each as many whole sentences as fit.

    A longer sentence is cut at the marks of its clauses, else at white space, else inside a word. Nothing is lost but
    white space at the cuts. A piece has something to say, not marks alone, where that can be had.
    """
    cuts = [0]
    end = 0
    for sentence in sentences(text, language):
        start, before, end = cuts[-1], end, end + len(sentence)
        if _fits(text[start:end], longest):
            continue
        if says_something(text[start:before]):
            cuts.append(before)
        while not _fits(text[cuts[-1] : end], longest):
            cuts.append(_cut(text, cuts[-1], longest))
    cuts.append(len(text))
    _lend_words(text, cuts, longest)
    parts = (text[start:end].strip() for start, end in pairwise(cuts))
    return [part for part in parts if part]


def _plain(text: str) -> str:
    """A paragraph, character for character, with plain spaces and without halves of surrogate pairs.

    A space that is not ASCII between a capital letter and a full stop makes sentencex panic, which writes the text to
    the log; and it loses line breaks of texts beyond 10 KB.
    """
    return _SPACE.sub(" ", text).encode(errors="replace").decode()


def says_something(text: str) -> bool:
    """Whether there is more in the text than marks and white space: a letter, a digit, a symbol."""
    return any(unicodedata.category(character)[0] in "LNS" for character in text)


def _fits(part: str, longest: int) -> bool:
    return len(part.strip()) <= longest


@lru_cache
def _part(longest: int) -> re.Pattern[str]:
    """The longest part up to the end of a clause, else of a word, else as many characters as there may be."""
    least = round(longest * _LEAST_CLAUSE)
    return re.compile(
        rf" .{{{least},{longest - 1}}} {_MARKS_OF_CLAUSES} | .{{1,{longest}}}(?=\s) | .{{1,{longest}}} ",
        re.DOTALL | re.VERBOSE,
    )


def _cut(text: str, start: int, longest: int) -> int:
    """Where the first piece from here ends."""
    first = start + len(text[start:]) - len(text[start:].lstrip())
    found = _part(longest).match(text, first)
    if found is None:
        raise AssertionError("what is too long has a character")
    end = found.end()
    # Inside a word: not between a letter and what is written upon it.
    for place in range(end, first + longest // 2, -1):
        if not (_belongs_to_the_left(text[place]) or text[place - 1] in _JOINERS):
            return place
    return end


def _belongs_to_the_left(character: str) -> bool:
    return unicodedata.category(character)[0] == "M" or character in _JOINERS


def _lend_words(text: str, cuts: list[int], longest: int) -> None:
    """Move cuts to the left so that no piece has marks alone, where the piece before can spare a word or a letter."""
    for place in range(1, len(cuts) - 1):
        before, cut, after = cuts[place - 1 : place + 2]
        if says_something(text[cut:after]) or not text[cut:after].strip():
            continue
        earliest = max(before + 1, len(text[:after].rstrip()) - longest)
        spaces = [at for at in range(cut - 1, earliest - 1, -1) if text[at - 1].isspace()]
        for at in [*spaces, *range(cut - 1, earliest - 1, -1)]:
            if says_something(text[at:cut]) and says_something(text[before:at]) and _fits(text[at:after], longest):
                cuts[place] = at
                break

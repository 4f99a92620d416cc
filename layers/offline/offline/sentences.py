"""Text cut into what is said in one breath: sentences, and parts of sentences that are too long."""

import re
import unicodedata

from generation import sentences

# More than this at once makes the engines slow to start and, with odd text, slow to end.
LONGEST = 240
_LONGEST_WORD = re.compile(r"\S{40}(?=\S)")


def split(text: str, language: str) -> list[str]:
    """The sentences of a text, none longer than ``LONGEST`` characters, none empty. A line break ends one, too."""
    found = (
        _LONGEST_WORD.sub(r"\g<0> ", " ".join(sentence.split()))
        for line in _plain(text).splitlines()
        for sentence in sentences.sentences(line, language)
    )
    return [piece for sentence in found for piece in sentences.pieces(sentence, language, LONGEST)]


def _plain(text: str) -> str:
    """The text without what no engine can say: control, format and private characters, half a surrogate pair."""
    kept = (
        character
        if character in "\n\t" or unicodedata.category(character)[0] != "C" or character in "\u200c\u200d"
        else " "
        for character in text.replace("\r\n", "\n").replace("\r", "\n")
    )
    return "".join(kept)

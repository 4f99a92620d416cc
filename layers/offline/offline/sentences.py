"""Text cut into what is said in one breath: sentences, and parts of sentences that are too long."""

import re
import unicodedata

# More than this at once makes the engines slow to start and, with odd text, slow to end.
LONGEST = 240
_LONGEST_WORD = 40
# The end of a sentence: a full stop of any script; a Latin one only where space or the end follows.
_END = re.compile(r"(?<=[。！？｡।॥۔؟።։])|(?:(?<=[.!?…])|(?<=[.!?…][\"'”’»)\]]))\s+|\n+")  # noqa: RUF001
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:\w|mr|mrs|ms|dr|prof|sr|sra|st|vs|jr|no|nr|bzw|ca|mme|mlle|sig|ud|uds|dra|e\.g|i\.e|z\.b)\.$",
    re.IGNORECASE,
)
_COMMAS = ",;:、，；：،؛"  # noqa: RUF001
_PAUSE = re.compile(rf"(?<=[{_COMMAS}])\s*")


def split(text: str) -> list[str]:
    """The sentences of a text, none longer than ``LONGEST`` characters, none empty."""
    sentences: list[str] = []
    for part in _END.split(_plain(text)):
        part = " ".join(part.split())
        if sentences and part and _ABBREVIATION.search(sentences[-1]):
            sentences[-1] += f" {part}"
        elif part:
            sentences.append(part)
    return [piece for sentence in sentences for piece in _pieces(sentence)]


def _plain(text: str) -> str:
    """The text without what no engine can say: control, format and private characters, half a surrogate pair."""
    kept = (
        character
        if character in "\n\t" or unicodedata.category(character)[0] != "C" or character in "\u200c\u200d"
        else " "
        for character in text.replace("\r\n", "\n").replace("\r", "\n")
    )
    return "".join(kept)


def _pieces(sentence: str) -> list[str]:
    words = [
        word[start : start + _LONGEST_WORD] for word in sentence.split() for start in range(0, len(word), _LONGEST_WORD)
    ]
    if len(sentence) <= LONGEST and len(words) == len(sentence.split()):
        return [sentence]
    pieces = [""]
    for clause in _PAUSE.split(" ".join(words)):
        for word in clause.split():
            # A comma is a better place to breathe than the middle of a clause.
            full = len(pieces[-1]) + 1 + len(word) > LONGEST
            breath = len(pieces[-1]) > LONGEST * 0.7 and pieces[-1][-1] in _COMMAS
            if pieces[-1] and (full or breath):
                pieces.append(word)
            else:
                pieces[-1] = f"{pieces[-1]} {word}".strip()
    return pieces

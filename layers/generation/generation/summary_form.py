"""The form of a summary: how many sentences or bullets it has, and how a model's answer is brought into it."""

import re
from collections.abc import Mapping, Sequence

import sentencex  # type: ignore[import-untyped]

from generation.languages import WITHOUT_SPACES, detect, primary
from generation.sentences import says_something
from generation.texts import Length, Style, SummaryRequest

BOUNDS: Mapping[tuple[Style, Length], tuple[int, int]] = {
    ("paragraph", "short"): (1, 2),
    ("paragraph", "medium"): (3, 5),
    ("paragraph", "long"): (6, 10),
    ("bullets", "short"): (3, 3),
    ("bullets", "medium"): (5, 7),
    ("bullets", "long"): (8, 12),
}
"""The fewest and the most sentences, or bullets, of a summary."""
LONG_SENTENCE = 400
"""What has more characters is as much as two sentences, however it is written."""

_BLOCK = re.compile(r"\n[ \t]*\n|\n(?=[ \t]*(?:[-*•–+#|>]|\d{1,3}[.)])[ \t])")  # noqa: RUF001
_MARKER = re.compile(r"(?:[-*•–+>]|\d{1,3}[.)])\s+")  # noqa: RUF001
# Of models: the marks of lists in Markdown and out of it, a number, a letter in brackets.
_BULLET = re.compile(r"\s*(?:[-*+–—]\s+|[•‣▪●○◦⁃∙·・]\s*|\(?\d{1,3}[.)]\s+|\([a-z]\)\s+)(?=\S)")  # noqa: RUF001
_HEADING = re.compile(r"\s*(?:#{1,6}\s|\*\*[^*]+\*\*:?\s*\Z)")
_EMPHASIS = re.compile(r"(\*\*|__)(?=\S)([^\n]+?)(?<=\S)\1")
_THOUGHTS = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)
_FENCE = re.compile(r"\s*```\w*\n(.*?)\n```\s*", re.DOTALL)
# What a model says before a summary: a line of its own that ends with a colon or is a heading, and speaks of one.
_OF_A_SUMMARY = (
    r"(?:summar(?:y|ies|i[sz])|bullet|key points|main points|résum|resum|riassunt|sintesi|zusammenfass|samenvatt"
    r"|要約|まとめ|摘要|总结|總結|概要)"
)
_BEGINS = (
    r"(?:(?:sure|certainly|of course|okay|ok|bien sûr|natürlich|gerne|claro|por supuesto|certo)\b"
    r"|(?:here(?:['’]s| is| are)|below (?:is|are)|the following (?:is|are)|voici|hier (?:ist|sind|folgt)"  # noqa: RUF001
    r"|aquí (?:está|tiene|va)|aqui (?:está|estão|vai)|ecco)|以下|这是|這是|こちら)"
)
_INTRODUCTION = re.compile(
    rf"\s*(?:{_BEGINS}[^\n:：]{{0,100}}{_OF_A_SUMMARY}[^\n:：]{{0,80}}[:：]"  # noqa: RUF001
    rf"|[#*_ ]*{_OF_A_SUMMARY}\w{{0,8}}[*_ ]*[:：][*_ ]*"  # noqa: RUF001
    rf"|#{{1,6}}[^\n]{{0,100}}(?=\n)|[*_]{{2}}[^\n*_]{{0,60}}[*_]{{2}}(?=\n))\s*",
    re.IGNORECASE,
)
_FAREWELL = re.compile(
    r"\n\s*(?:let me know|i hope (?:this|that|it) helps|feel free to|would you like|is there anything|do you want me"
    r"|if you (?:need|want|would like) (?:more|any|further|me|a|another|the summary))\b[^\n]*\s*\Z",
    re.IGNORECASE,
)


def whole_sentences(text: str, language: str | None) -> list[str]:
    """The sentences of each block (a paragraph, or an item of a list), without the marks of lists."""
    space = _space(language)
    found: list[str] = []
    for block in _BLOCK.split(text.replace("\r\n", "\n")):
        block = _MARKER.sub("", block.strip(), count=1) if _MARKER.match(block.strip()) else block.strip()
        # A lone surrogate is no text to the library, but stays what it is in the sentence.
        clean, end = block.encode("utf-8", "replace").decode(), 0
        for part in sentencex.segment(language or "en", clean):
            start, end = end, end + len(part)
            sentence = block[start:end]
            whole = space.join(line.strip() for line in sentence.split("\n")) if "\n" in sentence else sentence
            if whole := " ".join(whole.split()):
                found.append(whole)
    return found


def bullets(items: Sequence[str]) -> str:
    """A list in Markdown."""
    return "\n".join(f"- {item}" for item in items)


def unchanged(request: SummaryRequest) -> str | None:
    """The text, as bullets where those are asked for, when it is no longer than its summary may be; else None.

    Not when its language is another one than the summary's.
    """
    fewest, _ = BOUNDS[request.style, request.length]
    if len(request.text) > fewest * LONG_SENTENCE:
        return None
    language = detect(request.text)
    everything = whole_sentences(request.text, language)
    if _as_many_as(everything) > fewest or (request.language and primary(request.language) != language):
        return None
    return bullets(everything) if request.style == "bullets" else request.text


def formed(answer: str, request: SummaryRequest, *, language: str | None, cut: bool = False) -> str:
    """A model's answer as the summary that was asked for: no chatter, bullets as bullets, and not too many.

    Empty when nothing is left. What is ``cut`` loses its last sentence, which has no end, unless it is the only one.
    """
    said, language = _bare(answer), primary(language)
    everything = _items(said, language) if request.style == "bullets" else whole_sentences(_prose(said), language)
    everything = [each for each in everything if says_something(each)]
    if cut and len(everything) > 1:
        del everything[-1]
    most, own = _most(request), detect(request.text)
    del everything[most:]
    if request.language is None or primary(request.language) == own:
        while len(everything) > 1 and _characters(everything) > len(request.text):
            del everything[-1]
        if _characters(everything) > len(request.text):
            everything = whole_sentences(request.text, own)[:most]
    return bullets(everything) if request.style == "bullets" else _space(language).join(everything)


def _space(language: str | None) -> str:
    return "" if language in WITHOUT_SPACES else " "


def _characters(everything: Sequence[str]) -> int:
    return len(" ".join(everything))


def _most(request: SummaryRequest) -> int:
    """As many sentences as the length allows, and no more than the text has."""
    _, most = BOUNDS[request.style, request.length]
    if len(request.text) > most * LONG_SENTENCE:
        return most
    return min(most, _as_many_as(whole_sentences(request.text, detect(request.text))))


def _as_many_as(everything: Sequence[str]) -> int:
    """How many sentences it is, where a long one is several."""
    return sum(-(-len(sentence) // LONG_SENTENCE) for sentence in everything)


def _bare(answer: str) -> str:
    """The answer without what is unmistakably not the summary, where something else is left."""
    for pattern, put in ((_THOUGHTS, ""), (_FENCE, r"\1"), (_INTRODUCTION, ""), (_FAREWELL, "")):
        found = pattern.search(answer) if pattern is _FAREWELL else pattern.match(answer)
        if found:
            rest = answer[: found.start()] + found.expand(put) + answer[found.end() :]
            answer = rest if rest.strip() else answer
    return answer.strip()


def _prose(said: str) -> str:
    """Without headings and marks of Markdown: a paragraph is plain text."""
    lines = [
        line[marker.end() :] if (marker := _BULLET.match(line)) else line
        for line in said.split("\n")
        if not _HEADING.match(line)
    ]
    return _EMPHASIS.sub(r"\2", "\n".join(lines) or said)


def _items(said: str, language: str | None) -> list[str]:
    """The items of a list: what is before and behind it is none, and without any marks each line is one."""
    blocks = [block.split("\n") for block in re.split(r"\n[ \t]*\n", said)]
    if not any(_BULLET.match(line) for lines in blocks for line in lines):
        lines = [line.strip() for line in said.split("\n") if line.strip() and not _HEADING.match(line)]
        return lines if len(lines) > 1 else whole_sentences(said, language)
    items: list[str] = []
    for lines in blocks:
        inside = False
        for line in lines:
            if marker := _BULLET.match(line):
                items.append(" ".join(line[marker.end() :].split()))
                inside = True
            elif _HEADING.match(line):
                inside = False
            elif inside and line.strip():
                items[-1] += " " + " ".join(line.split())
    return items

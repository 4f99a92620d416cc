"""The order in which text is drawn where scripts of both directions meet.

A short form of the Unicode Bidirectional Algorithm (UAX #9): strong characters, numbers and neutrals,
without explicit embeddings.
"""

import unicodedata
from collections.abc import Sequence

_RIGHT = {"R", "AL"}
_NUMBER = {"EN", "AN"}
_IN_NUMBERS = {"ES", "CS", "ET"}


def is_right_to_left(text: str) -> bool:
    """Whether the first strong character of the text is of a right-to-left script (rules P2 and P3)."""
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind == "L":
            return False
        if kind in _RIGHT:
            return True
    return False


def levels(clusters: Sequence[str], *, right_to_left: bool) -> list[int]:
    """The embedding level of each cluster; odd levels run from right to left."""
    kinds = [unicodedata.bidirectional(cluster[0]) for cluster in clusters]
    kinds = ["R" if kind in _RIGHT else "N" if kind in _NUMBER else kind for kind in kinds]
    for index in range(1, len(kinds) - 1):
        if kinds[index] in _IN_NUMBERS and kinds[index - 1] == kinds[index + 1] == "N":
            kinds[index] = "N"
    base = "R" if right_to_left else "L"
    directions: list[str] = []
    strong = base
    for kind in kinds:
        if kind in ("L", "R"):
            strong = kind
        # A number belongs to the text before it, and is read from left to right even there.
        directions.append(kind if kind in ("L", "R") else ("N" if strong == "R" else "L") if kind == "N" else "")
    _resolve_neutrals(directions, base)
    odd = {"L": 2, "R": 1, "N": 2} if right_to_left else {"L": 0, "R": 1, "N": 2}
    return [odd[direction] for direction in directions]


def visual_order(levels: Sequence[int]) -> list[int]:
    """The indices of the items from left to right (rule L2)."""
    order = list(range(len(levels)))
    for level in range(max(levels, default=0), 0, -1):
        start = 0
        while start < len(order):
            end = start
            while end < len(order) and levels[order[end]] >= level:
                end += 1
            order[start:end] = order[start:end][::-1]
            start = max(end, start + 1)
    return order


def _resolve_neutrals(directions: list[str], base: str) -> None:
    start = 0
    while start < len(directions):
        end = start
        while end < len(directions) and not directions[end]:
            end += 1
        if end > start:
            before = _side(directions[start - 1]) if start else base
            after = _side(directions[end]) if end < len(directions) else base
            directions[start:end] = [before if before == after else base] * (end - start)
        start = max(end, start + 1)


def _side(direction: str) -> str:
    return "R" if direction == "N" else direction

"""Text set into a picture: broken into lines, sized to its box, drawn in the right order."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from offline import bidi
from offline.colour import Rgb
from offline.typefaces import Face, ShapedRun, Typesetter, clusters, mask_of, shape

_ELLIPSIS = "\u2026"
_STEP = 0.94
# A longer word may be broken rather than set small: it is an address or a made-up text.
_LONGEST_WORD = 22
# More clusters than this never fit, even at the smallest size.
_MOST_CLUSTERS = 1200
_NEVER_FIRST = set("、。，．・：；？！ー’”）〉》」』】〕〗ぁぃぅぇぉっゃゅょァィゥェォッャュョ々…‥,.!?:;)]}%")  # noqa: RUF001
_NEVER_LAST = set("（〈《「『【〔〖‘“([{")  # noqa: RUF001
_BREAK_AFTER = set("-–—/")  # noqa: RUF001
# Scripts written without spaces between words, besides the ideographs.
_UNSPACED = (("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"))


@dataclass(frozen=True, slots=True)
class _Cluster:
    text: str
    face: Face


@dataclass(frozen=True, slots=True)
class _Atom:
    """What a line break does not divide; widths in em, the second with the space that follows."""

    clusters: tuple[_Cluster, ...]
    space: tuple[_Cluster, ...]
    width: float
    advance: float


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of text at a size in pixels."""

    lines: tuple[tuple[_Cluster, ...], ...]
    size: float
    leading: float
    width: float
    right_to_left: bool

    @property
    def height(self) -> float:
        """From the top of the first line to the bottom of the last, in pixels."""
        return self.leading * len(self.lines)

    @property
    def text(self) -> str:
        """What is set, line by line."""
        return "\n".join("".join(cluster.text for cluster in line) for line in self.lines)

    def draw(self, image: Image.Image, left: float, top: float, colour: Rgb, *, right: float | None = None) -> None:
        """Draw the lines from ``left``, or up to ``right`` if given (both are x in pixels)."""
        placed: list[tuple[ShapedRun, float, float]] = []
        for number, line in enumerate(self.lines):
            runs = list(_visual_runs(line, right_to_left=self.right_to_left))
            x = left if right is None else right - sum(run.width for run in runs) * self.size
            y = top + self.leading * (number + 0.5) + self.size * 0.36
            for run in runs:
                placed.append((run, x, y))
                x += run.width * self.size
        drawn = mask_of(placed, self.size)
        if drawn is not None:
            mask, x_corner, y_corner = drawn
            image.paste(colour, (x_corner, y_corner, x_corner + mask.width, y_corner + mask.height), mask)


def fit(text: str, *, width: float, height: float, largest: float, smallest: float) -> Block | None:
    """The text as large as its box allows, between two sizes in pixels; None when no font has any of it.

    What does not fit at the smallest size is cut, and ends with an ellipsis.
    """
    setter = Typesetter(text)
    known = _known_clusters(" ".join(text.split()), setter)
    if not known:
        return None
    right_to_left = bidi.is_right_to_left(text)
    atoms = _atoms(known)
    spacing = 1.55 if any(cluster.face.is_tall for cluster in known) else 1.28
    size = largest
    while True:
        measure = width / size
        whole = all(atom.width <= measure for atom in atoms if len(atom.clusters) <= _LONGEST_WORD)
        lines = _break(atoms, measure)
        room = max(1, int(height / (size * spacing)))
        if len(lines) <= room and whole:
            lines = _balanced(atoms, measure, len(lines))
            break
        if size <= smallest:
            if len(lines) > room:
                lines = lines[:room]
                lines[-1] = _cut(lines[-1], measure, setter)
            break
        size = max(smallest, size * _STEP)
    widest = max(_width(line) for line in lines)
    return Block(tuple(tuple(line) for line in lines), size, size * spacing, widest * size, right_to_left)


def _known_clusters(text: str, setter: Typesetter) -> list[_Cluster]:
    # Latin's space for all: the emoji font has one as wide as its pictures.
    space = setter.face_of(" ")
    known: list[_Cluster] = []
    for text_of_one in clusters(text)[:_MOST_CLUSTERS]:
        if text_of_one == " ":
            if space is not None and known and known[-1].text != " ":
                known.append(_Cluster(" ", space))
            continue
        face = setter.face_of(text_of_one)
        if face is not None:
            known.append(_Cluster(text_of_one, face))
    while known and known[-1].text == " ":
        known.pop()
    return known


def _atoms(known: Sequence[_Cluster]) -> list[_Atom]:
    groups: list[tuple[list[_Cluster], list[_Cluster]]] = [([], [])]
    for cluster in known:
        group, space = groups[-1]
        if cluster.text == " ":
            space.append(cluster)
        elif group and (space or _may_break(group[-1].text, cluster.text)):
            groups.append(([cluster], []))
        else:
            group.append(cluster)
    return [_atom(group, space) for group, space in groups]


def _atom(group: Sequence[_Cluster], space: Sequence[_Cluster]) -> _Atom:
    width = _width(group)
    return _Atom(tuple(group), tuple(space), width, width + _width(space))


def _may_break(before: str, after: str) -> bool:
    if after[0] in _NEVER_FIRST or before[-1] in _NEVER_LAST:
        return False
    return before[-1] in _BREAK_AFTER or _stands_alone(before) or _stands_alone(after)


def _stands_alone(cluster: str) -> bool:
    wide = unicodedata.east_asian_width(cluster[0]) in ("W", "F") and not "\uac00" <= cluster[0] <= "\ud7a3"
    return wide or any(first <= cluster[0] <= last for first, last in _UNSPACED)


def _break(atoms: Sequence[_Atom], measure: float) -> list[list[_Cluster]]:
    lines: list[list[_Cluster]] = []
    line: list[_Cluster] = []
    filled = 0.0
    for atom in _divided(atoms, measure):
        if line and filled + atom.width > measure:
            lines.append(_trimmed(line))
            line, filled = [], 0.0
        line += [*atom.clusters, *atom.space]
        filled += atom.advance
    lines.append(_trimmed(line))
    return lines


def _divided(atoms: Sequence[_Atom], measure: float) -> Iterator[_Atom]:
    for atom in atoms:
        if atom.width <= measure:
            yield atom
            continue
        last = len(atom.clusters) - 1
        for index, cluster in enumerate(atom.clusters):
            yield _atom([cluster], atom.space if index == last else ())


def _balanced(atoms: Sequence[_Atom], measure: float, count: int) -> list[list[_Cluster]]:
    """The same number of lines within the narrowest measure, so that no line is left with one word."""
    narrow = max(atom.width for atom in _divided(atoms, measure))
    for _ in range(9):
        middle = (narrow + measure) / 2
        if len(_break(atoms, middle)) <= count:
            measure = middle
        else:
            narrow = middle
    return _break(atoms, measure)


def _cut(line: list[_Cluster], measure: float, setter: Typesetter) -> list[_Cluster]:
    face = setter.face_of(_ELLIPSIS)
    if face is None:
        return line
    end = _Cluster(_ELLIPSIS, face)
    kept = list(line)
    while kept and (kept[-1].text == " " or kept[-1].text in _NEVER_FIRST or _width([*kept, end]) > measure):
        kept.pop()
    return [*kept, end]


def _trimmed(line: list[_Cluster]) -> list[_Cluster]:
    return line[:-1] if line and line[-1].text == " " else line


def _width(line: Sequence[_Cluster]) -> float:
    return sum(run.width for run in _visual_runs(line, right_to_left=False))


def _visual_runs(line: Sequence[_Cluster], *, right_to_left: bool) -> Iterator[ShapedRun]:
    levels = bidi.levels([cluster.text for cluster in line], right_to_left=right_to_left)
    runs: list[tuple[Face, str, int]] = []
    for cluster, level in zip(line, levels, strict=True):
        if runs and runs[-1][0] is cluster.face and runs[-1][2] == level:
            runs[-1] = (cluster.face, runs[-1][1] + cluster.text, level)
        else:
            runs.append((cluster.face, cluster.text, level))
    for index in bidi.visual_order([level for _, _, level in runs]):
        face, text, level = runs[index]
        yield shape(face, text, right_to_left=level % 2 == 1)

"""The typefaces of the lettering: which one has a character, how a run is shaped, what its outlines cover.

The fonts are Noto's (SIL Open Font License). HarfBuzz shapes and rasterises, so that Arabic joins, Devanagari
reorders, and the same text gives the same pixels on every machine, whatever its system libraries.
"""

import importlib.util
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import uharfbuzz as hb  # type: ignore[import-untyped]
from PIL import Image

_WEIGHT = 600
_LATIN = "NotoSans"
_EMOJI = "NotoEmoji"
_SCRIPTS = (
    "Arabic",
    "Hebrew",
    "Devanagari",
    "Thai",
    "Bengali",
    "Tamil",
    "Telugu",
    "Gujarati",
    "Gurmukhi",
    "Kannada",
    "Malayalam",
    "Sinhala",
    "Oriya",
    "Armenian",
    "Georgian",
    "Ethiopic",
    "Khmer",
    "Lao",
    "Myanmar",
    "Symbols",
)
_CJK = "CJK"
# The fonts of the collection NotoSansCJK, which draw the same ideograph as each country does.
_JAPANESE, _KOREAN, _CHINESE = 0, 1, 2
_JOINERS = "\u200c\u200d"
_EMOJI_STYLE = "\ufe0f"
_MARKS = {"Mn", "Mc", "Me"}
_MOST_MARKS = 4


@dataclass(frozen=True, slots=True)
class Face:
    """A font at the weight of the lettering."""

    name: str
    font: hb.Font

    def covers(self, cluster: str) -> bool:
        """Whether the font has a glyph for every character of the cluster that is seen."""
        return all(
            character in _JOINERS
            or "\ufe00" <= character <= _EMOJI_STYLE
            or self.font.get_nominal_glyph(ord(character))
            for character in cluster
        )

    @property
    def is_tall(self) -> bool:
        """Whether the script needs more room between lines than Latin does."""
        return self.name not in (_LATIN, _CJK, _EMOJI, "NotoSansSymbols")


@dataclass(frozen=True, slots=True)
class Glyph:
    """A glyph and where it stands, in em from the start of its run's baseline."""

    identifier: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class ShapedRun:
    """Glyphs of one font from left to right, and the width of all in em."""

    face: Face
    glyphs: tuple[Glyph, ...]
    width: float


def clusters(text: str) -> list[str]:
    """The text as what a reader takes for single characters: a base with its marks, an emoji sequence, a flag."""
    found: list[str] = []
    for character in text:
        category = unicodedata.category(character)
        previous = found[-1] if found else ""
        if category in _MARKS or character in _JOINERS or "\U0001f3fb" <= character <= "\U0001f3ff":
            # Stacks of marks would cover the lines above and below.
            if previous and sum(unicodedata.category(mark) in _MARKS for mark in previous) < _MOST_MARKS:
                found[-1] += character
        elif category[0] == "C":
            continue
        elif previous.endswith("\u200d") or (
            len(previous) == 1 and _is_flag_half(previous) and _is_flag_half(character)
        ):
            found[-1] += character
        else:
            found.append(character)
    return found


class Typesetter:
    """Chooses the font of each cluster of one text and shapes its runs."""

    def __init__(self, text: str) -> None:
        self._cjk = _cjk_index(text)

    def face_of(self, cluster: str) -> Face | None:
        """The font that draws the cluster, or None when none can."""
        for name in self._candidates(cluster):
            face = _face(name, self._cjk if name == _CJK else 0)
            if face.covers(cluster):
                return face
        return None

    def _candidates(self, cluster: str) -> Sequence[str]:
        latin_first = (_LATIN, _CJK, *(f"NotoSans{script}" for script in _SCRIPTS), _EMOJI)
        if _EMOJI_STYLE in cluster or cluster[0] >= "\U0001f000":
            return (_EMOJI, *latin_first)
        return latin_first


@lru_cache(maxsize=4096)
def shape(face: Face, text: str, *, right_to_left: bool) -> ShapedRun:
    """The glyphs of a run of text."""
    buffer = hb.Buffer()
    buffer.add_str(text)
    buffer.guess_segment_properties()
    buffer.direction = "rtl" if right_to_left else "ltr"
    hb.shape(face.font, buffer)
    em = face.font.face.upem
    x = 0
    glyphs: list[Glyph] = []
    for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
        if info.codepoint:
            glyphs.append(Glyph(info.codepoint, (x + position.x_offset) / em, position.y_offset / em))
            x += position.x_advance
    return ShapedRun(face, tuple(glyphs), x / em)


def mask_of(runs: Sequence[tuple[ShapedRun, float, float]], size: float) -> tuple[Image.Image, int, int] | None:
    """What the runs cover at a size in pixels, each at the x and the y of its baseline; None if that is nothing.

    The answer is a mask and the place of its upper left corner.
    """
    pen = hb.RasterDraw()
    for run, x, y in runs:
        scale = size / run.face.font.face.upem
        for glyph in run.glyphs:
            # HarfBuzz counts y upwards.
            pen.transform = (scale, 0.0, 0.0, scale, x + glyph.x * size, glyph.y * size - y)
            pen.draw_glyph(run.face.font, glyph.identifier)
    drawn = pen.render()
    if drawn is None or not drawn.extents.width or not drawn.extents.height:
        return None
    extents = drawn.extents
    mask = Image.frombytes("L", (extents.width, extents.height), drawn.buffer, "raw", "L", extents.stride, -1)
    return mask, extents.x_origin, -(extents.y_origin + extents.height)


@cache
def _face(name: str, index: int) -> Face:
    if name == _CJK:
        path = _folder("manimgx_fonts_cjk") / "NotoSansCJK-VF.otf.ttc"
    else:
        path = _folder("manimgx_fonts") / f"{name}[wght].ttf"
    font = hb.Font(hb.Face(hb.Blob.from_file_path(str(path)), index))
    font.set_variations({"wght": _WEIGHT})
    return Face(name, font)


@cache
def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no package {package}", name=package)
    return Path(spec.origin).parent


def _cjk_index(text: str) -> int:
    if any("\u3040" <= character <= "\u30ff" for character in text):
        return _JAPANESE
    if any("\uac00" <= character <= "\ud7a3" or "\u1100" <= character <= "\u11ff" for character in text):
        return _KOREAN
    return _CHINESE


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"

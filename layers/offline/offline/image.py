"""The image provider that needs no network: a drawing in the spirit of the prompt, which says that it is one."""

import hashlib
import io
from collections.abc import Mapping
from random import Random
from typing import Self

from PIL import PngImagePlugin

from core.errors import FieldError
from core.settings import Setting
from generation.pictures import ImageRequest
from generation.providers import Artifact, Deadline, ProviderTimeout
from offline import lettering
from offline.canvas import Canvas
from offline.colour import mix
from offline.palette import Palette, palette_of
from offline.scenes import scene_of

CAPTION = "offline preview"
MODEL = "offline-preview-1"
_WHITE = (255, 255, 255)


class OfflineImage:
    """Draws a PNG from the prompt, the seed and the size: the same three give the same bytes."""

    name = "offline"
    settings: tuple[Setting, ...] = ()

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """It has no settings."""
        return cls()

    def refuses(self, request: ImageRequest) -> FieldError | None:
        """Nothing: everything can be drawn."""
        return None

    def generate(self, request: ImageRequest, deadline: Deadline) -> Artifact:
        """Draw the picture. Raises ``ProviderTimeout`` when the deadline passes before it is done."""
        rng = _generator(request)
        _check(deadline)
        canvas = Canvas(request.width, request.height)
        palette = palette_of(request.prompt, rng)
        scene_of(request.prompt, rng)(canvas, palette, rng)
        _check(deadline)
        canvas.grain(rng)
        _letter(canvas, palette, request.prompt)
        _check(deadline)
        return Artifact(_png(canvas), "image/png", self.name, MODEL)


def _generator(request: ImageRequest) -> Random:
    # surrogatepass: a prompt with a lone surrogate is odd, but it is a prompt.
    prompt = " ".join(request.prompt.split()).encode("utf-8", "surrogatepass")
    seed = hashlib.sha256(b"%d:%b" % (request.seed, prompt)).digest()
    return Random(int.from_bytes(seed, "big"))  # noqa: S311 - it draws, it keeps no secret


def _check(deadline: Deadline) -> None:
    if deadline.remaining() <= 0:
        raise ProviderTimeout


def _letter(canvas: Canvas, palette: Palette, prompt: str) -> None:
    """Set the prompt at the lower edge, and the caption under it, on a shade that keeps both legible."""
    width, height, unit = canvas.width, canvas.height, canvas.unit
    margin = max(4.0, unit * 0.062)
    # Long pictures are seen larger than their shorter side says.
    scale = unit * min(1.5, (max(width, height) / unit) ** 0.25)
    small = max(min(9.0, unit * 0.1), scale * 0.0235)
    caption = lettering.fit(CAPTION, width=width - 2 * margin, height=height, largest=small, smallest=4)
    # A wide picture has a column of text, not a line from edge to edge.
    measure = min(width - 2 * margin, max(unit * 0.88, width * 0.6))
    gap = small * 0.75
    below = 0.0 if caption is None else caption.height + gap
    room = max(height * 0.36, unit * 0.42) - below
    least = max(7.5, scale * 0.03)
    title = lettering.fit(prompt, width=measure, height=room, largest=max(least, scale * 0.074), smallest=least)
    top = height - margin - below - (0.0 if title is None else title.height)
    canvas.scrim((0, max(0, round(top - unit * 0.17)), width, height), brightest=88)
    if title is not None:
        edge = width - margin if title.right_to_left else None
        title.draw(canvas.image, margin, top, mix(_WHITE, palette.tone(1.0), 0.2), right=edge)
    if caption is not None:
        y = height - margin - caption.height
        mark = small * 0.24
        to_right = title is not None and title.right_to_left
        start = width - margin if to_right else margin
        canvas.disc((start - mark if to_right else start + mark, y + caption.height / 2), mark, palette.accent(0.84))
        indent = mark * 2 + small * 0.45
        edge = start - indent if to_right else None
        caption.draw(canvas.image, start + indent, y, mix(_WHITE, palette.tone(0.9), 0.3), right=edge)


def _png(canvas: Canvas) -> bytes:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", CAPTION)
    buffer = io.BytesIO()
    canvas.image.save(buffer, "PNG", pnginfo=notes, compress_level=4)
    return buffer.getvalue()

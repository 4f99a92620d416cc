"""A surface to paint on: smooth gradients, shapes without jagged edges, glows and grain."""

import math
from collections.abc import Callable, Sequence
from functools import cache
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from offline.colour import Rgb, mix

Point = tuple[float, float]
Box = tuple[int, int, int, int]
# One colour, or the colours from the top of a shape to its bottom.
Paint = Rgb | Sequence[Rgb]

_GLOW_SIZE = 96


class Canvas:
    """A picture in the making. Lengths are in pixels, the origin is the upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.unit = min(width, height)
        self.image = Image.new("RGB", (width, height))
        # More samples for each pixel where pixels are few; fewer where a mask would be huge.
        self._samples = 4 if width * height <= 1 << 19 else 3 if width * height <= 1 << 21 else 2

    def fill(self, *colours: Rgb) -> None:
        """Cover everything with a vertical gradient."""
        self.image.paste(vertical(colours, self.width, self.height))

    def mesh(self, rows: Sequence[Sequence[Rgb]]) -> None:
        """Cover everything with colours that flow into one another from the points of a grid."""
        grid = Image.new("RGB", (len(rows[0]), len(rows)))
        grid.putdata([colour for row in rows for colour in row])
        # Twice, since one bicubic step over so few points shows their grid.
        smooth = grid.resize((64, 64), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(5))
        self.image.paste(smooth.resize((self.width, self.height), Image.Resampling.BICUBIC))

    def polygon(self, points: Sequence[Point], paint: Paint, *, alpha: float = 1.0, blur: float = 0.0) -> None:
        """Paint the inside of a polygon."""
        self.stamp([points], paint, alpha=alpha, blur=blur)

    def stamp(
        self, polygons: Sequence[Sequence[Point]], paint: Paint, *, alpha: float = 1.0, blur: float = 0.0
    ) -> None:
        """Paint the inside of several polygons at once, as one shape."""

        def ink(draw: ImageDraw.ImageDraw, move: Callable[[Sequence[Point]], list[Point]]) -> None:
            for polygon in polygons:
                draw.polygon(move(polygon), fill=255)

        self._shape(_bounds([point for polygon in polygons for point in polygon]), ink, paint, alpha, blur)

    def disc(self, centre: Point, radius: float, paint: Paint, *, alpha: float = 1.0, blur: float = 0.0) -> None:
        """Paint a circle."""
        box = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
        self._shape(box, lambda draw, move: draw.ellipse(move([box[:2], box[2:]]), fill=255), paint, alpha, blur)

    def ring(self, centre: Point, radius: float, breadth: float, paint: Paint, *, alpha: float = 1.0) -> None:
        """Paint a circle's line, ``breadth`` wide, inside the radius."""
        box = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
        line = max(1, round(breadth * self._samples))
        self._shape(
            box, lambda draw, move: draw.ellipse(move([box[:2], box[2:]]), outline=255, width=line), paint, alpha, 0.0
        )

    def strokes(self, lines: Sequence[Sequence[Point]], breadth: float, paint: Paint, *, alpha: float = 1.0) -> None:
        """Paint lines with round joints, as one shape."""
        points = [point for line in lines for point in line]
        if not points:
            return
        left, top, right, bottom = _bounds(points)
        pen = max(1, round(breadth * self._samples))

        def ink(draw: ImageDraw.ImageDraw, move: Callable[[Sequence[Point]], list[Point]]) -> None:
            for line in lines:
                path = move(line)
                draw.line(path, fill=255, width=pen, joint="curve")
                for x, y in (path[0], path[-1]):
                    draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)

        self._shape((left - breadth, top - breadth, right + breadth, bottom + breadth), ink, paint, alpha, 0.0)

    def glow(self, centre: Point, radius: float, colour: Rgb, strength: float = 1.0) -> None:
        """Add light that fades with the distance from a point."""
        box = _within((centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius), self.image.size)
        if box is None:
            return
        size = (box[2] - box[0], box[3] - box[1])
        scale = 2 * radius / _GLOW_SIZE
        source = (
            (box[0] - centre[0] + radius) / scale,
            (box[1] - centre[1] + radius) / scale,
            (box[2] - centre[0] + radius) / scale,
            (box[3] - centre[1] + radius) / scale,
        )
        source = (max(0.0, source[0]), max(0.0, source[1]), min(_GLOW_SIZE, source[2]), min(_GLOW_SIZE, source[3]))
        fade = (
            _glow_image()
            .resize(size, Image.Resampling.BICUBIC, box=source)
            .point([round(v * strength) for v in range(256)])
        )
        light = ImageChops.multiply(Image.merge("RGB", (fade, fade, fade)), Image.new("RGB", size, colour))
        self.image.paste(ImageChops.screen(self.image.crop(box), light), box)

    def scrim(self, box: Box, brightest: int) -> None:
        """Calm and darken a region, fading in from its top, until hardly anything in it is above ``brightest``."""
        region = self.image.crop(box)
        blurred = region.filter(ImageFilter.GaussianBlur(self.unit * 0.014))
        lower = blurred.crop((0, region.height // 4, region.width, region.height)).convert("L")
        peak = _percentile(lower, 0.97)
        need = max(0.34, 1 - brightest / max(1, peak))
        column = Image.new("L", (1, 64))
        column.putdata([round(255 * _eased(row / 26)) for row in range(64)])
        fade = column.resize(region.size, Image.Resampling.BICUBIC)
        self.image.paste(blurred, box, fade)
        shade = mix(_mean(region), (0, 0, 0), 0.86)
        self.image.paste(shade, box, fade.point([round(value * need) for value in range(256)]))

    def grain(self, rng: Random, amount: int = 5) -> None:
        """Add the faintest noise, which also hides the steps of gradients."""
        tile = Image.frombytes("L", (256, 256), rng.randbytes(256 * 256))
        # The mean of two neighbours: fewer extremes, so it reads as texture rather than as dots.
        tile = Image.blend(tile, ImageChops.offset(tile, 1, 1), 0.5)
        tile = tile.point([128 + round((value - 128) / 128 * amount) for value in range(256)])
        noise = Image.new("L", self.image.size)
        for top in range(0, self.height, 256):
            for left in range(0, self.width, 256):
                # Turned and flipped, so that the eye finds no repeat.
                noise.paste(tile.transpose(_TURNS[rng.randrange(len(_TURNS))]), (left, top))
        self.image = ImageChops.add(self.image, Image.merge("RGB", (noise, noise, noise)), 1, -128)

    def clouds(self, rng: Random, colour: Rgb, strength: float, *, cells: int = 5) -> None:
        """Add light in soft, uneven patches."""
        across = max(2, round(cells * self.width / self.unit))
        down = max(2, round(cells * self.height / self.unit))
        small = (min(self.width, 32 * across), min(self.height, 32 * down))
        field = Image.new("L", small)
        for octave in (1, 2, 4):
            size = (across * octave, down * octave)
            layer = Image.frombytes("L", size, rng.randbytes(size[0] * size[1])).resize(small, Image.Resampling.BICUBIC)
            field = layer if octave == 1 else Image.blend(field, layer, 0.34)
        curve = [round(255 * strength * max(0.0, (value - 96) / 159) ** 1.6) for value in range(256)]
        fade = field.point(curve).resize(self.image.size, Image.Resampling.BICUBIC)
        light = ImageChops.multiply(Image.merge("RGB", (fade, fade, fade)), Image.new("RGB", self.image.size, colour))
        self.image = ImageChops.screen(self.image, light)

    def _shape(
        self,
        bounds: tuple[float, float, float, float],
        ink: Callable[[ImageDraw.ImageDraw, Callable[[Sequence[Point]], list[Point]]], object],
        paint: Paint,
        alpha: float,
        blur: float,
    ) -> None:
        margin = 2 + 3 * blur
        left, top, right, bottom = bounds
        box = _within((left - margin, top - margin, right + margin, bottom + margin), self.image.size)
        if box is None:
            return
        size = (box[2] - box[0], box[3] - box[1])
        samples = 1 if blur > 3 else self._samples
        mask = Image.new("L", (size[0] * samples, size[1] * samples))
        ink(
            ImageDraw.Draw(mask),
            lambda points: [((x - box[0]) * samples, (y - box[1]) * samples) for x, y in points],
        )
        if samples > 1:
            mask = mask.reduce(samples)
        if blur:
            mask = mask.filter(ImageFilter.GaussianBlur(blur))
        if alpha < 1:
            mask = mask.point([round(value * alpha) for value in range(256)])
        if isinstance(paint[0], int):
            self.image.paste(paint, box, mask)  # type: ignore[arg-type]
            return
        # The gradient spans the shape, not the part of it that is on the canvas.
        tall = max(1, round(bottom - top))
        gradient = vertical(paint, 1, tall).crop((0, box[1] - round(top), 1, box[3] - round(top)))  # type: ignore[arg-type]
        if box[1] < round(top):
            gradient.paste(paint[0], (0, 0, 1, round(top) - box[1]))
        if box[3] > round(top) + tall:
            gradient.paste(paint[-1], (0, gradient.height - (box[3] - round(top) - tall), 1, gradient.height))
        self.image.paste(gradient.resize(size, Image.Resampling.NEAREST), box, mask)


def vertical(colours: Sequence[Rgb], width: int, height: int) -> Image.Image:
    """A gradient from the first colour at the top to the last at the bottom."""
    column = Image.new("RGB", (1, height))
    steps = len(colours) - 1
    pixels: list[Rgb] = []
    for row in range(height):
        place = row / max(1, height - 1) * steps
        index = min(max(0, steps - 1), int(place))
        pixels.append(mix(colours[index], colours[min(steps, index + 1)], place - index))
    column.putdata(pixels)
    return column.resize((width, height), Image.Resampling.NEAREST)


@cache
def _glow_image() -> Image.Image:
    image = Image.new("L", (_GLOW_SIZE, _GLOW_SIZE))
    half = (_GLOW_SIZE - 1) / 2
    image.putdata(
        [
            round(255 * max(0.0, 1 - math.hypot(x - half, y - half) / half) ** 2.2)
            for y in range(_GLOW_SIZE)
            for x in range(_GLOW_SIZE)
        ]
    )
    return image


def _bounds(points: Sequence[Point]) -> tuple[float, float, float, float]:
    across = [point[0] for point in points]
    down = [point[1] for point in points]
    return min(across), min(down), max(across), max(down)


def _within(bounds: tuple[float, float, float, float], size: tuple[int, int]) -> Box | None:
    left, top = max(0, math.floor(bounds[0])), max(0, math.floor(bounds[1]))
    right, bottom = min(size[0], math.ceil(bounds[2])), min(size[1], math.ceil(bounds[3]))
    return (left, top, right, bottom) if right > left and bottom > top else None


def _percentile(image: Image.Image, share: float) -> int:
    histogram = image.histogram()
    left = sum(histogram) * share
    for value, count in enumerate(histogram):
        left -= count
        if left <= 0:
            return value
    return 255


def _mean(image: Image.Image) -> Rgb:
    red, green, blue = image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))  # type: ignore[misc]
    return int(red), int(green), int(blue)


_TURNS = tuple(Image.Transpose)


def _eased(share: float) -> float:
    share = min(1.0, share)
    return share * share * (3 - 2 * share)

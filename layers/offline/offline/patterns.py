"""Scenes without a place: geometry, currents, lights, a bloom."""

import math
from random import Random

from offline.canvas import Canvas, Point
from offline.colour import Rgb, mix
from offline.palette import Palette


def geometry(canvas: Canvas, palette: Palette, rng: Random) -> None:
    """Tiles of discs, quarters and stripes, as on a Bauhaus poster."""
    ground = palette.tone(0.04) if palette.is_dark else mix(palette.tone(0.97, vivid=0.5), (255, 252, 244), 0.4)
    canvas.fill(ground)
    inks = [
        palette.tone(0.16),
        palette.tone(0.45, vivid=1.3),
        palette.tone(0.70, vivid=1.3),
        palette.accent(0.74),
        palette.accent(0.60, turn=30),
        palette.tone(0.90),
    ]
    side = canvas.unit / rng.choice((3, 4, 4, 5))
    columns, rows = math.ceil(canvas.width / side), math.ceil(canvas.height / side)
    left, top = (canvas.width - columns * side) / 2, (canvas.height - rows * side) / 2
    previous: Rgb | None = None
    for row in range(rows):
        for column in range(columns):
            back, front = rng.sample([ink for ink in inks if ink != previous], 2)
            previous = back
            x, y = left + column * side, top + row * side
            canvas.polygon([(x, y), (x + side, y), (x + side, y + side), (x, y + side)], back)
            rng.choice(_TILES)(canvas, (x, y), side, front, rng.choice(inks), rng.randrange(4))


def currents(canvas: Canvas, palette: Palette, rng: Random) -> None:
    """Ribbons that follow a slow current."""
    canvas.fill(palette.tone(0.10), palette.tone(0.02))
    phases = [(rng.uniform(0.5, 1.5), rng.uniform(0.5, 1.5), rng.uniform(0, math.tau)) for _ in range(3)]
    lean = rng.uniform(-0.5, 0.5)

    def heading(x: float, y: float) -> float:
        u, v = x / canvas.unit, y / canvas.unit
        return lean + 0.95 * sum(
            math.sin(2.1 * a * u + 1.7 * b * v + phase) / (i + 1) for i, (a, b, phase) in enumerate(phases)
        )

    step = canvas.unit / 70
    length = math.ceil((canvas.width + canvas.height) / canvas.unit * 34)
    bands = 11
    for band in range(bands):
        ribbons: list[list[Point]] = []
        for _ in range(26):
            x = rng.uniform(-0.2, 1.0) * canvas.width
            y = rng.uniform(-0.05, 1.05) * canvas.height
            path = []
            for _ in range(length):
                path.append((x, y))
                angle = heading(x, y)
                x, y = x + step * math.cos(angle), y + step * math.sin(angle)
            ribbons.append(path)
        share = band / (bands - 1)
        colour = palette.accent(0.80) if band == bands - 3 else palette.tone(0.16 + 0.80 * share, vivid=1.25)
        breadth = canvas.unit * (0.014 - 0.010 * share)
        canvas.strokes(ribbons, max(0.7, breadth), colour, alpha=0.50 + 0.35 * share)


def lights(canvas: Canvas, palette: Palette, rng: Random) -> None:
    """Soft fields of colour with panes of glass floating over them."""
    tones = [palette.tone(rng.uniform(0.15, 0.95), vivid=1.25) for _ in range(20)]
    tones[rng.randrange(4, 12)] = palette.neighbour(0.82, 40)
    tones[rng.randrange(4, 16)] = palette.neighbour(0.68, -45)
    canvas.mesh([tones[row * 4 : row * 4 + 4] for row in range(5)])
    area = min(6.0, canvas.width * canvas.height / canvas.unit**2)
    for _ in range(round(9 * area)):
        centre = (canvas.width * rng.random(), canvas.height * rng.random())
        radius = canvas.unit * rng.uniform(0.03, 0.20)
        colour = rng.choice((palette.tone(1.0), palette.accent(0.90), palette.tone(0.8)))
        canvas.disc(
            centre,
            radius,
            (colour, mix(colour, palette.tone(0.5), 0.6)),
            alpha=rng.uniform(0.10, 0.26),
            blur=radius * rng.choice((0, 0, 0.06)),
        )
        canvas.ring(centre, radius, max(0.6, canvas.unit * 0.0022), (255, 255, 255), alpha=0.35)
    for _ in range(round(14 * area)):
        centre = (canvas.width * rng.random(), canvas.height * rng.random())
        canvas.glow(centre, canvas.unit * rng.uniform(0.012, 0.05), palette.tone(1.0), 0.9)


def bloom(canvas: Canvas, palette: Palette, rng: Random) -> None:
    """A paper flower that opens ring by ring."""
    canvas.fill(palette.tone(0.30), palette.tone(0.10))
    centre = (
        canvas.width * rng.uniform(0.42, 0.58),
        canvas.height * (0.5 - 0.1 * min(1.0, canvas.height / canvas.width)),
    )
    canvas.glow(centre, canvas.unit * 0.95, palette.tone(0.6), 0.6)
    rings = rng.randint(7, 9)
    petals = rng.choice((8, 10, 12, 14))
    for ring in range(rings):
        share = ring / (rings - 1)
        reach = canvas.unit * (0.62 - 0.54 * share**0.85)
        breadth = math.tau / petals * rng.uniform(0.62, 0.74)
        turn = (ring % 2) * math.pi / petals + rng.uniform(-0.04, 0.04)
        shapes = [_petal(centre, reach, breadth, turn + math.tau * petal / petals) for petal in range(petals)]
        shifted = [[(x, y + canvas.unit * 0.010) for x, y in shape] for shape in shapes]
        canvas.stamp(shifted, palette.tone(0.0), alpha=0.34, blur=canvas.unit * 0.010)
        outer = palette.tone(0.22 + 0.70 * share, vivid=1.3)
        canvas.stamp(shapes, (mix(outer, palette.tone(1.0), 0.22), outer))
    for dot in range(46):
        angle, distance = dot * 2.399963, canvas.unit * 0.0095 * math.sqrt(dot)
        spot = (centre[0] + distance * math.cos(angle), centre[1] + distance * math.sin(angle))
        canvas.disc(spot, canvas.unit * 0.0062, palette.accent(0.86 - 0.004 * dot))


def _petal(centre: Point, reach: float, breadth: float, angle: float) -> list[Point]:
    edge: list[Point] = []
    steps = 22
    for side in (1, -1):
        for step in range(steps + 1):
            share = step / steps if side == 1 else 1 - step / steps
            # A leaf's outline: wide past its middle, then a rounded tip.
            swing = side * breadth / 2 * math.sin(math.pi * min(1.0, share**0.8)) ** 0.75 * 1.25
            distance = reach * (0.08 + 0.92 * share)
            edge.append(
                (centre[0] + distance * math.cos(angle + swing), centre[1] + distance * math.sin(angle + swing))
            )
    return edge


def _quarter(canvas: Canvas, corner: Point, side: float, front: Rgb, other: Rgb, turn: int) -> None:
    canvas.polygon(_sector(corner, side, side, turn), front)
    canvas.polygon(_sector(corner, side, side * 0.5, turn), other)


def _half(canvas: Canvas, corner: Point, side: float, front: Rgb, other: Rgb, turn: int) -> None:
    middle = (corner[0] + side / 2, corner[1] + side / 2)
    start = turn * math.pi / 2
    arc = [start + math.pi * step / 40 for step in range(41)]
    canvas.polygon([(middle[0] + side / 2 * math.cos(a), middle[1] + side / 2 * math.sin(a)) for a in arc], front)
    canvas.disc(middle, side * 0.16, other)


def _whole(canvas: Canvas, corner: Point, side: float, front: Rgb, other: Rgb, turn: int) -> None:
    middle = (corner[0] + side / 2, corner[1] + side / 2)
    for share, ink in ((0.42, front), (0.28, other), (0.14, front)):
        canvas.disc(middle, side * share, ink)


def _triangle(canvas: Canvas, corner: Point, side: float, front: Rgb, other: Rgb, turn: int) -> None:
    x, y = corner
    points = [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]
    canvas.polygon([points[(turn + i) % 4] for i in range(3)], front)


def _stripes(canvas: Canvas, corner: Point, side: float, front: Rgb, other: Rgb, turn: int) -> None:
    x, y = corner
    bar = side / 7
    for index in range(0, 7, 2):
        near, far = index * bar, (index + 1) * bar
        if turn % 2:
            canvas.polygon([(x, y + near), (x + side, y + near), (x + side, y + far), (x, y + far)], front)
        else:
            canvas.polygon([(x + near, y), (x + far, y), (x + far, y + side), (x + near, y + side)], front)


def _arches(canvas: Canvas, corner: Point, side: float, front: Rgb, other: Rgb, turn: int) -> None:
    for share, ink in ((1.0, front), (0.75, other), (0.5, front), (0.25, other)):
        canvas.polygon(_sector(corner, side, side * share, turn), ink)


def _sector(corner: Point, side: float, radius: float, turn: int) -> list[Point]:
    centre = (corner[0] + side * (turn in (1, 2)), corner[1] + side * (turn in (2, 3)))
    start = turn * math.pi / 2
    arc = [start + math.pi / 2 * step / 28 for step in range(29)]
    return [centre, *((centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in arc)]


_TILES = (_quarter, _half, _whole, _triangle, _stripes, _arches, _quarter)

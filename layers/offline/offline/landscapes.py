"""Scenes of places: hills, waves, dunes, a forest, a skyline, a night sky."""

import math
from collections.abc import Callable
from random import Random

from offline.canvas import Canvas, Point
from offline.colour import mix
from offline.palette import Palette

Profile = Callable[[float], float]


def hills(canvas: Canvas, palette: Palette, rng: Random) -> None:
    """Ridges behind ridges in the haze, with a sun."""
    horizon = canvas.height * rng.uniform(0.46, 0.56)
    _sky(canvas, palette, horizon)
    _sun(canvas, palette, (canvas.width * rng.uniform(0.24, 0.76), horizon - canvas.unit * rng.uniform(0.08, 0.2)), rng)
    _birds(canvas, palette, rng, horizon * 0.62)
    count = 6
    for layer in range(count):
        near = layer / (count - 1)
        profile = _ridge(rng, octaves=6 if layer < 4 else 4, frequency=1.6 + 0.5 * (1 - near))
        relief = canvas.unit * (0.26 - 0.13 * near)
        base = horizon + (canvas.height - horizon) * near**1.15 * 0.86
        top = palette.tone(0.70 - 0.62 * near)
        mist = palette.tone(min(0.95, 0.86 - 0.50 * near))
        line = _line(canvas, profile, base, relief)
        canvas.polygon(_down_to(line, canvas, base + canvas.unit * 0.30), (top, mix(top, mist, 0.45), mist))


def waves(canvas: Canvas, palette: Palette, rng: Random) -> None:
    """A sea of rolling bands under a low sun, whose light lies on the water."""
    horizon = canvas.height * rng.uniform(0.34, 0.44)
    _sky(canvas, palette, horizon, cloudy=rng)
    sun = (canvas.width * rng.uniform(0.28, 0.72), horizon - canvas.unit * rng.uniform(0.02, 0.13))
    _sun(canvas, palette, sun, rng)
    sea = [(0.0, horizon), (canvas.width, horizon), (canvas.width, canvas.height), (0.0, canvas.height)]
    canvas.polygon(sea, (palette.tone(0.72), palette.tone(0.44), palette.tone(0.16)))
    bands = 8
    for band in range(bands):
        near = (band + 1) / bands
        base = horizon + (canvas.height - horizon) * near**1.55
        swell = canvas.unit * (0.006 + 0.05 * near)
        length = 0.16 + 0.5 * near
        profile = _swell(rng, length)
        line = _line(canvas, profile, base, swell)
        top = palette.tone(0.66 - 0.52 * near)
        canvas.polygon(
            _down_to(line, canvas, base + canvas.unit * 0.22), (top, palette.tone(max(0, 0.5 - 0.5 * near))), alpha=0.82
        )
        canvas.strokes(
            [line], max(0.5, canvas.unit * (0.0012 + 0.003 * near)), palette.tone(0.97), alpha=0.30 + 0.25 * near
        )
    glitter = [
        [(sun[0] + drift - half, y), (sun[0] + drift + half, y)] for y, drift, half in _glints(canvas, rng, horizon)
    ]
    canvas.strokes(glitter, max(0.6, canvas.unit * 0.0045), palette.sun(0.93), alpha=0.62)


def dunes(canvas: Canvas, palette: Palette, rng: Random) -> None:
    """Long dunes, each with a lit and a shaded side."""
    horizon = canvas.height * rng.uniform(0.42, 0.5)
    _sky(canvas, palette, horizon)
    _sun(canvas, palette, (canvas.width * rng.uniform(0.2, 0.8), horizon - canvas.unit * rng.uniform(0.14, 0.24)), rng)
    count = 5
    for layer in range(count):
        near = layer / (count - 1)
        base = horizon + (canvas.height - horizon) * (0.03 + 0.62 * near**1.2)
        relief = canvas.unit * (0.05 + 0.10 * near)
        lit, shaded = palette.tone(0.92 - 0.34 * near), palette.tone(0.60 - 0.44 * near)
        crest = _line(canvas, _crest(rng, 0.62 + 0.55 * near), base, relief)
        canvas.polygon(_down_to(crest, canvas, base + canvas.unit * 0.45), (lit, mix(lit, shaded, 0.55)))
        for lee in _lees(crest, rng, canvas.unit * (0.10 + 0.26 * near)):
            canvas.polygon(lee, (shaded, mix(lit, shaded, 0.75)), alpha=0.9)


def forest(canvas: Canvas, palette: Palette, rng: Random) -> None:
    """Rows of conifers that come out of the fog."""
    canvas.fill(palette.tone(0.74), palette.tone(0.95), palette.tone(0.9))
    light = (canvas.width * rng.uniform(0.3, 0.7), canvas.height * rng.uniform(0.14, 0.3))
    canvas.glow(light, canvas.unit * 0.75, palette.sun(0.9), 0.6)
    canvas.disc(light, canvas.unit * 0.075, mix(palette.sun(0.95), (255, 255, 255), 0.5), alpha=0.9)
    rows = 6
    for row in range(rows):
        near = row / (rows - 1)
        ground = canvas.height * (0.42 + 0.55 * near)
        size = canvas.unit * (0.11 + 0.30 * near)
        profile = _ridge(rng, octaves=4, frequency=1.3)
        colour = palette.tone(0.78 - 0.74 * near)
        fog = palette.tone(0.90 - 0.55 * near)
        line = _line(canvas, profile, ground, canvas.unit * 0.10)
        trees: list[list[Point]] = [_down_to(line, canvas, ground + size)]
        x = -size * 0.2
        while x < canvas.width + size * 0.2:
            tall = size * rng.uniform(0.55, 1.12)
            foot = ground - canvas.unit * 0.10 * profile(x / canvas.unit)
            trees.append(_conifer((x, foot + tall * 0.06), tall, rng))
            x += size * rng.uniform(0.13, 0.36)
        canvas.stamp(trees, (colour, mix(colour, fog, 0.25), fog))


def skyline(canvas: Canvas, palette: Palette, rng: Random) -> None:
    """Towers at dusk with lit windows."""
    horizon = canvas.height * 0.74
    _sky(canvas, palette, horizon, cloudy=rng)
    _sun(canvas, palette, (canvas.width * rng.uniform(0.25, 0.75), canvas.height * rng.uniform(0.30, 0.44)), rng)
    for layer, tone in enumerate((0.60, 0.36, 0.07)):
        near = layer / 2
        towers: list[list[Point]] = []
        windows: list[list[Point]] = []
        x = -canvas.unit * rng.uniform(0, 0.1)
        while x < canvas.width:
            breadth = canvas.unit * rng.uniform(0.07, 0.15) * (0.75 + 0.4 * near)
            ceiling = 0.52 - 0.12 * near
            tall = canvas.unit * rng.uniform(0.18, ceiling) * (1.25 if rng.random() < 0.14 else 1.0)
            roof = min(canvas.height * 0.94, horizon + canvas.unit * 0.12 * near) - tall
            towers += _tower(x, roof, breadth, canvas.height, rng)
            if layer:
                windows += _windows(x, roof, breadth, canvas, rng, near)
            x += breadth + canvas.unit * rng.choice((0.0, 0.004, 0.012, 0.05))
        top = palette.tone(tone)
        canvas.stamp(towers, (top, mix(top, palette.tone(min(1.0, tone + 0.2)), 0.6)))
        if windows:
            canvas.stamp(windows, palette.accent(0.88), alpha=0.35 + 0.45 * near)


def night(canvas: Canvas, palette: Palette, rng: Random) -> None:
    """A sky full of stars over a dark ridge, with a moon or a planet."""
    canvas.fill(palette.tone(0.02), palette.tone(0.22), palette.tone(0.58))
    canvas.clouds(rng, palette.tone(0.9, vivid=1.6), 0.42)
    canvas.clouds(rng, palette.accent(0.55, turn=rng.uniform(150, 260)), 0.34, cells=3)
    area = canvas.width * canvas.height / canvas.unit**2
    for share, breadth, alpha in ((260, 0.0022, 0.55), (90, 0.0034, 0.85), (22, 0.0052, 1.0)):
        dots = [
            _dot(
                (rng.uniform(0, canvas.width), canvas.height * rng.random() ** 1.25 * 0.86),
                max(0.55, canvas.unit * breadth / 2),
            )
            for _ in range(round(share * min(area, 6)))
        ]
        canvas.stamp(dots, mix((255, 255, 255), palette.accent(0.92), rng.uniform(0, 0.3)), alpha=alpha)
    for _ in range(5):
        star = (rng.uniform(0, canvas.width), rng.uniform(0, canvas.height * 0.55))
        canvas.glow(star, canvas.unit * rng.uniform(0.03, 0.06), (255, 255, 255), 0.9)
    centre = (canvas.width * rng.uniform(0.22, 0.78), canvas.height * rng.uniform(0.2, 0.36))
    _globe(canvas, palette, rng, centre, canvas.unit * rng.uniform(0.10, 0.16))
    for near, relief in ((0.0, 0.17), (1.0, 0.10)):
        profile = _ridge(rng, octaves=6, frequency=1.7)
        base = canvas.height * (0.80 + 0.10 * near)
        line = _line(canvas, profile, base, canvas.unit * relief)
        colour = palette.tone(0.17 - 0.17 * near)
        canvas.polygon(_down_to(line, canvas, canvas.height), (colour, mix(colour, (0, 0, 0), 0.4)))


def _sky(canvas: Canvas, palette: Palette, horizon: float, *, cloudy: Random | None = None) -> None:
    reach = max(2, min(canvas.height, round(horizon * 1.1)))
    canvas.fill(palette.tone(0.99))
    canvas.polygon(
        [(0, 0), (canvas.width, 0), (canvas.width, reach), (0, reach)],
        (palette.tone(0.48), palette.tone(0.74), palette.tone(0.93), palette.tone(0.99)),
    )
    if cloudy:
        canvas.clouds(cloudy, palette.tone(0.95), 0.45, cells=3)


def _sun(canvas: Canvas, palette: Palette, centre: Point, rng: Random) -> None:
    radius = canvas.unit * rng.uniform(0.07, 0.11)
    canvas.glow(centre, radius * 6.5, palette.sun(0.80), 0.75)
    canvas.glow(centre, radius * 2.4, palette.sun(0.88), 0.8)
    core = mix(palette.sun(0.92), (255, 255, 255), 0.35)
    canvas.disc(centre, radius, (core, palette.sun(0.84)))


def _globe(canvas: Canvas, palette: Palette, rng: Random, centre: Point, radius: float) -> None:
    canvas.glow(centre, radius * 3.2, palette.accent(0.75), 0.55)
    light, dark = palette.accent(0.93), palette.accent(0.70)
    ringed = rng.random() < 0.3
    tilt = rng.uniform(-0.5, 0.5)
    orbit = [_ellipse(centre, radius * 1.9 * size, radius * 0.52 * size, tilt) for size in (1.0, 0.90, 0.80)]
    if ringed:
        canvas.strokes([[*path, path[0]] for path in orbit], max(0.6, radius * 0.05), light, alpha=0.55)
    canvas.disc(centre, radius, (light, mix(light, dark, 0.5), dark))
    for _ in range(7):
        angle, distance = rng.uniform(0, math.tau), radius * rng.uniform(0.1, 0.66)
        spot = (centre[0] + distance * math.cos(angle), centre[1] + distance * math.sin(angle))
        canvas.disc(spot, radius * rng.uniform(0.06, 0.2), dark, alpha=0.35)
    if ringed:
        half = len(orbit[0]) // 2
        front = [path[:half] for path in orbit]
        canvas.strokes(front, max(0.6, radius * 0.05), light, alpha=0.9)


def _birds(canvas: Canvas, palette: Palette, rng: Random, height: float) -> None:
    flock = (canvas.width * rng.uniform(0.25, 0.75), max(canvas.unit * 0.1, height))
    lines = []
    for _ in range(rng.randint(3, 7)):
        x, y = flock[0] + canvas.unit * rng.gauss(0, 0.10), flock[1] + canvas.unit * rng.gauss(0, 0.04)
        span = canvas.unit * rng.uniform(0.010, 0.020)
        for side in (-1, 1):
            lines.append([(x + side * span * t, y - span * 0.75 * math.sin(t * 2.4)) for t in (0, 0.25, 0.5, 0.75, 1)])
    canvas.strokes(lines, max(0.6, canvas.unit * 0.003), palette.tone(0.05), alpha=0.75)


def _ridge(rng: Random, *, octaves: int, frequency: float) -> Profile:
    """A mountain profile, about 0..1, over x in units of the shorter side."""
    lattices = [[rng.random() for _ in range(64)] for _ in range(octaves)]
    shift = rng.uniform(0, 40)

    def profile(x: float) -> float:
        total, weight = 0.0, 0.5
        place = (x + shift) * frequency
        for lattice in lattices:
            cell = math.floor(place)
            share = place - cell
            share = share * share * (3 - 2 * share)
            first, second = lattice[cell % 64], lattice[(cell + 1) % 64]
            total += weight * (first + (second - first) * share)
            place, weight = place * 2.03, weight * 0.5
        return total

    return profile


def _swell(rng: Random, length: float) -> Profile:
    """A wave profile, about -1..1, of the given wavelength in units of the shorter side."""
    parts = [
        (rng.uniform(0.5, 1.0), rng.uniform(0.75, 1.35) * factor, rng.uniform(0, math.tau))
        for factor in (0.5, 1.0, 2.1)
    ]
    weights = (0.5, 0.35, 0.15)

    def profile(x: float) -> float:
        return sum(
            weight * size * math.sin(math.tau * pace * x / length + phase)
            for weight, (size, pace, phase) in zip(weights, parts, strict=True)
        )

    return profile


def _line(canvas: Canvas, profile: Profile, base: float, relief: float) -> list[Point]:
    """The points of a profile, ``relief`` pixels high over ``base``, from the left edge to the right one."""
    step = max(1.0, canvas.unit / 340)
    count = math.ceil(canvas.width / step) + 1
    return [(i * step, base - relief * profile(i * step / canvas.unit)) for i in range(count + 1)]


def _down_to(line: list[Point], canvas: Canvas, bottom: float) -> list[Point]:
    bottom = max(bottom, canvas.height)
    return [*line, (line[-1][0], bottom), (line[0][0], bottom)]


def _glints(canvas: Canvas, rng: Random, horizon: float) -> list[tuple[float, float, float]]:
    glints = []
    for _ in range(70):
        depth = rng.random() ** 1.5
        y = horizon + (canvas.height - horizon) * depth * 0.75
        spread = canvas.unit * (0.03 + 0.14 * depth)
        glints.append((y, rng.gauss(0, 0.5) * spread, canvas.unit * rng.uniform(0.004, 0.012 + 0.05 * depth)))
    return glints


def _crest(rng: Random, length: float) -> Profile:
    """A dune's profile: a long rise to each crest and a shorter fall from it, about 0..1."""
    crests = [(rng.uniform(0.75, 1.3), rng.uniform(0.45, 1.0), rng.uniform(0.56, 0.7)) for _ in range(24)]
    shift = rng.uniform(0, 3)

    def profile(x: float) -> float:
        place = x / length + shift
        index = 0
        while place >= crests[index % 24][0]:
            place -= crests[index % 24][0]
            index += 1
        breadth, tall, peak = crests[index % 24]
        share = place / breadth
        rise = share / peak if share < peak else (1 - share) / (1 - peak)
        return tall * rise * rise * (3 - 2 * rise) * (1 if share < peak else rise**0.35)

    return profile


def _lees(crest: list[Point], rng: Random, depth: float) -> list[list[Point]]:
    """The shaded side of each dune: from its crest along the fall, and back along a curved foot."""
    lees: list[list[Point]] = []
    index = 1
    while index < len(crest) - 1:
        if crest[index - 1][1] > crest[index][1] <= crest[index + 1][1]:
            end = index
            while end + 1 < len(crest) and crest[end + 1][1] >= crest[end][1]:
                end += 1
            top, foot = crest[index], crest[end]
            low = (top[0] + (foot[0] - top[0]) * rng.uniform(0.1, 0.5), foot[1] + depth)
            bend = (top[0] + (foot[0] - top[0]) * 0.7, foot[1] + depth * 0.22)
            back = [_curve(foot, bend, low, step / 16) for step in range(17)]
            up = [_curve(low, (low[0] - depth * 0.5, low[1] - depth * 0.6), top, step / 16) for step in range(17)]
            lees.append([*crest[index : end + 1], *back, *up])
            index = end
        index += 1
    return lees


def _curve(start: Point, control: Point, end: Point, share: float) -> Point:
    rest = 1 - share
    x, y = (
        rest * rest * a + 2 * rest * share * b + share * share * c for a, b, c in zip(start, control, end, strict=True)
    )
    return x, y


def _conifer(foot: Point, tall: float, rng: Random) -> list[Point]:
    x, y = foot
    tiers = 7
    half = tall * rng.uniform(0.17, 0.23)
    left: list[Point] = []
    right: list[Point] = []
    for tier in range(tiers):
        share = (tier + 1) / tiers
        low = y - tall * (1 - share) - tall * 0.04
        left += [(x - half * share * rng.uniform(0.85, 1.1), low), (x - half * share * 0.48, low - tall * 0.02)]
        right += [(x + half * share * rng.uniform(0.85, 1.1), low), (x + half * share * 0.48, low - tall * 0.02)]
    trunk = tall * 0.022
    return [(x, y - tall * 1.02), *right, (x + trunk, y), (x - trunk, y), *reversed(left)]


def _tower(x: float, roof: float, breadth: float, floor: float, rng: Random) -> list[list[Point]]:
    right = x + breadth
    shapes: list[list[Point]] = [[(x, roof), (right, roof), (right, floor), (x, floor)]]
    kind = rng.randrange(6)
    if kind == 0:
        middle, half = (x + right) / 2, breadth * 0.02
        shapes.append([(middle - half, roof), (middle, roof - breadth * 0.9), (middle + half, roof)])
    elif kind == 1:
        inset = breadth * 0.2
        shapes.append(
            [(x + inset, roof - inset), (right - inset, roof - inset), (right - inset, roof), (x + inset, roof)]
        )
    elif kind == 2:
        shapes.append([(x, roof), (right, roof - breadth * 0.35), (right, roof)])
    elif kind == 3:
        shapes.append([(x, roof), ((x + right) / 2, roof - breadth * 0.5), (right, roof)])
    return shapes


def _windows(x: float, roof: float, breadth: float, canvas: Canvas, rng: Random, near: float) -> list[list[Point]]:
    cell = canvas.unit * (0.014 + 0.008 * near)
    columns = int(breadth * 0.84 / cell)
    if columns < 1 or cell < 1.5:
        return []
    margin = (breadth - columns * cell) / 2
    shapes: list[list[Point]] = []
    rows = int((canvas.height - roof) / (cell * 1.35)) - 1
    busy = rng.uniform(0.12, 0.5)
    for row in range(rows):
        for column in range(columns):
            if rng.random() < busy:
                left, top = x + margin + column * cell, roof + cell * (0.7 + row * 1.35)
                right, bottom = left + cell * 0.58, top + cell * 0.72
                shapes.append([(left, top), (right, top), (right, bottom), (left, bottom)])
    return shapes


def _dot(centre: Point, radius: float) -> list[Point]:
    return _ellipse(centre, radius, radius, 0.0, points=8)


def _ellipse(centre: Point, across: float, down: float, tilt: float, *, points: int = 72) -> list[Point]:
    path = []
    for step in range(points):
        angle = math.tau * step / points
        x, y = across * math.cos(angle), down * math.sin(angle)
        path.append(
            (
                centre[0] + x * math.cos(tilt) - y * math.sin(tilt),
                centre[1] + x * math.sin(tilt) + y * math.cos(tilt),
            )
        )
    return path

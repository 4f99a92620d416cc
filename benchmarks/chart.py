"""Line charts with logarithmic axes, as SVG, in plain code."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 340
LEFT, RIGHT, TOP, BOTTOM = 74, 118, 44, 52
COLOURS = ("#0b6e99", "#2a9d62", "#8a6fc8", "#c8502d")
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """What a chart shows; ``unit`` is written at the vertical axis."""

    title: str
    unit: str
    x_label: str
    series: Mapping[str, Points]


def svg(charts: Sequence[Chart]) -> str:
    """The charts side by side."""
    width = WIDTH * len(charts)
    panels = "".join(f'<g transform="translate({WIDTH * n} 0)">{_panel(chart)}</g>' for n, chart in enumerate(charts))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" viewBox="0 0 {width} {HEIGHT}" '
        f'font-family="system-ui, sans-serif" font-size="12">'
        f'<rect width="{width}" height="{HEIGHT}" fill="#ffffff"/>{panels}</svg>\n'
    )


def _panel(chart: Chart) -> str:
    everything = [point for points in chart.series.values() for point in points]
    x_low, x_high = _decades([x for x, _ in everything])
    y_low, y_high = _decades([y for _, y in everything])

    def across(x: float) -> float:
        return LEFT + (math.log10(x) - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def down(y: float) -> float:
        return HEIGHT - BOTTOM - (math.log10(y) - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)

    parts = [_text(LEFT, 22, chart.title, weight="600"), _text(LEFT, TOP - 8, chart.unit, colour="#666666", size=11)]
    for power in range(x_low, x_high + 1):
        parts.append(_rule(across(10**power), TOP, across(10**power), HEIGHT - BOTTOM))
        parts.append(_text(across(10**power), HEIGHT - BOTTOM + 18, _number(10**power), anchor="middle"))
    for power in range(y_low, y_high + 1):
        parts.append(_rule(LEFT, down(10**power), WIDTH - RIGHT, down(10**power)))
        parts.append(_text(LEFT - 8, down(10**power) + 4, _number(10**power), anchor="end"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(_text(middle, HEIGHT - 12, chart.x_label, anchor="middle", colour="#666666"))
    ends = _apart([down(points[-1][1]) for points in chart.series.values()])
    for (name, points), colour, end in zip(chart.series.items(), COLOURS, ends, strict=False):
        path = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
        parts.append(_text(across(points[-1][0]) + 9, end + 4, name, colour=colour))
    return "".join(parts)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten around the values, at least one apart."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _apart(places: Sequence[float], least: float = 15) -> list[float]:
    """The places, moved down where two would be closer than ``least``."""
    moved = dict.fromkeys(range(len(places)), 0.0)
    previous = -math.inf
    for number in sorted(moved, key=lambda one: places[one]):
        previous = moved[number] = max(places[number], previous + least)
    return list(moved.values())


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#e4e4e4"/>'


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    colour: str = "#222222",
    weight: str = "400",
    size: int = 12,
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-weight="{weight}" '
        f'font-size="{size}">{escape(text)}</text>'
    )

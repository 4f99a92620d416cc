"""Colours chosen in OKLCH, where equal steps look equal, and written in sRGB."""

import math

Rgb = tuple[int, int, int]


def oklch(lightness: float, chroma: float, hue: float) -> Rgb:
    """The sRGB colour of a lightness in 0..1, a chroma and a hue in degrees (Ottosson, OKLab).

    A colour that a screen cannot show keeps its lightness and its hue and loses chroma.
    """
    for step in range(12, -1, -1):
        channels = _linear(lightness, chroma * step / 12, hue)
        if all(-0.002 <= channel <= 1.002 for channel in channels):
            break
    red, green, blue = (_encode(channel) for channel in channels)
    return red, green, blue


def mix(first: Rgb, second: Rgb, share: float) -> Rgb:
    """``first`` with a share, 0..1, of ``second`` in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _linear(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    a = chroma * math.cos(math.radians(hue))
    b = chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _encode(channel: float) -> int:
    channel = min(1.0, max(0.0, channel))
    curve = 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055
    return round(curve * 255)

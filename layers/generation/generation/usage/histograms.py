"""Histograms of latencies that add up, and percentiles from them that are within 5 %.

A bucket covers the milliseconds from its lower edge, which is not in it, to its upper edge, which is. Edges are powers
of ``10 ** (1 / 24)``, about 1.1007. By nearest rank a percentile is the latency of one call, and that call is in the
bucket that the rank falls into. The geometric middle of a bucket is at most ``sqrt(1.1007) - 1`` = 4.92 % from anything
in it, so the answer is, too, whatever the distribution and however many histograms were added. Powers of ten are edges.
"""

import math
from collections.abc import Iterable, Mapping
from itertools import zip_longest

PER_DECADE = 24
_ZERO = -1
"""The bucket of no time at all, which is the first one."""
# JSON reads four numbers of a list, or more, in the time of one with its key: so one bucket of four must have calls.
_SPARSE = 4

Histogram = dict[int, int]
Packed = list[int] | Mapping[str, int] | Mapping[int, int]
"""A histogram as JSON keeps it: the calls of each bucket from the first one on or, where most are empty, by number."""


def bucket(milliseconds: int) -> int:
    """The bucket of a latency."""
    return _ZERO if milliseconds <= 0 else math.ceil(PER_DECADE * math.log10(milliseconds))


def upper_edge(number: float) -> float:
    """The most milliseconds that a bucket covers."""
    return 0.0 if number == _ZERO else float(10 ** (number / PER_DECADE))


def add(total: Histogram, other: Mapping[int, int]) -> None:
    """Add the calls of another histogram."""
    for number, count in other.items():
        total[number] = total.get(number, 0) + count


def packed(histogram: Histogram) -> Packed:
    """The histogram as JSON keeps it."""
    last = max(histogram, default=_ZERO)
    if len(histogram) * _SPARSE < last:
        return histogram
    return [histogram.get(number, 0) for number in range(_ZERO, last + 1)]


def unpacked(content: Packed) -> Histogram:
    """The histogram of ``packed``."""
    if isinstance(content, list):
        return {number: count for number, count in enumerate(content, _ZERO) if count}
    return {int(number): count for number, count in content.items()}


def total(several: Iterable[Packed]) -> Histogram:
    """All of them together. Lists are added column by column: a year has some hundred of them."""
    lists: list[list[int]] = []
    together: Histogram = {}
    for one in several:
        if isinstance(one, list):
            lists.append(one)
        else:
            add(together, unpacked(one))
    add(together, unpacked([*map(sum, zip_longest(*lists, fillvalue=0))]))
    return together


def percentile(histogram: Mapping[int, int], percent: int) -> float | None:
    """The latency, in milliseconds, that so many of 100 calls did not exceed; None when there were no calls."""
    rank = -(-percent * sum(histogram.values()) // 100)
    if not rank:
        return None
    reached = 0
    for number in sorted(histogram):
        reached += histogram[number]
        if reached >= rank:
            break
    return _middle(number)


def _middle(number: int) -> float:
    if number == _ZERO:
        return 0.0
    low, high = math.floor(upper_edge(number - 1) + 1e-9) + 1, math.floor(upper_edge(number) + 1e-9)
    # Latencies are whole milliseconds, and short ones have a bucket of their own.
    return float(high) if low == high else round(upper_edge(number - 0.5), 1)

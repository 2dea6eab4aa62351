"""The knee of a curve: the breakpoint of two straight lines fitted by least squares."""

from __future__ import annotations

from collections.abc import Sequence

FLAT = 0.25
"""Share of the slope before the knee that the slope after it has at most (as guidellm draws it)."""


def find_knee(concurrency: Sequence[int], throughput: Sequence[float]) -> int | None:
    """Find the point where two straight lines that meet there fit the curve best and the second is flat; None if no second line is flat."""
    found: tuple[float, int] | None = None
    for at in range(1, len(concurrency) - 1):
        rise, rise_error = _line(concurrency[: at + 1], throughput[: at + 1])
        tail, tail_error = _line(concurrency[at:], throughput[at:])
        if rise > 0 and tail <= FLAT * rise and (found is None or rise_error + tail_error < found[0]):
            found = (rise_error + tail_error, concurrency[at])
    return None if found is None else found[1]


def _line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Compute the slope of the least-squares line and the sum of its squared errors."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    pairs = [(one - mean_x, other - mean_y) for one, other in zip(x, y, strict=True)]
    slope = sum(a * b for a, b in pairs) / sum(a * a for a, _b in pairs)
    return slope, sum((b - slope * a) ** 2 for a, b in pairs)

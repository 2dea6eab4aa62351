"""The throughput curve of a ladder: up to where answers take as long as in an empty server, and where the plateau crosses that line.

Below a knee throughput is concurrency over the latency of an empty server, a line through zero; above it, a plateau. The knee is where they
cross: plateau times latency. A server without a kink leaves the line early and gains on; a server that collapses has no plateau.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...results.stats.intervals import Interval
from ..measurement.rung import Rung

ON_LINE = 1.07
"""An answer on the line takes at most so many times what it takes in an empty server."""
SURELY_OFF = 1.2
"""Beyond this no noise of a rung excuses it."""
FLAT = 0.06
"""Rungs of one plateau differ by at most this share."""
KINK = 0.88
"""Share of the best throughput that the line reaches below a kink."""
NARROW = 0.08
"""A bracket this narrow, relative to its upper end, is closed."""
NEAR = 0.05
"""A tested rung this near is the knee."""
Z = 1.96


@dataclass(frozen=True, slots=True)
class Point:
    """All measurements at one concurrency."""

    concurrency: int
    per_s: float
    latency_s: float
    error: float
    """Relative standard error."""


@dataclass(frozen=True, slots=True)
class ThroughputCurve:
    """The points of a ladder against the line of an empty server."""

    points: Sequence[Point]
    empty_s: float
    """Latency of an answer in an empty server."""
    empty_error: float
    on: int | None
    """The highest concurrency on the line; None where even the lowest is not."""
    off: int | None
    """The lowest one above it that is not."""

    @property
    def plateau(self) -> Sequence[Point]:
        """The points above the line with nearly the best throughput of them, if the highest is one of these."""
        above = [] if self.off is None else [point for point in self.points if point.concurrency >= self.off]
        best = max((point.per_s for point in above), default=0.0)
        near = [point for point in above if point.per_s >= best * (1 - max(FLAT, Z * point.error))]
        return near if near and near[-1] is above[-1] else []

    @property
    def is_flat(self) -> bool:
        """Whether two points or more make a plateau."""
        return len(self.plateau) > 1

    @property
    def is_saturated(self) -> bool:
        """Whether no higher rung gains over the lowest, so that nothing is known of an empty server and the limit lies below."""
        lowest, above = self.points[0], self.points[1:]
        best = max((point.per_s for point in above), default=math.inf)
        return lowest.concurrency > 1 and lowest.per_s >= best * (1 - max(FLAT, Z * lowest.error))

    @property
    def best_per_s(self) -> float:
        """The throughput of the plateau, else the highest."""
        plateau = self.plateau
        if len(plateau) < 2:
            return max(point.per_s for point in self.points)
        weights = [1 / max(point.error, 1e-3) ** 2 for point in plateau]
        return math.fsum(w * point.per_s for w, point in zip(weights, plateau, strict=True)) / math.fsum(weights)

    @property
    def knee(self) -> float:
        """Where plateau and line cross."""
        return self.best_per_s * self.empty_s

    @property
    def error(self) -> float:
        """Relative standard error of the knee."""
        used = self.plateau if self.is_flat else [max(self.points, key=lambda point: point.per_s)]
        return math.hypot(min(point.error for point in used), self.empty_error)

    def at(self, concurrency: int) -> Point | None:
        """Return the point at a concurrency."""
        return next((point for point in self.points if point.concurrency == concurrency), None)

    def expected(self, concurrency: int) -> float | None:
        """Interpolate the throughput between the points around a concurrency; None outside."""
        lower = [point for point in self.points if point.concurrency <= concurrency]
        upper = [point for point in self.points if point.concurrency >= concurrency]
        if not lower or not upper:
            return None
        a, b = lower[-1], upper[0]
        if a.concurrency == b.concurrency:
            return a.per_s
        share = (concurrency - a.concurrency) / (b.concurrency - a.concurrency)
        return a.per_s + share * (b.per_s - a.per_s)


@dataclass(frozen=True, slots=True)
class Knee:
    """The knee, as far as the search has come."""

    limit: int | None
    """None while it is open, or where the curve has no kink."""
    step: int | None
    """The concurrency to test next; None where nothing is left to test."""
    interval: Interval | None = None


def curve_of(rungs: Sequence[Rung]) -> ThroughputCurve | None:
    """Build the curve of rungs whose throughput means something; None without any."""
    points = [_pooled(group) for group in _by_concurrency(rungs) if _pooled(group) is not None]
    known = [point for point in points if point is not None]
    if not known:
        return None
    line = [known[0]]
    for point in known[1:]:
        base = [lower for lower in line if 2 * lower.concurrency <= point.concurrency] or line
        empty_s, error = _mean_latency(base)
        slower, noise = point.latency_s / empty_s, Z * math.hypot(error, point.error)
        if slower <= ON_LINE or slower <= min(SURELY_OFF, 1 + noise):
            line.append(point)
    off = next((point.concurrency for point in known if point.concurrency > line[-1].concurrency), None)
    base = [point for point in line if 2 * point.concurrency <= line[-1].concurrency] or line
    return ThroughputCurve(known, *_mean_latency(base), line[-1].concurrency, off)


def find_knee(curve: ThroughputCurve, below: int | None) -> Knee:
    """Find the knee or the next concurrency to test, under `below`, the lowest rung that failed."""
    on, off = curve.on, curve.off
    if on is None or off is None:
        return Knee(None, None)
    top = off if below is None else min(off, below)
    knee, best = curve.knee, curve.best_per_s
    on_point = curve.at(on)
    assert on_point is not None
    if curve.is_flat and knee >= KINK * on:
        return _of_plateau(curve, knee, below)
    if top - on <= max(1, round(NARROW * top)):
        is_kink = on_point.per_s >= KINK * best
        slack = 1 + Z * curve.error
        return Knee(on, None, Interval(on / slack, top * slack)) if is_kink else Knee(None, None)
    candidates = (round(knee), max(on + 1, round(1.1 * on)) if on >= 0.9 * knee else 0, (on + top) // 2)
    inside = (c for c in candidates if 1.04 * on < c < top / 1.04 or (c == on + 1 < top))
    return Knee(None, next(inside, (on + top) // 2))


def _of_plateau(curve: ThroughputCurve, knee: float, below: int | None) -> Knee:
    """Take the tested rung nearest to the crossing, or test it."""
    slack = 1 + Z * curve.error
    interval = Interval(knee / slack, knee * slack)
    tested = [point.concurrency for point in curve.points if below is None or point.concurrency < below]
    nearest = min(tested, key=lambda c: abs(c - knee), default=None)
    point = None if nearest is None else curve.at(nearest)
    if point is not None and abs(point.concurrency - knee) <= max(0.5, NEAR * knee):
        is_kink = point.per_s * (1 + Z * point.error) >= KINK * curve.best_per_s
        return Knee(nearest, None, interval) if is_kink else Knee(None, None)
    wanted = max(1, round(knee))
    return Knee(nearest, None, interval) if below is not None and wanted >= below else Knee(None, wanted)


def _by_concurrency(rungs: Sequence[Rung]) -> list[list[Rung]]:
    grouped: dict[int, list[Rung]] = {}
    for rung in rungs:
        grouped.setdefault(rung.concurrency, []).append(rung)
    return [grouped[concurrency] for concurrency in sorted(grouped)]


def _pooled(rungs: Sequence[Rung]) -> Point | None:
    usable = [(rung, rung.latency_s) for rung in rungs if rung.latency_s and rung.per_s]
    if not usable:
        return None
    weights = [1 / max(rung.error, 1e-3) ** 2 for rung, _latency_s in usable]
    total = math.fsum(weights)
    return Point(
        rungs[0].concurrency,
        math.fsum(w * rung.per_s for w, (rung, _latency_s) in zip(weights, usable, strict=True)) / total,
        math.fsum(w * (latency_s or 0.0) for w, (_rung, latency_s) in zip(weights, usable, strict=True)) / total,
        1 / math.sqrt(total),
    )


def _mean_latency(points: Sequence[Point]) -> tuple[float, float]:
    weights = [1 / max(point.error, 1e-3) ** 2 for point in points]
    total = math.fsum(weights)
    return math.fsum(w * point.latency_s for w, point in zip(weights, points, strict=True)) / total, 1 / math.sqrt(
        total
    )

"""Whether a quantity that was sampled over time grows: a line is fitted to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import linear_regression, mean

WARM_UP = 0.3
"""The share of an execution that is left out: what is opened, learned and cached at its start is no growth."""
FEWEST = 20
"""Samples from which a line is fitted."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """What one process held at one time."""

    at_s: float
    """Since the start of the process."""
    memory_mb: float
    descriptors: int
    threads: int
    tasks: int
    log_kb: float
    """The run's decisions and executions."""
    journal_kb: float
    results_kb: float


MOST_RISE: Mapping[str, float] = {"memory_mb": 15.0, "descriptors": 5.0, "threads": 1.0, "tasks": 15.0}
"""The most that a fitted line may rise within one execution. What the journal holds between two compactions comes and goes."""


@dataclass(frozen=True, slots=True)
class Growth:
    """The line through one quantity of one execution."""

    quantity: str
    mean: float
    most: float
    rise: float
    """By the fitted line, from the end of the warm-up to the end of the execution."""
    per_hour: float

    @property
    def is_flat(self) -> bool:
        """Return whether the rise is within what is allowed."""
        return self.rise <= MOST_RISE.get(self.quantity, float("inf"))


def fit_growth(samples: Sequence[Sampled]) -> list[Growth]:
    """Fit a line to every quantity of one execution, its warm-up left out; none where it was too short."""
    if not samples:
        return []
    begin_s = samples[0].at_s + WARM_UP * (samples[-1].at_s - samples[0].at_s)
    later = [sampled for sampled in samples if sampled.at_s >= begin_s]
    if len(later) < FEWEST:
        return []
    return [_fit(name, later) for name in (*MOST_RISE, "log_kb", "journal_kb", "results_kb")]


def _fit(name: str, samples: Sequence[Sampled]) -> Growth:
    times, values = [sampled.at_s for sampled in samples], [float(getattr(sampled, name)) for sampled in samples]
    slope = linear_regression(times, values).slope
    return Growth(
        quantity=name,
        mean=round(mean(values), 2),
        most=max(values),
        rise=round(slope * (times[-1] - times[0]), 2),
        per_hour=round(3600 * slope, 2),
    )


def log_rates(samples: Sequence[Sampled]) -> tuple[float, float] | None:
    """Return the bytes of log per hour in the first and the second half of an execution after its warm-up."""
    begin = round(WARM_UP * len(samples))
    middle = (begin + len(samples)) // 2
    if len(samples) - begin < FEWEST:
        return None
    return _rate(samples[begin : middle + 1]), _rate(samples[middle:])


def _rate(samples: Sequence[Sampled]) -> float:
    first, last = samples[0], samples[-1]
    return round(3600 * (last.log_kb - first.log_kb) / max(1e-9, last.at_s - first.at_s), 1)

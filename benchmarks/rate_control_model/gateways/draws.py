"""What every family draws: rates and windows, times, the form of a refusal, and the size of the batch."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from providers.simulator.limits.quota import Meter, SlidingWindow

from ..scenarios import fixed_window
from ..servers import Traits, latency_of
from .rules import Wait

FEWEST_WINDOWS = 12
FEWEST_ANSWERS = 600
SHORTEST_RUN_S = 300.0
MOST_ANSWERS = 2400
USUAL_OUTPUT = 160


@dataclass(frozen=True, slots=True)
class Window:
    """A limit of requests per window."""

    limit: int
    window_s: float
    phase_s: float | None
    """Time from the last boundary of a fixed window to the start of the run; None for a sliding window."""

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.limit / self.window_s

    def __str__(self) -> str:
        kind = "sliding" if self.phase_s is None else "fixed"
        return f"{self.limit} requests per {self.window_s:.2f} s, {kind}"

    def meter(self, limit: float | None = None) -> Meter:
        """Create its meter, or one with another limit."""
        limit = self.limit if limit is None else limit
        if self.phase_s is None:
            return SlidingWindow(limit, self.window_s)
        return fixed_window(limit, self.window_s, self.phase_s)

    def batch(self) -> int:
        """Return the size of a batch for twelve windows and five minutes, or 2,400 answers, and at least four windows."""
        windows = max(FEWEST_WINDOWS, SHORTEST_RUN_S / self.window_s)
        return max(4 * self.limit, min(math.ceil(windows * self.limit), MOST_ANSWERS))


class Source:
    """The random draws of one endpoint."""

    def __init__(self, family: str, seed: int, index: int) -> None:
        self.random = random.Random(f"gateways {family} {seed} {index}")

    def spread(self, low: float, high: float) -> float:
        """Draw log-uniformly."""
        return math.exp(self.random.uniform(math.log(low), math.log(high)))

    def traits(self, low_s: float = 0.2, high_s: float = 3.0) -> tuple[Traits, float]:
        """Draw the times of an endpoint: answers of `low_s` to `high_s` in the mean, refusals in 10-200 ms. Return the mean, too."""
        mean_s, refuses_s = self.spread(low_s, high_s), self.spread(0.01, 0.1)
        latency = latency_of(0.3 * mean_s, USUAL_OUTPUT / (0.7 * mean_s))
        return Traits(latency=latency, refuses_in=(refuses_s, 2 * refuses_s)), mean_s

    def window(self, per_minute: tuple[float, float], multiple: int = 1) -> Window:
        """Draw a limit of requests per minute in a window of 3-90 s, sliding or fixed; the limit is a multiple of the given number."""
        rate, window_s = self.spread(*per_minute) / 60, self.spread(3, 90)
        limit = multiple * max(1, round(rate * window_s / multiple))
        phase_s = self.random.uniform(0, window_s) if self.random.random() < 0.5 else None
        return Window(limit, window_s, phase_s)

    def counted_window(self) -> Window:
        """Draw an even limit of 20-600 requests in a window of 3-60 s, sliding or fixed, of at most 30 requests per second."""
        window_s = self.spread(3, 60)
        limit = 2 * max(5, round(self.spread(20, min(600, 30 * window_s)) / 2))
        phase_s = self.random.uniform(0, window_s) if self.random.random() < 0.5 else None
        return Window(limit, window_s, phase_s)

    def wait(self) -> Wait:
        """Draw what a refusal states."""
        waits: tuple[Wait, ...] = ("exact", "window", "none")
        return self.random.choice(waits)


def answers_for(rate: float) -> int:
    """Return the size of a batch for five minutes at a rate of requests per second, between 600 and 2,400 answers."""
    return int(max(FEWEST_ANSWERS, min(MOST_ANSWERS, rate * SHORTEST_RUN_S)))


def span_of_use_s(rate: float, window_s: float) -> float:
    """Return the time that shows whether a rate is used: 30 s, 20 requests and three windows, in whole windows."""
    shortest_s = max(30.0, 20 / rate, 3 * window_s)
    return shortest_s if window_s == 0 else window_s * math.ceil(shortest_s / window_s)

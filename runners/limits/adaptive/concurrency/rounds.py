"""A round of measurement: the answers to requests that were all sent under one concurrency cap.

The signal is rho, the latency per token: it does not depend on the length of the answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

OVERHEAD_TOKENS = 20
"""Fixed cost of a request in tokens: prefill and network."""
SHORTEST_RHO = 1e-9


@dataclass(slots=True)
class Round:
    """The answers to the requests from number `first` on."""

    first: int = 0
    began_at: float = 0.0
    answers: int = 0
    latency_s: float = 0.0
    tokens: float = 0.0
    held_up: int = 0
    """How often the cap made a request wait."""
    sent: int = 0

    @property
    def rho(self) -> float:
        """Seconds per token."""
        return max(SHORTEST_RHO, self.latency_s / max(1.0, self.tokens))

    def add(self, latency_s: float, output_tokens: int) -> None:
        """Add one answer."""
        self.answers += 1
        self.latency_s += latency_s
        self.tokens += max(1, output_tokens) + OVERHEAD_TOKENS

    def goodput(self, now: float) -> float:
        """Return the answers per second; 0 for a round that took no time."""
        return self.answers / (now - self.began_at) if now > self.began_at else 0.0


@dataclass(frozen=True, slots=True)
class RoundMeasurement:
    """A concurrency cap and the rho measured with it."""

    cap: float
    rho: float

    def elasticity(self, cap: float, rho: float) -> float:
        """Return the elasticity of throughput with respect to concurrency, 1 - d ln(rho) / d ln(cap)."""
        return 1 - math.log(rho / self.rho) / math.log(cap / self.cap)

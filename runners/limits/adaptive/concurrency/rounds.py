"""A round: answers to requests that were all sent under one cap, and what they say about it.

Latency per token, rho, takes the length of answers out of the signal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

OVERHEAD_TOKENS = 20
"""What a request costs beside its tokens, in tokens: prefill and the way there."""
SHORTEST_RHO = 1e-9


@dataclass(slots=True)
class Round:
    """Since request number `first`."""

    first: int = 0
    began_at: float = 0.0
    answers: int = 0
    latency_s: float = 0.0
    tokens: float = 0.0
    held_up: int = 0
    """Times that the cap said wait."""
    sent: int = 0

    @property
    def rho(self) -> float:
        """Seconds per token."""
        return max(SHORTEST_RHO, self.latency_s / max(1.0, self.tokens))

    def add(self, latency_s: float, output_tokens: int) -> None:
        self.answers += 1
        self.latency_s += latency_s
        self.tokens += max(1, output_tokens) + OVERHEAD_TOKENS

    def goodput(self, now: float) -> float:
        """Answers per second; none for a round that took no time."""
        return self.answers / (now - self.began_at) if now > self.began_at else 0.0


@dataclass(frozen=True, slots=True)
class RoundMeasurement:
    """A cap and the rho that it was seen with."""

    cap: float
    rho: float

    def elasticity(self, cap: float, rho: float) -> float:
        """The share of a change in concurrency that became throughput, 1 - d ln(rho) / d ln(cap)."""
        return 1 - math.log(rho / self.rho) / math.log(cap / self.cap)

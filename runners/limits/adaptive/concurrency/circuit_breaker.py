"""The circuit breaker: after five server errors in a row it lets one request through at a time, at growing intervals.

Server errors never change a limit.
"""

from __future__ import annotations

IN_A_ROW = 5
LONGEST_S = 60.0


class CircuitBreaker:
    """The circuit breaker of one limiter group."""

    def __init__(self) -> None:
        self.opens_at = 0.0
        self.failures = 0

    def succeeded(self) -> None:
        """Close it: a request was answered."""
        self.failures = 0

    def failed(self, now: float) -> bool:
        """Count a server error and return whether it tripped the breaker or kept it tripped."""
        self.failures += 1
        if self.failures < IN_A_ROW or now < self.opens_at:
            return False
        self.opens_at = now + min(LONGEST_S, 2.0 ** min(6, self.failures - IN_A_ROW))
        return True

    @property
    def is_tripped(self) -> bool:
        """Whether only one request may be in flight."""
        return self.failures >= IN_A_ROW

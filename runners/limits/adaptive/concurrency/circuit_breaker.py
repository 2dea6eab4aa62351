"""Server errors in a row: after the fifth one request is let through at a time, at growing distances. They never move a limit."""

from __future__ import annotations

IN_A_ROW = 5
LONGEST_S = 60.0


class CircuitBreaker:
    def __init__(self) -> None:
        self.opens_at = 0.0
        self.failures = 0

    def succeeded(self) -> None:
        self.failures = 0

    def failed(self, now: float) -> bool:
        """True where this one tripped it, or kept it tripped."""
        self.failures += 1
        if self.failures < IN_A_ROW or now < self.opens_at:
            return False
        self.opens_at = now + min(LONGEST_S, 2.0 ** min(6, self.failures - IN_A_ROW))
        return True

    @property
    def is_tripped(self) -> bool:
        return self.failures >= IN_A_ROW

"""How many requests a rung sends: until failures are decided by a sequential test and throughput is known well enough.

Failed and refused requests are tested one by one, 0.4 against 2 times the share that the rules allow (2 % against 10 %), with 1 % for each
error (Wald's sequential probability ratio test). Its two lines enclose the allowed share, so the decision agrees with the share itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from runners.load.request_result import RequestResult
from runners.load.run_load import LoadGenerator

from .throughput import relative_error, straggler_s

ERROR = 0.05
"""Relative standard error of throughput that ends a rung."""
MOST = 800
"""Requests of a rung, where its first look is not larger."""
DECIDED = math.log(99)
CHECK_EVERY = 20


def first_look(concurrency: int, per_slot: int, least: int) -> int:
    """Return the fewest requests of a rung without failures: three rounds at a low concurrency, two at a high one."""
    return max(least, min(per_slot * concurrency, 2 * concurrency + 200))


@dataclass(slots=True)
class RungSampling:
    """The decision to end a rung, taken with every result."""

    concurrency: int
    first_look: int
    allowed: float
    """Share of the requests that may fail or be refused."""
    load_generator: LoadGenerator | None = None
    _evidence: float = 0.0
    _seconds: list[float] = field(default_factory=list)
    _ended: int = 0
    _refused_at: int | None = None

    @property
    def most(self) -> int:
        """The requests of the rung at most."""
        return max(MOST, self.first_look)

    def take(self, result: RequestResult) -> None:
        """Count one result, and end the rung where enough is known."""
        self._ended += 1
        good, bad = (min(0.9 * factor / 2, factor * max(self.allowed, 0.001)) for factor in (0.4, 2.0))
        if result.how == "ok":
            self._seconds.append(result.ended_at - result.scheduled.dispatched_at)
            self._evidence = self._evidence + math.log((1 - bad) / (1 - good))
        else:
            self._evidence += math.log(bad / good)
            self._refused_at = self._refused_at or self._ended
        if self.load_generator is not None and self._is_enough():
            self.load_generator.is_enough.set()

    def _is_enough(self) -> bool:
        if self._evidence >= DECIDED:  # the next results show whether it takes others in the place of those that end
            return self._ended >= (self._refused_at or 0) + self.concurrency
        due = max(1, self.first_look - self.concurrency)
        if self._evidence > -DECIDED or self._ended < due or (self._ended - due) % CHECK_EVERY:
            return False
        longest_s = straggler_s(self._seconds)
        return relative_error([min(took_s, longest_s) for took_s in self._seconds]) <= ERROR

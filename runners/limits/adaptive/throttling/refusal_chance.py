"""Whether refusals come by chance: whether the next request is accepted as if nothing had been refused."""

from __future__ import annotations

ACCEPTED, REFUSED = 0.16, -1.9
"""What an accepted and a refused trial add to the evidence of chance: log(0.85 / 0.72) and log(0.15 / 1)."""
HELD, LEFT = 3.0, -3.0


class RefusalChance:
    """The evidence of one limiter. Trials are sent at once after a refusal."""

    def __init__(self) -> None:
        self._accepted = self._refused = 0

    @property
    def is_possible(self) -> bool:
        """Whether it is worth a trial."""
        return self._refused < 2 or self._accepted > 2 * self._refused

    def tested(self, *, accepted: bool) -> None:
        """Note the outcome of a trial."""
        if accepted:
            self._accepted += 1
        else:
            self._refused += 1

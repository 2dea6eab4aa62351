"""The time that a refusal takes to arrive: a request without one for longer was accepted, although its answer takes seconds."""

from __future__ import annotations

FIRST_DELAY_S = 0.5
"""The time that a refusal is assumed to take before the first one: a request counts as accepted after about three times that."""


class RefusalDelay:
    """The time that a refusal takes to arrive: mean and mean deviation, estimated as TCP estimates its round trip (RFC 6298)."""

    def __init__(self) -> None:
        self.mean_s = FIRST_DELAY_S
        self._deviation_s = FIRST_DELAY_S / 2
        self._has_learned = False
        self.patience_s = self._patience_s()
        """The time without a refusal after which a request counts as accepted."""

    def learn(self, delay_s: float) -> None:
        """Add the delay of one refusal."""
        if not self._has_learned:
            self._has_learned, self.mean_s, self._deviation_s = True, delay_s, delay_s / 2
        else:
            self._deviation_s += 0.25 * (abs(delay_s - self.mean_s) - self._deviation_s)
            self.mean_s += 0.125 * (delay_s - self.mean_s)
        self.patience_s = self._patience_s()

    def _patience_s(self) -> float:
        return max(1.5 * self.mean_s, self.mean_s + 4 * self._deviation_s) + 0.02

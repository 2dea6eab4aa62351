"""The throttle gate of the fixed limiter: when it shuts, nothing is sent until the server's Retry-After, or a guess, is over."""

from __future__ import annotations

from .permit import Settled

FIRST_WAIT_S = 0.5
LONGEST_GUESS_S = 60.0
"""One quota window of a minute: without a Retry-After, no longer wait is needed for the limits in use."""


class ThrottleGate:
    """The gate of one limiter. The guess doubles with each refusal. Pure: every method takes `now` in loop seconds."""

    def __init__(self) -> None:
        self.opens_at = 0.0
        self._guess_s = FIRST_WAIT_S

    def settle(self, settled: Settled, now: float) -> None:
        """Learn from the end of a request. Refusals of one burst count once: those that arrive while the gate is shut change no guess."""
        if settled.how == "succeeded":
            self._guess_s = FIRST_WAIT_S
        elif settled.how == "throttled":
            self._shut(settled.hint.retry_after_s if settled.hint else None, now)

    def extend(self, until: float) -> None:
        """Keep it shut until then, at least."""
        self.opens_at = max(self.opens_at, until)

    def _shut(self, retry_after_s: float | None, now: float) -> None:
        if retry_after_s:  # a Retry-After of 0 s is no information
            self.opens_at = max(self.opens_at, now + retry_after_s)
        elif now >= self.opens_at:
            self.opens_at = now + self._guess_s
            self._guess_s = min(2 * self._guess_s, LONGEST_GUESS_S)

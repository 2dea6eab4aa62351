"""The throttle gate: after a refusal nobody sends until the server's own time, or an own guess that doubles, is over."""

from __future__ import annotations

from .permit import Settled

FIRST_WAIT_S = 0.5
LONGEST_GUESS_S = 60.0
"""One quota window: without a word from the server, no limit in the field needs a longer wait."""


class ThrottleGate:
    """Pure: every method takes `now` in loop seconds."""

    def __init__(self) -> None:
        self.opens_at = 0.0
        self._guess_s = FIRST_WAIT_S

    def settle(self, settled: Settled, now: float) -> None:
        """Learn from the end of a request. Refusals of one burst count once: those that arrive while the gate is shut teach nothing."""
        if settled.how == "succeeded":
            self._guess_s = FIRST_WAIT_S
        elif settled.how == "throttled":
            self._shut(settled.hint.retry_after_s if settled.hint else None, now)

    def _shut(self, retry_after_s: float | None, now: float) -> None:
        if retry_after_s:  # a server that refuses and says "after 0 s" has said nothing
            self.opens_at = max(self.opens_at, now + retry_after_s)
        elif now >= self.opens_at:
            self.opens_at = now + self._guess_s
            self._guess_s = min(2 * self._guess_s, LONGEST_GUESS_S)

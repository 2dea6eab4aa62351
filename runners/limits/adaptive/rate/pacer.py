"""Even spacing of sends: a virtual schedule (GCRA, ITU-T I.371) with a slack of two gaps, so that a late send does not delay the next."""

from __future__ import annotations

from ...permit import TICK_S

MOST_SLACK_S = 1.0


class Pacer:
    """The schedule of the sends of one limiter group."""

    def __init__(self) -> None:
        self.next_at = 0.0

    def is_due(self, now: float) -> bool:
        """Return whether the next send is due, or will be within the timer tick: then it goes now, and the schedule stays."""
        return self.next_at <= now + TICK_S

    def sent(self, gap_s: float, now: float) -> None:
        """Schedule the next send `gap_s` after this one's scheduled time."""
        slack_s = min(MOST_SLACK_S, 2 * gap_s)
        self.next_at = max(self.next_at, now - slack_s) + gap_s

    def restart(self, at: float) -> None:
        """Start the schedule again at `at`."""
        self.next_at = at

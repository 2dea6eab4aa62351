"""Even spacing of sends: a virtual schedule (GCRA, ITU-T I.371) with two gaps of slack, so that a late send does not lose its place."""

from __future__ import annotations

MOST_SLACK_S = 1.0


class Pacer:
    def __init__(self) -> None:
        self.next_at = 0.0

    def sent(self, gap_s: float, now: float) -> None:
        """Book the next send `gap_s` after this one's place in the schedule."""
        slack_s = min(MOST_SLACK_S, 2 * gap_s)
        self.next_at = max(self.next_at, now - slack_s) + gap_s

    def restart(self, at: float) -> None:
        self.next_at = at

"""Asking a concurrency limit for more slots: one at first, then two, then four; refused, ever more rarely."""

from __future__ import annotations

from collections import deque

FIRST_PROBE_S = 3.0
LONGEST_PROBE_S = 600.0
REFUSED_BUDGET = 0.004
"""Share of requests that probing may cost."""
RARE_S = 30.0
QUIET = 0.5
"""A probe goes out no sooner than this share of the mean distance of two sends after the last one: a bucket of one would refuse it."""
ALIKE = 3
"""Refusals in a row, each beside more than were ever accepted and all beside equally many, that make a concurrency limit of any size."""
SAME = 0.03


class SlotProbe:
    def __init__(self) -> None:
        self.base: int | None = None
        """What was accepted, while more is being tried."""
        self.every_s = 0.0
        self._at = float("inf")
        self._step = 1

    def stop(self) -> None:
        self.base, self._step = None, 1

    def wait(self, latency_s: float, now: float) -> None:
        """Start asking anew, not before two answers would have come."""
        self.stop()
        self.every_s = max(FIRST_PROBE_S, self.every_s)
        self._at = now + max(self.every_s, 2 * latency_s)

    def start_now(self) -> None:
        self.every_s, self._at = FIRST_PROBE_S, 0.0

    def is_due(self, now: float) -> bool:
        return now >= self._at

    def ask(self, slots: int, latency_s: float, now: float) -> int:
        """How many more to try. That it is asked again says that the last ones were accepted."""
        if self.base is not None:
            self._step, self.every_s = min(2 * self._step, slots), 0.0
        self.base = slots
        self._at = now + max(self.every_s, 1.5 * latency_s)
        return self._step

    def met(self, beside: int) -> bool:
        """A refusal beside so many answers the question that is being asked."""
        return self.base is not None and beside >= self.base

    def refused(self, goodput: float) -> None:
        """Three times rarer, and rare enough to stay within the budget at `goodput` requests per second."""
        rarer_s = max(3 * self.every_s, 0.1 / (REFUSED_BUDGET * max(0.1, goodput)))
        if rarer_s > RARE_S:
            rarer_s = max(rarer_s, 1 / (REFUSED_BUDGET * max(0.1, goodput)))
        self.every_s = min(LONGEST_PROBE_S, rarer_s)

    def quiet_until(self, in_flight: int, last_sent_at: float, latency_s: float) -> float:
        """Before this time the send that probes has to wait; other sends need not."""
        if self.base is None or in_flight < self.base:
            return 0.0
        return last_sent_at + QUIET * latency_s / self.base


class AlikeRefusals:
    """A rate refuses beside now more, now fewer; a concurrency limit always beside as many."""

    def __init__(self) -> None:
        self._beside: deque[int] = deque(maxlen=ALIKE)

    def clear(self) -> None:
        self._beside.clear()

    def add(self, beside: int, accepted_beside: int) -> bool:
        """Whether the last few, this one included, were all alike."""
        if beside <= accepted_beside or beside < 1:
            self._beside.clear()
            return False
        self._beside.append(beside)
        most = max(self._beside)
        return len(self._beside) == ALIKE and most - min(self._beside) <= SAME * most

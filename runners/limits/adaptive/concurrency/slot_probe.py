"""Probes for a higher concurrency limit: one more slot, then two, then four; after a refusal at growing intervals."""

from __future__ import annotations

from collections import deque

FIRST_PROBE_S = 3.0
LONGEST_PROBE_S = 600.0
REFUSED_BUDGET = 0.004
"""Share of requests that probing may cost."""
RARE_S = 30.0
QUIET = 0.5
"""A probe is sent at least this share of the mean send interval after the last send: a bucket of one request would refuse it sooner."""
ALIKE = 3
"""Refusals in a row at an equal number of requests in flight, higher than any accepted one, that prove a concurrency limit."""
SAME = 0.03


class SlotProbe:
    """The schedule of probes for more slots."""

    def __init__(self) -> None:
        self.base: int | None = None
        """The number of accepted slots while more are being probed; None otherwise."""
        self.every_s = 0.0
        self._at = float("inf")
        self._step = 1

    def stop(self) -> None:
        """Stop probing."""
        self.base, self._step = None, 1

    def wait(self, latency_s: float, now: float) -> None:
        """Schedule the next first probe, after at least two latencies."""
        self.stop()
        self.every_s = max(FIRST_PROBE_S, self.every_s)
        self._at = now + max(self.every_s, 2 * latency_s)

    def start_now(self) -> None:
        """Schedule the first probe at once."""
        self.every_s, self._at = FIRST_PROBE_S, 0.0

    def is_due(self, now: float) -> bool:
        """Return whether it is time for the next probe."""
        return now >= self._at

    def ask(self, slots: int, latency_s: float, now: float) -> int:
        """Return how many more slots to try. A second call while probing means that the last ones were accepted."""
        if self.base is not None:
            self._step, self.every_s = min(2 * self._step, slots), 0.0
        self.base = slots
        self._at = now + max(self.every_s, 1.5 * latency_s)
        return self._step

    def met(self, beside: int) -> bool:
        """Return whether a refusal with `beside` other requests in flight is the result of the current probe."""
        return self.base is not None and beside >= self.base

    def refused(self, goodput: float) -> None:
        """Make probes three times rarer, and rare enough for REFUSED_BUDGET at `goodput` requests per second."""
        rarer_s = max(3 * self.every_s, 0.1 / (REFUSED_BUDGET * max(0.1, goodput)))
        if rarer_s > RARE_S:
            rarer_s = max(rarer_s, 1 / (REFUSED_BUDGET * max(0.1, goodput)))
        self.every_s = min(LONGEST_PROBE_S, rarer_s)

    def quiet_until(self, in_flight: int, last_sent_at: float, latency_s: float) -> float:
        """Return the time until which the probing send must wait; other sends need not."""
        if self.base is None or in_flight < self.base:
            return 0.0
        return last_sent_at + QUIET * latency_s / self.base


class AlikeRefusals:
    """Detection of refusals at an equal number of requests in flight: a concurrency limit causes them, a rate limit does not."""

    def __init__(self) -> None:
        self._beside: deque[int] = deque(maxlen=ALIKE)

    def clear(self) -> None:
        """Forget all refusals."""
        self._beside.clear()

    def add(self, beside: int, accepted_beside: int) -> bool:
        """Add a refusal and return whether the last `ALIKE` ones were alike."""
        if beside <= accepted_beside or beside < 1:
            self._beside.clear()
            return False
        self._beside.append(beside)
        most = max(self._beside)
        return len(self._beside) == ALIKE and most - min(self._beside) <= SAME * most

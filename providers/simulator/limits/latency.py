"""The latency of an endpoint: processor sharing with a limited number of seats, as a pure class on a given clock.

A virtual service clock V runs at full speed with up to K answers in service and at K/n with n > K. An answer that starts at V0 and needs w
seconds of work ends when V = V0 + w, whatever arrives or leaves meanwhile, so one heap of V values suffices (the usual fluid model of
processor sharing). An answer may have milestones, one for each streamed token.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from statistics import NormalDist
from typing import TYPE_CHECKING

from ...seeded_draws import draw_uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..settings.provider import LatencySettings

_NORMAL = NormalDist()


def draw_noise(seed: int, request_id: str, sigma: float) -> float:
    """Draw the log-normal factor of a request; its median is 1."""
    if sigma == 0:
        return 1.0
    return math.exp(sigma * _NORMAL.inv_cdf(draw_uniform(seed, "latency", request_id)))


def draw_extra_s(seed: int, request_id: str, settings: LatencySettings) -> float:
    """Draw the extra seconds of a long answer; 0 for other answers."""
    return settings.long_s if settings.long and draw_uniform(seed, "long", request_id) < settings.long else 0.0


class Job:
    """An answer in progress that has passed `reached` of its milestones."""

    __slots__ = ("is_gone", "milestones_s", "reached", "seated_v")

    def __init__(self, milestones_s: Sequence[float]) -> None:
        self.milestones_s = milestones_s
        """Seconds of service from the start, ascending; the last is the end."""
        self.reached = 0
        self.seated_v = math.nan
        """The service clock when the job got a seat; NaN while it waits."""
        self.is_gone = False

    @property
    def is_done(self) -> bool:
        """Return whether the last milestone is passed."""
        return self.reached == len(self.milestones_s)


class ProcessorSharing:
    """A server with at most `seats` jobs in service, of which `saturates_at` run at full speed; other jobs wait in order of arrival.

    `arrive` and `leave` advance to `now`; call `advance` before `next_event` otherwise. Times must not decrease.
    """

    def __init__(self, settings: LatencySettings) -> None:
        self._full_speed = math.inf if settings.saturates_at is None else float(settings.saturates_at)
        self._seats = math.inf if settings.seats is None else float(settings.seats)
        self._heap: list[tuple[float, int, Job]] = []
        """(V of the next milestone, order, job): one entry for each job in service, and for some that left."""
        self._waiting: deque[Job] = deque()
        self._seated = 0
        self._v = 0.0
        self._at = 0.0
        self._order = 0

    def arrive(self, job: Job, now: float) -> list[Job]:
        """Add a job; return the jobs that passed a milestone meanwhile."""
        passed = self.advance(now)
        self._waiting.append(job)
        self._fill_seats()
        return passed

    def leave(self, job: Job, now: float) -> list[Job]:
        """Remove a job before its end, when the client disconnects; return the jobs that passed a milestone meanwhile."""
        passed = self.advance(now)
        if job.is_done or job.is_gone:
            return passed
        job.is_gone = True
        if math.isnan(job.seated_v):
            self._waiting.remove(job)
        else:
            self._seated -= 1
            self._fill_seats()
        return passed

    def advance(self, now: float) -> list[Job]:
        """Advance the service to `now`; return the jobs that passed a milestone, in order of time."""
        passed: list[Job] = []
        while (event_at := self.next_event()) is not None and event_at <= now:
            v, _, job = heapq.heappop(self._heap)
            self._v, self._at = v, max(self._at, event_at)
            self._pass_milestone(job)
            passed.append(job)
        self._v += max(0.0, now - self._at) * self._speed()
        self._at = max(self._at, now)
        return passed

    def next_event(self) -> float | None:
        """Compute when the next milestone is passed if no job arrives or leaves; None where no job is in service."""
        while self._heap and self._heap[0][2].is_gone:
            heapq.heappop(self._heap)
        if not self._heap:
            return None
        return self._at + max(0.0, self._heap[0][0] - self._v) / self._speed()

    def _speed(self) -> float:
        return min(1.0, self._full_speed / self._seated) if self._seated else 1.0

    def _pass_milestone(self, job: Job) -> None:
        job.reached += 1
        if job.is_done:
            self._seated -= 1
            self._fill_seats()
        else:
            self._push(job)

    def _fill_seats(self) -> None:
        while self._waiting and self._seated < self._seats:
            job = self._waiting.popleft()
            job.seated_v = self._v
            self._seated += 1
            self._push(job)

    def _push(self, job: Job) -> None:
        self._order += 1
        heapq.heappush(self._heap, (job.seated_v + job.milestones_s[job.reached], self._order, job))

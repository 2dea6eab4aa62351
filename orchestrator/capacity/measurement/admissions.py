"""What the moments of refusals say about their cause.

A server that carries at most N requests at a time refuses exactly those that would be one too many: every refusal comes with N requests in
flight that it had admitted, and no request is admitted beyond. A quota refuses at any number in flight once its window is spent.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runners.load.request_result import RequestResult

from ...results.stats.percentiles import percentile

SLACK = 0.1
"""Share of the head count by which the client may see it wrongly: answers and requests cross on the way."""


@dataclass(frozen=True, slots=True)
class Admissions:
    """Numbers of admitted requests in flight, at admissions and at refusals; each counts the request itself."""

    most_admitted: int
    """The 98th percentile."""
    least_refused: int
    """The 5th percentile."""
    middle_refused: int
    refused: int
    is_opening: bool = False
    """Whether all refusals came among the first requests, one for each in flight: a bucket of tokens refuses these at its size as well."""

    @property
    def head_count(self) -> int | None:
        """The number of requests that the server carries at a time; None where the refusals have another pattern."""
        slack, head = SLACK * self.most_admitted, self.middle_refused - 1
        is_sharp = self.least_refused > self.most_admitted - slack and abs(head - self.most_admitted) <= slack
        return head if is_sharp and head > 0 else None


def count_admissions(results: Sequence[RequestResult], opening: int = 0) -> Admissions | None:
    """Count what was in flight at every send; None where nothing was refused. Failures of the server count as refusals.

    Refusals of the first `opening` requests, which are sent at once, count only where there are no others.
    """
    if not any(map(is_refusal, results)):
        return None
    admitted, first, refused, ends = list[int](), list[int](), list[int](), list[float]()
    ordered = sorted(results, key=lambda result: (result.scheduled.dispatched_at, result.scheduled.number))
    for index, result in enumerate(ordered):
        while ends and ends[0] <= result.scheduled.dispatched_at:
            heapq.heappop(ends)
        kept = admitted if not is_refusal(result) else first if index < opening else refused
        kept.append(len(ends) + 1)
        if not is_refusal(result):
            heapq.heappush(ends, result.ended_at)
    counted = sorted(refused or first)
    most = math.ceil(percentile(sorted(admitted), 98)) if admitted else 0
    least, middle = (round(percentile(counted, share)) for share in (5, 50))
    return Admissions(most, least, middle, len(counted), not refused)


def is_refusal(result: RequestResult) -> bool:
    """Whether the server did not take the request: a 429, or a 5xx."""
    return result.how == "throttled" or (result.status is not None and result.status >= 500)


Pause = Callable[[RequestResult, int], float]


def worker_pause(minute_s: float) -> Pause:
    """Return the rule of pauses: a refused worker waits as long as the refusal says, else longer with each refusal in a row."""

    def pause_s(result: RequestResult, refused: int) -> float:
        stated_s = result.hint.retry_after_s if result.hint is not None else None
        if stated_s is not None and stated_s > 0:
            return stated_s
        return min(minute_s, minute_s / 30 * float(2 ** min(refused - 1, 5)))

    return pause_s

"""The ideal time of a batch: clairvoyant schedules without burst credit, in seconds."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence

from .requests import Request

Measure = Callable[[Request], float]
Lasting = Callable[[Request, float], float]
"""Latency of a request that is sent at a time."""


def sustained(requests: Iterable[Request], cost: Measure, rate: float, latency: Measure) -> float:
    """Compute the time in order, each request admitted when the quota since the start covers all requests up to it."""
    spent = end = 0.0
    for request in requests:
        spent += cost(request)
        end = max(end, spent / rate + latency(request))
    return end


def scheduled(requests: Iterable[Request], latency: Measure, seats: int) -> float:
    """Compute the time in order on `seats` servers, each taken when it is free."""
    free_at: list[float] = []
    end = 0.0
    for request in requests:
        starts = heapq.heappop(free_at) if len(free_at) >= seats else 0.0
        heapq.heappush(free_at, starts + latency(request))
        end = max(end, starts + latency(request))
    return end


def packed(requests: Sequence[Request], work: Measure, seats: int) -> float:
    """Compute the time in which `seats` do all the work if they are never idle, or that of the longest request alone."""
    works = [work(request) for request in requests]
    return max(sum(works) / seats, max(works))


def overfilled(requests: Iterable[Request], cost: Measure, window: tuple[float, float], latency: Measure) -> float:
    """Compute the time under a limit per window, given as (limit, seconds), that counts a request when it has ended.

    Requests are admitted as long as the count is below the limit, so that the last one of each window may exceed it. The bound holds
    for senders that never have more than one such request on the way, and use no more of a window than has passed.
    """
    limit, window_s = window
    windows = spent = end = 0.0
    for request in requests:
        spent += cost(request)
        end = max(end, (windows + min(1.0, spent / limit)) * window_s + latency(request))
        if spent >= limit:
            windows, spent = windows + 1, 0.0
    return end


def dipping(
    requests: Sequence[Request], rate: float, dip: tuple[float, float], per_request: float, latency: Lasting
) -> float:
    """Compute the time under a quota of `rate` that halves between two times; `per_request` > 1 accounts for failed attempts."""
    end = 0.0
    for index, request in enumerate(requests):
        sent_at = _flowed_at((index + 1) * per_request, rate, dip)
        end = max(end, sent_at + latency(request, sent_at))
    return end


def _flowed_at(amount: float, rate: float, dip: tuple[float, float]) -> float:
    start, end = dip
    before, within = rate * start, rate / 2 * (end - start)
    if amount <= before:
        return amount / rate
    if amount <= before + within:
        return start + (amount - before) / (rate / 2)
    return end + (amount - before - within) / rate

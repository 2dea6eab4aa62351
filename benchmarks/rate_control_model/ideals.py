"""How fast it could have been: clairvoyant schedules without burst credit, in seconds."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence

from .requests import Request

Measure = Callable[[Request], float]
Lasting = Callable[[Request, float], float]
"""Latency of a request sent at a time."""


def sustained(requests: Iterable[Request], cost: Measure, rate: float, latency: Measure) -> float:
    """In order, each admitted when the quota that has flowed since the start covers everything up to it."""
    spent = end = 0.0
    for request in requests:
        spent += cost(request)
        end = max(end, spent / rate + latency(request))
    return end


def scheduled(requests: Iterable[Request], latency: Measure, seats: int) -> float:
    """In order on `seats` servers, each taken when it is free."""
    free_at: list[float] = []
    end = 0.0
    for request in requests:
        starts = heapq.heappop(free_at) if len(free_at) >= seats else 0.0
        heapq.heappush(free_at, starts + latency(request))
        end = max(end, starts + latency(request))
    return end


def dipping(
    requests: Sequence[Request], rate: float, dip: tuple[float, float], per_request: float, latency: Lasting
) -> float:
    """A quota that flows at `rate`, at half of it between two times; `per_request` > 1 pays for failed attempts."""
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

"""The gate of the fixed limiter: refusals by chance shut nobody out, refusals by a quota shut all."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

import pytest

from providers.messages import RateLimitHint
from runners.limits.fixed import FixedLimiter
from runners.limits.permit import Settled
from tests.unit.runners.doubles import COST

Server = Callable[[float], float | None]
"""Returns the Retry-After of a request that is refused at a time; None if it is accepted."""
WORKERS, REFUSED_IN_S, ANSWERED_IN_S = 16, 0.01, 0.5


def by_chance(share: float, seed: int) -> Server:
    draw = random.Random(seed)
    return lambda _: 1.0 if draw.random() < share else None


def window(limit: int, seconds: float) -> Server:
    used: dict[int, int] = {}

    def admit(now: float) -> float | None:
        number = int(now // seconds)
        used[number] = used.get(number, 0) + 1
        return None if used[number] <= limit else (number + 1) * seconds - now

    return admit


def bucket(rate: float, burst: float) -> Server:
    """Retry-After is rounded up to whole seconds."""
    state = [burst, 0.0]

    def admit(now: float) -> float | None:
        state[0], state[1] = min(burst, state[0] + rate * (now - state[1])), now
        if state[0] < 1:
            return 1.0
        state[0] -= 1
        return None

    return admit


def run(server: Server, count: int) -> tuple[float, float]:
    """Return the time that `count` answers take, and the share of the requests that was refused. What is refused waits alone or returns."""
    limiter, draw = FixedLimiter(workers=WORKERS, qps=None), random.Random(0)
    waiting, answers, refusals, now = count, 0, 0, 0.0
    events: list[tuple[float, int, int, Settled | None]] = []

    def add(at: float, ticket: int, settled: Settled | None) -> None:
        heapq.heappush(events, (at, len(events) + 1000 * ticket, ticket, settled))

    while answers < count:
        while waiting and (ticket := limiter.try_acquire(COST, now)) is not None:
            waiting -= 1
            wait_s = server(now)
            if wait_s is None:
                seconds = ANSWERED_IN_S * draw.uniform(0.6, 1.4)
                add(now + seconds, ticket, Settled("succeeded", seconds))
            else:
                refused = Settled("throttled", REFUSED_IN_S, hint=RateLimitHint(retry_after_s=wait_s))
                add(now + REFUSED_IN_S, ticket, refused)
        opens_at = limiter.opens_at(COST, now) if waiting else None
        if opens_at is not None and (not events or opens_at < events[0][0]):
            now = max(opens_at, now)
            continue
        now, _, ticket, settled = heapq.heappop(events)
        if settled is None:
            waiting += 1
            continue
        limiter.settle(ticket, settled, now)
        if settled.how == "succeeded":
            answers += 1
            continue
        refusals += 1
        assert settled.hint is not None
        if limiter.sends_others:
            add(now + (settled.hint.retry_after_s or 0.0), ticket, None)
        else:
            waiting += 1
    return now, refusals / (refusals + count)


@pytest.mark.parametrize("share", [0.01, 0.08, 0.2])
@pytest.mark.parametrize("seed", range(4))
def test_refusals_by_chance_cost_little_more_than_their_own_waits(share: float, seed: int) -> None:
    seconds, _ = run(by_chance(share, seed), 600)
    plain_s = 600 * (ANSWERED_IN_S + share / (1 - share)) / WORKERS  # each refused request waits a second in its worker
    assert seconds < plain_s / 0.9


@pytest.mark.parametrize(
    ("server", "most_refused"),
    [(window(60, 10), 0.03), (window(300, 60), 0.02), (bucket(25, 25), 0.06)],
    ids=["60 per 10 s", "300 per minute", "bucket"],
)
def test_a_quota_that_the_workers_overshoot_is_found_and_not_asked_again_and_again(
    server: Server, most_refused: float
) -> None:
    _, refused = run(server, 1200)
    assert refused < most_refused

"""Every meter against a recount of everything that it let in, and every named wait against the truth."""

from __future__ import annotations

import copy
import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.simulator.limits.latency import Job, ProcessorSharing
from providers.simulator.limits.quota import FixedWindow, Meter, Quota, QuotaRefusal, SlidingWindow, TokenBucket
from providers.simulator.settings.provider import EndpointSettings, LatencySettings

LIMIT, WINDOW_S = 50, 10.0

arrivals = st.lists(st.tuples(st.floats(0, 7), st.integers(1, 30)), min_size=1, max_size=80)
"""(gap before it, amount)."""


def let_in(meter: Meter, gaps: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Offer every amount once; return what was counted, with its time."""
    now, counted = 0.0, []
    for gap, amount in gaps:
        now += gap
        if meter.ready_at(amount, now) <= now:
            meter.count(amount, now)
            counted.append((now, amount))
    return counted


@given(arrivals)
def test_no_sliding_window_ever_holds_more_than_its_limit(gaps: list[tuple[float, int]]) -> None:
    counted = let_in(SlidingWindow(LIMIT, WINDOW_S), gaps)
    for start, _ in counted:
        assert sum(amount for at, amount in counted if start <= at < start + WINDOW_S) <= LIMIT


@given(arrivals)
def test_no_fixed_window_ever_holds_more_than_its_limit(gaps: list[tuple[float, int]]) -> None:
    counted = let_in(FixedWindow(LIMIT, WINDOW_S), gaps)
    origin = gaps[0][0]
    used: dict[int, int] = {}
    for at, amount in counted:
        window = math.floor((at - origin) / WINDOW_S)
        used[window] = used.get(window, 0) + amount
    assert all(amount <= LIMIT for amount in used.values())


@given(arrivals)
def test_a_bucket_never_gives_more_than_its_burst_and_its_rate(gaps: list[tuple[float, int]]) -> None:
    counted = let_in(TokenBucket(rate=5.0, capacity=LIMIT), gaps)
    for first, (start, _) in enumerate(counted):
        given_out = 0
        for at, amount in counted[first:]:
            given_out += amount
            assert given_out <= LIMIT + 5.0 * (at - start) + 1e-6


@given(arrivals)
def test_everything_that_a_recount_allows_is_let_in(gaps: list[tuple[float, int]]) -> None:
    meter, counted, now = SlidingWindow(LIMIT, WINDOW_S), list[tuple[float, int]](), 0.0
    for gap, amount in gaps:
        now += gap
        used = sum(old for at, old in counted if now < at + WINDOW_S)
        fits = meter.ready_at(amount, now) <= now
        assert fits == (used + amount <= LIMIT)
        assert meter.remaining(now) == LIMIT - used
        if fits:
            meter.count(amount, now)
            counted.append((now, amount))


@pytest.mark.parametrize("kind", ["sliding", "fixed", "bucket"])
@pytest.mark.parametrize("tokens", ["estimate", "actual"])
@given(gaps=arrivals)
@settings(deadline=None)
def test_a_named_wait_is_the_earliest_time_that_would_be_let_in(
    kind: str, tokens: str, gaps: list[tuple[float, int]]
) -> None:
    endpoint = EndpointSettings.model_validate(
        {"rpm": 60, "tpm": 300, "window_s": WINDOW_S, "quota": kind, "tokens": tokens}
    )
    quota, now = Quota(endpoint), 0.0
    for gap, amount in gaps:
        now += gap
        outcome = quota.admit(amount, now)
        if not isinstance(outcome, QuotaRefusal):
            quota.finish(amount, now)
            continue
        assert outcome.ready_at is not None
        assert math.isfinite(outcome.ready_at)
        assert outcome.retry_after_s == outcome.ready_at - now
        before = now + (outcome.ready_at - now) * 0.999
        if before < outcome.ready_at:
            assert isinstance(copy.deepcopy(quota).admit(amount, before), QuotaRefusal)
        assert not isinstance(copy.deepcopy(quota).admit(amount, outcome.ready_at), QuotaRefusal)


jobs = st.lists(st.tuples(st.floats(0, 2), st.floats(0.01, 5)), min_size=1, max_size=30)
"""(gap before it, work)."""


@given(jobs, st.integers(1, 6), st.integers(1, 8))
def test_a_saturated_server_is_never_idle_and_never_faster_than_it_can_be(
    offered: list[tuple[float, float]], saturates_at: int, seats: int
) -> None:
    law = ProcessorSharing(LatencySettings(saturates_at=saturates_at, seats=seats))
    now, started, ended = 0.0, dict[Job, float](), dict[Job, float]()
    for gap, work in offered:
        target = now + gap
        while (at := law.next_event()) is not None and at <= target:
            ended.update(dict.fromkeys(law.advance(at), at))
        now = target
        job = Job([work])
        started[job] = now
        ended.update(dict.fromkeys(law.arrive(job, now), now))
    while (at := law.next_event()) is not None:
        ended.update(dict.fromkeys(law.advance(at), at))
    assert ended.keys() == started.keys()
    total = sum(work for _, work in offered)
    assert max(ended.values()) >= min(started.values()) + total / min(saturates_at, seats) - 1e-6
    for job, end in ended.items():
        assert end - started[job] >= job.milestones_s[-1] - 1e-6


@given(jobs)
def test_those_who_share_everything_equally_leave_in_the_order_of_what_is_left(
    offered: list[tuple[float, float]],
) -> None:
    law = ProcessorSharing(LatencySettings(saturates_at=1))
    for _, work in offered:
        law.arrive(Job([work]), 0.0)
    works = []
    while (at := law.next_event()) is not None:
        works += [job.milestones_s[0] for job in law.advance(at)]
    assert all(earlier <= later for earlier, later in pairwise(works))

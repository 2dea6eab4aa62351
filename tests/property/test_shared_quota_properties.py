"""Whatever is refused and when: what must hold of the search for a shared quota."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.limits.shared_quota import JointRefusal, SharedQuota, SharedQuotaDetector
from runners.limits.stated import UNSTATED, StatedQuota

NAMES = ("a", "b", "c", "d")
WINDOW_S = 60.0
RELAY_S = 0.1

Sends = Sequence[tuple[float, float]]
"""(when, tokens) of what was accepted."""


def accepted_of(sends: Sends, after: float, until: float) -> Sequence[float]:
    inside = [tokens for at, tokens in sends if after < at <= until]
    return float(len(inside)), sum(inside), 1.5 * sum(inside)


def refusal_of(name: str, sends: Sends, at: float, wait_s: float, stated: StatedQuota) -> JointRefusal:
    return JointRefusal(name, at, at + RELAY_S, wait_s, lambda after, until: accepted_of(sends, after, until), stated)


@st.composite
def saturated_minutes(draw: st.DrawFn) -> list[list[JointRefusal]]:
    """Deployments with a quota of their own each, all used up in every minute; their windows begin together."""
    names = NAMES[: draw(st.integers(2, 4))]
    limits = [draw(st.integers(20_000, 400_000)) for _ in names]
    is_worded = draw(st.booleans())
    minutes = []
    for minute in range(draw(st.integers(1, 6))):
        refusals = []
        for name, limit in zip(names, limits, strict=True):
            count = draw(st.integers(20, 60))
            spent_s = draw(st.floats(5.0, 50.0))
            start = 1_000.0 + WINDOW_S * minute
            sends = [(start + spent_s * index / count, 0.99 * limit / count) for index in range(count)]
            at = start + spent_s
            stated = StatedQuota(limit, WINDOW_S, "tokens", "UserByModelByMinuteTokens") if is_worded else UNSTATED
            refusals.append(refusal_of(name, sends, at, start + WINDOW_S - at - RELAY_S, stated))
        minutes.append(sorted(refusals, key=lambda refusal: refusal.now))
    return minutes


@given(saturated_minutes())
def test_quotas_of_their_own_are_never_taken_for_one(minutes: list[list[JointRefusal]]) -> None:
    detector = SharedQuotaDetector()
    assert [found for minute in minutes for refusal in minute if (found := detector.refused(refusal))] == []


@st.composite
def one_quota(draw: st.DrawFn) -> list[list[JointRefusal]]:
    """Deployments of one quota; the first that asks when it is used up is refused, then each that asks."""
    names = NAMES[: draw(st.integers(2, 4))]
    limit = draw(st.integers(20_000, 400_000))
    stated = StatedQuota(limit, WINDOW_S, "tokens", "UserByModelByMinuteTokens")
    minutes = []
    for minute in range(draw(st.integers(1, 3))):
        start, count = 1_000.0 + WINDOW_S * minute, draw(st.integers(20, 60))
        weights = [draw(st.integers(30, 60)) for _ in names]
        spent_s, refusals = draw(st.floats(5.0, 50.0)), []
        for order, (name, weight) in enumerate(zip(names, weights, strict=True)):
            share = 0.99 * limit * weight / sum(weights)
            sends = [(start + spent_s * index / count, share / count) for index in range(count)]
            at = start + spent_s + 0.1 * order
            refusals.append(refusal_of(name, sends, at, start + WINDOW_S - at - RELAY_S, stated))
        minutes.append(refusals)
    return minutes


def first_found(minutes: list[list[JointRefusal]]) -> SharedQuota | None:
    detector = SharedQuotaDetector()
    for refusal in (refusal for minute in minutes for refusal in minute):
        found = detector.refused(refusal)
        if found is not None:
            return found
    return None


@given(one_quota())
def test_one_quota_whose_words_say_so_is_found_in_its_first_minute(minutes: list[list[JointRefusal]]) -> None:
    found = first_found(minutes[:1])
    assert found is not None
    assert sum(found.parts) == pytest.approx(found.limit, rel=0.2)


ANYTHING = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.floats(0.0, 90.0),
        st.sampled_from([None, 0.0, 1.0, 2.0, 30.0, 30.2, 60.0]),
        st.integers(0, 300),
        st.sampled_from([None, 100.0, 400_000.0]),
    ),
    max_size=40,
)


@given(ANYTHING)
def test_any_refusals_give_a_group_of_known_limiters_or_none(
    events: list[tuple[str, float, float | None, int, float | None]],
) -> None:
    detector, now, alive = SharedQuotaDetector(), 0.0, set(NAMES)
    for name, after_s, wait_s, requests, limit in events:
        now += after_s
        if name not in alive:
            continue
        sends = [(now - 0.1 * index, 100.0) for index in range(requests)]
        stated = UNSTATED if limit is None else StatedQuota(limit, 60.0, "tokens", None)
        found = detector.refused(refusal_of(name, sends, now, wait_s or 0.0, stated))
        if found is not None:
            assert len(found.limiters) >= 2
            assert set(found.limiters) <= alive
            detector.merge(found.limiters, found.limiters[0])
            alive -= set(found.limiters[1:])

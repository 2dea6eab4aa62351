"""What an earlier run learned is believed as far as its evidence goes, and dropped where this run shows otherwise. Virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from providers.messages import JSON
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.permit import Cost, Go, Settled, WaitUntil

COST = Cost(300, 100)
STRONG: Mapping[str, JSON] = {"refusals": 9, "bound_s": 900.0, "age_s": 0.0}
WEAK: Mapping[str, JSON] = {"refusals": 1, "bound_s": 0.0, "age_s": 0.0}


def remembered(requests: float, level: int = 2, evidence: JSON = None, **more: JSON) -> dict[str, JSON]:
    return {
        "version": 1,
        "mode": "rate",
        "level": level,
        "limits": {"requests": requests},
        "evidence": evidence,
        **more,
    }


def window(limit: int, seconds: float, sent: list[float]) -> Callable[[float], bool]:
    """A sliding window."""

    def admits(now: float) -> bool:
        if sum(at > now - seconds for at in sent) >= limit:
            return False
        sent.append(now)
        return True

    return admits


def run(state: AdaptiveLimits, admits: Callable[[float], bool], until: float, since: float = 0.0) -> tuple[int, int]:
    """Send requests that take 50 ms each; return how many were answered and refused."""
    answered, refused, now = 0, 0, since
    while now < until:
        decision = state.acquire(COST, now)
        if isinstance(decision, Go):
            admitted, now = admits(now), now + 0.05
            answered, refused = answered + admitted, refused + (not admitted)
            state.settle(decision.ticket, Settled("succeeded" if admitted else "throttled", 0.05), now)
        else:
            assert isinstance(decision, WaitUntil)
            now = decision.at
    return answered, refused


@pytest.mark.parametrize("evidence", [None, WEAK, STRONG], ids=["an old file", "weak", "strong"])
def test_a_limit_that_still_holds_is_met_with_one_refused_probe(evidence: JSON) -> None:
    state = AdaptiveLimits(most=None, restored=remembered(60, evidence=evidence))
    assert run(state, window(60, 60, []), 59.0) == (60, 1)


@pytest.mark.parametrize("evidence", [None, STRONG], ids=["weak", "strong"])
@pytest.mark.parametrize("low", [6, 30])
def test_a_limit_that_is_far_too_low_costs_seconds(low: int, evidence: JSON) -> None:
    cold, _ = run(AdaptiveLimits(most=None), window(60, 60, []), 59.0)
    warm, _ = run(AdaptiveLimits(most=None, restored=remembered(low, evidence=evidence)), window(60, 60, []), 59.0)
    assert warm >= cold - 1


def test_a_weak_limit_is_dropped_at_the_first_refusal_below_it() -> None:
    told: list[Mapping[str, JSON]] = []
    state = AdaptiveLimits(
        most=None,
        restored=remembered(60, evidence=WEAK),
        on_decision=lambda event, evidence: told.append(evidence) if event == "remembered" else None,
    )
    run(state, window(30, 60, []), 30.0)
    assert [evidence["holds"] for evidence in told] == [False]


def test_a_weak_flow_is_only_where_the_start_begins() -> None:
    state = AdaptiveLimits(most=None, restored=remembered(0.1, level=0, evidence=WEAK))
    assert run(state, lambda _: True, 60.0)[0] > 600


def test_a_strong_flow_is_dropped_after_seconds_where_more_is_answered() -> None:
    state = AdaptiveLimits(most=None, restored=remembered(1.0, level=0, evidence=STRONG))
    assert 14 <= run(state, lambda _: True, 15.0)[0] < 20
    assert run(state, lambda _: True, 60.0, since=15.0)[0] > 400


def test_a_strong_flow_is_paced_at_any_time_of_the_loop() -> None:
    state = AdaptiveLimits(most=None, restored=remembered(2.0, level=0, evidence=STRONG))
    assert run(state, lambda _: True, 100_010.0, since=100_000.0)[0] <= 24


def test_evidence_grows_with_each_refusal_at_the_limit_and_survives_a_window_of_any_length() -> None:
    state = AdaptiveLimits(most=None)
    run(state, window(30, 30, []), 600.0)
    exported = state.export()
    evidence = exported["evidence"]
    assert isinstance(evidence, Mapping)
    assert evidence["bound_s"] > 60  # type: ignore[operator]
    assert exported["window_s"] == pytest.approx(30, rel=0.1)
    again = AdaptiveLimits(most=None, restored=exported)
    limits = again.snapshot(0.0)["limits"]
    assert isinstance(limits, Mapping)
    assert limits["window_s"] == pytest.approx(30, rel=0.1)


def test_a_limit_that_is_learned_beside_the_traffic_of_another_run_is_not_kept() -> None:
    sent = [-0.1 * step for step in range(30)]
    state = AdaptiveLimits(most=None, restored={"idle_s": 1.0})
    run(state, window(40, 60, sent), 30.0)
    assert state.snapshot(30.0)["throttled"]
    assert state.export() == {}


def test_what_was_remembered_is_kept_beside_the_traffic_of_another_run() -> None:
    sent = [-0.1 * step for step in range(30)]
    stored = remembered(40, evidence=WEAK)
    state = AdaptiveLimits(most=None, restored={**stored, "idle_s": 1.0})
    run(state, window(40, 60, sent), 30.0)
    assert state.export() == stored


def test_a_run_that_does_not_reach_a_limit_keeps_it_as_older() -> None:
    state = AdaptiveLimits(most=None, restored={**remembered(60, evidence=STRONG), "idle_s": 100.0})
    run(state, window(60, 60, []), 2.0)
    evidence = state.export()["evidence"]
    assert isinstance(evidence, Mapping)
    assert (evidence["refusals"], evidence["bound_s"]) == (9, 900.0)
    assert 100.0 <= evidence["age_s"] <= 103.0  # type: ignore[operator]


def test_a_limit_below_one_request_is_dropped_at_the_first_refusal() -> None:
    told: list[JSON] = []
    state = AdaptiveLimits(
        most=None,
        restored=remembered(0.5, evidence=STRONG),
        on_decision=lambda event, evidence: told.append(evidence["holds"]) if event == "remembered" else None,
    )
    run(state, window(4, 60, []), 30.0)
    assert told == [False]

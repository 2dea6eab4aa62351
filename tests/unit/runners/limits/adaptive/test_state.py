import json
from collections.abc import Mapping

import pytest

from providers.messages import JSON, LimitKind, RateLimitHint, Usage
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.permit import Cost, Go, Settled, WaitForEvent, WaitUntil

COST = Cost(300, 512)
ANSWER = Settled("succeeded", 1.0, Usage(300, 100))
REFUSAL = Settled("throttled", 0.1)


def ticket(state: AdaptiveLimits, now: float) -> int:
    decision = state.acquire(COST, now)
    assert isinstance(decision, Go)
    return decision.ticket


def told(retry_after_s: float, kind: LimitKind | None = None) -> Settled:
    return Settled("throttled", 0.1, None, RateLimitHint(retry_after_s, stated_kind=kind))


def warm(level: int, requests: float) -> Mapping[str, JSON]:
    limits = {"requests": requests, "tokens": None, "prompt + max_tokens": None, "tokens when answered": None}
    return {
        "version": 1,
        "mode": "rate",
        "cap": 64.0,
        "level": level,
        "limits": limits,
        "latency_s": 1.0,
        "output_tokens": 100.0,
    }


def test_before_the_first_answer_four_are_sent_a_second() -> None:
    state = AdaptiveLimits(most=None)
    ticket(state, 0.0)
    decision = state.acquire(COST, 0.0)
    assert isinstance(decision, Go | WaitUntil)
    for step in range(1, 8):
        ticket(state, 0.25 * step)
    assert isinstance(state.acquire(COST, 10.0), WaitForEvent)


def test_the_worker_bound_is_kept() -> None:
    state = AdaptiveLimits(most=2)
    ticket(state, 0.0)
    ticket(state, 1.0)
    assert isinstance(state.acquire(COST, 2.0), WaitForEvent)


def test_a_retry_after_shuts_the_state_once_two_trials_showed_that_it_was_no_chance() -> None:
    state = AdaptiveLimits(most=None)
    state.settle(ticket(state, 0.0), told(1.5), 0.1)
    for sent_at in (0.1, 0.25):
        trial = ticket(state, sent_at)
        assert isinstance(state.acquire(COST, sent_at + 0.05), WaitUntil)
        state.settle(trial, told(1.5), sent_at + 0.1)
    assert state.shut_until(0.35) == state.opens_at(0.35) == pytest.approx(1.85)
    decision = state.acquire(COST, 1.0)
    assert isinstance(decision, WaitUntil)
    assert decision.at == pytest.approx(1.85)
    ticket(state, 1.85)


def test_a_retry_after_too_short_for_a_trial_shuts_the_state_at_once() -> None:
    state = AdaptiveLimits(most=None)
    state.settle(ticket(state, 0.0), told(0.7), 0.1)
    assert state.opens_at(0.1) == pytest.approx(0.8)
    ticket(state, 0.8)


def in_flight(state: AdaptiveLimits, count: int) -> list[int]:
    """Send so many, a second apart, so that the earlier ones count as accepted."""
    return [ticket(state, float(step)) for step in range(count)]


def test_a_stated_concurrency_limit_cuts_the_cap_and_nothing_waits_for_its_retry_after() -> None:
    state = AdaptiveLimits(most=None)
    numbers = in_flight(state, 4)
    state.settle(numbers[3], told(60.0, "concurrency"), 3.1)
    assert state.snapshot(3.1)["cap"] == 3
    assert state.shut_until(3.1) == 3.1
    assert isinstance(state.acquire(COST, 3.2), WaitForEvent)
    state.settle(numbers[0], ANSWER, 5.0)
    ticket(state, 5.5)


def test_an_answer_lets_one_trial_out_that_finds_the_number_of_slots() -> None:
    state = AdaptiveLimits(most=None)
    numbers = in_flight(state, 4)
    state.settle(numbers[3], told(60.0), 3.1)
    for sent_at in (3.2, 3.4):
        state.settle(ticket(state, sent_at), told(60.0), sent_at + 0.1)  # not by chance
    assert state.shut_until(3.6) > 5.0
    state.settle(numbers[0], ANSWER, 4.0)
    assert state.shut_until(4.0) == 4.0
    ticket(state, 4.5)
    state.acquire(COST, 5.5)  # no refusal came: it was accepted
    assert (state.snapshot(5.5)["cap_mode"], state.snapshot(5.5)["cap"]) == ("conc", 3)


def test_trials_that_are_accepted_at_once_show_that_refusals_come_by_chance() -> None:
    told_of: list[str] = []
    state = AdaptiveLimits(most=None, on_decision=lambda event, _: told_of.append(event))
    for step in range(4):
        state.settle(ticket(state, 10.0 * step), told(5.0), 10.0 * step + 0.1)
        state.settle(ticket(state, 10.0 * step + 1), ANSWER, 10.0 * step + 3)
        state.acquire(COST, 10.0 * step + 4)
        if "chance" in told_of:
            break
        state.settle(ticket(state, 10.0 * step + 5), ANSWER, 10.0 * step + 6)
    assert "chance" in told_of
    state.settle(ticket(state, 50.0), told(5.0), 50.1)
    assert state.shut_until(50.1) == 50.1


def test_server_errors_move_no_limit() -> None:
    state = AdaptiveLimits(most=None)
    before = state.export()
    for step in range(4):
        state.settle(ticket(state, float(step)), Settled("failed", 0.5), step + 0.5)
    assert state.export() == before


def test_failures_in_a_row_let_one_through_at_a_time() -> None:
    state = AdaptiveLimits(most=None)
    for step in range(5):
        state.settle(ticket(state, float(step)), Settled("failed", 0.1), step + 0.1)
    assert isinstance(state.acquire(COST, 4.5), WaitUntil)
    number = ticket(state, 6.0)
    assert isinstance(state.acquire(COST, 6.5), WaitForEvent)
    state.settle(number, ANSWER, 7.0)
    ticket(state, 7.0)


def test_the_time_under_the_gates_adds_up() -> None:
    state = AdaptiveLimits(most=1)
    number = ticket(state, 0.0)
    state.acquire(COST, 3.0)
    state.settle(number, ANSWER, 5.0)
    ticket(state, 5.0)
    under = state.time_under(9.0)
    assert under["idle"] == pytest.approx(3.0 + 4.0)
    assert under["cap"] == pytest.approx(2.0)
    assert sum(under.values()) == pytest.approx(9.0)


def test_a_restored_window_holds_from_the_first_send_but_for_one_probe() -> None:
    state = AdaptiveLimits(most=None, restored=warm(1, 4.0))
    answered, refused, now = 0, 0, 0.0
    while now < 9.0:
        decision = state.acquire(COST, now)
        if isinstance(decision, Go):
            answered, refused = (answered + 1, refused) if answered < 4 else (answered, refused + 1)
            state.settle(decision.ticket, ANSWER if not refused else REFUSAL, now)
        now = decision.at if isinstance(decision, WaitUntil) else now
    assert (answered, refused) == (4, 1)


def test_a_restored_limit_that_no_longer_holds_is_corrected_by_refusals() -> None:
    state = AdaptiveLimits(most=None, restored=warm(0, 50.0))
    now, level = 0.0, 5.0  # the server's bucket: five a second, five at once
    at = 0.0
    for _ in range(3000):
        decision = state.acquire(COST, now)
        if not isinstance(decision, Go):
            assert isinstance(decision, WaitUntil)
            now = decision.at
            continue
        level, at = min(5.0, level + 5.0 * (now - at)), now
        if level < 1:
            state.settle(decision.ticket, REFUSAL, now)
        else:
            level -= 1
            state.settle(decision.ticket, ANSWER, now)
    limits = state.snapshot(now)["limits"]
    assert isinstance(limits, Mapping)
    requests = limits["requests"]
    assert isinstance(requests, float)
    assert 4.0 < requests < 6.5


def test_what_is_exported_is_json_and_survives_a_round_trip() -> None:
    exported = AdaptiveLimits(most=None, restored=warm(2, 300.0)).export()
    again = json.loads(json.dumps(exported))
    assert AdaptiveLimits(most=None, restored=again).export() == exported


@pytest.mark.parametrize(
    "broken", [{"version": 0}, {"version": 1, "level": 9, "limits": {}}, {"version": 1, "mode": "knee"}]
)
def test_an_export_that_makes_no_sense_starts_cold(broken: Mapping[str, JSON]) -> None:
    state = AdaptiveLimits(most=None, restored=broken)
    ticket(state, 0.0)


def test_a_decision_is_told_once_and_no_request_is() -> None:
    told: list[str] = []
    state = AdaptiveLimits(most=None, on_decision=lambda event, _: told.append(event))
    for step in range(5):
        state.settle(ticket(state, float(step)), ANSWER, step + 0.5)
    assert told == []
    state.settle(ticket(state, 6.0), REFUSAL, 6.1)
    assert told == ["throttle"]

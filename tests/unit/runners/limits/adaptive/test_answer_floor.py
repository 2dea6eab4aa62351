"""An instance that is answered less than one worker would be: what is tried, what comes of it, and what is said. Virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from providers.messages import JSON, RateLimitHint
from runners.limits.adaptive.answer_floor import BEGUN, EVENT, AnswerFloor, Progress
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.permit import Cost, Go, Settled, WaitUntil

COST = Cost(300, 100)


class Said:
    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, JSON]]] = []

    def __call__(self, event: str, evidence: Mapping[str, JSON]) -> None:
        self.events.append((event, evidence))

    def of(self, name: str) -> list[Mapping[str, JSON]]:
        return [evidence for event, evidence in self.events if event == name]


def begun(answered: int, refused: int, latency_s: float = 1.0) -> tuple[AnswerFloor, Said]:
    """A floor that has counted three minutes."""
    said = Said()
    floor = AnswerFloor(said)
    floor.check(Progress(0, 0, 0.0, latency_s, 0.0))
    floor.check(Progress(answered, refused, 0.0, latency_s, 180.0))
    return floor, said


def test_a_trial_begins_where_less_than_half_of_what_one_worker_could_get_was_answered() -> None:
    floor, said = begun(answered=30, refused=3)
    assert floor.is_looping
    assert said.of(BEGUN) == [{"per_minute": 10.0, "most_per_minute": 60.0}]


def test_no_trial_begins_where_enough_is_answered_or_nothing_was_refused() -> None:
    assert not begun(answered=100, refused=3)[0].is_looping
    assert not begun(answered=30, refused=0)[0].is_looping


def test_no_trial_begins_where_there_was_too_little_to_send() -> None:
    floor = AnswerFloor(Said())
    floor.check(Progress(0, 0, 0.0, 1.0, 0.0))
    floor.check(Progress(30, 3, 150.0, 1.0, 180.0))
    assert not floor.is_looping


def test_four_refusals_in_a_row_end_a_trial_and_the_next_one_is_much_later() -> None:
    floor, said = begun(answered=30, refused=3)
    waits = []
    for now in (181.0, 183.0, 186.0):
        assert floor.refused(None, now) == "going on"
        waits.append(floor.opens_at - now)
    assert waits == [1.0, 2.0, 4.0]
    assert floor.refused(None, 191.0) == "in vain"
    assert not floor.is_looping
    (told,) = said.of(EVENT)
    assert told["is_kept"] is False
    assert told["evidence"] == (
        "10 requests per minute were answered, where one at a time could get up to 60; one at a time with short waits "
        "was tried for 11 s: 0 per minute, which is not clearly more, so the limits stay"
    )
    floor.check(Progress(0, 4, 0.0, 1.0, 200.0))
    assert floor.checks_at == 200.0 + 4 * 180.0


def test_a_stated_wait_is_not_waited_for_longer_than_five_seconds() -> None:
    floor, _ = begun(answered=30, refused=3)
    floor.refused(RateLimitHint(60.0), 181.0)
    assert floor.opens_at == 186.0


def test_a_loop_that_is_answered_more_is_kept_until_it_is_refused() -> None:
    floor, said = begun(answered=30, refused=3)
    now = 180.0
    while not said.of(EVENT):
        now += 1.0
        assert (floor.refused(None, now) if now == 220.0 else floor.answered(now)) == "going on"
    assert now == 270.0
    assert said.of(EVENT)[0]["is_kept"] is True
    for _ in range(3):
        assert floor.refused(None, now) == "going on"
    assert floor.refused(None, now) == "over"


def test_where_most_requests_are_refused_a_trial_pauses_once() -> None:
    floor, _ = begun(answered=2, refused=100)
    for now in (181.0, 183.0, 186.0, 191.0):
        assert floor.refused(None, now) == "going on"
    assert floor.opens_at == 191.0 + 90.0
    assert [floor.refused(None, now) for now in (282.0, 284.0, 287.0, 292.0)][-1] == "in vain"


def run(state: AdaptiveLimits, admits: Callable[[float], bool], until: float) -> int:
    """Send requests that are answered or refused at once after half a second; return the number of answers."""
    answered, now = 0, 0.0
    while now < until:
        decision = state.acquire(COST, now)
        if isinstance(decision, Go):
            admitted = admits(now)
            now += 0.5
            answered += admitted
            refused = Settled("throttled", 0.5, None, RateLimitHint(60.0))
            state.settle(decision.ticket, Settled("succeeded", 0.5) if admitted else refused, now)
        else:
            assert isinstance(decision, WaitUntil)
            now = decision.at
    return answered


def test_a_gateway_that_refuses_three_at_once_now_and_then_and_states_a_minute_is_used_after_a_trial() -> None:
    said = Said()
    state = AdaptiveLimits(most=None, on_decision=said)
    answered = run(state, lambda now: now % 20 > 2, 1200.0)
    (kept, *_) = (told for told in said.of(EVENT) if told["is_kept"])
    assert "tried for 90 s" in str(kept["evidence"]) or "limits are learned anew" in str(kept["evidence"])
    assert answered > 0.5 * 0.9 * 1200 / 0.5 * 0.5


def test_a_small_true_quota_costs_a_few_refusals_and_keeps_its_limit() -> None:
    said = Said()
    state = AdaptiveLimits(most=None, on_decision=said)
    sent: list[float] = []

    def admits(now: float) -> bool:
        if sum(at > now - 60 for at in sent) >= 6:
            return False
        sent.append(now)
        return True

    assert run(state, admits, 1200.0) >= 0.9 * 6 * 20
    assert all(told["is_kept"] is False for told in said.of(EVENT))
    assert len(said.of(EVENT)) == 2
    assert state.snapshot(1200.0)["throttled"] <= 30  # type: ignore[operator]

import pytest

from runners.limits.adaptive.episode import Episode
from runners.limits.adaptive.ledger import SLACK_S, SendLedger
from runners.limits.adaptive.throttling.throttle_gate import AdaptiveThrottleGate
from runners.limits.adaptive.throttling.trials import SHORTEST_GUESS_S, WindowForecast

ONE = (1.0, 100.0, 600.0, 0.0)


def burst(n: int, over_s: float) -> SendLedger:
    ledger = SendLedger()
    for step in range(n):
        ledger.add(ONE, over_s * step / n)
    return ledger


def refusal(ledger: SendLedger, at: float, *, flow_until: float = 0.0) -> Episode:
    counts = [ledger.between(at - window, at) for window in (1.0, 10.0, 60.0)]
    return Episode(at, at, counts, list(ledger.total), 0.0, ONE, 0, flow_until)


def forecast(ledger: SendLedger) -> WindowForecast:
    return WindowForecast(ledger, 0, 0.0, False, 1.0)


def test_a_retry_after_is_kept_to_the_millisecond() -> None:
    gate, ledger = AdaptiveThrottleGate(), burst(10, 1.0)
    gate.shut(refusal(ledger, 1.0), 0.137, forecast(ledger), 1.0)
    assert gate.opens_at == pytest.approx(1.137)


def test_silent_refusals_are_tried_as_a_flow_then_as_ever_longer_windows() -> None:
    gate, ledger = AdaptiveThrottleGate(), burst(50, 1.0)
    gate.shut(refusal(ledger, 1.0), None, forecast(ledger), 1.0)
    assert gate.opens_at == pytest.approx(1.2)
    first_to_expire = 0.02 + SLACK_S
    for seconds in (3.5, 5.0, 7.0, 10.0, 14.0, 20.0, 30.0, 45.0, 60.0):
        gate.refuse_trial(None, forecast(ledger), gate.opens_at + 0.1)
        assert gate.opens_at == pytest.approx(seconds + first_to_expire)
    for later_s in (0.5, 1.0):  # a minute is usual: it is tried again before a longer one
        gate.refuse_trial(None, forecast(ledger), 60.2)
        assert gate.opens_at == pytest.approx(60.2 + SHORTEST_GUESS_S + later_s)
    gate.refuse_trial(None, forecast(ledger), 61.2)
    assert gate.opens_at == pytest.approx(90.0 + first_to_expire)


def test_a_window_that_would_have_had_room_by_then_is_not_tried() -> None:
    gate, ledger = AdaptiveThrottleGate(), burst(100, 10.0)
    gate.shut(refusal(ledger, 10.0), None, forecast(ledger), 10.0)
    gate.refuse_trial(None, forecast(ledger), 10.3)
    assert gate.opens_at == pytest.approx(14.2 + SLACK_S)


def test_a_slow_flow_is_given_time_before_a_window_is_suspected() -> None:
    gate, ledger = AdaptiveThrottleGate(), burst(2, 1.0)
    gate.shut(refusal(ledger, 1.0, flow_until=6.0), None, forecast(ledger), 1.0)
    gate.refuse_trial(None, forecast(ledger), 1.4)
    assert gate.episode is not None
    assert gate.episode.level == 0
    assert gate.opens_at == pytest.approx(1.4 + 2 * 0.4)


def test_a_long_retry_after_is_tried_once_when_the_ledger_has_room() -> None:
    gate, ledger = AdaptiveThrottleGate(), burst(300, 20.0)
    gate.shut(refusal(ledger, 20.0), 60.0, forecast(ledger), 20.0)
    assert gate.episode is not None
    assert gate.episode.is_early
    assert 60.0 < gate.opens_at < 62.0


def test_an_early_trial_that_is_let_in_ends_the_belief() -> None:
    gate, ledger = AdaptiveThrottleGate(), burst(300, 20.0)
    gate.shut(refusal(ledger, 20.0), 60.0, forecast(ledger), 20.0)
    gate.sent(0.3, 62.0)
    assert gate.trial_was_accepted(62.5)
    gate.reopen()
    assert not gate.trusts_hint


def test_a_retry_after_that_moves_on_is_a_constant_and_is_not_believed() -> None:
    gate, ledger = AdaptiveThrottleGate(), burst(300, 20.0)
    gate.shut(refusal(ledger, 20.0), 60.0, forecast(ledger), 20.0)
    gate.refuse_trial(60.0, forecast(ledger), 61.0)
    assert not gate.trusts_hint
    assert gate.opens_at == pytest.approx(61.0 + 60.0 / 8)


def test_a_true_retry_after_is_not_tried_early_again() -> None:
    gate, ledger = AdaptiveThrottleGate(), burst(300, 20.0)
    gate.shut(refusal(ledger, 20.0), 60.0, forecast(ledger), 20.0)
    gate.refuse_trial(19.0, forecast(ledger), 61.0)
    assert gate.trusts_hint
    assert gate.opens_at == pytest.approx(80.0)


def test_a_window_as_long_as_a_true_retry_after_is_no_longer_assumed() -> None:
    gate, ledger = AdaptiveThrottleGate(), burst(300, 20.0)
    gate.shut(refusal(ledger, 20.0), 30.0, forecast(ledger), 20.0)
    assert gate.episode is not None
    assert gate.episode.window_s == 30.0
    gate.refuse_trial(50.0 - gate.opens_at, forecast(ledger), gate.opens_at)
    assert gate.episode.window_s == (gate.episode.windows_s[gate.episode.level] if gate.episode.level else 0.0)


def test_the_doubts_of_an_episode_that_is_taken_over_keep_its_wait() -> None:
    gate, other, ledger = AdaptiveThrottleGate(), AdaptiveThrottleGate(), burst(10, 1.0)
    episode = refusal(ledger, 1.0)
    episode.doubts = ["chance"]
    other.shut(episode, 1.5, forecast(ledger), 1.0)
    gate.absorb(other)
    for _ in range(2):
        gate.extend(None, 1.1)
    assert gate.opens_at == pytest.approx(2.5)


def test_an_early_trial_of_merged_gates_is_planned_by_the_refusal_that_shut_them() -> None:
    gate, other, ledger = AdaptiveThrottleGate(), AdaptiveThrottleGate(), burst(10, 1.0)
    gate.shut(refusal(ledger, 5.0), 6.0, forecast(ledger), 5.0)
    gate.sent(0.3, 11.0)
    gate.reopen()
    late = burst(10, 1.0)
    for step in range(10):
        late.add(ONE, 29.0 + step / 10)
    episode = refusal(late, 30.0)
    episode.doubts = ["chance"]
    other.shut(episode, 8.0, forecast(late), 30.0)
    gate.absorb(other)
    assert gate.opens_at > 36.0


def test_a_doubt_that_one_of_two_has_refuted_is_not_tested_after_they_merged() -> None:
    gate, other, ledger = AdaptiveThrottleGate(), AdaptiveThrottleGate(), burst(10, 1.0)
    episode = refusal(ledger, 1.0)
    episode.doubts = ["chance"]
    gate.shut(episode, 1.5, forecast(ledger), 1.0)
    gate.sent(0.3, 1.1)
    other.shut(refusal(ledger, 1.0), 1.9, forecast(ledger), 1.0)
    gate.absorb(other)
    assert episode.trial is None
    assert gate.opens_at == pytest.approx(2.9)
    assert not gate.trial_was_accepted(3.0)  # what was sent before the wait was over tested something else


def test_only_one_trial_goes_out_until_a_refusal_would_have_come_back() -> None:
    gate, ledger = AdaptiveThrottleGate(), burst(10, 1.0)
    gate.shut(refusal(ledger, 1.0), None, forecast(ledger), 1.0)
    gate.sent(0.4, 1.2)
    assert gate.until() == pytest.approx(1.6)
    assert not gate.trial_was_accepted(1.5)
    assert gate.trial_was_accepted(1.6)


def test_a_server_that_counts_answers_fills_up_by_what_is_in_flight() -> None:
    ledger = SendLedger()
    ledger.add((0.0, 0.0, 0.0, 500.0), 0.0)
    ledger.add((0.0, 0.0, 0.0, 500.0), 5.0)
    episode = refusal(ledger, 6.0)
    assert WindowForecast(ledger, 2, 400.0, True, 1.0).answered_at(episode, 6.0) == pytest.approx(10.0 + SLACK_S)
    assert WindowForecast(ledger, 2, 900.0, True, 1.0).answered_at(episode, 6.0) == pytest.approx(15.0 + SLACK_S)


def test_an_answer_to_the_trial_ends_the_hold() -> None:
    gate, ledger = AdaptiveThrottleGate(), burst(10, 1.0)
    gate.shut(refusal(ledger, 1.0), 0.5, forecast(ledger), 1.0)
    gate.sent(4.0, 1.5)
    gate.answered(1.4, 1.8)
    assert not gate.trial_was_accepted(1.8)  # the answer to an earlier request says nothing
    gate.answered(1.5, 1.9)
    assert gate.trial_was_accepted(1.9)


@pytest.mark.parametrize(
    ("first_at", "retry_after_s", "again", "window_s"),
    [
        (0.2, 5.0, False, 5.0),  # whole seconds, just begun to fill
        (1.2, 5.0, False, 0.0),  # a wait of five seconds, or a constant
        (0.2, 4.8, False, 0.0),  # a wait until the window has room
        (0.2, 4.8, True, 4.8),  # said twice: a constant
        (0.2, 2.0, False, 0.0),  # it may be the refill time of a bucket
    ],
)
def test_a_retry_after_is_a_window_that_the_requests_have_begun_to_fill(
    first_at: float, retry_after_s: float, again: bool, window_s: float
) -> None:
    gate, ledger = AdaptiveThrottleGate(), burst(6, 0.1)
    gate.shut(refusal(ledger, first_at), retry_after_s, forecast(ledger), first_at)
    if again:
        gate.refuse_trial(retry_after_s, forecast(ledger), first_at + 0.3)
    assert gate.episode is not None
    assert gate.episode.stated_s == window_s


def test_the_early_trial_is_planned_once_a_burst_has_refuted_chance() -> None:
    gate, ledger = AdaptiveThrottleGate(), burst(30, 1.5)
    episode = refusal(ledger, 1.5)
    episode.doubts = ["chance"]
    gate.shut(episode, 5.0, forecast(ledger), 1.5)
    assert gate.opens_at == 1.5
    for at in (1.52, 1.54):
        gate.extend(5.0, at)
    assert episode.is_early
    assert gate.opens_at == pytest.approx(5.0 + SLACK_S)

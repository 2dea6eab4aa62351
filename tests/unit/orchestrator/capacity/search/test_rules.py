"""Each rule speaks for its own reason, and only for that; a noisy rung stops nothing."""

from __future__ import annotations

import pytest

from orchestrator.capacity.measurement.rung import Bursts, Rung
from orchestrator.capacity.measurement.server_metrics import ServerLoad
from orchestrator.capacity.search.rules import Rules, Verdict, find_stop, gain_per_doubling, judge, judge_alone
from tests.unit.orchestrator.capacity.rungs import a_rung


def verdicts(rungs: list[Rung], rules: Rules | None = None) -> list[Verdict]:
    return [one.verdict for one in judge(rungs, rules or Rules(), 60.0)]


def loaded(waiting: float, cache_use: float) -> ServerLoad:
    return ServerLoad(1, None, None, waiting, cache_use, cache_use if waiting else None)


@pytest.mark.parametrize(
    ("rung", "verdict"),
    [
        (a_rung(10, 600), "PASS"),
        (a_rung(10, 600, failed=11), "FAIL-SUCCESS"),
        (a_rung(10, 600, failed=10), "PASS"),
        (a_rung(10, 600, ttft_s=1.01), "FAIL-TTFT"),
        (a_rung(10, 600, ttft_s=None), "PASS"),
        (a_rung(10, 600, throttles={"requests": 20}), "FAIL-QUOTA"),
        (a_rung(10, 600, throttles={"requests": 20}, failed=0, ttft_s=3.0), "FAIL-QUOTA"),
        (a_rung(10, 600, throttles={"requests": 190}, failed=9), "FAIL-QUOTA"),
        (a_rung(10, 600, server=loaded(3, 0.97)), "FAIL-RESOURCES"),
        (a_rung(10, 600, server=loaded(0, 0.99)), "PASS"),
        (a_rung(10, 600, server=loaded(3, 0.9)), "PASS"),
        (a_rung(10, 600, cpu_share=0.95, failed=100), "CLIENT-LIMITED"),
        (a_rung(10, 600, lag_s=0.2), "CLIENT-LIMITED"),
        (a_rung(10, 600, lag_s=0.2, latency_s=5.0), "PASS"),
        (a_rung(10, 600, gone="a: 401"), "UNRESOLVED"),
    ],
)
def test_a_rung_is_judged_by_itself(rung: Rung, verdict: Verdict) -> None:
    assert judge_alone(rung, Rules()).verdict == verdict


def test_every_bound_can_be_set() -> None:
    lenient = Rules(min_success=0.5, max_ttft_s=5.0, max_cpu_share=1.5, max_lag_s=1.0)
    assert judge_alone(a_rung(10, 600, failed=90, ttft_s=4.0, cpu_share=0.99, lag_s=0.5), lenient).verdict == "PASS"


def test_a_gain_is_judged_per_doubling() -> None:
    assert gain_per_doubling(a_rung(10, 100), a_rung(40, 400)) == pytest.approx(1.0)
    assert gain_per_doubling(a_rung(20, 100), a_rung(50, 125)) == pytest.approx(0.184, abs=0.001)
    assert verdicts([a_rung(20, 100), a_rung(50, 125)]) == ["PASS", "FAIL-GAIN"]  # 25 % for 2.5 times as many
    assert verdicts([a_rung(20, 100), a_rung(30, 115)]) == ["PASS", "PASS"]  # 15 % for 1.5 times as many


def test_a_noisy_rung_stops_nothing_and_a_second_point_does() -> None:
    noisy = [a_rung(1, 60), a_rung(2, 62), a_rung(5, 300)]
    judged = judge(noisy, Rules(), 60.0)
    assert [one.verdict for one in judged] == ["PASS", "FAIL-GAIN", "PASS"]
    assert find_stop(noisy, judged) is None
    flat = [a_rung(10, 600), a_rung(20, 630), a_rung(50, 640)]
    stop = find_stop(flat, judge(flat, Rules(), 60.0))
    assert stop is not None
    assert (stop.rule, stop.concurrency) == ("FAIL-GAIN", 20)


def test_one_late_moment_of_the_client_stops_nothing() -> None:
    rungs = [a_rung(1, 60), a_rung(2, 120, lag_s=1.0), a_rung(5, 300)]
    assert find_stop(rungs, judge(rungs, Rules(), 60.0)) is None
    rungs = [a_rung(1, 60), a_rung(2, 120, lag_s=1.0), a_rung(5, 300, lag_s=1.0)]
    stop = find_stop(rungs, judge(rungs, Rules(), 60.0))
    assert stop is not None
    assert stop.rule == "CLIENT-LIMITED"


@pytest.mark.parametrize("rule", ["FAIL-SUCCESS", "FAIL-TTFT", "FAIL-RESOURCES", "FAIL-QUOTA"])
def test_a_rule_of_the_rung_alone_stops_at_once(rule: Verdict) -> None:
    bad = {
        "FAIL-SUCCESS": a_rung(2, 120, failed=100),
        "FAIL-TTFT": a_rung(2, 120, ttft_s=2.0),
        "FAIL-RESOURCES": a_rung(2, 120, server=loaded(1, 1.0)),
        "FAIL-QUOTA": a_rung(2, 120, throttles={"tokens": 50}),
    }[rule]
    rungs = [a_rung(1, 60), bad]
    stop = find_stop(rungs, judge(rungs, Rules(), 60.0))
    assert stop is not None
    assert (stop.rule, stop.concurrency) == (rule, 2)


def test_a_plateau_with_refusals_or_to_the_beat_of_a_window_is_a_quota() -> None:
    few = a_rung(20, 605, throttles={"requests": 3})
    assert verdicts([a_rung(10, 600), few]) == ["PASS", "FAIL-QUOTA"]
    held = a_rung(20, 605, bursts=Bursts(59.5, [24, 26, 25], [13_400, 13_450, 13_420]))
    assert verdicts([a_rung(10, 600), held]) == ["PASS", "FAIL-QUOTA"]
    own_beat = a_rung(20, 605, bursts=Bursts(31.0, [20, 20, 20], [10_000] * 3))
    assert verdicts([a_rung(10, 600), own_beat]) == ["PASS", "FAIL-GAIN"]

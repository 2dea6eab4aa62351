"""The admission rules of the servers that mislead a limit, their ideal times, and what is reported of them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from benchmarks.rate_control_model import ideals
from benchmarks.rate_control_model.admission import Refusal, Rule, hint
from benchmarks.rate_control_model.gateways.draws import Window
from benchmarks.rate_control_model.gateways.explain import Explained
from benchmarks.rate_control_model.gateways.families import GATEWAYS, gateway
from benchmarks.rate_control_model.gateways.rules import (
    Chance,
    CountsRefused,
    OpenedWindow,
    ParallelRequests,
    Reserved,
    ReservedWindow,
    ResetAtMinute,
    SeveralCounters,
    concurrency_words,
    stated_wait_s,
)
from benchmarks.rate_control_model.measure import Build, rise_used_s, run_once
from benchmarks.rate_control_model.requests import Request, short
from benchmarks.rate_control_model.rivals import PlainLoop, build_rival
from benchmarks.rate_control_model.scenario import Rise, Scenario
from benchmarks.rate_control_model.tables import Row, add_of_plain
from providers.simulator.limits.quota import SlidingWindow
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.permit import Settled

REQUEST = Request(10, 10, 10, 1.0)


def answers(rule: Rule, times: Sequence[float]) -> str:
    """Send a request at each time; "+" for each that is admitted."""
    return "".join("+" if rule.admit(REQUEST, 0, now) is None else "-" for now in times)


def refusal(rule: Rule, now: float, inside: int = 0) -> Refusal:
    refused = rule.admit(REQUEST, inside, now)
    assert refused is not None
    return refused


# ------------------------------------------------------------------ admission
def test_parallel_requests_are_bounded_and_every_refusal_states_the_same_wait() -> None:
    rule = ParallelRequests(2, 60.0, concurrency_words())
    assert rule.admit(REQUEST, 1, 0.0) is None
    refused = refusal(rule, 0.0, inside=2)
    assert refused.retry_after_s == 60.0
    assert refused.words.stated_quota == "max_parallel_requests"


def test_a_window_opens_with_the_first_request_after_the_last_one() -> None:
    meter = OpenedWindow(1, 10.0)
    meter.count(1, 3.0)
    assert meter.ready_at(1, 12.9) == 13.0
    assert meter.ready_at(1, 17.0) == 17.0
    meter.count(1, 17.0)
    assert meter.ready_at(1, 23.0) == 27.0
    assert meter.full_at(23.0) == 27.0


def test_chance_refuses_each_request_equally_often_for_every_sender() -> None:
    requests = short(2000, random.Random(1))
    rule = Chance(0.2, 1.0, "seed")
    refusals = [rule.refusals_of(request) for request in requests]
    assert sum(refusals) / len(requests) == pytest.approx(0.25, abs=0.05)
    unlucky = requests[refusals.index(2)]
    first, second = (rule.admit(unlucky, 0, 0.0) for _ in range(2))
    assert first == second == Refusal(1.0, by_chance=True)
    assert rule.admit(unlucky, 0, 0.0) is None


def test_a_reserved_part_is_missing_only_for_its_time() -> None:
    rule = ReservedWindow(SlidingWindow(4, 10.0), 10.0, Reserved(2, (20.0, 40.0)), "exact")
    assert answers(rule, [0, 1, 2, 3, 4]) == "++++-"
    assert answers(rule, [21, 22, 23]) == "++-"
    assert refusal(rule, 24.0).retry_after_s == 7.0
    assert answers(rule, [50, 51, 52, 53, 54]) == "++++-"


def test_a_process_that_is_full_refuses_by_chance_while_another_has_room() -> None:
    draw = random.Random(3)
    rule = SeveralCounters([SlidingWindow(1, 10.0) for _ in range(2)], 10.0, "none", draw, by_chance=True)
    refusals = [refused for _ in range(20) if (refused := rule.admit(REQUEST, 0, 0.0)) is not None]
    assert len(refusals) == 18
    assert refusals == sorted(refusals, key=lambda refused: not refused.by_chance)
    assert not refusals[-1].by_chance


def test_a_counter_starts_anew_at_the_minute_of_the_server() -> None:
    rule = ResetAtMinute(lambda: OpenedWindow(1, 90.0), 90.0, 50.0, "window")
    assert answers(rule, [0, 9.9, 10.0, 69.9, 70.0]) == "+-+-+"
    assert refusal(rule, 71.0).retry_after_s == 90.0


def test_a_client_that_insists_is_not_admitted_where_refused_requests_count() -> None:
    rule = CountsRefused(SlidingWindow(2, 10.0), 10.0, "none")
    assert answers(rule, [0, 1, *range(2, 40, 4)]) == "++" + 10 * "-"
    assert answers(rule, [60]) == "+"


def test_a_refusal_states_the_true_wait_or_the_window_or_nothing() -> None:
    assert stated_wait_s("exact", 60.0, 0.1234) == 0.124
    assert stated_wait_s("window", 60.0, 0.1) == 60.0
    assert stated_wait_s("none", 60.0, 0.1) is None


# ------------------------------------------------------------------ ideals
def test_the_ideal_of_seats_is_their_work_or_the_longest_request() -> None:
    requests = [Request(1, output, output, 1.0) for output in (1, 2, 3)]
    assert ideals.packed(requests, lambda request: request.output, 2) == 3.0
    assert ideals.packed(requests * 2, lambda request: request.output, 3) == 4.0


def test_the_last_request_of_a_window_may_exceed_a_limit_that_counts_at_the_end() -> None:
    def ideal_s(costs: Sequence[int]) -> float:
        requests = [Request(cost, 0, 0, 1.0) for cost in costs]
        return ideals.overfilled(requests, lambda request: float(request.prompt), (100.0, 60.0), lambda _: 0.0)

    assert ideal_s([30, 30]) == 36.0
    assert ideal_s([60, 60]) == 60.0
    assert ideal_s([300, 300, 50]) == 150.0


@pytest.mark.parametrize("family", GATEWAYS)
def test_no_family_is_faster_than_its_ideal_but_for_burst_credit(family: str) -> None:
    """A plain loop of sixteen workers uses what a window lends at its start, and overfills windows that count at the end."""
    most = 3.0 if family == "minute tokens" else 1.35
    for index in range(3):
        scenario = gateway(family, 7, index)
        measured = run_once(f"{family} #{index}", scenario, plain(16), 0, 7)
        assert measured.efficiency < most
        assert measured.refused_by_chance == 0 or family in {"chance", "loose"}


@pytest.mark.parametrize("family", GATEWAYS)
def test_a_draw_depends_on_family_seed_and_number_only(family: str) -> None:
    assert gateway(family, 3, 1).truth == gateway(family, 3, 1).truth
    assert gateway(family, 3, 1).truth != gateway(family, 4, 1).truth


def test_a_batch_lasts_for_twelve_windows_and_five_minutes_or_many_answers() -> None:
    assert Window(2, 60.0, None).batch() == 24
    assert Window(2, 3.0, None).batch() == 200
    assert Window(900, 90.0, None).batch() == 3600


# ------------------------------------------------------------------ the plain loop and what is reported
def plain(workers: int) -> Build:
    return lambda index, scenario, draw: build_rival(f"plain {workers}", scenario.rate, draw)


def test_a_plain_loop_waits_shortly_whatever_a_refusal_states() -> None:
    loop = PlainLoop(random.Random(1), 1)
    for stated, most_s in ((60.0, 5.5), (0.2, 0.22), (None, 1.1)):
        waits = [loop.sleep_s(1, Settled("throttled", 0.1, None, hint(stated))) for _ in range(20)]
        assert 0.8 * most_s < min(waits) <= max(waits) <= most_s


def test_of_plain_compares_with_the_best_plain_loop_on_the_same_server() -> None:
    run: Row = {"part": "held-out", "server": "relay #1", "seed": 1, "n": 10}
    rows: list[Row] = [
        {**run, "controller": "adaptive", "efficiency": 0.6},
        {**run, "controller": "plain 1", "efficiency": 0.5},
        {**run, "controller": "plain 16", "efficiency": 0.8},
        {**run, "controller": "adaptive", "efficiency": 0.6, "seed": 2},
    ]
    add_of_plain(rows)
    assert [row["of_plain"] for row in rows] == [0.75, 0.625, 1.0, None]


def test_a_rise_is_used_from_the_first_span_at_nine_tenths_of_the_new_rate() -> None:
    ended_at = [float(second) for second in range(100)] + [100 + second / 2 for second in range(400)]
    assert rise_used_s(ended_at, Rise(50.0, 2.0, 20.0, 10.0)) == 46.0
    assert rise_used_s(ended_at, Rise(50.0, 4.0, 20.0, 10.0)) is None


def test_refusals_by_chance_are_counted_apart() -> None:
    scenario = gateway("chance", 7, 0)
    measured = run_once("chance #0", scenario, plain(16), 0, 7)
    assert measured.refused == 0
    assert measured.refused_by_chance > 0


def test_an_explained_run_prints_the_truth_the_decisions_and_every_refusal() -> None:
    lines: list[str] = []
    scenario: Scenario = gateway("gateway conc", 7, 0)
    measured = Explained(scenario, lines.append).run("gateway conc #0", 7000)
    assert lines[0] == f"gateway conc #0: {scenario.truth}"
    assert sum("  refused " in line for line in lines) == round(measured.refused * measured.sent) > 0
    assert any("  conc " in line for line in lines)


@pytest.mark.parametrize("family", ["short requests", "short tokens", "short seats"])
def test_a_cold_start_uses_most_of_twelve_short_windows(family: str) -> None:
    def build(index: int, scenario: Scenario, draw: random.Random) -> AdaptiveLimits:
        return AdaptiveLimits(most=scenario.most)

    for index in range(3):
        measured = run_once(family, gateway(family, 1, index), build, 0, 1000 + index)
        assert measured.efficiency >= 0.9

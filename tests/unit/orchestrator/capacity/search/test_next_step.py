"""What is measured next follows from what was measured, and from nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.capacity.measurement.rung import LadderStep, Rung
from orchestrator.capacity.search.next_step import LadderPlan, find, next_step, recommend
from tests.unit.orchestrator.capacity.rungs import a_rung

Server = Callable[[int], Rung]


def climbed(server: Server, plan: LadderPlan | None = None) -> list[Rung]:
    """The ladder against a server that gives the same rung for the same concurrency."""
    plan, rungs = plan or LadderPlan(), list[Rung]()
    while (step := next_step(rungs, plan)) is not None:
        found = server(step.concurrency)
        rungs.append(Rung(step.concurrency, step.phase, found.measures, found.throttles))
        assert len(rungs) < 40
    return rungs


def knee_at(knee: int) -> Server:
    return lambda c: a_rung(c, 60.0 * min(c, knee), latency_s=max(1.0, c / knee))


@pytest.mark.parametrize("knee", [1, 3, 16, 37, 150, 300])
def test_a_knee_is_found_within_fifteen_per_cent_and_held(knee: int) -> None:
    rungs = climbed(knee_at(knee))
    found = find(rungs, LadderPlan())
    assert found.limit == pytest.approx(knee, rel=0.15)
    assert found.stop is not None
    assert found.stop.rule == "FAIL-GAIN"
    assert rungs[-1].phase == "hold"
    assert rungs[-1].concurrency == found.recommended


@pytest.mark.parametrize(
    ("rungs", "knee"),
    [((32, 64, 128), 10), ((10, 20, 50, 100), 5), ((50, 100, 200), 30), ((8, 16, 32), 1), ((10, 20), 10)],
)
def test_a_knee_below_the_lowest_rung_is_looked_for_there(rungs: tuple[int, ...], knee: int) -> None:
    plan = LadderPlan(rungs)
    found = find(climbed(knee_at(knee), plan), plan)
    assert found.limit == pytest.approx(knee, rel=0.1)
    assert found.interval is not None
    assert found.interval.low <= knee <= found.interval.high


def test_a_lowest_rung_on_the_plateau_is_no_limit() -> None:
    plan = LadderPlan((32, 64, 128), refines=False)
    found = find(climbed(knee_at(10), plan), plan)
    assert (found.limit, found.interval, found.recommended) == (None, None, None)


def test_a_rule_that_fails_is_bisected_to_where_it_begins() -> None:
    rungs = climbed(lambda c: a_rung(c, 60.0 * c, ttft_s=0.2 if c <= 33 else 2.0))
    found = find(rungs, LadderPlan())
    assert found.limit == pytest.approx(33, abs=2)
    assert found.stop is not None
    assert found.stop.rule == "FAIL-TTFT"
    assert [one.phase for one in rungs][-2:] == ["again", "hold"]


def test_what_never_stops_has_its_limit_at_the_highest_rung() -> None:
    rungs = climbed(lambda c: a_rung(c, 60.0 * c))
    found = find(rungs, LadderPlan())
    assert (found.stop, found.limit) == (None, 1024)
    assert [one.concurrency for one in rungs] == [*(2**k for k in range(11)), 768]


def test_without_stopping_every_rung_is_climbed() -> None:
    plan = LadderPlan((1, 2, 4, 8, 16), stops=False, refines=False)
    assert [one.concurrency for one in climbed(knee_at(2), plan)] == [1, 2, 4, 8, 16]


def test_the_last_rung_without_gain_is_measured_a_second_time() -> None:
    rungs = [a_rung(1, 60), a_rung(2, 61)]
    assert next_step(rungs, LadderPlan((1, 2))) == LadderStep(2, "confirm")


def test_a_server_that_does_not_recover_loses_its_limit() -> None:
    rungs = climbed(lambda c: a_rung(c, 60.0 * c, failed=100 if c >= 5 else 0), LadderPlan((1, 2, 5)))
    assert find(rungs, LadderPlan((1, 2, 5))).limit == 4
    assert (rungs[-1].concurrency, rungs[-1].phase) == (3, "hold")
    worse = [*rungs[:-1], a_rung(3, 100, phase="hold", failed=100)]
    assert find(worse, LadderPlan((1, 2, 5))).limit == 2
    slower = [*rungs[:-1], a_rung(3, 100, phase="hold")]
    assert find(slower, LadderPlan((1, 2, 5))).limit == 2  # all answered, with half of the throughput


def test_nothing_passes_where_one_at_a_time_fails() -> None:
    rungs = climbed(lambda c: a_rung(c, 60.0, failed=200))
    assert find(rungs, LadderPlan()).limit is None
    assert len(rungs) == 1


def test_a_ladder_that_is_broken_off_goes_on_with_the_same_steps() -> None:
    rungs = climbed(knee_at(16))
    for length in range(1, len(rungs)):
        step = next_step(rungs[:length], LadderPlan())
        assert step == LadderStep(rungs[length].concurrency, rungs[length].phase)


def test_an_instance_that_is_out_is_asked_nothing_more() -> None:
    assert next_step([a_rung(1, 60), a_rung(2, 0, gone="a: 401")], LadderPlan()) is None


@pytest.mark.parametrize("limit", [*range(4, 40), 100, 333, 1000])
def test_seventy_to_eighty_per_cent_are_recommended(limit: int) -> None:
    recommended = recommend(limit)
    assert recommended is not None
    assert recommended <= 0.8 * limit
    assert recommended >= 0.7 * limit or recommended + 1 > 0.8 * limit


def test_of_a_few_requests_at_a_time_70_per_cent_are_rounded_up() -> None:
    assert [recommend(limit) for limit in (1, 2, 3, None)] == [1, 2, 3, None]


def test_a_limit_is_a_rung_that_passed() -> None:
    """The most throughput may come of a rung that gained too little."""
    rungs = [a_rung(1, 60), a_rung(2, 66), a_rung(4, 66)]
    found = find(rungs, LadderPlan((1, 2, 4)))
    assert (found.optimum, found.limit) == (2, 1)
    nothing = [a_rung(2, 60, throttles={"requests": 100}), a_rung(4, 90, throttles={"requests": 100})]
    assert find(nothing, LadderPlan((2, 4))).limit is None

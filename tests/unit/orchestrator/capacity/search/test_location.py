"""Where the limit is looked for: always between the last rung that passed and the first that failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.capacity.measurement.admissions import Admissions
from orchestrator.capacity.measurement.rung import Rung, Unit
from orchestrator.capacity.search.binding import StatedLimits, find_binding
from orchestrator.capacity.search.next_step import LadderFindings, LadderPlan, find, next_step
from tests.unit.orchestrator.capacity.rungs import a_rung

Server = Callable[[int], Rung]


def climbed(server: Server, plan: LadderPlan) -> tuple[list[Rung], LadderFindings]:
    rungs: list[Rung] = []
    while (step := next_step(rungs, plan)) is not None:
        rungs.append(replace(server(step.concurrency), phase=step.phase))
        assert len(rungs) < 30
    return rungs, find(rungs, plan)


def refusing(seats: int, unit: Unit = "unsaid", *, is_opening: bool = False) -> Server:
    """Carry so many at a time and refuse the others."""

    def server(concurrency: int) -> Rung:
        if concurrency <= seats:
            return a_rung(concurrency, 60.0 * concurrency)
        rung = a_rung(concurrency, 60.0 * seats * 0.9, throttles={unit: 20})
        return replace(rung, admissions=Admissions(seats, seats + 1, seats + 1, 20, is_opening))

    return server


@pytest.mark.parametrize("seats", [2, 6, 34, 45, 99])
def test_a_head_count_between_two_rungs_is_found_exactly_and_named_whatever_the_words(seats: int) -> None:
    rungs, findings = climbed(refusing(seats), LadderPlan((1, 5, 10, 20, 50, 100)))
    assert findings.limit == seats
    assert findings.interval is not None
    assert findings.interval.low == seats
    assert findings.interval.high <= 1.06 * seats + 1
    binding = find_binding(rungs, findings, StatedLimits(), 60.0)
    assert (binding.limit, binding.sureness) == ("concurrency", "certain")


@pytest.mark.parametrize(("unit", "limit"), [("requests", "RPM"), ("tokens", "TPM")])
def test_refusals_that_name_a_rate_are_no_head_count(unit: Unit, limit: str) -> None:
    rungs, findings = climbed(refusing(10, unit), LadderPlan((1, 2, 4, 8, 16)))
    assert find_binding(rungs, findings, StatedLimits(), 60.0).limit == limit


def test_a_head_count_of_the_opening_alone_is_not_certain() -> None:
    rungs, findings = climbed(refusing(10, is_opening=True), LadderPlan((1, 2, 4, 8, 16)))
    binding = find_binding(rungs, findings, StatedLimits(), 60.0)
    assert (binding.limit, binding.sureness) == ("concurrency", "likely")


def test_a_head_count_of_the_opening_is_none_where_more_passed() -> None:
    """A bucket of ten that fills up again: the few refusals of the opening are forgiven up to thirteen."""

    def server(concurrency: int) -> Rung:
        if concurrency <= 13:
            return a_rung(concurrency, 60.0 * concurrency)
        refused = a_rung(concurrency, 540.0, throttles={"unsaid": 20})
        return replace(refused, admissions=Admissions(10, 11, 11, 20, is_opening=True))

    rungs, findings = climbed(server, LadderPlan((1, 2, 4, 8, 16)))
    assert find_binding(rungs, findings, StatedLimits(), 60.0).limit == "quota"


@pytest.mark.parametrize("knee", [10, 13, 15])
def test_a_knee_below_the_highest_rung_is_looked_at_though_every_rung_passed(knee: int) -> None:
    plan = LadderPlan((1, 2, 4, 8, 16))
    _rungs, findings = climbed(lambda c: a_rung(c, 60.0 * min(c, knee), latency_s=max(1.0, c / knee)), plan)
    assert findings.limit == pytest.approx(knee, rel=0.1)


@pytest.mark.parametrize("knee", [13, 23, 26, 47])
def test_a_server_that_collapses_is_bracketed_on_the_side_where_it_passed(knee: int) -> None:
    def server(concurrency: int) -> Rung:
        rate = concurrency if concurrency <= knee else knee * knee / concurrency
        return a_rung(concurrency, 60.0 * rate, latency_s=concurrency / rate)

    _rungs, findings = climbed(server, LadderPlan())
    assert findings.limit == pytest.approx(knee, rel=0.12)
    assert findings.limit is not None
    assert findings.limit <= 1.05 * knee


def test_a_held_rung_with_less_throughput_than_its_neighbours_is_no_recommendation() -> None:
    rungs, findings = climbed(lambda c: a_rung(c, 60.0 * min(c, 16), latency_s=max(1.0, c / 16)), LadderPlan())
    assert findings.limit == 16
    slow = [*rungs[:-1], replace(a_rung(12, 60.0), phase="hold")]
    lowered = find(slow, LadderPlan()).limit
    assert lowered is not None
    assert lowered < 12

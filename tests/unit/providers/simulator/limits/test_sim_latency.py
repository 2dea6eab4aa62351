from __future__ import annotations

import math
import statistics

import pytest

from providers.simulator.limits.latency import Job, ProcessorSharing, draw_extra_s, draw_noise
from providers.simulator.settings.provider import LatencySettings


def sharing(saturates_at: int | None = None, seats: int | None = None) -> ProcessorSharing:
    return ProcessorSharing(LatencySettings(saturates_at=saturates_at, seats=seats))


def run_out(law: ProcessorSharing) -> dict[Job, list[float]]:
    """Every milestone's time, by jumping from event to event."""
    passed: dict[Job, list[float]] = {}
    while (at := law.next_event()) is not None:
        for job in law.advance(at):
            passed.setdefault(job, []).append(at)
    return passed


@pytest.mark.parametrize(("jobs", "ends_at"), [(1, 2.0), (4, 2.0), (8, 4.0), (40, 20.0)])
def test_n_equal_jobs_on_k_take_n_over_k_times_as_long(jobs: int, ends_at: float) -> None:
    law = sharing(saturates_at=4)
    for _ in range(jobs):
        law.arrive(Job([2.0]), 0.0)
    times = [at for each in run_out(law).values() for at in each]
    assert times == pytest.approx([ends_at] * jobs)


def test_a_job_that_comes_later_slows_the_first_from_then_on() -> None:
    law = sharing(saturates_at=1)
    first, second = Job([2.0]), Job([2.0])
    law.arrive(first, 0.0)
    law.arrive(second, 1.0)  # first has 1 s left, shared: ends at 3; second then has 1 s left, alone: ends at 4
    assert run_out(law) == {first: [3.0], second: [4.0]}


def test_unequal_jobs_leave_in_order_of_work() -> None:
    law = sharing(saturates_at=1)
    jobs = [Job([work]) for work in (1.0, 2.0, 3.0)]
    for job in jobs:
        law.arrive(job, 0.0)
    times = run_out(law)  # textbook: 3*1, + 2*(2-1), + 1*(3-2)
    assert [times[job] for job in jobs] == [[pytest.approx(3.0)], [pytest.approx(5.0)], [pytest.approx(6.0)]]


def test_those_without_a_seat_wait_first_come_first_served() -> None:
    law = sharing(seats=2)
    jobs = [Job([1.0]) for _ in range(5)]
    for job in jobs:
        law.arrive(job, 0.0)
    times = run_out(law)
    assert [times[job][0] for job in jobs] == [1.0, 1.0, 2.0, 2.0, 3.0]


def test_a_seat_is_taken_again_at_the_very_time_that_it_gets_free() -> None:
    law = sharing(seats=1)
    first, second = Job([1.0]), Job([1.0])
    law.arrive(first, 0.0)
    law.arrive(second, 0.0)
    assert law.advance(10.0) == [first, second]  # nobody looked for ten seconds; both are long done


def test_milestones_are_passed_on_the_way() -> None:
    law = sharing(saturates_at=1)
    streamed, other = Job([1.0, 2.0, 3.0]), Job([1.0])
    law.arrive(streamed, 0.0)
    law.arrive(other, 0.0)
    assert run_out(law) == {streamed: [2.0, 3.0, 4.0], other: [2.0]}


def test_a_job_that_is_given_up_frees_its_share_at_once() -> None:
    law = sharing(saturates_at=1, seats=2)
    kept, gone, waiting = Job([2.0]), Job([2.0]), Job([1.0])
    for job in (kept, gone, waiting):
        law.arrive(job, 0.0)
    law.leave(gone, 2.0)  # one second done of each; `waiting` sits down
    assert run_out(law) == {kept: [4.0], waiting: [4.0]}


def test_a_job_that_leaves_the_queue_is_never_served() -> None:
    law = sharing(seats=1)
    first, second, third = Job([1.0]), Job([1.0]), Job([1.0])
    for job in (first, second, third):
        law.arrive(job, 0.0)
    law.leave(second, 0.5)
    law.leave(second, 0.5)
    assert run_out(law) == {first: [1.0], third: [2.0]}


def test_noise_is_the_requests_own_and_has_median_one() -> None:
    factors = [draw_noise(7, f"s{i}/1/1", 0.3) for i in range(2000)]
    assert factors == [draw_noise(7, f"s{i}/1/1", 0.3) for i in range(2000)]
    assert statistics.median(factors) == pytest.approx(1.0, abs=0.03)
    assert statistics.stdev(math.log(factor) for factor in factors) == pytest.approx(0.3, abs=0.02)
    assert draw_noise(7, "any", 0.0) == 1.0


def test_a_share_of_answers_takes_longer_and_belongs_to_the_request() -> None:
    settings = LatencySettings(long=0.25, long_s=150)
    extras = [draw_extra_s(0, f"s{number}/1/1", settings) for number in range(400)]
    assert set(extras) == {0.0, 150.0}
    assert 60 <= extras.count(150.0) <= 140
    assert extras == [draw_extra_s(0, f"s{number}/1/1", settings) for number in range(400)]
    assert draw_extra_s(0, "s/1/1", LatencySettings()) == 0.0

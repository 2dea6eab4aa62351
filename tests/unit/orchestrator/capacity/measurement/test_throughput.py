"""Throughput by Little's law, stragglers, head counts, and when a rung has been measured long enough."""

from __future__ import annotations

import random

import pytest

from orchestrator.capacity.measurement.admissions import count_admissions, worker_pause
from orchestrator.capacity.measurement.sampling import MOST, RungSampling
from orchestrator.capacity.measurement.throughput import little_throughput
from providers.instance import Instance
from providers.messages import ChatRequest, RateLimitHint, Timing
from runners.load.request_result import How, RequestResult, ScheduledRequest
from runners.load.run_load import ClosedLoop, LoadGenerator, LoadRun, Target


def result(
    number: int, sent_at: float, took_s: float, how: How = "ok", hint: RateLimitHint | None = None
) -> RequestResult:
    scheduled = ScheduledRequest(number, "a", sent_at, sent_at, "place")
    return RequestResult(scheduled, sent_at + took_s, how, timing=Timing(0.0, took_s / 4, 3 * took_s / 4), hint=hint)


def closed_loop(concurrency: int, seconds: list[float]) -> LoadRun:
    """Send each request when the first of those in flight has ended."""
    free_at, results = [0.0] * concurrency, list[RequestResult]()
    for number, took_s in enumerate(seconds):
        sent_at = min(free_at)
        free_at[free_at.index(sent_at)] = sent_at + took_s
        results.append(result(number, sent_at, took_s))
    return LoadRun(ClosedLoop(concurrency), results, 0.0, max(one.ended_at for one in results), (), 0.0)


def test_a_few_stragglers_are_listed_and_hardly_change_throughput() -> None:
    draws = random.Random(1)
    usual = [draws.uniform(0.08, 0.12) for _ in range(400)]
    slow = [15.0 if number in {100, 120, 140, 160} else took_s for number, took_s in enumerate(usual)]
    clean, mixed = (little_throughput(closed_loop(10, seconds)) for seconds in (usual, slow))
    assert clean is not None
    assert mixed is not None
    assert clean.per_s == pytest.approx(100, rel=0.02)
    assert mixed.per_s == pytest.approx(clean.per_s, rel=0.04)
    assert mixed.stragglers == 4
    assert mixed.stragglers_s == pytest.approx((15.0,) * 4)
    assert mixed.ttft_s == pytest.approx(0.025, rel=0.05)
    assert mixed.low < 100 < mixed.high


@pytest.mark.parametrize("seed", range(5))
def test_many_long_answers_are_in_the_rate_that_is_printed_and_cannot_rule_the_search(seed: int) -> None:
    draws = random.Random(seed)
    found = little_throughput(closed_loop(20, [10.0 if draws.random() < 0.08 else 1.0 for _ in range(800)]))
    assert found is not None
    assert found.low < 20 / (0.92 + 0.8) < found.high
    assert found.high < 1.7 * found.low
    assert found.bounded_per_s == pytest.approx(20 / found.latency_s)
    assert found.latency_s == pytest.approx(0.92 + 4 * 0.08, rel=0.1)


def test_the_requests_that_fill_a_server_are_not_its_steady_state() -> None:
    """Ten of twenty wait for a place from the second round on."""
    found = little_throughput(closed_loop(20, [1.0] * 20 + [2.0] * 60))
    assert found is not None
    assert found.per_s == pytest.approx(10.0)
    assert found.latency_s == pytest.approx(2.0)
    assert found.n == 40


def test_too_few_requests_have_no_throughput() -> None:
    assert little_throughput(closed_loop(10, [1.0] * 15)) is None


def refused_beyond(seats: int, concurrency: int) -> list[RequestResult]:
    """Two rounds of a server that refuses what is one too many."""
    rounds = [(number, at) for at in (0.0, 1.0) for number in range(concurrency)]
    return [result(n, at, 1.0) if n < seats else result(n, at, 0.01, "throttled") for n, at in rounds]


def test_a_head_count_shows_in_what_is_in_flight_at_every_refusal() -> None:
    found = count_admissions(refused_beyond(45, 100))
    assert found is not None
    assert (found.head_count, found.most_admitted) == (45, 45)
    assert count_admissions(refused_beyond(45, 45)) is None


def test_the_opening_says_nothing_where_later_requests_are_refused_too() -> None:
    """A bucket of ten refuses at ten in flight when a rung begins, and later at any number."""
    opening = [result(n, 0.0, 1.0) if n < 10 else result(n, 0.0, 0.01, "throttled") for n in range(30)]
    later = [
        result(30 + n, 1 + n / 10, 0.5) if n % 2 else result(30 + n, 1 + n / 10, 0.01, "throttled") for n in range(6)
    ]
    found = count_admissions([*opening, *later], 30)
    assert found is not None
    assert (found.head_count, found.refused, found.is_opening) == (None, 3, False)
    first = count_admissions(opening, 30)
    assert first is not None
    assert (first.head_count, first.is_opening) == (10, True)


def test_a_spent_quota_refuses_at_any_number_in_flight() -> None:
    admitted = [result(n, n / 10, 2.0) for n in range(20)]
    refused = [result(20 + n, 2.0 + n / 10, 0.01, "throttled") for n in range(20)]
    found = count_admissions([*admitted, *refused])
    assert found is not None
    assert found.head_count is None


def test_a_refused_worker_waits_as_long_as_it_is_told_else_ever_longer() -> None:
    pause_s, told = worker_pause(60.0), RateLimitHint(retry_after_s=7.0)
    assert pause_s(result(0, 0, 1, "throttled", told), 3) == 7.0
    assert [pause_s(result(0, 0, 1, "throttled"), refused) for refused in (1, 2, 3, 9)] == [2.0, 4.0, 8.0, 60.0]


def sampled(outcomes: list[tuple[float, How]], concurrency: int = 1, look: int = 73) -> int:
    """Count the results after which the rung ends."""
    target = Target([Instance("a", "m", "a", "p", "a")], {}, lambda _number: ChatRequest([]), 300)
    generator = LoadGenerator(target, "rung")
    sampling = RungSampling(concurrency, look, 0.05, generator)
    for number, (took_s, how) in enumerate(outcomes):
        sampling.take(result(number, 0.0, took_s, how))
        if generator.is_enough.is_set():
            return number + 1
    return len(outcomes)


def test_a_rung_lasts_until_failures_and_throughput_are_known() -> None:
    assert sampled([(1.0, "ok")] * 800) == 72
    assert sampled([(1.0, "failed")] * 800) == 3
    draws = random.Random(3)
    tail = [(draws.lognormvariate(0.0, 1.0), "ok") for _ in range(MOST)]
    assert sampled(tail) > 500  # type: ignore[arg-type]

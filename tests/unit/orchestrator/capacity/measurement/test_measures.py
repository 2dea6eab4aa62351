"""Figures of a load test, each against a run whose figures are known."""

from __future__ import annotations

import pytest

from orchestrator.capacity.measurement.measures import Trim, in_flight_over_time, measure
from orchestrator.results.stats.percentiles import distribution, percentile
from providers.messages import Timing, Usage
from runners.load.request_result import How, RequestResult, ScheduledRequest
from runners.load.run_load import ClosedLoop, LoadRun


def result(number: int, sent: float, took: float, how: How = "ok", tokens: int = 11) -> RequestResult:
    scheduled = ScheduledRequest(number, "a", sent, sent, "place")
    if how != "ok":
        return RequestResult(
            scheduled, sent + took, how, error_class={"throttled": "throttled"}.get(how, "server_error")
        )
    timing = Timing(0.0, took / 4, 3 * took / 4, (took / 4,) * 3)
    return RequestResult(
        scheduled, sent + took, "ok", status=200, finish_reason="stop", timing=timing, usage=Usage(20, tokens)
    )


def lockstep(concurrency: int, waves: int, took: float = 1.0) -> LoadRun:
    """Every answer takes the same: the run is waves of `concurrency`."""
    results = [result(wave * concurrency + n, wave * took, took) for wave in range(waves) for n in range(concurrency)]
    return LoadRun(ClosedLoop(concurrency), results, 0.0, waves * took, (0.001,) * 20, 0.2)


def test_throughput_is_concurrency_over_latency() -> None:
    found = measure(lockstep(4, 10, took=2.0))
    assert found.requests_per_s == pytest.approx(2.0)
    assert found.qpm == pytest.approx(120.0)
    assert found.tpm == pytest.approx(120 * 31)
    assert found.output_tokens_per_s == pytest.approx(22.0)
    assert found.achieved_concurrency == pytest.approx(4.0)
    assert found.peak_in_flight == 4


def test_times_are_as_the_field_defines_them() -> None:
    found = measure(lockstep(4, 50, took=2.0))
    assert found.ttft_s.mean == pytest.approx(0.5)
    assert found.latency_s.p95 == pytest.approx(2.0)
    assert found.tpot_s.mean == pytest.approx(0.15)  # (2 - 0.5) / (11 - 1)
    assert found.itl_s.n == 600
    assert found.itl_s.p50 == pytest.approx(0.5)


def test_one_token_has_no_time_per_further_token() -> None:
    run = LoadRun(ClosedLoop(1), [result(0, 0, 1, tokens=1)], 0.0, 1.0, (), 0.0)
    assert measure(run).tpot_s.n == 0


def test_success_is_over_everything_that_was_attempted_and_throttled_stands_apart() -> None:
    results = [result(0, 0, 1), result(1, 1, 1, "throttled"), result(2, 2, 1, "failed"), result(3, 3, 1, "empty")]
    found = measure(LoadRun(ClosedLoop(1), results, 0.0, 4.0, (), 0.0))
    assert (found.success_rate, found.throttled_rate) == (0.25, 0.25)
    assert dict(found.failures) == {"server_error": 2}


def test_a_percentile_needs_its_samples() -> None:
    assert distribution([1.0] * 63).p90 is None
    assert distribution([1.0] * 64).p90 == 1.0
    assert distribution([1.0] * 661).p99 is None
    assert distribution([]).mean is None
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 2.5


def test_the_drain_and_the_warm_up_are_not_measured() -> None:
    results = [result(n, float(n), 1.0) for n in range(10)] + [result(10, 10.0, 90.0)]
    run = LoadRun(ClosedLoop(1), results, 0.0, 100.0, (), 0.0)
    assert measure(run).requests_per_s == pytest.approx(1.0, rel=0.2)
    trimmed = measure(lockstep(2, 20), trim=Trim(warmup_s=5.0))
    assert trimmed.attempted == 30
    assert trimmed.requests_per_s == pytest.approx(2.0, rel=0.01)


def test_the_fullest_minute_is_found_wherever_it_lies() -> None:
    results = [result(n, 100 + n, 0.5) for n in range(60)] + [result(60 + n, 10.0 * n, 0.5) for n in range(30)]
    run = LoadRun(ClosedLoop(1), sorted(results, key=lambda s: s.ended_at), 0.0, 300.0, (), 0.0)
    assert measure(run).peak_qpm == pytest.approx(66, abs=1)
    assert not measure(run).is_burst


def test_a_run_shorter_than_two_windows_is_a_burst() -> None:
    assert measure(lockstep(1, 10)).is_burst
    assert not measure(lockstep(1, 13), minute_s=6.0).is_burst


def test_the_number_in_flight_is_known_at_every_instant() -> None:
    assert in_flight_over_time([result(0, 0, 2), result(1, 1, 2)]) == [(0, 1), (1, 2), (2, 1), (3, 0)]

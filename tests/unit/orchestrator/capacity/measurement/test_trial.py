"""One measured setting: where the time went, how the places were used, and whether the client was the bottleneck."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from orchestrator.capacity.display.files import as_csv
from orchestrator.capacity.display.run_result import request_row
from orchestrator.capacity.measurement.server_metrics import ServerWatch
from orchestrator.capacity.measurement.trial import LoadSetting, Trial, expected_in_flight, judge
from providers.messages import Timing, Usage
from runners.load.request_result import How, RequestResult, ScheduledRequest
from runners.load.run_load import ClosedLoop, LoadRun, OpenLoop, Volume

FOREVER = OpenLoop(10.0, math.inf)


def result(
    number: int, scheduled_at: float, late: float = 0.0, waited_for: str = "arrival", how: How = "ok"
) -> RequestResult:
    """Sent `late` after its time; 0.1 s to connect, 0.4 s to the first token, 0.5 s of answer, 0.2 s to read the rest."""
    scheduled = ScheduledRequest(number, "a", scheduled_at, scheduled_at + late, waited_for)  # type: ignore[arg-type]
    if how != "ok":
        return RequestResult(scheduled, scheduled.dispatched_at + 1.2, how, error_class=how)
    timing = Timing(0.1, 0.4, 0.5)
    return RequestResult(
        scheduled, scheduled.dispatched_at + 1.2, "ok", finish_reason="stop", timing=timing, usage=Usage(20, 11)
    )


def trial(results: Sequence[RequestResult], load: ClosedLoop | OpenLoop = FOREVER, cpu_share: float = 0.1) -> Trial:
    ended_at = max(one.ended_at for one in results)
    run = LoadRun(load, results, 0.0, ended_at, [0.001] * 100, cpu_share)
    return judge(LoadSetting(load, Volume(len(results)), 300), run, ServerWatch(None))


def test_the_parts_of_a_request_add_up_to_its_whole_time() -> None:
    parts = trial([result(0, 0.0, 0.3, "place"), result(1, 1.0)]).breakdown
    means = [part.mean or 0.0 for part in (parts.connect, parts.first_token, parts.generation, parts.parsing)]
    assert sum(means) == pytest.approx(1.2)
    assert parts.queue.mean == pytest.approx(0.15)
    assert parts.rate_wait.most == 0.0


def test_a_wait_for_a_place_is_the_queue_and_any_other_lateness_is_the_clients() -> None:
    parts = trial([result(0, 0.0, 0.3, "place"), result(1, 0.0, 0.2, "arrival")]).breakdown
    assert parts.queue.most == pytest.approx(0.3)
    assert parts.rate_wait.most == pytest.approx(0.2)


def test_the_places_are_counted_over_time() -> None:
    found = trial([result(n, float(n)) for n in range(10)]).slots
    assert found.mean_in_flight == pytest.approx(1 + 8 * 0.2 / 9, abs=1e-6)
    assert sum(found.at_level.values()) == pytest.approx(1.0)
    assert found.waits_ended_by == {"arrival": 10}


@pytest.mark.parametrize(
    ("load", "latency_s", "expected"),
    [
        (ClosedLoop(8), 0.5, 8),
        (OpenLoop(10.0), 0.5, 5),
        (OpenLoop(10.0, 1.0, 3), 0.5, 3),
        (OpenLoop(0.1), 2.0, 0.2),
        (OpenLoop(math.inf), 2.0, None),
        (OpenLoop(10.0), None, None),
    ],
)
def test_the_concurrency_to_expect_is_the_limit_or_rate_times_latency(
    load: ClosedLoop | OpenLoop, latency_s: float | None, expected: float | None
) -> None:
    assert expected_in_flight(LoadSetting(load, Volume(1), 300), latency_s) == (
        None if expected is None else pytest.approx(expected)
    )


def test_a_client_that_keeps_up_is_no_limit() -> None:
    assert trial([result(n, n / 10) for n in range(100)]).client_limits == []


def test_a_client_that_is_late_or_busy_says_so() -> None:
    found = trial([result(n, n / 10, late=0.05) for n in range(100)], cpu_share=0.95).client_limits
    assert found == ["requests left up to 50 ms late", "this process used 95 % of a core"]


def test_a_full_server_does_not_make_the_client_late() -> None:
    assert trial([result(n, n / 10, late=5.0, waited_for="place") for n in range(100)]).client_limits == []


def test_the_rate_that_was_sent_is_counted_between_the_first_and_the_last() -> None:
    assert trial([result(n, n / 10) for n in range(101)]).dispatched_per_s == pytest.approx(10.0)
    assert trial([result(0, 0.0)]).dispatched_per_s is None


def test_failures_stand_in_the_rows_without_times() -> None:
    rows = [request_row(one, 0.0) for one in (result(0, 0.0, 0.3, "place"), result(1, 1.0, how="empty"))]
    assert (rows[0]["queue_s"], rows[0]["latency_s"], rows[1]["how"], rows[1]["latency_s"]) == (0.3, 0.9, "empty", None)
    assert as_csv(rows).count("\n") == 3
    assert as_csv([]) == ""

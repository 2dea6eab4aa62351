"""The facts of a report: what is counted where, what is ranked, and what is never said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from orchestrator.report.facts.decisions import read_decisions
from orchestrator.report.facts.gather import Facts, gather_facts, read_columns
from orchestrator.results.run import Run
from orchestrator.results.run_directory.directory import RunDirectory

MakeRun = Callable[..., Run]

FAILED = {"score": 0.0, "grade": "failed", "passed": False, "score_error": "wrong_answer"}
LOST = {
    "outcome": "infra_failure", "error_class": "timeout", "error_message": "sim/m: no answer", "score": None, "grade": None,
    "passed": None, "output_text": None,
}  # fmt: skip


def facts_of(run: Run) -> Facts:
    return gather_facts(run, read_columns(run))


def test_rates_are_over_the_clean_denominator_and_bounds_over_everything(make_run: MakeRun) -> None:
    (standing,) = facts_of(make_run([{}, {}, {}, FAILED, LOST])).standings
    assert (standing.scored, standing.total, standing.success_rate) == (4, 5, 3 / 4)
    assert (standing.worst_case, standing.best_case) == (3 / 5, 4 / 5)
    assert standing.low is not None
    assert standing.high is not None
    assert standing.low < 3 / 4 < standing.high


def test_epochs_of_one_task_do_not_narrow_the_interval(make_run: MakeRun) -> None:
    """Twenty answers to four tasks, each task always right or always wrong, are four draws."""
    kinds = [{"task_id": f"t{n % 4}", "epoch": n // 4, **(FAILED if n % 2 else {})} for n in range(20)]
    (standing,) = facts_of(make_run(kinds)).standings
    assert standing.low is not None
    assert standing.low < 0.2


def test_models_are_ranked_by_success(make_run: MakeRun) -> None:
    facts = facts_of(make_run([{"model": "a", **FAILED}, {"model": "b"}]))
    assert ([one.name for one in facts.standings], facts.obstacles) == (["b", "a"], ())


def test_nothing_is_ranked_where_missingness_differs(make_run: MakeRun) -> None:
    facts = facts_of(make_run([{"model": "a", **FAILED}, {"model": "b"}, {"model": "b", **LOST}]))
    assert [one.name for one in facts.standings] == ["a", "b"]
    assert facts.obstacles == ("a and b are not comparable: missingness 0.0 % vs 50.0 %",)


def test_every_axis_with_levels_is_compared_prompts_against_the_plain_one(make_run: MakeRun) -> None:
    kinds = [
        {"model": model, "prompt_type": prompt, "task_id": f"t{n}", **(FAILED if prompt == "a_flaw" else {})}
        for model in ("x", "y")
        for prompt in ("a_flaw", "baseline")
        for n in range(8)
    ]
    facts = facts_of(make_run(kinds))
    assert [one.axis for one in facts.comparisons] == ["model", "prompt_type"]
    (contrast,) = facts.comparisons[1].contrasts
    assert (contrast["level"], contrast["verdict"], contrast["difference"]) != (None, None, None)
    assert contrast["verdict"] == "worse"
    assert facts.comparisons[1].table.title == "Prompt type, against baseline"


def test_failures_are_counted_by_class_with_a_message_and_their_instances(make_run: MakeRun) -> None:
    found = facts_of(make_run([LOST, {**LOST, "instance": "sim/n"}, FAILED])).failures
    assert [(one.outcome, one.error_class, one.samples, one.instances, one.example) for one in found] == [
        ("infra_failure", "timeout", 2, ("sim/m", "sim/n"), "sim/m: no answer"),
        ("ok", "wrong_answer", 1, ("sim/m",), ""),
    ]


def test_instances_say_what_was_planned_done_moved_and_sent(make_run: MakeRun) -> None:
    moved = {"planned_instance": "sim/n", "moved_reason": "auth"}
    end = {"at": 2.0, "event": "end", "sent": 7, "throttled": 2, "time_under": {"cap": 1.5, "idle": 0.5}}
    decisions = [
        {"at": 1.0, "instance": "sim/n", "event": "instance_lost", "state": "revoked", "evidence": "HTTP 401"},
        {"instance": "sim/m", **end},
        {"instance": "sim/m", **end},
    ]
    facts = facts_of(make_run([{}, moved, moved], decisions))
    first, second = facts.instances
    assert (first.planned, first.done, first.requests, first.refusals, first.state) == (1, 3, 14, 4, "healthy")
    assert (second.planned, second.done, second.moved_away, second.requests) == (2, 0, {"auth": 2}, None)
    assert second.state == "revoked: HTTP 401"
    assert facts.decisions.ledger.time_under_s == {"sim/m": {"cap": 3.0, "idle": 1.0}}


def test_a_torn_decision_is_left_out_and_an_unknown_one_shown_as_it_is(make_run: MakeRun) -> None:
    run = make_run(
        [{}], [{"at": 1.0, "instance": "sim/m", "event": "cap"}, {"at": 2.0, "instance": "i", "event": "new", "x": 1}]
    )
    path = RunDirectory(run.path).decisions
    path.write_bytes(path.read_bytes() + b'{"at":3.0,"insta')
    found = read_decisions(path)
    assert [(one.event, one.words) for one in found.kept] == [("cap", "{}"), ("new", '{"x":1}')]


def test_stages_are_disjoint_and_add_up(make_run: MakeRun) -> None:
    times = {
        "queue_s": 1.0,
        "rate_wait_s": 2.0,
        "retry_wait_s": 0.0,
        "connect_s": 0.1,
        "generation_s": 0.5,
        "working_s": 1.0,
    }
    found = facts_of(make_run([{**times, "total_s": 3.0, "write_s": 0.5}] * 2)).stage_times
    means = {one.stage: one.mean_s for one in found}
    assert means["other_s"] == pytest.approx(0.4)
    assert means["ttft_s"] is None
    assert sum(one.share or 0.0 for one in found) == pytest.approx(1.0)
    assert {one.p95_s for one in found} == {None}


def test_hours_between_a_run_and_its_resume_are_cut_out_and_said(make_run: MakeRun) -> None:
    later: dict[str, Any] = dict.fromkeys(
        ("queued_at", "started_at", "completed_at"), "2026-11-22T09:30:10.000000+00:00"
    )
    facts = facts_of(make_run([{}, later]))
    (pause,) = facts.running_time.pauses
    assert pause.length_s == pytest.approx(24 * 3600 + 9)
    assert len(facts.throughput.answered) * facts.throughput.step_s < 2


def test_a_run_without_a_record_has_facts(make_run: MakeRun) -> None:
    facts = facts_of(make_run([]))
    assert (facts.recorded, facts.standings, facts.failures, facts.throughput.answered) == (0, (), (), ())
    assert orjson.dumps(facts.stage_times)

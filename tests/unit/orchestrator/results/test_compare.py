"""Levels against a baseline, stages against a competitor, and how both are printed."""

from __future__ import annotations

from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from orchestrator.results.compare.contrast import Question, compare_levels
from orchestrator.results.compare.document import contrast_row, contrast_table, gap_table, stage_table
from orchestrator.results.compare.external_results import read_external_results
from orchestrator.results.compare.stages import StageFigures, changes, gaps_to
from providers.errors import InputError

Cell = tuple[str, str, bool | None]
"""Model, prompt type, passed."""


def records(cells: dict[Cell, int], epochs: int = 1) -> pa.Table:
    """So many tasks of each kind; task t of one model is task t of every other."""
    rows, taken = [], dict[tuple[str, str], int]()
    for (model, prompt, passed), count in cells.items():
        first = taken.get((model, prompt), 0)
        taken[model, prompt] = first + count
        rows += [
            {
                "model": model,
                "prompt_type": prompt,
                "tool_success_rate": 1.0,
                "task_id": f"t{task}",
                "family": "",
                "epoch": epoch,
                "passed": passed,
                "score": None if passed is None else float(passed),
            }
            for task in range(first, first + count)
            for epoch in range(epochs)
        ]
    return pa.Table.from_pylist(rows)


def test_a_model_that_is_better_on_the_same_tasks_is_called_better() -> None:
    table = records({("a", "cot", True): 50, ("a", "cot", False): 50, ("b", "cot", True): 75, ("b", "cot", False): 25})
    (one,) = compare_levels(table, Question("model"))
    assert (one.baseline.name, one.level.name, one.verdict) == ("a", "b", "better")
    assert one.paired is not None
    assert (one.paired.wins, one.paired.losses, one.paired.n) == (25, 0, 100)
    assert one.paired.difference == pytest.approx(0.25)
    (other_way,) = compare_levels(table, Question("model", baseline="b"))
    assert other_way.verdict == "worse"


def test_models_are_paired_within_prompt_types_and_clustered_by_task() -> None:
    table = records({(m, p, True): 30 for m in "ab" for p in ("x", "y")})
    (one,) = compare_levels(table, Question("model"))
    assert one.paired is not None
    assert (one.paired.n, one.paired.clusters) == (60, 30)


def test_strata_are_compared_one_by_one_and_adjusted_together() -> None:
    cells: dict[Cell, int] = {("a", p, passed): 20 for p in ("x", "y") for passed in (True, False)}
    cells |= {("b", "x", True): 40, ("b", "y", True): 20, ("b", "y", False): 20}
    first, second = compare_levels(records(cells), Question("model", by=("prompt_type",)))
    assert (first.stratum, first.verdict) == ({"prompt_type": "x"}, "better")
    assert (second.stratum, second.verdict) == ({"prompt_type": "y"}, "no evidence")
    assert first.paired is not None
    assert first.adjusted_p == pytest.approx(2 * first.paired.p_value)


def test_nothing_is_ranked_where_one_model_misses_more_than_the_other() -> None:
    cells: dict[Cell, int] = {("a", "x", True): 100, ("b", "x", False): 90, ("b", "x", None): 10}
    (one,) = compare_levels(records(cells), Question("model"))
    assert one.verdict == "not comparable"
    assert "0.0% of a, 10.0% of b" in one.reason
    assert one.level.bounds == (0.0, 0.1)


def test_what_both_miss_alike_is_no_obstacle() -> None:
    cells: dict[Cell, int] = {("a", "x", True): 95, ("a", "x", None): 5, ("b", "x", False): 95, ("b", "x", None): 5}
    (one,) = compare_levels(records(cells), Question("model"))
    assert one.verdict == "worse"


def test_no_shared_score_is_no_comparison() -> None:
    cells: dict[Cell, int] = {("a", "x", True): 5, ("b", "y", True): 5}
    (one,) = compare_levels(records(cells), Question("model"))
    assert (one.verdict, one.reason) == ("not comparable", "no sample has a score in both")


def test_a_question_that_has_no_answer_says_why() -> None:
    table = records({("a", "x", True): 1, ("b", "x", True): 1})
    with pytest.raises(InputError, match="no axis 'colour'"):
        compare_levels(table, Question("colour"))
    with pytest.raises(InputError, match="only 'x' on the axis prompt_type"):
        compare_levels(table, Question("prompt_type"))
    with pytest.raises(InputError, match="no model 'c'; there are a, b"):
        compare_levels(table, Question("model", baseline="c"))
    with pytest.raises(InputError, match="no column 'colour'"):
        compare_levels(table, Question("model", by=("colour",)))


BEFORE = StageFigures("before", 0.95, 6.57, 35.73, 212.72)
FIRST = StageFigures("first change", 0.994, 4.37, 56.57, 140.53)
SECOND = StageFigures("second change", 0.994, 4.30, 57.50, 138.25)
RIVAL = StageFigures("rival", 1.0, 1.80, 102.5, 80.0)


def test_gaps_and_the_share_closed_are_reckoned_as_in_a_published_report() -> None:
    success, response, throughput, _total = gaps_to(RIVAL, [BEFORE, FIRST, SECOND])
    assert [round(100 * gap, 1) for gap in success.gaps] == [5.0, 0.6, 0.6]
    assert [round(100 * gap, 1) for gap in response.gaps] == [265.0, 142.8, 138.9]
    assert [round(100 * gap, 1) for gap in throughput.gaps] == [186.9, 81.2, 78.3]
    assert success.closed == pytest.approx(0.88)
    assert throughput.closed == pytest.approx(0.581, abs=1e-3)


def test_a_stage_that_was_never_behind_has_closed_nothing() -> None:
    assert gaps_to(BEFORE, [SECOND])[0].closed is None


def test_changes_run_from_the_first_stage_to_the_last() -> None:
    found = changes([BEFORE, FIRST, SECOND])
    assert {name: round(100 * value, 1) for name, value in found.items()} == {
        "success rate": 4.4,
        "mean response": -34.6,
        "throughput": 60.9,
        "total time": -35.0,
    }


def test_tables_print_stages_and_gaps() -> None:
    stages = [BEFORE, FIRST, SECOND]
    assert "| before | 95.0 % | 6.57 s | 35.73 tokens/s | 212.72 s |" in stage_table(stages).to_markdown()
    gaps = gap_table("rival", stages, gaps_to(RIVAL, stages)).to_markdown()
    assert "| throughput | +186.9 % | +81.2 % | +78.3 % | 58.1 % |" in gaps


def test_a_contrast_is_a_line_and_a_row() -> None:
    found = compare_levels(records({("a", "x", True): 40, ("b", "x", False): 40}), Question("model"))
    assert "| b | 40 | 100.0 [91.2, 100.0] | 0.0 [0.0, 8.8] | -100.0 |" in contrast_table("model", found).to_markdown()
    row = orjson.loads(orjson.dumps(contrast_row(found[0])))
    assert (row["verdict"], row["pairs"], row["losses"]) == ("worse", 40, 40)


def test_other_tools_result_files_are_read(tmp_path: Path) -> None:
    guidellm = tmp_path / "benchmarks.json"
    metrics = {
        "request_totals": {"successful": 98, "errored": 2, "incomplete": 0, "total": 100},
        "request_latency": {"successful": {"mean": 1.5}},
        "output_token_count": {"successful": {"total_sum": 9800}},
    }
    guidellm.write_bytes(orjson.dumps({"benchmarks": [{"duration": 50.0, "metrics": metrics}]}))
    assert read_external_results(guidellm) == [StageFigures("benchmarks", 0.98, 1.5, 196.0, 50.0)]
    evalscope = tmp_path / "benchmark_summary.json"
    evalscope.write_bytes(
        orjson.dumps(
            {
                "Req Throughput (req/s)": 2.0,
                "Success Requests": 99,
                "Total Requests": 100,
                "Avg Latency (s)": 1.25,
                "Output Throughput (tok/s)": 200.0,
                "Test Duration (s)": 50.0,
            }
        )
    )
    assert read_external_results(evalscope) == [StageFigures("benchmark_summary", 0.99, 1.25, 200.0, 50.0)]


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', '{"benchmarks": [{}]}'])
def test_a_file_of_no_known_tool_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"x\.json"):
        read_external_results(path)

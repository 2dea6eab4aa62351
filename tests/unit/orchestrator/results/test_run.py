"""Summaries: which counts there are, and over what the rates are taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator.results.compare.comparability import find_obstacles
from orchestrator.results.run import Run
from orchestrator.results.run_directory.directory import Manifest, RunDirectory
from orchestrator.results.stats.intervals import wilson
from orchestrator.results.summaries.clusters import ClusterSums
from orchestrator.results.summaries.grouping import Groups
from orchestrator.results.summaries.summary import HIERARCHY, Weights, summarise
from orchestrator.results.summaries.summary_table import cut_off_sentences, unreadable_sentences
from providers.errors import InputError, StorageError
from runners.journal.sinks.open_sink import open_sink
from runners.journal.sinks.record_table import record_table
from runners.journal.sinks.sink import StorageFormat
from runners.samples.record import FINAL, Record
from tests.unit.orchestrator.results.older_results import write_older_part

MakeRecord = Callable[..., Record]

FAILED: dict[str, Any] = {"score": 0.0, "grade": "failed", "passed": False}
UNSCORED = {"score": None, "grade": None, "passed": None, "output_text": None}
KINDS: list[dict[str, Any]] = [
    {},
    {"cost_usd": 0.5},
    {"grade": "partial", "score": 0.4, "passed": False},
    {**FAILED, "score_error": "wrong_answer"},
    {**FAILED, "outcome": "model_failure", "error_class": "content_filter", "output_text": None},
    {**UNSCORED, "outcome": "infra_failure", "error_class": "timeout_attempt"},
    {**UNSCORED, "outcome": "infra_failure", "error_class": "timeout_attempt"},
    {**UNSCORED, "outcome": "not_run", "error_class": "user_code"},
]


@pytest.fixture
def records(make_record: MakeRecord) -> list[Record]:
    """Eight of a kind each, and one of another model."""
    found = [make_record(ordinal=n, sample_id=f"s{n}", **kind) for n, kind in enumerate(KINDS)]
    return [*found, make_record(ordinal=8, sample_id="s8", model="another", turns=3, working_s=4.0)]


def table(records: list[Record]) -> pa.Table:
    return record_table([asdict(record) for record in records])


def test_every_record_is_counted_once_and_in_its_column(records: list[Record]) -> None:
    _, row = summarise(table(records))
    counts = {name: row[name] for name in ("total", "successful", "partial", "failed", "infra_failures", "not_run")}
    assert counts == {
        "total": 8, "successful": 2, "partial": 1, "failed": 2, "infra_failures": 2, "not_run": 1,
    }  # fmt: skip


def test_answers_that_max_tokens_ended_are_counted_and_told_of(make_record: MakeRecord) -> None:
    found = [
        make_record(finish_reason="length"),
        make_record(finish_reason="stop"),
        make_record(finish_reason="length", outcome="model_failure", error_class="length"),
        make_record(finish_reason=None, outcome="infra_failure", error_class="connection", **UNSCORED),
    ]
    rows = summarise(table(found), ["model"])
    assert [row["cut_off"] for row in rows] == [1]
    (sentence,) = cut_off_sentences(rows)
    assert sentence.startswith(f"1 of the 4 samples of {rows[0]['model']} were cut off by max_tokens")
    assert "cut off" in rows.table().columns
    assert cut_off_sentences(summarise(table([make_record()]), ["model"])) == []


def test_tool_calls_that_could_not_be_read_are_counted_and_told_of(make_record: MakeRecord) -> None:
    found = [make_record(tool_calls=3, tool_rejections=2, tool_unreadable=2), make_record(tool_unreadable=None)]
    rows = summarise(table(found), ["model"])
    assert [(row["tool_calls"], row["tool_unreadable"]) for row in rows] == [(3, 2)]
    (sentence,) = unreadable_sentences(rows)
    assert sentence.startswith(f"2 of the 3 tool calls of {rows[0]['model']} could not be read")
    assert "unread" in rows.table().columns
    assert unreadable_sentences(summarise(table([make_record(tool_unreadable=None)]), ["model"])) == []


def test_rates_are_over_what_the_model_answered_or_failed(records: list[Record]) -> None:
    """Infrastructure failures and samples that were not run are in no denominator."""
    _, row = summarise(table(records))
    assert (row["success_rate"], row["partial_rate"], row["failure_rate"]) == (2 / 5, 1 / 5, 2 / 5)
    assert row["weighted_score"] == pytest.approx((1 + 1 + 0.4 + 0 + 0) / 5)


def test_the_worst_and_the_best_case_stand_beside_the_rate(records: list[Record]) -> None:
    _, row = summarise(table(records))
    assert (row["success_rate_worst"], row["success_rate_best"], row["missing_rate"]) == (2 / 8, 5 / 8, 3 / 8)


def test_weights_say_what_an_answer_is_worth_and_how_much_it_counts(make_record: MakeRecord) -> None:
    found = [
        make_record(difficulty="easy"),
        make_record(difficulty="hard", grade="partial", score=0.9, passed=False),
        make_record(difficulty="hard", grade="partial", score=0.9, passed=False, score_error="sequence_order"),
        make_record(difficulty="hard", **UNSCORED, outcome="infra_failure", error_class="connection"),
    ]

    def weighted(**weights: Any) -> float:
        (row,) = summarise(table(found), ["model"], Weights(**weights))
        return float(str(row["weighted_score"]))

    assert weighted() == pytest.approx((1 + 0.9 + 0.9) / 3)
    assert weighted(grades={"partial": 0.5}) == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert weighted(grades={"partial": 0.5}, error_classes={"sequence_order": 0.8}) == pytest.approx(
        (1 + 0.5 + 0.8) / 3
    )
    assert weighted(difficulties={"hard": 3}) == pytest.approx((1 + 3 * 0.9 + 3 * 0.9) / 7)
    assert weighted(task_types={"sum": 2}, difficulties={"hard": 3}) == pytest.approx((1 + 3 * 0.9 + 3 * 0.9) / 7)
    assert weighted(difficulties={"easy": 0}) == pytest.approx(0.9)


def test_realised_tool_success_has_an_interval_where_tools_were_called(make_record: MakeRecord) -> None:
    (row,) = summarise(table([make_record(tool_calls=8, tool_failures=2), make_record(tool_calls=2)]), ["model"])
    assert (row["tool_success"], row["mean_tool_calls"]) == (0.8, 5.0)
    low, high = float(str(row["tool_success_low"])), float(str(row["tool_success_high"]))
    assert (round(low, 3), round(high, 3)) == (0.49, 0.943)
    (none,) = summarise(table([make_record()]), ["model"])
    assert (none["tool_success"], none["tool_success_low"]) == (None, None)


@pytest.mark.parametrize(
    ("missing", "is_comparable"), [((0, 8), False), ((0, 2), True), ((0, 3), False), ((8, 8), True)]
)
def test_groups_that_miss_different_shares_are_not_ranked(
    make_record: MakeRecord, missing: tuple[int, int], is_comparable: bool
) -> None:
    lost = {**UNSCORED, "outcome": "infra_failure", "error_class": "connection"}
    found = [
        make_record(model=model, **(lost if n < gone else {}))
        for model, gone in zip("ab", missing, strict=True)
        for n in range(100)
    ]
    obstacles = find_obstacles(summarise(table(found), ["model"]))
    assert (obstacles == []) is is_comparable
    if missing == (0, 8):
        assert str(obstacles[0]) == "a and b are not comparable: missingness 0.0 % vs 8.0 %"


def test_a_ranking_is_refused_while_too_much_is_missing(tmp_path: Path, make_record: MakeRecord) -> None:
    found = [
        make_record(ordinal=n, sample_id=f"s{n}", model="ab"[n % 2], **({} if n % 2 else FAILED)) for n in range(8)
    ]
    assert run_of(tmp_path / "whole", "parquet", found).ranking() == ["b", "a"]
    lost = {**UNSCORED, "outcome": "infra_failure", "error_class": "connection"}
    found += [make_record(ordinal=n, sample_id=f"s{n}", model="b", **lost) for n in range(8, 14)]
    found += [make_record(ordinal=n, sample_id=f"s{n}", model="a") for n in range(14, 18)]
    with pytest.raises(InputError, match=r"a and b are not comparable: missingness 0\.0 % vs 60\.0 %; resume "):
        run_of(tmp_path / "lost", "parquet", found).ranking()


def test_a_summary_by_no_column_names_the_nearest(tmp_path: Path, records: list[Record]) -> None:
    with pytest.raises(InputError, match=r"records have no column 'modl'; did you mean \"model\"\?"):
        run_of(tmp_path / "r", "parquet", records).summary(["modl"])


def test_a_group_without_an_answer_has_no_rate(make_record: MakeRecord) -> None:
    (row,) = summarise(table([make_record(outcome="infra_failure", error_class="connection", **UNSCORED)]))
    assert (row["total"], row["success_rate"], row["weighted_score"]) == (1, None, None)


def test_errors_are_counted_by_class(records: list[Record]) -> None:
    _, row = summarise(table(records))
    assert row["errors"] == {"content_filter": 1, "timeout_attempt": 2, "user_code": 1, "wrong_answer": 1}


def test_means_tokens_and_cost_are_of_the_group(records: list[Record]) -> None:
    another, row = summarise(table(records))
    assert (another["mean_turns"], another["mean_time_s"], another["cost_usd"]) == (3.0, 4.0, None)
    assert (row["mean_turns"], row["input_tokens"], row["output_tokens"], row["cost_usd"]) == (1.0, 80, 40, 0.5)


def test_groups_go_down_the_hierarchy_in_order(make_record: MakeRecord) -> None:
    found = [
        make_record(model=model, prompt_type=prompt, difficulty=difficulty)
        for difficulty in ("hard", "easy")
        for prompt in ("cot", "baseline")
        for model in ("b", "a")
    ]
    rows = summarise(table(found))
    keys = [tuple(str(row[name]) for name in HIERARCHY) for row in rows]
    assert len(rows) == 8
    assert keys == sorted(keys)


def test_difficulties_that_everybody_knows_rise(make_record: MakeRecord) -> None:
    said = ("hard", "odd", "medium", "easy")
    rows = summarise(table([make_record(difficulty=one) for one in said]), ["difficulty"])
    assert [row["difficulty"] for row in rows] == ["easy", "medium", "hard", "odd"]


def test_a_summary_may_be_of_fewer_levels(records: list[Record]) -> None:
    (row,) = summarise(table(records), by=["prompt_type"])
    assert (row["prompt_type"], row["total"]) == ("baseline", 9)


def test_no_records_have_no_summary() -> None:
    assert summarise(record_table([])) == []


def run_of(path: Path, form: StorageFormat, records: list[Record]) -> Run:
    """A run directory as a run leaves it."""
    directory = RunDirectory(path)
    path.mkdir()
    directory.write_manifest(Manifest("r", {}, "/", form, len(records), "f", {}))
    sink = open_sink(form, directory.results)
    final = [asdict(record) for record in records if record.outcome in FINAL]
    sink.write_part(1, final[:3])
    sink.write_part(2, final[3:])
    sink.write_unresolved([asdict(record) for record in records if record.outcome not in FINAL])
    return Run.load(path)


def test_json_and_parquet_give_equal_tables(tmp_path: Path, records: list[Record]) -> None:
    parquet = run_of(tmp_path / "p", "parquet", records).to_arrow()
    json = run_of(tmp_path / "j", "json", records).to_arrow()
    assert parquet.schema.equals(json.schema)
    assert parquet.sort_by("ordinal").equals(json.sort_by("ordinal"))
    assert parquet.num_rows == len(records)


def test_a_line_that_a_crash_cut_off_is_left_out(tmp_path: Path, records: list[Record]) -> None:
    run = run_of(tmp_path / "j", "json", records)
    with (run.path / "results" / "results.jsonl").open("ab") as file:
        file.write(b'{"run_id":"r","ordi')
    assert run.to_arrow().num_rows == len(records)


@pytest.mark.parametrize("form", ["parquet", "json"])
def test_a_sample_that_a_killed_resume_has_finished_is_shown_once(
    tmp_path: Path, records: list[Record], form: StorageFormat
) -> None:
    """Its old row stands in `unresolved.*` until a resume comes to its end."""
    run = run_of(tmp_path / "r", form, records)
    resumed = replace(records[5], outcome="ok", grade="full", error_class=None)
    open_sink(form, run.path / "results").write_part(3, [asdict(resumed)])
    rows = run.to_arrow().to_pylist()
    assert sorted(row["ordinal"] for row in rows) == list(range(9))
    assert [row["outcome"] for row in rows if row["ordinal"] == 5] == ["ok"]
    assert [row["total"] for row in run.summary()] == [1, 8]


@pytest.mark.parametrize("form", ["parquet", "json"])
def test_results_of_an_older_version_are_read_beside_newer_ones(
    tmp_path: Path, records: list[Record], form: StorageFormat
) -> None:
    older, newer = records[0], replace(records[1], reasoning_text="because", adaptation="{}")
    directory = RunDirectory(tmp_path)
    directory.write_manifest(Manifest("r", {}, "/", form, 2, "f", {}))
    sink = open_sink(form, directory.results)
    write_older_part(sink, directory.results, 1, [asdict(older)])
    sink.write_part(2, [asdict(newer)])
    run = Run.load(tmp_path)
    first, second = run.to_arrow().sort_by("ordinal").to_pylist()
    assert (first["output_text"], first["reasoning_text"], first["adaptation"]) == (older.output_text, None, None)
    assert (second["reasoning_text"], second["adaptation"]) == ("because", "{}")
    assert [row["total"] for row in run.summary([])] == [2]


def test_a_part_without_a_column_that_every_version_writes_is_damaged(tmp_path: Path, records: list[Record]) -> None:
    run = run_of(tmp_path / "r", "parquet", records)
    path = run.path / "results" / "part-000001.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["outcome"]), path)
    with pytest.raises(StorageError, match="has no column outcome"):
        run.to_arrow()


def test_a_run_gives_pandas_and_a_summary(tmp_path: Path, records: list[Record]) -> None:
    run = run_of(tmp_path / "p", "parquet", records)
    assert len(run.to_pandas()) == 9
    assert [row["model"] for row in run.summary()] == ["another", "m"]
    assert repr(run) == f"Run({str(tmp_path / 'p')!r})"


def test_a_run_without_results_is_an_empty_table(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.write_manifest(Manifest("r", {}, "/", "parquet", 0, "f", {}))
    assert Run.load(tmp_path).to_arrow().num_rows == 0
    assert Run.load(tmp_path).summary() == []


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a run directory: it has no manifest\.json"):
        Run.load(tmp_path)


@pytest.mark.parametrize("name", ["part-000001.parquet", "unresolved.parquet", "results.jsonl", "unresolved.jsonl"])
@pytest.mark.parametrize("content", [b"PAR1 not at all\n", b"[1]\n", b"\xff\n"])
def test_damaged_results_are_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    directory = RunDirectory(tmp_path)
    directory.results.mkdir()
    directory.write_manifest(Manifest("run", {}, "/", "parquet", 1, "f", {}))
    (directory.results / name).write_bytes(content)
    with pytest.raises(StorageError, match=f"{name} is damaged"):
        Run.load(tmp_path).to_arrow()


def test_intervals_stand_beside_the_rates_and_widen_with_clusters(make_record: MakeRecord) -> None:
    def interval(cluster: Callable[[int], str]) -> tuple[float, float]:
        found = [make_record(task_id=f"t{n}", family=cluster(n), **({} if n % 8 < 4 else FAILED)) for n in range(80)]
        (row,) = summarise(table(found), ["model"])
        return float(str(row["success_low"])), float(str(row["success_high"]))

    alone, families = interval(lambda _n: ""), interval(lambda n: f"f{n // 4}")
    wilson_own = wilson(40, 80)
    assert alone == pytest.approx((wilson_own.low, wilson_own.high))
    assert families[1] - families[0] > 1.7 * (alone[1] - alone[0])


def test_intervals_are_the_same_in_one_piece_and_in_many(make_record: MakeRecord) -> None:
    whole = table(
        [make_record(task_id=f"t{n % 30}", epoch=n // 30, **(FAILED if n % 7 % 2 else {})) for n in range(120)]
    )
    pieces = [whole.slice(start, 7) for start in range(0, 120, 7)]
    assert list(summarise(pieces, ["model"])) == list(summarise(whole, ["model"]))
    with_nothing_between = [whole.slice(0, 60), whole.slice(0, 0), whole.slice(60)]
    assert list(summarise(with_nothing_between)) == list(summarise(whole))


def test_many_clusters_are_put_together_as_they_pile_up(make_record: MakeRecord) -> None:
    sums = ClusterSums(held_rows=10)
    found = [make_record(task_id=f"t{n % 20}", **(FAILED if n % 3 else {})) for n in range(100)]
    for start in range(0, 100, 5):
        piece = Groups(["model"]).with_numbers(table(found[start : start + 5]))
        sums.add(piece.append_column("successful", piece["passed"].cast("int64")), "successful")
    (moments,) = sums.moments().values()
    assert (moments.groups, moments.n, moments.total, moments.sizes) == (20, 100, 34, 20 * 25)


def test_a_summary_is_a_table_everywhere(tmp_path: Path, records: list[Record]) -> None:
    found = run_of(tmp_path / "r", "parquet", [replace(one, model="<b>|m") for one in records]).summary("model")
    assert found.to_markdown().splitlines()[4].startswith(r"| \<b>\|m | 9 | 3 |")
    assert "&lt;b&gt;|m" in found._repr_html_()
    assert r"\begin{tabular}{lr" in found.to_latex()
    frame = found.to_pandas()
    assert list(frame["success_low"]) == [found[0]["success_low"]]
    assert run_of(tmp_path / "none", "parquet", []).summary().to_markdown().startswith("**Summary**")


def test_a_summary_may_be_of_everything_or_of_one_column(tmp_path: Path, records: list[Record]) -> None:
    run = run_of(tmp_path / "r", "parquet", records)
    assert [row["total"] for row in run.summary([])] == [9]
    assert [row["total"] for row in run.summary("model")] == [row["total"] for row in run.summary(["model", "model"])]


def test_a_run_gives_polars_too(tmp_path: Path, records: list[Record]) -> None:
    run = run_of(tmp_path / "p", "parquet", records)
    assert run.to_polars().shape == (9, len(run.to_arrow().schema))
    assert run.to_arrow(["model"]).column_names == ["model"]


def test_a_notebook_shows_the_headline_and_no_markup_of_others(tmp_path: Path, records: list[Record]) -> None:
    run = run_of(tmp_path / "r", "parquet", [replace(one, model="<script>") for one in records])
    shown = run._repr_html_()
    assert "r: 6 of 9 samples have a final record" in shown
    assert "&lt;script&gt;" in shown
    assert "<script" not in shown


def test_runs_are_compared_side_by_side(tmp_path: Path, make_record: MakeRecord) -> None:
    good = [make_record(ordinal=n, sample_id=f"s{n}", task_id=f"t{n}") for n in range(40)]
    first = run_of(tmp_path / "first", "parquet", good)
    second = run_of(tmp_path / "second", "json", [replace(one, **FAILED) for one in good])
    third = run_of(tmp_path / "third", "parquet", good)
    found = first.compare([second, third])
    assert [(one.level.name, one.verdict) for one in found.contrasts] == [("second", "worse"), ("third", "no evidence")]
    assert found.to_markdown().startswith("**run: against first**")
    assert r"\midrule" in found.to_latex()
    assert "<caption>run: against first</caption>" in found._repr_html_()
    assert list(found.to_pandas()["level.name"]) == ["second", "third"]
    assert found.as_json()["axis"] == "run"
    with pytest.raises(InputError, match="there is only 'm' on the axis model"):
        first.compare()
    with pytest.raises(InputError, match="the runs hold the same samples"):
        first.compare(third, axis="model")


def test_an_ungraded_sample_is_counted_and_enters_no_rate(make_record: MakeRecord) -> None:
    ungraded = make_record(ordinal=2, task_id="u", grade="ungraded", score=None, passed=None)
    (row,) = summarise(table([make_record(), ungraded]), ["model"])
    assert (row["total"], row["successful"], row["ungraded"], row["missing_rate"]) == (2, 1, 1, 0.0)
    assert row["success_rate"] == row["success_rate_worst"] == row["success_rate_best"] == row["mean_score"] == 1.0
    (alone,) = summarise(table([ungraded]), ["model"])
    assert (alone["success_rate"], alone["success_low"], alone["success_rate_best"]) == (None, None, None)


def test_further_scores_are_averaged_by_name_with_their_interval(make_record: MakeRecord) -> None:
    records = [
        make_record(
            ordinal=number, task_id=str(number), score_values=f'{{"flow":{number / 10},"points":{10 * number}}}'
        )
        for number in range(10)
    ]
    (row,) = summarise(table([*records, make_record(ordinal=10, task_id="none")]), ["model"])
    values: Any = row["values"]
    flow, points = values["flow"], values["points"]
    assert (flow["n"], flow["mean"]) == (10, pytest.approx(0.45))
    assert 0 < flow["low"] < 0.45 < flow["high"] < 1
    assert points["mean"] == pytest.approx(45)
    assert points["low"] < 45 < points["high"] < 90

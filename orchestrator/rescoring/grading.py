"""Grades stored records with the scorers of a configuration. Nothing is sent: a scorer that asks a model is refused."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NoReturn, cast

import pyarrow as pa
import pyarrow.compute as pc

from providers.errors import InputError
from providers.messages import JSON
from runners.calls.client import ModelClient
from runners.event_loop.loop_watchdog import LoopWatchdog
from runners.samples.answer import REFUSAL, Score, Scorer, ScorerFunction, guard_scorer
from runners.samples.record_building import Verdict, as_text, verdict_columns
from runners.user_code_error import UserCodeError
from sharding.plan import Sample

from ..config.settings import Config
from ..execution.method import ConfiguredScorers, check_scorers
from ..open_sweep import OpenSweep
from ..scoring.registry import judge_of
from .stored_answers import Row, StoredSamples, answer_of, has_answer, rows_of

AT_ONCE = 100
"""Answers whose scorers run at the same time: a scorer of a person may wait for a process of its own."""

UNPAID = {"judge_input_tokens": 0, "judge_output_tokens": 0, "judge_cost_usd": None}
"""What this grading has cost; the run's own record keeps what its judge took."""

OnBlocked = Callable[[Mapping[str, JSON]], None]


ScorerOfRow = Callable[[int], Scorer]
"""The scorer of a task, by its row."""


def scorer_of_row(config: Config, open_: OpenSweep, given: ScorerFunction | None, *, has_targets: bool) -> ScorerOfRow:
    """Build the scorers of a configuration, or the one that was passed from Python.

    Raises InputError for one that asks a model, or that cannot use the targets of the files, unless there are others.
    """
    if given is not None:
        own = guard_scorer(given, "your scorer")
        return lambda _row: own
    judges = [judge for entry in config.tasks if (judge := judge_of(entry.scorer or config.run.scorer))]
    if judges:
        raise InputError(
            f"the scorer model_graded asks {judges[0]}, and rescore sends nothing; name another with --scorer, "
            "or start a new run for another judge"
        )
    if not has_targets:
        check_scorers(config, open_, has_begun=True)
    return ConfiguredScorers(config, open_).of


class _NoModel:
    """The model client of a scorer that must not ask."""

    async def chat(self, *arguments: object, **options: object) -> NoReturn:  # noqa: ARG002 - the signature of any call
        raise InputError(
            "the scorer asks a model, and rescore sends nothing; answers that a model grades need a new run"
        )


class Grading:
    """The grading of a run's records: it yields them with their new scores and counts what has changed."""

    def __init__(self, run_id: str, samples: StoredSamples, scorer_of: ScorerOfRow, on_blocked: OnBlocked) -> None:
        self._run_id = run_id
        self._samples = samples
        self._scorer_of = scorer_of
        self._on_blocked = on_blocked
        self.changes: Counter[tuple[str, str]] = Counter()
        """Answers by their grade before and now."""
        self.new_targets = 0
        """Answers whose target is not the one that was stored."""

    def graded(self, table: pa.Table) -> Iterator[Row]:
        """Yield every record of a table that is final or has an answer, answers with their new score."""
        pending = (row for row in rows_of(table) if has_answer(row) or row["score"] is not None)
        with asyncio.Runner() as runner:
            while rows := list(islice(pending, AT_ONCE)):
                yield from runner.run(self._grade_all(rows))

    def ungraded(self, table: pa.Table) -> Iterator[Row]:
        """Yield the other records of a table, as they are."""
        unscored = pc.and_(pc.is_null(table["score"]), pc.not_equal(table["outcome"], "ok"))
        for row in rows_of(table.filter(unscored)):
            if not has_answer(row):
                yield {**row, "run_id": self._run_id}

    async def _grade_all(self, rows: Sequence[Row]) -> list[Row]:
        with LoopWatchdog(self._on_blocked):
            return list(await asyncio.gather(*map(self._grade, rows)))

    async def _grade(self, row: Row) -> Row:
        if not has_answer(row):  # the model's own failure, which no scorer has seen
            return {**row, "run_id": self._run_id}
        sample, task_row = self._samples.sample_of(row)
        answer = answer_of(row)
        try:
            score = await self._scorer_of(task_row)(sample, answer, cast(ModelClient, _NoModel()))
        except UserCodeError as error:
            raise InputError(f"{error}; correct it and rescore again: nothing was written") from error
        return self._with(row, sample, score, answer.error_class)

    def _with(self, row: Row, sample: Sample, score: Score, error_class: str | None) -> Row:
        verdict: dict[str, Any] = dict(verdict_columns(Verdict("ok", error_class, score=score), None))
        if row["score_error"] == REFUSAL and score.grade == "failed":  # the server said so, which is not stored
            verdict["score_error"] = REFUSAL
        target = as_text(sample.task.target)
        self.changes[row["grade"] or "no grade", verdict["grade"]] += 1
        self.new_targets += target != row["target"]
        return {**row, **UNPAID, **verdict, "target": target, "run_id": self._run_id}

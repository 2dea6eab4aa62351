"""GSM8K answered by simulated models of known skill, and graded, without requests: the records that a run would write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.config.environment import Environment
from orchestrator.config.loading import load_config
from orchestrator.open_sweep import open_sweep
from orchestrator.scoring.text import numeric
from orchestrator.simulation.answers import SweepAnswers, sweep_answers
from providers.messages import ChatRequest
from providers.simulator.settings.answers import AnswerSettings
from providers.simulator.settings.provider import SimulatorSettings
from sharding.plan import Sample
from sharding.sweep import Sweep

SKILLS = {"model-35": 0.35, "model-55": 0.55, "model-75": 0.75, "model-90": 0.90}
SPREAD = 1.0
NOT_ASKED = ChatRequest(messages=[])


@dataclass(frozen=True, slots=True)
class Design:
    """The tasks, models and repetitions of an exam."""

    folder: Path
    models: Sequence[str]
    tasks: int | None = None
    """Number of tasks from the start; None for all."""
    has_families: bool = False
    epochs: int = 1

    def config(self, skills: Mapping[str, float], seed: int = 0) -> dict[str, Any]:
        """Build the configuration of a run."""
        tasks = self.folder / ("families.jsonl" if self.has_families else "tasks.jsonl")
        fast = {"latency": {"ttft_s": 0.0, "itl_s": 0.0}}
        simulator = {
            "type": "simulator",
            "deployments": dict.fromkeys(self.models, fast),
            "answers": {"skill": dict(skills), "spread": SPREAD},
            "seed": seed,
        }
        return {
            "providers": {"sim": simulator},
            "models": {name: {"provider": "sim"} for name in self.models},
            "tasks": [{"path": str(tasks), "fields": {"input": "question", "target": "answer"}, "scorer": "numeric"}],
            "sweep": {"epochs": self.epochs, **({"limit": self.tasks} if self.tasks else {})},
            "run": {"output_dir": str(self.folder), "stagger_s": [0], "display": "none"},
        }


class ReadOnce(Sweep):
    """A sweep that keeps its samples, because every seed needs all of them."""

    def __init__(self, sweep: Sweep) -> None:
        super().__init__(sweep.spec, sweep.tasks, {prompt.name: prompt for prompt in sweep.prompts})
        self.samples = [sweep.sample(ordinal) for ordinal in range(len(sweep))]
        self._index = sweep.index_ids()

    def sample(self, ordinal: int) -> Sample:
        """Return a kept sample."""
        return self.samples[ordinal]

    def index_ids(self) -> dict[bytes, int]:
        """Return the kept index."""
        return self._index


@dataclass(frozen=True, slots=True)
class Exam:
    """A sweep and its samples, read once; every seed and skill answers it anew."""

    answers: SweepAnswers
    samples: Sequence[Sample]

    def records(self, skills: Mapping[str, float], seed: int) -> pa.Table:
        """Build the records that a run would write, as far as a summary reads them."""
        settings = AnswerSettings(skill=dict(skills), spread=SPREAD)
        answers = replace(self.answers, settings=settings, seed=seed)
        passed = [_passes(answers, sample) for sample in self.samples]
        return _table(self.samples, passed)


def _passes(answers: SweepAnswers, sample: Sample) -> bool:
    answer = answers.answer(f"{sample.sample_id}/1/1", NOT_ASKED, sample.cell.model)
    return _is_right(answer.text, str(sample.task.target))


@cache
def _is_right(text: str, target: str) -> bool:
    return numeric(text, target).grade == "full"


def _table(samples: Sequence[Sample], passed: Sequence[bool]) -> pa.Table:
    n = len(samples)
    missing = dict.fromkeys(("error_class", "score_error"), pa.nulls(n, pa.string()))
    amounts = ("input_tokens", "output_tokens", "judge_input_tokens", "judge_output_tokens")
    counts = dict.fromkeys(
        (*amounts, "tool_calls", "tool_failures", "tool_rejections", "tool_unreadable"), pa.repeat(0, n)
    )
    means = dict.fromkeys(
        ("working_s", "turns", "tool_coverage", "cost_usd", "judge_cost_usd"), pa.nulls(n, pa.float64())
    )
    return pa.table(
        {
            "run_id": pa.repeat("exam", n),
            "model": [sample.cell.model for sample in samples],
            "prompt_type": [sample.cell.prompt_type for sample in samples],
            "tool_success_rate": [sample.cell.tool_success_rate for sample in samples],
            "task_type": [sample.task.task_type for sample in samples],
            "difficulty": [sample.task.difficulty for sample in samples],
            "task_id": [sample.task.task_id for sample in samples],
            "family": [sample.task.family for sample in samples],
            "epoch": [sample.epoch for sample in samples],
            "outcome": pa.repeat("ok", n),
            "grade": ["full" if is_passed else "failed" for is_passed in passed],
            "score": [float(is_passed) for is_passed in passed],
            "passed": list(passed),
            **missing,
            **counts,
            **means,
        }
    )


@contextmanager
def sitting(design: Design) -> Iterator[Exam]:
    """Open the sweep of the design."""
    loaded = load_config(design.config(SKILLS), Environment({}))
    active = open_sweep(loaded)
    with closing(active.tasks):
        settings = loaded.providers["sim"]
        assert isinstance(settings, SimulatorSettings)
        sweep = ReadOnce(active.sweep)
        yield Exam(sweep_answers(loaded, sweep, settings), sweep.samples)

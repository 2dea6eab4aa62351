"""Real questions through the whole program: GSM8K as it is published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.scoring.text import numeric
from orchestrator.simulation.answers import right_text, wrong_text

if TYPE_CHECKING:
    from tests.integration.conftest import Books, Program

DATA = Path(__file__).parents[2].parent / "shared" / "data"
GSM8K = DATA / "gsm8k_test.jsonl"

pytestmark = pytest.mark.skipif(
    not GSM8K.exists(), reason=f"{GSM8K} is not there: real task sets are no part of the project"
)

FAST = {"ttft_s": 0.01, "itl_s": 0.0}
LIMIT = 150


def test_gsm8k_is_run_scored_and_recorded_row_for_row(program: Program, books: Books) -> None:
    program.write(
        {
            "providers": {
                "sim": {
                    "type": "simulator",
                    "deployments": {
                        "deepseek": {"latency": FAST, "dialect": "azure"},
                        "gpt-4o-mini": {"latency": FAST},
                    },
                    "answers": {"skill": {"deepseek": 0.85, "gpt-4o-mini": 0.6}, "spread": 1.0, "output_tokens": 60},
                    "faults": {"error_500": 0.02, "empty": 0.02, "malformed": 0.01},
                }
            },
            "models": {"deepseek": {"provider": "sim"}, "gpt-4o-mini": {"provider": "sim"}},
            "tasks": [{"path": str(GSM8K), "fields": {"input": "question", "target": "answer"}, "scorer": "numeric"}],
            "sweep": {"prompt_types": ["baseline", "cot"], "limit": LIMIT},
        }
    )
    done = program.run("sweep.yaml")
    assert done.code == 0
    path = program.path(done)
    books.require_each_once(path, 4 * LIMIT)
    books.require_truth(path)
    rows = books.rows(path)
    questions = [json.loads(line) for line in GSM8K.read_text(encoding="utf-8").splitlines()][:LIMIT]
    assert {row["target"] for row in rows} == {question["answer"] for question in questions}
    baseline = {row["input"] for row in rows if row["prompt_type"] == "baseline"}
    assert baseline == {question["question"] for question in questions}
    summary = {(row["model"], row["prompt_type"]): row for row in json.loads((path / "summary.json").read_bytes())}
    for model, skill in (("deepseek", 0.85), ("gpt-4o-mini", 0.6)):
        for prompt_type in ("baseline", "cot"):
            row = summary[(model, prompt_type)]
            assert row["total"] == LIMIT
            assert row["success_rate"] == pytest.approx(skill, abs=0.16)


def test_every_gsm8k_answer_is_a_number_that_its_reference_accepts_and_a_wrong_one_does_not() -> None:
    for line in GSM8K.read_text(encoding="utf-8").splitlines():
        target = json.loads(line)["answer"]
        final = target.rpartition("#### ")[2]
        assert numeric(target, final).grade == "full"
        for text in (right_text(target), final, f"The answer is ${final}.", f"So, after all of it: {final}"):
            assert numeric(text, target).grade == "full"
        assert numeric(wrong_text(target), target).grade == "failed"

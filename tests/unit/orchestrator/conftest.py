"""A small configuration that unit tests change in one place at a time; a record with every column filled."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.environment import Environment, SettingOverride
from orchestrator.config.loading import LoadedConfig, load_config
from runners.samples.record import Record

Load = Callable[..., LoadedConfig]
MakeRecord = Callable[..., Record]

TASKS = [
    {
        "id": f"t{n}",
        "question": f"{n} + {n}?",
        "answer": 2 * n,
        "task_type": "sum" if n % 2 else "double",
        "difficulty": "easy" if n < 5 else "hard",
    }
    for n in range(1, 9)
]


@pytest.fixture
def raw(tmp_path: Path) -> dict[str, Any]:
    """A configuration as a mapping, its task file written beside it."""
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(task) + "\n" for task in TASKS))
    return {
        "providers": {"sim": {"type": "simulator", "deployments": {"m": {}}}},
        "models": {"m": {"provider": "sim"}},
        "tasks": [{"path": str(path), "scorer": "numeric"}],
    }


@pytest.fixture
def load(raw: dict[str, Any]) -> Load:
    """Load the small configuration with `sections` in place of its own, under variables and flags."""

    def loaded(
        sections: Mapping[str, Any] | None = None,
        *,
        variables: Mapping[str, str] | None = None,
        flags: Mapping[str, object] | None = None,
        base: Path | None = None,
    ) -> LoadedConfig:
        source = {**copy.deepcopy(raw), **(sections or {})}
        settings = [SettingOverride(path, value, f"--{path}") for path, value in (flags or {}).items()]
        return load_config(source, Environment(variables or {}), settings, base=base)

    return loaded


@pytest.fixture
def make_record() -> MakeRecord:
    """A finished record; name what is different."""

    def made(**different: Any) -> Record:
        return Record(**{**USUAL, **different})

    return made


AT = "2026-11-21T09:30:00.000000+00:00"
USUAL: dict[str, Any] = {
    "run_id": "r",
    "ordinal": 0,
    "cell_id": "m|baseline|1|easy|sum",
    "sample_id": "s0",
    "task_id": "t1",
    "epoch": 0,
    "model": "m",
    "provider": "sim",
    "deployment": "m",
    "instance": "sim/m",
    "planned_instance": "sim/m",
    "moved_reason": None,
    "prompt_type": "baseline",
    "tool_success_rate": 1.0,
    "difficulty": "easy",
    "task_type": "sum",
    "family": "",
    "status": 200,
    "outcome": "ok",
    "error_class": None,
    "error_message": None,
    "score": 1.0,
    "grade": "full",
    "passed": True,
    "score_error": None,
    "score_details": None,
    "score_values": None,
    "saved_usd": None,
    "stage": 0,
    "turns": 1,
    "tool_calls": 0,
    "tool_failures": 0,
    "tool_rejections": 0,
    "tool_coverage": None,
    "tool_trace": None,
    "tool_unreadable": 0,
    "input": "1 + 1?",
    "target": "2",
    "output_text": "2",
    "messages": None,
    "finish_reason": "stop",
    "input_tokens": 10,
    "output_tokens": 5,
    "cached_tokens": 0,
    "reasoning_tokens": 0,
    "usage_estimated": False,
    "cost_usd": None,
    "judge_input_tokens": 0,
    "judge_output_tokens": 0,
    "judge_cost_usd": None,
    "attempts": 1,
    "throttles": 0,
    "queued_at": AT,
    "started_at": AT,
    "completed_at": AT,
    "queue_s": 0.0,
    "rate_wait_s": 0.0,
    "retry_wait_s": 0.0,
    "connect_s": 0.0,
    "ttft_s": None,
    "generation_s": 0.5,
    "parse_s": 0.0,
    "write_s": 0.01,
    "total_s": 1.0,
    "working_s": 1.0,
    "cache_hit": False,
    "request_id": "s0/1/1",
    "response_id": "chatcmpl-1",
    "response_model": "m",
    "system_fingerprint": None,
    "seed": 7,
    "raw_response": None,
    "reasoning_text": None,
    "adaptation": None,
}

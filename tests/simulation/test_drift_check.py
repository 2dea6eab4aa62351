"""Canaries against modelled instances: one that serves another model is found with five, equal ones raise no alarm."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.environment import Environment
from orchestrator.config.loading import load_config
from orchestrator.execution.alerts.drift import DriftFinding, DriftTargets, ask_canaries
from orchestrator.execution.components import no_key
from orchestrator.execution.forecast.rehearsal import _senders
from orchestrator.execution.prepare import prepare
from runners.event_loop.virtual_time import run_virtual

CANARIES = 5
DEPLOYMENTS = ("m-1", "m-2", "m-3")


def drifted(findings: list[DriftFinding]) -> list[str]:
    return [one.instance for one in findings if one.drifts]


def asked(folder: Path, third: dict[str, Any], **simulator: Any) -> list[DriftFinding]:
    """Three deployments of one model, the third of which has settings of its own."""
    path = folder / "tasks.jsonl"
    rows = ({"id": f"t{n}", "question": f"{n} + {n}?", "answer": 2 * n} for n in range(1, 21))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    deployments = {"m-1": {}, "m-2": {}, "m-3": third}
    config = {
        "providers": {"sim": {"type": "simulator", "deployments": deployments, **simulator}},
        "models": {"m": {"provider": "sim", "deployments": list(DEPLOYMENTS)}},
        "tasks": [{"path": str(path), "scorer": "numeric"}],
    }
    loaded = load_config(config, Environment({}))
    prepared = prepare(loaded, no_key)
    with closing(prepared.sweep.tasks), ExitStack() as stack:
        crowd = DriftTargets(prepared.instances, _senders(prepared, stack))
        return run_virtual(ask_canaries(loaded, prepared.sweep.sweep, crowd, CANARIES))


def test_a_deployment_that_serves_another_model_is_found_with_five_canaries(tmp_path: Path) -> None:
    assert drifted(asked(tmp_path, {"model": "another-model"})) == ["sim/m-3"]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.matrix) for seed in range(1, 10))])
def test_a_deployment_that_answers_all_otherwise_is_found_with_five_canaries(tmp_path: Path, seed: int) -> None:
    skill = {"m": 1.0, "m-3": 0.0}
    assert drifted(asked(tmp_path, {}, answers={"skill": skill}, seed=seed)) == ["sim/m-3"]


@pytest.mark.parametrize("count", [10, pytest.param(100, marks=pytest.mark.matrix)])
def test_equal_instances_raise_no_alarm_in_many_trials_with_faults(tmp_path: Path, count: int) -> None:
    faults = {"error_500": 0.1, "empty": 0.1, "reset": 0.1}
    answers = {"skill": 0.7, "spread": 1.0}
    trials = [asked(tmp_path, {}, answers=answers, faults=faults, seed=seed) for seed in range(count)]
    assert [drifted(findings) for findings in trials] == [[]] * count
    assert any(one.answered < CANARIES for findings in trials for one in findings)


def test_an_instance_that_is_silent_is_waited_for_once(tmp_path: Path) -> None:
    """And its silence is no drift."""
    silent = asked(tmp_path, {"faults": {"stall": 1.0, "stall_s": 10_000}})
    assert [one.answered for one in silent] == [5, 5, 0]
    assert drifted(silent) == []

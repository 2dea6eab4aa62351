"""What a run needs is opened once: providers, instances, prices and the plan. A third party's provider type counts, and a profiler."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import orchestrator as orch
from orchestrator.capacity.measurement.target import open_target
from orchestrator.config.environment import Environment
from orchestrator.config.loading import LoadedConfig, load_config
from orchestrator.diagnosis.doctor import diagnose
from orchestrator.diagnosis.drift_check import check_drift
from orchestrator.execution.components import instances_of, prices_of
from providers.messages import JSON
from providers.simulator.adapter import open_simulator
from sharding.planner import build_plan
from tests.integration.conftest import write_tasks

QUIET: dict[str, JSON] = {"run.display": "none", "run.stagger_s": [0]}
ONCE = ["a: open with secret", "b: open with secret", "a: instances of m", "b: instances of m"]
CLOSED = ["b: close", "a: close"]
COUNTED = (build_plan, instances_of, prices_of, open_simulator)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """One model over two providers of the type that notes what is done with it."""
    package = tmp_path / "site" / "noting-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: noting\nVersion: 1\n")
    (package / "entry_points.txt").write_text(
        "[orchestrator.providers]\nnoting = tests.integration.noting_provider:NOTING\n"
    )
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("NOTING_KEY", "secret")
    monkeypatch.chdir(tmp_path)
    write_tasks(tmp_path, 8)
    provider = {"type": "noting", "notes": str(tmp_path / "notes.txt"), "key_env": "NOTING_KEY"}
    return {
        "providers": {"a": provider, "b": provider},
        "models": {"m": {"routes": [{"provider": "a"}, {"provider": "b"}]}},
        "tasks": [{"path": str(tmp_path / "tasks.jsonl"), "scorer": "numeric"}],
    }


def notes(folder: Path) -> Sequence[str]:
    """What was noted, and no more of it."""
    path = folder / "notes.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.unlink()
    return lines


@contextmanager
def calls() -> Iterator[Counter[str]]:
    """Count the calls of COUNTED in this thread while the block runs."""
    names = {function.__code__: function.__name__ for function in COUNTED}
    counts: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code in names:
            counts[names[frame.f_code]] += 1

    sys.setprofile(count)
    try:
        yield counts
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("rehearse", [False, True])
def test_a_run_opens_providers_instances_prices_and_plan_once(
    config: dict[str, Any], tmp_path: Path, rehearse: bool
) -> None:
    with calls() as counts:
        run = orch.run_sync(config, settings={**QUIET, "run.rehearse": rehearse})
    assert run.to_arrow().num_rows == 8
    assert notes(tmp_path) == [*ONCE, *CLOSED]
    assert counts == {"build_plan": 1, "instances_of": 1, "prices_of": 1}


def test_a_simulator_is_opened_once_before_its_server_runs(
    tmp_path: Path, sweep: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    with calls() as counts:
        run = orch.run_sync(sweep(tmp_path, tasks=4), settings=QUIET)
    assert run.to_arrow().num_rows == 4
    assert counts == {"build_plan": 1, "instances_of": 1, "prices_of": 1, "open_simulator": 1}


def test_a_resume_opens_all_once_and_plans_what_is_left_from_the_one_plan(
    config: dict[str, Any], tmp_path: Path
) -> None:
    answered: list[str] = []

    async def solve(sample: orch.Sample, model: orch.ModelClient) -> str:
        if len(answered) == 3:
            raise ArithmeticError
        answered.append(sample.task.task_id)
        return (await model.chat(sample.task.messages)).text

    with pytest.raises(orch.RunStopped) as stopped:
        orch.run_sync(config, solver=solve, settings={**QUIET, "run.max_workers": 1})
    notes(tmp_path)
    answered.append("the error is not met again")
    with calls() as counts:
        run = orch.resume_sync(stopped.value.run.path, solver=solve)
    assert sorted(row["ordinal"] for row in run.to_arrow().to_pylist()) == list(range(8))
    assert notes(tmp_path) == [*ONCE, *CLOSED]
    assert counts == {"build_plan": 1, "instances_of": 1, "prices_of": 1}


def test_a_rehearsal_opens_providers_once_and_asks_none(config: dict[str, Any], tmp_path: Path) -> None:
    with calls() as counts:
        assert orch.rehearse_sync(config).samples == 8
    assert notes(tmp_path) == [line.replace("secret", "not-read") for line in ONCE]
    assert counts == {"build_plan": 1, "instances_of": 1, "prices_of": 1}


def loaded(config: dict[str, Any]) -> tuple[LoadedConfig, Environment]:
    environment = Environment({"NOTING_KEY": "secret"})
    return load_config(config, environment), environment


async def test_doctor_opens_providers_once(config: dict[str, Any], tmp_path: Path) -> None:
    assert [finding.is_usable for finding in await diagnose(*loaded(config))] == [True, True]
    assert notes(tmp_path) == [*ONCE, *CLOSED]


async def test_the_drift_check_opens_providers_once(config: dict[str, Any], tmp_path: Path) -> None:
    assert [finding.answered for finding in await check_drift(*loaded(config))] == [5, 5]
    assert notes(tmp_path) == [*ONCE, *CLOSED]


async def test_a_load_test_opens_providers_once(config: dict[str, Any], tmp_path: Path) -> None:
    async with open_target(*loaded(config)) as target:
        assert [instance.name for instance in target.instances] == ["a/m", "b/m"]
    assert notes(tmp_path) == [*ONCE, *CLOSED]

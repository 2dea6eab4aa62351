"""A rehearsal runs what a run runs, on a clock that jumps."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import orchestrator as orch
from orchestrator.config.environment import Environment
from orchestrator.config.loading import load_config
from orchestrator.execution.components import no_key
from orchestrator.execution.forecast.rehearsal import Rehearsal, rehearse_now
from orchestrator.execution.prepare import prepare

DEPLOYMENT = {"dialect": "azure", "latency": {"ttft_s": 0.2, "itl_s": 0.0}}


def a_sweep(folder: Path, tasks: int, **deployments: dict[str, Any]) -> dict[str, Any]:
    rows = [json.dumps({"question": f"What is {n} + {n}?", "answer": 2 * n}) for n in range(tasks)]
    (folder / "tasks.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return {
        "providers": {"sim": {"type": "simulator", "deployments": deployments}},
        "models": {"m": {"provider": "sim", "deployments": list(deployments), "workers": "auto"}},
        "tasks": [{"path": str(folder / "tasks.jsonl"), "fields": {"input": "question", "target": "answer"}}],
        "run": {"stagger_s": [0], "scorer": "numeric"},
    }


def rehearsed(sweep: dict[str, Any], **settings: Any) -> Rehearsal:
    return orch.rehearse_sync(sweep, settings=settings)


def test_fixed_workers_take_the_time_that_arithmetic_says(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path, 100, a=DEPLOYMENT)
    sweep["models"]["m"] |= {"workers": 5, "qps": 1000}

    found = rehearsed(sweep, **{"run.rate_mode": "fixed"})

    assert found.samples == found.requests == 100
    assert abs(found.duration_s - 100 / 5 * 0.2) < 0.1


@pytest.mark.matrix
def test_hidden_windows_of_three_instances_are_used_almost_fully(tmp_path: Path) -> None:
    windows = {"window_s": 10, "retry_after": "none", "rate_limit_headers": False, **DEPLOYMENT}
    sweep = a_sweep(tmp_path, 3000, a={"rpm": 360, **windows}, b={"rpm": 360, **windows}, c={"rpm": 1080, **windows})

    found = rehearsed(sweep)

    assert found.outcomes == {"ok": 3000}
    assert 3000 / 30 / found.duration_s > 0.95
    assert found.refused / found.requests < 0.025


@pytest.mark.matrix
def test_an_hour_of_a_sweep_is_rehearsed_and_two_rehearsals_are_alike(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path, 3000, a={"rpm": 50, **DEPLOYMENT})

    first, second = rehearsed(sweep), rehearsed(sweep)

    assert first.duration_s > 3500
    assert first == second


async def test_a_rehearsal_leaves_the_loop_that_it_was_asked_from_alone(tmp_path: Path) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    found = await orch.rehearse(a_sweep(tmp_path, 500, a=DEPLOYMENT))
    ticking.cancel()

    assert found.samples == 500
    assert ticks > 1


@pytest.mark.matrix
def test_two_models_on_one_key_do_not_slow_each_other(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path, 600)
    sweep["providers"]["sim"] = {"type": "simulator", "keys": {"key0": {"rpm": 300, "window_s": 10, **DEPLOYMENT}}}
    model = {"provider": "sim", "keys": ["key0"], "workers": "auto"}
    sweep["models"] = {"one": model}
    alone = rehearsed(sweep)
    sweep["models"] = {"one": model, "two": model}

    together = rehearsed(sweep)

    assert abs(together.duration_s / alone.duration_s - 1) < 0.02


def test_a_server_that_holds_its_answers_is_not_flooded(tmp_path: Path) -> None:
    """The case of a gateway of 13,500 tokens a minute: about 543 tokens a request, 5.7 s each."""
    slow = {"tpm": 13_500, "window_s": 60, "quota": "fixed", "tokens": "estimate", "on_limit": "hold"}
    sweep = a_sweep(tmp_path, 300, a={**slow, "latency": {"ttft_s": 5.7, "itl_s": 0.0}})
    sweep["generation"] = {"max_tokens": 525}

    found = rehearsed(sweep)

    whole_requests_per_minute = 13_500 // (found.input_tokens // 300 + 525)
    assert 300 / (found.duration_s / 60) > 0.95 * whole_requests_per_minute


def test_a_tool_loop_is_rehearsed_turn_by_turn(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path, 0, a=DEPLOYMENT)
    tools = [{"type": "function", "function": {"name": name}} for name in ("look", "tell")]
    plan = [{"tool": "look", "arguments": {"city": "Paris"}}, {"tool": "tell", "arguments": {}}]
    rows = [{"question": f"Weather {n}?", "answer": 1, "tools": tools, "metadata": {"plan": plan}} for n in range(100)]
    (tmp_path / "tasks.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    sweep["run"]["solver"] = "tool_loop"
    sweep["models"]["m"] |= {"workers": 5, "qps": 1000}

    found = rehearsed(sweep, **{"run.rate_mode": "fixed"})
    unreliable = rehearsed(sweep, **{"run.rate_mode": "fixed", "sweep.tool_success_rates": [0.7]})

    assert (found.samples, found.requests) == (100, 300)
    assert abs(found.duration_s - 300 / 5 * 0.2) < 0.1
    assert unreliable.requests > 320


def test_what_judges_take_is_in_the_totals(tmp_path: Path) -> None:
    async def judge(sample: orch.Sample, answer: orch.Answer, model: orch.ModelClient) -> orch.Score:
        await model.chat(sample.task.messages)
        return orch.Score(1.0, "full")

    sweep = a_sweep(tmp_path, 20, a=DEPLOYMENT)
    sweep["prices"] = {"m": {"input_per_million": 1e6, "output_per_million": 1e6}}
    prepared = prepare(load_config(sweep, Environment({})), no_key)
    with closing(prepared.sweep.tasks):
        found = rehearse_now(prepared, scorer=judge)

    assert found.requests == 2 * found.samples == 40
    assert found.input_tokens + found.output_tokens == sum(one.tokens for one in found.instances)
    assert found.cost_usd == found.input_tokens + found.output_tokens, "at a dollar a token"

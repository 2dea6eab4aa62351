"""The plan as a JSON document and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TypedDict

from providers.messages import JSON
from runners.calls.budget import shown
from sharding.planner import describe
from sharding.scenarios import find_scenario

from ...config.settings import RunConfig
from ...execution.context import RunContext
from ...execution.forecast.estimate import estimate
from ...execution.forecast.rehearsal import InstanceForecast, Rehearsal
from ...ui.terminal import say
from ..tables import print_table


class PlanDocument(TypedDict):
    """The document that `plan --json` prints."""

    scenario: dict[str, str] | None
    samples: int
    stages: int
    rate_mode: str
    fingerprint: str
    limits: dict[str, float]
    models: dict[str, dict[str, JSON]]
    shards: list[dict[str, JSON]]


def plan_document(prepared: RunContext) -> PlanDocument:
    """Build the document: shards in the order of their stages, totals per model, limits and the fingerprint."""
    plan = prepared.plan()
    shards = [row.to_json() for row in describe(plan, prepared.instances)]
    samples = Counter(dict.fromkeys(prepared.instances, 0))
    for row in describe(plan, prepared.instances):
        samples[row.model] += row.samples
    estimates = estimate(prepared, plan)
    models: dict[str, dict[str, JSON]] = {
        model: {
            "instances": len(instances),
            "workers": None if any(i.workers is None for i in instances) else sum(i.workers or 0 for i in instances),
            "samples": samples[model],
            **asdict(estimates[model]),
        }
        for model, instances in prepared.instances.items()
    }
    return {
        "scenario": _scenario(prepared.loaded.config.sweep.scenario),
        "samples": len(plan),
        "stages": len(plan.stages),
        "rate_mode": prepared.loaded.config.run.rate_mode,
        "fingerprint": plan.fingerprint,
        "limits": _limits(prepared.loaded.config.run),
        "models": models,
        "shards": shards,
    }


def print_plan(document: PlanDocument) -> None:
    """Print the shards, the totals of each model and the limits."""
    if scenario := document["scenario"]:
        say(f"Scenario {scenario['number']} {scenario['name']}: {scenario['question']}")
        say()
    columns = ("stage", "tool rate", "model", "instance", "samples", "workers", "qps", "start after s")
    names = ("stage", "tool_success_rate", "model", "instance", "samples", "workers", "qps", "start_after_s")
    print_table("Plan", columns, [[_shown(name, row[name]) for name in names] for row in document["shards"]])
    say()
    totals = [
        [model, *(_shown(name, m[name]) for name in ("instances", "workers", "samples", *_ESTIMATED))]
        for model, m in document["models"].items()
    ]
    titles = ("model", "instances", "workers in all", "samples", "input tokens", "output at most", "USD at most")
    print_table("Models", titles, totals)
    say()
    say("tokens and cost are estimated for one turn per sample, without retries")
    for name, limit in document["limits"].items():
        say(f"run.{name}: {shown(limit)}")
    say()
    say(
        f"{document['samples']} samples in {document['stages']} stage(s), {document['rate_mode']} rate mode; nothing was sent"
    )


def assumed(prepared: RunContext) -> list[str]:
    """Return the models without `rehearse_as`: a rehearsal assumes 0.2 s plus 10 ms per token and no quota for them."""
    config = prepared.loaded.config
    return [
        model
        for model in config.swept_models()
        if config.models[model].rehearse_as is None
        and any(config.providers[route.provider]["type"] != "simulator" for route in config.models[model].all_routes())
    ]


def print_forecast(rehearsal: Rehearsal, guesses: Sequence[str]) -> None:
    """Print the forecast: time, requests, refusals, tokens, cost, and what limits every instance. `guesses` are models without data."""
    columns = ("instance", "samples", "requests", "refused", "tokens", "bound by")
    say()
    print_table("Rehearsal", columns, [_forecast_row(instance) for instance in rehearsal.instances])
    if guesses:
        say()
        say(
            f"assumed for {', '.join(guesses)}: 0.2 s + 10 ms per token, no quota; set better values under models.*.rehearse_as"
        )
    cost = "no price known" if rehearsal.cost_usd is None else f"{rehearsal.cost_usd:.2f} USD"
    tokens = f"{rehearsal.input_tokens:,} + {rehearsal.output_tokens:,} tokens"
    say()
    say(f"{rehearsal.duration_s:.1f} s, {rehearsal.requests} requests, {rehearsal.refused} refused, {tokens}, {cost}")


def _forecast_row(instance: InstanceForecast) -> tuple[str | int, ...]:
    """Return the cells of one instance."""
    return (
        *(instance.instance, instance.samples, instance.requests, instance.refused, instance.tokens),
        instance.bound_by,
    )


def _scenario(name: str | None) -> dict[str, str] | None:
    if name is None:
        return None
    scenario = find_scenario(name)
    return {"number": scenario.number, "name": scenario.name, "question": scenario.question}


def _limits(run: RunConfig) -> dict[str, float]:
    """Return the limits that are set."""
    limits = {"cost_limit_usd": run.cost_limit_usd, "token_limit": run.token_limit, "time_limit_s": run.time_limit_s}
    return {name: limit for name, limit in limits.items() if limit is not None}


_ESTIMATED = ("input_tokens", "most_output_tokens", "most_cost_usd")
_UNSET = {"workers": "auto", "most_cost_usd": "no price"}


def _shown(name: str, value: JSON) -> JSON:
    if value is None:
        return _UNSET.get(name, "no ceiling")
    return f"{value:.4f}" if name == "most_cost_usd" else value

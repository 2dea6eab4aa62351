"""A capacity plan: the predicted gain of splitting scenarios, another model and more instances, and its check against a measured ladder.

The gains of one scenario multiply: shorter calls, more tokens per minute, more instances on the same hardware. Over scenarios they are
averaged by call share, the usual way to state such plans. At a fixed mix of calls the slow scenario limits the others, so that figure is
given too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from providers.errors import InputError
from providers.messages import JSON
from sharding.yaml_text import load_yaml

from .display.curves import ladder_file, number_of

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Deployment(BaseModel):
    """The model and instances that serve the calls, before or after the change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = ""
    tpm: Positive
    """Token quota of one instance, per minute."""
    parameters_b: Positive | None = None
    """Billions. Where `instances` is not given, the same hardware carries instances in inverse proportion to this."""
    instances: Positive | None = None


class PlannedScenario(BaseModel):
    """One scenario of a plan: its share of the calls and the latency of a call."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: Annotated[float, Field(gt=0, le=1)]
    """Share of all calls."""
    latency_s: tuple[Positive, Positive]
    """Latency of one call, before and after."""


class CapacityPlan(BaseModel):
    """The plan file that the user writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: Deployment
    after: Deployment
    tokens_per_request: Positive | None = None
    """Input and output. Where it is not given, the value that the ladder measured."""
    scenarios: Annotated[dict[str, PlannedScenario], Field(min_length=1)]

    @model_validator(mode="after")
    def _adds_up(self) -> CapacityPlan:
        total = math.fsum(scenario.share for scenario in self.scenarios.values())
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            raise ValueError(f"the shares of the scenarios add up to {total:g}, not to 1")
        return self

    @property
    def instance_ratio(self) -> float:
        """Instances after the change per instance before it."""
        before, after = self.before, self.after
        if before.instances and after.instances:
            return after.instances / before.instances
        if before.parameters_b and after.parameters_b:
            return before.parameters_b / after.parameters_b
        return 1.0


@dataclass(frozen=True, slots=True)
class Gain:
    """The gains of one scenario: each figure after the change divided by the figure before it."""

    scenario: str
    share: float
    latency: float
    tpm: float
    instances: float
    per_instance_qpm: tuple[float, float]
    """Calls per minute that one instance completes one after another, scaled by its token quota; before and after."""
    wait_saved: float
    """Share of a user's waiting time that the change removes."""

    @property
    def composite(self) -> float:
        """Product of the three gains."""
        return self.latency * self.tpm * self.instances


@dataclass(frozen=True, slots=True)
class CapacityGain:
    """The gains of all scenarios of a plan."""

    scenarios: tuple[Gain, ...]

    @property
    def weighted(self) -> float:
        """Mean of the composite gains, weighted by call share."""
        return math.fsum(gain.share * gain.composite for gain in self.scenarios)

    @property
    def at_fixed_mix(self) -> float:
        """Gain in calls of the whole system where the mix of scenarios stays the same: the harmonic mean by call share."""
        return 1 / math.fsum(gain.share / gain.composite for gain in self.scenarios)


def gain_of(plan: CapacityPlan) -> CapacityGain:
    """Compute the predicted gain of every scenario of the plan."""
    return CapacityGain(tuple(_gain(plan, name, scenario) for name, scenario in plan.scenarios.items()))


def _gain(plan: CapacityPlan, name: str, scenario: PlannedScenario) -> Gain:
    before_s, after_s = scenario.latency_s
    tpm = plan.after.tpm / plan.before.tpm
    qpm = (60 / before_s, 60 / after_s * tpm)
    return Gain(name, scenario.share, before_s / after_s, tpm, plan.instance_ratio, qpm, 1 - after_s / before_s)


@dataclass(frozen=True, slots=True)
class PredictionCheck:
    """One figure, predicted and measured; None where the plan gives no prediction."""

    figure: str
    predicted: float | None
    measured: float

    @property
    def deviation(self) -> float | None:
        """Measured over predicted, minus 1; None without a prediction."""
        return None if not self.predicted else self.measured / self.predicted - 1


def check(plan: CapacityPlan, rungs: Sequence[Mapping[str, JSON]]) -> list[PredictionCheck]:
    """Compare the plan with a ladder: the quota as TPM, its requests as QPM, and the concurrency that spends it by Little's law.

    The best rung is the one of lowest concurrency within 3 % of the highest QPM. Raises InputError for rungs without these figures.
    """
    try:
        by_level = sorted(rungs, key=lambda rung: number_of(rung["concurrency"]))
        most = max(number_of(rung["qpm"]) for rung in rungs)
        best = next(rung for rung in by_level if number_of(rung["qpm"]) >= 0.97 * most)
        unloaded_s, tpm, qpm = (number_of(value) for value in (by_level[0]["mean_latency_s"], best["tpm"], best["qpm"]))
        planned_qpm = plan.after.tpm / (plan.tokens_per_request or tpm / qpm)
        needed = planned_qpm / number_of(best.get("minute_s", 60.0)) * unloaded_s
        return [
            PredictionCheck("TPM", plan.after.tpm, tpm),
            PredictionCheck("QPM", planned_qpm, qpm),
            PredictionCheck("best concurrency", needed, number_of(best["concurrency"])),
        ]
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise InputError(
            f"the ladder's rungs lack what a check needs ({error!r}): concurrency, qpm, tpm, mean_latency_s"
        ) from error


def read_plan(path: Path) -> CapacityPlan:
    """Read a plan file. Raises InputError that names the file and the key."""
    try:
        document = load_yaml(path.read_text(encoding="utf-8"))
        return CapacityPlan.model_validate(document)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}") from error


def read_rungs(path: Path) -> list[Mapping[str, JSON]]:
    """Read the rungs of a ladder's result: `ladder.json`, or the directory that contains it. Raises InputError."""
    file = ladder_file(path)
    try:
        rungs = orjson.loads(file.read_bytes())["rungs"]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{file} is not the result of a ladder: {error}") from error
    if not isinstance(rungs, list) or not rungs:
        raise InputError(f"{file} holds no rung")
    return rungs

"""A capacity plan on paper: what splitting scenarios, another model and more instances bring together, and theory against measurement.

The gains of one scenario multiply: shorter calls, more tokens per minute, more instances on the same hardware. Over scenarios they are
averaged by call share, which is how such plans are usually stated; at a fixed mix of calls the slow scenario holds the others back, so
that figure stands beside it.
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

from .display.curves import ladder_file, number_of

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Deployment(BaseModel):
    """What serves the calls, before or after."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = ""
    tpm: Positive
    """Tokens per minute that one instance is allowed."""
    parameters_b: Positive | None = None
    """Billions: where `instances` is not said, the same hardware carries instances in inverse proportion."""
    instances: Positive | None = None


class PlannedScenario(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    share: Annotated[float, Field(gt=0, le=1)]
    """Of all calls."""
    latency_s: tuple[Positive, Positive]
    """Of one call, before and after."""


class CapacityPlan(BaseModel):
    """The file that a person writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: Deployment
    after: Deployment
    tokens_per_request: Positive | None = None
    """Input and output; what a ladder measured where it is not said."""
    scenarios: Annotated[dict[str, PlannedScenario], Field(min_length=1)]

    @model_validator(mode="after")
    def _adds_up(self) -> CapacityPlan:
        total = math.fsum(one.share for one in self.scenarios.values())
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            raise ValueError(f"the shares of the scenarios add up to {total:g}, not to 1")
        return self

    @property
    def instance_ratio(self) -> float:
        before, after = self.before, self.after
        if before.instances and after.instances:
            return after.instances / before.instances
        if before.parameters_b and after.parameters_b:
            return before.parameters_b / after.parameters_b
        return 1.0


@dataclass(frozen=True, slots=True)
class Gain:
    """Of one scenario: after over before."""

    scenario: str
    share: float
    latency: float
    tpm: float
    instances: float
    per_instance_qpm: tuple[float, float]
    """Calls per minute that one instance gets through one after another, scaled by its tokens."""
    wait_saved: float
    """Share of a user's waiting that is gone."""

    @property
    def composite(self) -> float:
        return self.latency * self.tpm * self.instances


@dataclass(frozen=True, slots=True)
class CapacityGain:
    scenarios: tuple[Gain, ...]

    @property
    def weighted(self) -> float:
        """Mean of the composite gains by call share."""
        return math.fsum(one.share * one.composite for one in self.scenarios)

    @property
    def at_fixed_mix(self) -> float:
        """Calls that the whole system gets through if the mix of scenarios stays what it is: the harmonic mean."""
        return 1 / math.fsum(one.share / one.composite for one in self.scenarios)


def gain_of(plan: CapacityPlan) -> CapacityGain:
    return CapacityGain(tuple(_gain(plan, name, scenario) for name, scenario in plan.scenarios.items()))


def _gain(plan: CapacityPlan, name: str, scenario: PlannedScenario) -> Gain:
    before_s, after_s = scenario.latency_s
    tpm = plan.after.tpm / plan.before.tpm
    qpm = (60 / before_s, 60 / after_s * tpm)
    return Gain(name, scenario.share, before_s / after_s, tpm, plan.instance_ratio, qpm, 1 - after_s / before_s)


@dataclass(frozen=True, slots=True)
class PredictionCheck:
    """One figure, predicted and measured; None where the plan cannot say."""

    figure: str
    predicted: float | None
    measured: float

    @property
    def deviation(self) -> float | None:
        return None if not self.predicted else self.measured / self.predicted - 1


def check(plan: CapacityPlan, rungs: Sequence[Mapping[str, JSON]]) -> list[PredictionCheck]:
    """Theory against a ladder: the quota as TPM, its requests as QPM, and Little's law for the concurrency that spends it.

    The best rung is the lowest one within 3 % of the most requests per minute. Raises InputError for rungs without those figures.
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
    """Raises InputError that names the file and the key."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return CapacityPlan.model_validate(document)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}") from error


def read_rungs(path: Path) -> list[Mapping[str, JSON]]:
    """The rungs of a ladder's result: `ladder.json`, or the directory that holds it."""
    file = ladder_file(path)
    try:
        rungs = orjson.loads(file.read_bytes())["rungs"]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{file} is not the result of a ladder: {error}") from error
    if not isinstance(rungs, list) or not rungs:
        raise InputError(f"{file} holds no rung")
    return rungs

"""Presets of common load tests: by purpose and by kind of traffic. A value that the user gives overrides the preset."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .prompts import Lengths


@dataclass(frozen=True, slots=True)
class WorkloadPreset:
    """A kind of traffic: its concurrency, its rate, and the lengths of prompts and answers."""

    max_concurrency: int
    rate_per_s: float
    input: Lengths
    output: Lengths
    requests: int


def _exactly(tokens: int) -> Lengths:
    return Lengths(tokens, tokens)


WORKLOADS: Mapping[str, WorkloadPreset] = {
    "customer-service": WorkloadPreset(50, 20, _exactly(256), _exactly(128), 1_000),
    "content": WorkloadPreset(200, 100, _exactly(512), _exactly(512), 2_000),
    "code": WorkloadPreset(20, 10, _exactly(1_024), _exactly(256), 500),
}


@dataclass(frozen=True, slots=True)
class PurposePreset:
    """A purpose of a load test: factors for the given concurrency and rate, and the duration."""

    description: str
    concurrency_factor: float = 1.0
    rate_factor: float | None = 1.0
    """None: as fast as the concurrency allows, whatever rate is given."""
    max_concurrency: int | None = None
    """Used where no concurrency is given."""
    requests: int | None = None
    duration_s: float | None = None
    climbs: bool = False
    """Whether it needs a ladder of settings, not one setting."""

    def concurrency(self, scheduled: int) -> int:
        """Scale the given concurrency; at least 1."""
        return max(1, math.ceil(self.concurrency_factor * scheduled))

    def rate_per_s(self, scheduled: float) -> float:
        """Scale the given rate."""
        return math.inf if self.rate_factor is None else self.rate_factor * scheduled


PURPOSES: Mapping[str, PurposePreset] = {
    "quick": PurposePreset("check that the endpoint works", rate_factor=None, max_concurrency=10, requests=50),
    "limit": PurposePreset(
        "find the highest concurrency: increase it until a rule stops the test", rate_factor=None, climbs=True
    ),
    "realistic": PurposePreset("the expected traffic", requests=1_000),
    "planning": PurposePreset("reserve for growth: 1.5 times the concurrency", concurrency_factor=1.5, requests=2_000),
    "stability": PurposePreset(
        "long run at 0.8 of the concurrency and the rate", concurrency_factor=0.8, rate_factor=0.8, duration_s=1_800.0
    ),
}

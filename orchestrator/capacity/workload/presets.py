"""Load tests that many people want, by what they are for and by whom they imitate. Whatever is said beside a preset wins over it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .prompts import Lengths


@dataclass(frozen=True, slots=True)
class WorkloadPreset:
    """A kind of traffic: how many at once, how many a second, how long questions and answers are."""

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
    """A reason to test: what becomes of the concurrency and the rate that are aimed at, and how long it lasts."""

    says: str
    concurrency_factor: float = 1.0
    rate_factor: float | None = 1.0
    """None: as fast as the concurrency allows, whatever the rate aimed at."""
    max_concurrency: int | None = None
    """Where none is aimed at."""
    requests: int | None = None
    duration_s: float | None = None
    climbs: bool = False
    """It takes a ladder of settings, not one."""

    def concurrency(self, scheduled: int) -> int:
        return max(1, math.ceil(self.concurrency_factor * scheduled))

    def rate_per_s(self, scheduled: float) -> float:
        return math.inf if self.rate_factor is None else self.rate_factor * scheduled


PURPOSES: Mapping[str, PurposePreset] = {
    "quick": PurposePreset("does it work at all", rate_factor=None, max_concurrency=10, requests=50),
    "limit": PurposePreset("how many at once it bears: climb until a rule stops", rate_factor=None, climbs=True),
    "realistic": PurposePreset("the traffic that is expected", requests=1_000),
    "planning": PurposePreset("room to grow: 1.5 times as many at once", concurrency_factor=1.5, requests=2_000),
    "stability": PurposePreset("0.8 of both, for long", concurrency_factor=0.8, rate_factor=0.8, duration_s=1_800.0),
}

"""The points that `overhead` measures: client, rate mode, workload, requests in flight and instances."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .clients import FLOOR, OURS
from .workloads import INCLUDES, WORKLOADS

MODES = ("fixed", "adaptive")
IN_FLIGHT = 300
QUICK_IN_FLIGHT = 100
_MEASURED = {"stream63": 1_500, "prompt_20kb": 3_000, "answer_100kb": 800}
"""Requests that the difference of the two runs covers, where they are not MEASURED."""
MEASURED = 6_000
QUICK_SHARE = 5
"""A quick measurement has a fifth of the requests."""


@dataclass(frozen=True, slots=True)
class OverheadTrial:
    """One client at one point; its cost is the difference between a short and a long run."""

    client: str
    mode: str | None
    """The rate mode; None for clients that have none."""
    workload: str
    in_flight: int
    instances: int
    n: int
    """Requests that the difference covers."""

    @property
    def short(self) -> int:
        """Requests of the short run: enough to open every connection."""
        return max(self.n // 2, 2 * self.in_flight)

    @property
    def long(self) -> int:
        """Requests of the long run."""
        return self.short + self.n

    @property
    def floor(self) -> OverheadTrial:
        """The minimal client with the same workload and as many requests in flight."""
        return OverheadTrial(FLOOR, None, self.workload, self.in_flight, 1, self.n)

    def __str__(self) -> str:
        mode = f" {self.mode}" if self.mode else ""
        return f"{self.client}{mode} {self.workload}, {self.in_flight} in flight, {self.instances} instances"


def planned_trials(peers: Collection[str], *, is_quick: bool) -> list[OverheadTrial]:
    """Return the trials; each floor comes before the trials that are compared with it."""
    trials: dict[OverheadTrial, None] = {}
    for trial in _quick(peers) if is_quick else _full(peers):
        trials |= {trial.floor: None, trial: None}
    return list(trials)


def _quick(peers: Collection[str]) -> Iterator[OverheadTrial]:
    for workload in WORKLOADS:
        for mode in MODES:
            yield OverheadTrial(OURS, mode, workload, QUICK_IN_FLIGHT, 1, _measured(workload) // QUICK_SHARE)
    for peer in peers:
        yield OverheadTrial(peer, None, INCLUDES.name, QUICK_IN_FLIGHT, 1, MEASURED // QUICK_SHARE)


def _full(peers: Collection[str]) -> Iterator[OverheadTrial]:
    for workload in WORKLOADS:
        for mode in MODES:
            yield OverheadTrial(OURS, mode, workload, IN_FLIGHT, 1, _measured(workload))
    for mode in MODES:
        for instances in (3, 300):
            yield OverheadTrial(OURS, mode, INCLUDES.name, IN_FLIGHT, instances, MEASURED)
    for peer in peers:
        yield OverheadTrial(peer, None, INCLUDES.name, IN_FLIGHT, 1, MEASURED)
    for in_flight in (30, 1_000, 5_000):
        for mode in MODES:
            yield OverheadTrial(OURS, mode, INCLUDES.name, in_flight, 1, max(MEASURED, 2 * in_flight))


def _measured(workload: str) -> int:
    return _MEASURED.get(workload, MEASURED)

"""The points that `overhead` measures: client, rate mode, workload, requests in flight and instances."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .clients import FLOOR, OURS
from .job import PART_RECORDS
from .workloads import INCLUDES, WORKLOADS

MODES = ("fixed", "adaptive")
IN_FLIGHT = 300
QUICK_IN_FLIGHT = 100
MEASURED, QUICK_MEASURED = 6_000, 2_000
"""Counted requests: several times PART_RECORDS, so that they contain their share of compactions."""
_HEAVY = {"stream63": 3, "prompt_20kb": 2, "answer_100kb": 3}
"""Workloads that are counted over fewer requests, and by what factor."""


@dataclass(frozen=True, slots=True)
class OverheadTrial:
    """One client at one point; its cost is its CPU time between two of its requests."""

    client: str
    mode: str | None
    """The rate mode; None for clients that have none."""
    workload: str
    in_flight: int
    instances: int
    n: int
    """Requests that are counted."""

    @property
    def first(self) -> int:
        """Number of the first counted request: every connection is open and used before."""
        return 2 * self.in_flight

    @property
    def last(self) -> int:
        """Number of the last counted request."""
        return self.first + self.n

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
            yield OverheadTrial(OURS, mode, workload, QUICK_IN_FLIGHT, 1, _measured(workload, QUICK_MEASURED))
    for peer in peers:
        yield OverheadTrial(peer, None, INCLUDES.name, QUICK_IN_FLIGHT, 1, QUICK_MEASURED)


def _full(peers: Collection[str]) -> Iterator[OverheadTrial]:
    for workload in WORKLOADS:
        for mode in MODES:
            yield OverheadTrial(OURS, mode, workload, IN_FLIGHT, 1, _measured(workload, MEASURED))
    for mode in MODES:
        for instances in (3, 300):
            yield OverheadTrial(OURS, mode, INCLUDES.name, IN_FLIGHT, instances, MEASURED)
    for peer in peers:
        yield OverheadTrial(peer, None, INCLUDES.name, IN_FLIGHT, 1, MEASURED)
    for in_flight in (30, 1_000, 5_000):
        for mode in MODES:
            yield OverheadTrial(OURS, mode, INCLUDES.name, in_flight, 1, max(MEASURED, 2 * in_flight))


def _measured(workload: str, usual: int) -> int:
    return max(PART_RECORDS, usual // _HEAVY.get(workload, 1))

"""The samples that are open, and what they wait for: what a stalled run has to say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice

from providers.messages import JSON

from ..calls.active_sample import ActiveSample
from ..calls.activity import Activity, ActivityStep
from ..dispatch.instance_state import InstanceState

MOST_WAITS = 8
MOST_TASKS = 3
MOST_LETTERS = 60
"""Of a task's name: a report about a thousand samples still fits a screen."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Samples that wait for the same thing."""

    what: str
    samples: int
    longest_s: float
    tasks: Sequence[str]
    """The first few."""

    def sentence(self) -> str:
        noun = "sample" if self.samples == 1 else "samples"
        names = ", ".join(self.tasks) + (", …" if self.samples > len(self.tasks) else "")
        return f"{self.samples} {noun} {self.what}, for up to {self.longest_s:.0f} s: {names}"

    def as_row(self) -> Mapping[str, JSON]:
        return {**asdict(self), "tasks": list(self.tasks)}


class InFlightSamples:
    """Those that a pool has opened and that have no record yet, and those whose record waits for the disk."""

    def __init__(self) -> None:
        self._open: dict[int, ActiveSample] = {}
        self._delivering: dict[int, tuple[str, float]] = {}

    def __len__(self) -> int:
        return len(self._open) + len(self._delivering)

    @contextmanager
    def working(self, active: ActiveSample) -> Iterator[None]:
        self._open[active.sample.ordinal] = active
        try:
            yield
        finally:
            del self._open[active.sample.ordinal]

    @contextmanager
    def delivering(self, ordinal: int, task_id: str) -> Iterator[None]:
        self._delivering[ordinal] = (task_id, asyncio.get_running_loop().time())
        try:
            yield
        finally:
            del self._delivering[ordinal]

    def waits(self) -> list[Wait]:
        """Grouped by what is waited for, the largest group first; bounded in number and length."""
        now = asyncio.get_running_loop().time()
        groups: dict[str, list[tuple[float, str]]] = {}
        for active in self._open.values():
            doing = active.activity.current
            groups.setdefault(_what(doing, active, now), []).append((doing.since_s, active.sample.task.task_id))
        for task_id, since_s in self._delivering.values():
            groups.setdefault("waiting for the disk to take their record", []).append((since_s, task_id))
        found = sorted((_wait(what, its, now) for what, its in groups.items()), key=lambda wait: -wait.samples)
        return found if len(found) <= MOST_WAITS else [*found[: MOST_WAITS - 1], _rest(found[MOST_WAITS - 1 :])]


def _wait(what: str, its: Sequence[tuple[float, str]], now: float) -> Wait:
    its = sorted(its, key=lambda one: one[0])
    tasks = tuple(task_id[:MOST_LETTERS] for _, task_id in islice(its, MOST_TASKS))
    return Wait(what, len(its), now - its[0][0], tasks)


def _rest(waits: Sequence[Wait]) -> Wait:
    longest = max(waits, key=lambda wait: wait.longest_s)
    return replace(longest, what="waiting for other things", samples=sum(wait.samples for wait in waits))


def _what(doing: Activity, active: ActiveSample, now: float) -> str:
    if doing.step is ActivityStep.BUDGET:
        return "waiting for the budget"
    if doing.step is ActivityStep.LEAVE:
        instance_state = doing.request.instance_state if doing.request else None
        if instance_state is None:
            return f"waiting for an instance of {active.sample.cell.model} that is due a request"
        return f"waiting for leave to send to {instance_state.instance.name}{_state(instance_state, now)}"
    if doing.step is ActivityStep.ANSWER and doing.instance_state is not None:
        return f"waiting for the answer of {doing.instance_state.instance.name}{_state(doing.instance_state, now)}"
    if doing.step is ActivityStep.RETRY:
        return "parked until they are retried" if now < doing.until_s else "waiting for a worker's place to retry"
    return "in the scorer" if doing.step is ActivityStep.SCORE else "in the solver's own code"


def _state(instance_state: InstanceState, now: float) -> str:
    if not instance_state.health_tracker.is_healthy:
        return f" ({instance_state.health.state.value})"
    wait_s = instance_state.limiter.opens_at() - now
    return f" (throttled until {clock_time(time.time() + wait_s)})" if wait_s > 0 else ""


def clock_time(wall_s: float) -> str:
    """The local time of day, as a person looks at a clock."""
    return time.strftime("%H:%M:%S", time.localtime(wall_s))

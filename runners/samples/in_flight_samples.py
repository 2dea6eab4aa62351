"""The open samples of a run and what each of them waits for, for the report of a stalled run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import TypedDict

from providers.messages import JSON

from ..calls.active_sample import ActiveSample
from ..calls.activity import Activity, ActivityStep
from ..dispatch.instance_state import InstanceState

MOST_WAITS = 8
MOST_TASKS = 3
MOST_LETTERS = 60
"""Longest part of a task's name that is shown, so that a report about a thousand samples fits a screen."""


class WaitRow(TypedDict):
    """A `Wait` as JSON."""

    what: str
    samples: int
    longest_s: float
    tasks: list[str]


@dataclass(frozen=True, slots=True)
class Wait:
    """A group of samples that wait for the same thing."""

    what: str
    samples: int
    longest_s: float
    tasks: Sequence[str]
    """The first few task ids."""

    def sentence(self) -> str:
        """Describe the group in one line."""
        noun = "sample" if self.samples == 1 else "samples"
        names = ", ".join(self.tasks) + (", …" if self.samples > len(self.tasks) else "")
        return f"{self.samples} {noun} {self.what}, for up to {self.longest_s:.0f} s: {names}"

    def as_row(self) -> Mapping[str, JSON]:
        """Return the fields as a JSON mapping."""
        return {**asdict(self), "tasks": list(self.tasks)}


class InFlightSamples:
    """The samples that are open, until their record is delivered."""

    def __init__(self) -> None:
        self.open: dict[int, ActiveSample] = {}
        """By ordinal; pools add and remove them."""

    def __len__(self) -> int:
        return len(self.open)

    def expects_answer(self, patience_s: Mapping[str, float]) -> bool:
        """Return whether an answer may still arrive in the time that `patience_s` gives its model; a model without an entry gets none."""
        now = asyncio.get_running_loop().time()
        return any(
            doing.step is ActivityStep.ANSWER and now < doing.since_s + patience_s.get(active.sample.cell.model, 0.0)
            for active in self.open.values()
            for doing in active.activity.calls
        )

    def waits(self) -> list[Wait]:
        """Return the samples grouped by what they wait for, the largest group first; at most MOST_WAITS groups."""
        now = asyncio.get_running_loop().time()
        groups: dict[str, list[tuple[float, str]]] = {}
        for active in self.open.values():
            activity = active.activity.current
            groups.setdefault(_what(activity, active, now), []).append((activity.since_s, active.sample.task.task_id))
        waits = sorted((_wait(what, samples, now) for what, samples in groups.items()), key=lambda wait: -wait.samples)
        return waits if len(waits) <= MOST_WAITS else [*waits[: MOST_WAITS - 1], _rest(waits[MOST_WAITS - 1 :])]


def _wait(what: str, samples: Sequence[tuple[float, str]], now: float) -> Wait:
    oldest_first = sorted(samples, key=lambda sample: sample[0])
    tasks = tuple(task_id[:MOST_LETTERS] for _, task_id in islice(oldest_first, MOST_TASKS))
    return Wait(what, len(oldest_first), now - oldest_first[0][0], tasks)


def _rest(waits: Sequence[Wait]) -> Wait:
    longest = max(waits, key=lambda wait: wait.longest_s)
    return replace(longest, what="waiting for other things", samples=sum(wait.samples for wait in waits))


def _what(activity: Activity, active: ActiveSample, now: float) -> str:
    if activity.step is ActivityStep.BUDGET:
        return "waiting for the budget"
    if activity.step is ActivityStep.PERMIT:
        instance_state = activity.request.instance_state if activity.request else None
        if instance_state is None:
            return f"waiting for an instance of {active.sample.cell.model} that is due a request"
        return f"waiting for a permit to send to {instance_state.instance.name}{_state(instance_state, now)}"
    if activity.step is ActivityStep.ANSWER and activity.instance_state is not None:
        return (
            f"waiting for the answer of {activity.instance_state.instance.name}{_state(activity.instance_state, now)}"
        )
    if activity.step is ActivityStep.RETRY:
        return "parked until they are retried" if now < activity.until_s else "waiting for a worker slot to retry"
    if activity.step is ActivityStep.DELIVER:
        return "waiting for the disk to take their record"
    return "in the scorer" if activity.step is ActivityStep.SCORE else "in the solver's own code"


def _state(instance_state: InstanceState, now: float) -> str:
    if not instance_state.health_tracker.is_healthy:
        return f" ({instance_state.health.state.value})"
    wait_s = instance_state.limiter.shut_until(now) - now
    return f" (throttled until {clock_time(time.time() + wait_s)})" if wait_s > 0 else ""


def clock_time(wall_s: float) -> str:
    """Format a wall-clock time as the local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(wall_s))

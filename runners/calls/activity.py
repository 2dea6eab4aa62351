"""What a sample is doing now, noted by whoever works on it: a few stores on the hot path, read only when somebody asks."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from types import TracebackType

from ..dispatch.dispatcher import PermitRequest
from ..dispatch.instance_state import InstanceState


class ActivityStep(Enum):
    SOLVE = auto()
    """In the solver's own code, between its calls."""
    SCORE = auto()
    BUDGET = auto()
    """Waiting for room in what the run may spend."""
    LEAVE = auto()
    """Waiting for leave to send."""
    ANSWER = auto()
    """Sent."""
    RETRY = auto()
    """Parked until `until_s`, then waiting for a place among the workers."""


class Activity:
    """Of a sample, and of each of its calls that are under way. Times are loop time."""

    __slots__ = ("calls", "cut_off_s", "instance_state", "request", "since_s", "step", "until_s")

    def __init__(self) -> None:
        self.step = ActivityStep.SOLVE
        self.since_s = 0.0
        self.until_s = 0.0
        self.request: PermitRequest | None = None
        self.instance_state: InstanceState | None = None
        self.calls: list[Activity] = []
        self.cut_off_s: float | None = None
        """When a call was last cancelled on its way."""

    def begin(self, step: ActivityStep, now: float) -> None:
        self.step, self.since_s = step, now

    def call(self) -> CallActivity:
        """`with activity.call() as doing`: a call of this sample is under way."""
        return CallActivity(self)

    def wait_for_leave(self, request: PermitRequest, now: float) -> None:
        self.step, self.since_s, self.request = ActivityStep.LEAVE, now, request

    def wait_for_answer(self, instance_state: InstanceState, now: float) -> None:
        self.step, self.since_s, self.instance_state = ActivityStep.ANSWER, now, instance_state

    def wait_to_retry(self, now: float, delay_s: float) -> None:
        self.step, self.since_s, self.until_s = ActivityStep.RETRY, now, now + delay_s

    @property
    def current(self) -> Activity:
        """The call that has been under way for longest, where there is one."""
        return self.calls[0] if self.calls else self


class CallActivity:
    """One call's Activity, in its sample's list for as long as the block lasts."""

    __slots__ = ("_doing", "_sample")

    def __init__(self, sample: Activity) -> None:
        self._sample = sample
        self._doing = Activity()

    def __enter__(self) -> Activity:
        self._doing.since_s = asyncio.get_running_loop().time()
        self._sample.calls.append(self._doing)
        return self._doing

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sample.calls.remove(self._doing)
        self._sample.since_s = now = asyncio.get_running_loop().time()
        if kind is asyncio.CancelledError:
            self._sample.cut_off_s = now

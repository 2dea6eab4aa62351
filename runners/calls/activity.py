"""What a sample is doing now. The code that works on it stores a few values; they are read only for reports and the stall watch."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from types import TracebackType

from ..dispatch.instance_state import InstanceState
from ..dispatch.permit_request import PermitRequest


class ActivityStep(Enum):
    """The step that a sample or a call is in."""

    SOLVE = auto()
    """In the solver's own code, between its calls."""
    SCORE = auto()
    BUDGET = auto()
    """Waiting for room in the budget of the run."""
    PERMIT = auto()
    """Waiting for the permit to send."""
    ANSWER = auto()
    """Waiting for the answer to the request that was sent."""
    RETRY = auto()
    """Parked until `until_s`, then waiting for a worker slot."""


class Activity:
    """The current activity of a sample or of one of its calls. Times are loop time."""

    __slots__ = ("calls", "cut_off_s", "instance_state", "request", "since_s", "step", "until_s")

    def __init__(self) -> None:
        self.step = ActivityStep.SOLVE
        self.since_s = 0.0
        self.until_s = 0.0
        self.request: PermitRequest | None = None
        self.instance_state: InstanceState | None = None
        self.calls: list[Activity] = []
        self.cut_off_s: float | None = None
        """When a call was last cancelled before its end."""

    def begin(self, step: ActivityStep, now: float) -> None:
        """Begin `step`."""
        self.step, self.since_s = step, now

    def call(self) -> CallActivity:
        """Return a context manager for a call of this sample; it yields the activity of the call."""
        return CallActivity(self)

    def wait_for_permit(self, request: PermitRequest, now: float) -> None:
        """Begin to wait for a permit."""
        self.step, self.since_s, self.request = ActivityStep.PERMIT, now, request

    def wait_for_answer(self, instance_state: InstanceState, now: float) -> None:
        """Begin to wait for the answer of an instance."""
        self.step, self.since_s, self.instance_state = ActivityStep.ANSWER, now, instance_state

    def wait_to_retry(self, now: float, delay_s: float) -> None:
        """Begin to wait `delay_s` before the next attempt."""
        self.step, self.since_s, self.until_s = ActivityStep.RETRY, now, now + delay_s

    @property
    def current(self) -> Activity:
        """The call that began first of those that are not over; the sample itself if there is none."""
        return self.calls[0] if self.calls else self


class CallActivity:
    """The context of one call: its activity is in the sample's list until the block ends."""

    __slots__ = ("_call", "_sample")

    def __init__(self, sample: Activity) -> None:
        self._sample = sample
        self._call = Activity()

    def __enter__(self) -> Activity:
        self._call.since_s = asyncio.get_running_loop().time()
        self._sample.calls.append(self._call)
        return self._call

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sample.calls.remove(self._call)
        self._sample.since_s = now = asyncio.get_running_loop().time()
        if kind is asyncio.CancelledError:
            self._sample.cut_off_s = now

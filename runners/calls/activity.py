"""What a sample is doing now. The code that works on it stores a few values; they are read only for reports and the stall watch."""

from __future__ import annotations

from enum import Enum, auto

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
    DELIVER = auto()
    """The sample has ended and its record is being delivered."""


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

    def begin_call(self, now: float) -> Activity:
        """Add a call and return its activity."""
        call = Activity()
        call.since_s = now
        self.calls.append(call)
        return call

    def end_call(self, call: Activity, now: float, *, is_cancelled: bool = False) -> None:
        """Remove a call that has ended, or was cancelled before its end."""
        self.calls.remove(call)
        self.since_s = now
        if is_cancelled:
            self.cut_off_s = now

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
        """The call that began first of those that are not over; the sample itself if there is none, or it has ended."""
        return self.calls[0] if self.calls and self.step is not ActivityStep.DELIVER else self

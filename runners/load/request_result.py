"""The exact result of one request of a load test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from providers.errors import Empty, InstanceGone, ProviderError, Refused, Rejected, Throttled
from providers.messages import ChatResponse, RateLimitHint, Timing, Usage

How = Literal["ok", "empty", "rejected", "throttled", "failed", "gone"]


@dataclass(frozen=True, slots=True)
class ScheduledRequest:
    """A request that was sent; times in loop seconds."""

    number: int
    instance: str
    scheduled_at: float
    dispatched_at: float
    waited_for: Literal["arrival", "place"]
    """What ended the wait before the send: its arrival time, or a slot ("place") that another request released."""

    @property
    def delay_s(self) -> float:
        """Time from the scheduled arrival to the send."""
        return self.dispatched_at - self.scheduled_at


@dataclass(frozen=True, slots=True)
class RequestResult:
    """The result of one request."""

    scheduled: ScheduledRequest
    ended_at: float
    how: How
    error_class: str | None = None
    message: str = ""
    status: int | None = None
    finish_reason: str | None = None
    timing: Timing | None = None
    usage: Usage | None = None
    hint: RateLimitHint | None = None

    @property
    def latency_s(self) -> float | None:
        """Time from the send to the last content; None without an answer."""
        return (self.timing.ttft_s or 0.0) + self.timing.generation_s if self.timing else None

    @property
    def scheduled_latency_s(self) -> float | None:
        """Time from the scheduled arrival to the last content; None without an answer."""
        latency_s = self.latency_s
        if latency_s is None or self.timing is None:
            return None
        return self.scheduled.delay_s + self.timing.connect_s + latency_s


def answered(scheduled: ScheduledRequest, ended_at: float, response: ChatResponse) -> RequestResult:
    """Build the result of a request that was answered."""
    return RequestResult(
        scheduled,
        ended_at,
        "ok",
        status=200,
        finish_reason=response.finish_reason,
        timing=response.timing,
        usage=response.usage,
        hint=response.hint,
    )


def failed(scheduled: ScheduledRequest, ended_at: float, error: ProviderError) -> RequestResult:
    """Build the result of a request that ended in an error."""
    evidence = error.evidence
    return RequestResult(
        scheduled,
        ended_at,
        _how(error),
        error.error_class,
        str(error),
        evidence.status,
        usage=evidence.usage,
        hint=evidence.hint,
    )


def _how(error: ProviderError) -> How:
    kinds: tuple[tuple[type[ProviderError], How], ...] = (
        (Throttled, "throttled"),
        (Empty, "empty"),
        (Rejected, "rejected"),
        (Refused, "rejected"),
        (InstanceGone, "gone"),
    )
    return next((how for kind, how in kinds if isinstance(error, kind)), "failed")

"""Detection of requests that cause their own failures. A request that fails in the same way on two instances is poison; a request that
is throttled while others pass is too large for the limit.

Outages and instances with a certain failure rate must not count against a request. So only failures count that the request may cause (it
was sent), while both instances answer other requests, and so many that the instances' failure rates do not explain them by chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import prod

from providers.errors import ProviderError, TimedOut, Transient

from .instance_state import InstanceState, RequestCounters

MOVES_AFTER = 2
"""Equal failures in a row after which the next attempt goes to another instance."""
BY_CHANCE = 1e-5
"""Highest probability of the failures, given the instances' failure rates, at which a request counts as poison."""
OVERTAKEN_OFTEN = 4
"""Throttles of one request, with other requests accepted between them, before it may be too large."""
ALONE_OFTEN = 5
"""Throttles of one request on an idle instance before it is too large."""
IDLE_S = 60.0
"""Time without an accepted request after which a limit per minute is open again."""
YIELDS_AFTER = 2
"""Throttles of one request after which it queues behind the others instead of ahead of them."""

Failure = tuple[object, ...]
"""The key by which two failures are equal: class, stage of a timeout, HTTP status."""


class PoisonDetector:
    """The last failure of one call, and how often in a row it has occurred on each instance."""

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()
        """How often the last failure has occurred, by instance."""
        self._failure: Failure | None = None
        self._since = 0.0

    def note(self, error: ProviderError, now: float) -> bool:
        """Count a failure and return whether the next attempt should go to another instance."""
        if not isinstance(error, Transient) or not error.was_sent:
            return False  # caused by the instance, or not retried
        failure = (type(error), error.stage if isinstance(error, TimedOut) else None, error.evidence.status)
        if failure != self._failure:
            self._failure, self._since = failure, now
            self.times.clear()
        self.times[error.evidence.instance] += 1
        return self.times.total() >= MOVES_AFTER

    def is_poison(self, instance_states: Mapping[str, InstanceState]) -> bool:
        """Return whether the last failure occurred on two instances that have answered other requests since."""
        if len(self.times) < 2:
            return False
        counters_of = {name: instance_states[name].counters for name in self.times}
        if any(
            counters.answered_at is None or counters.answered_at <= self._since for counters in counters_of.values()
        ):
            return False
        return prod(_failure_rate(counters_of[name], own) ** own for name, own in self.times.items()) < BY_CHANCE


class ThrottleSuspicion:
    """The throttles of one call, and how many of them the load of the instance does not explain."""

    def __init__(self) -> None:
        self._own: Counter[str] = Counter()
        self._overtaken: Counter[str] = Counter()
        self._alone = 0
        self._sent_at: dict[str, float] = {}

    @property
    def yields(self) -> bool:
        """Whether other requests go first. Otherwise a request that never fits would block the queue."""
        return self._own.total() >= YIELDS_AFTER

    def note(self, instance_state: InstanceState, sent_at: float) -> None:
        """Count a throttle of the request that was sent at `sent_at`, loop time."""
        name, accepted_sent_at = instance_state.instance.name, instance_state.counters.accepted_sent_at
        self._own[name] += 1
        if accepted_sent_at is not None and accepted_sent_at >= self._sent_at.get(name, sent_at):
            self._overtaken[name] += 1
        elif accepted_sent_at is not None and sent_at - accepted_sent_at > IDLE_S and not instance_state.waiting:
            self._alone += 1
        self._sent_at[name] = sent_at

    def is_too_large(self, instance_states: Mapping[str, InstanceState]) -> bool:
        """Return whether only the request's own size explains its throttles: others passed, or the instance was idle, often enough."""
        if self._alone >= ALONE_OFTEN:
            return True
        if self._overtaken.total() < OVERTAKEN_OFTEN:
            return False
        rates = {name: _throttle_rate(instance_states[name].counters, self._own[name]) for name in self._overtaken}
        return prod(rates[name] ** times for name, times in self._overtaken.items()) < BY_CHANCE


def _throttle_rate(counters: RequestCounters, own: int) -> float:
    """Estimate the share of other requests that the instance throttles, by the rule of `_failure_rate`."""
    others = counters.throttled - own
    return (others + 1) / (others + counters.succeeded + 2)


def _failure_rate(counters: RequestCounters, own: int) -> float:
    """Estimate the share of other requests that fail on the instance by Laplace's rule of succession."""
    others = counters.failed - own
    return (others + 1) / (others + counters.succeeded + 2)

"""Whether it is the request that fails, and not the instance: a request that fails the same way on two instances is poison, and one that
is throttled while others pass is too large for the limit.

An outage says nothing about a request, and neither does bad luck with instances that fail now and then. So it is suspected only of
failures that it may cause (it was sent), while both instances answer others, and so often that these cannot explain it by chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import prod

from providers.errors import ProviderError, TimedOut, Transient

from .instance_state import InstanceState, RequestCounters

MOVES_AFTER = 2
"""Failures alike in a row: the next attempt goes to an instance that has not failed so."""
BY_CHANCE = 1e-5
"""A request whose failures others' failures would explain more often than this is not poison."""
OVERTAKEN_OFTEN = 4
"""Throttles of one request with others let in between them, before it may be too large."""
ALONE_OFTEN = 5
"""Throttles of one request that had an idle instance to itself, before it is too large."""
IDLE_S = 60.0
"""A limit per minute is open again when nothing was let in for so long."""
YIELDS_AFTER = 2
"""Throttles of one request: from then on it waits behind the others instead of before them."""

Failure = tuple[object, ...]
"""What makes two failures the same: their class, the stage of a timeout, the HTTP status."""


class PoisonDetector:
    """Of one call: its last failure, and how often and where it has come in a row."""

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()
        """Of the last failure, by instance."""
        self._failure: Failure | None = None
        self._since = 0.0

    def note(self, error: ProviderError, now: float) -> bool:
        """Returns whether the next attempt should go to another instance."""
        if not isinstance(error, Transient) or not error.was_sent:
            return False  # says something about the instance, or is no failure to be tried again
        failure = (type(error), error.stage if isinstance(error, TimedOut) else None, error.evidence.status)
        if failure != self._failure:
            self._failure, self._since = failure, now
            self.times.clear()
        self.times[error.evidence.instance] += 1
        return self.times.total() >= MOVES_AFTER

    def is_poison(self, instance_states: Mapping[str, InstanceState]) -> bool:
        """Whether the last failure came on two instances that have answered others since."""
        if len(self.times) < 2:
            return False
        tallies = {name: instance_states[name].counters for name in self.times}
        if any(counters.answered_at is None or counters.answered_at <= self._since for counters in tallies.values()):
            return False
        return prod(_share_failing(tallies[name], own) ** own for name, own in self.times.items()) < BY_CHANCE


class ThrottleSuspicion:
    """Of one call: its throttles, and how many of them the load of the instance does not explain."""

    def __init__(self) -> None:
        self._own: Counter[str] = Counter()
        self._overtaken: Counter[str] = Counter()
        self._alone = 0
        self._sent_at: dict[str, float] = {}

    @property
    def yields(self) -> bool:
        """Whether others go first: were it always before them, a request that never fits would hold up everybody."""
        return self._own.total() >= YIELDS_AFTER

    def note(self, instance_state: InstanceState, sent_at: float) -> None:
        """A throttle of the request that was sent at `sent_at`, loop time."""
        name, let_in_at = instance_state.instance.name, instance_state.counters.let_in_at
        self._own[name] += 1
        if let_in_at is not None and let_in_at >= self._sent_at.get(name, sent_at):
            self._overtaken[name] += 1
        elif let_in_at is not None and sent_at - let_in_at > IDLE_S and not instance_state.line:
            self._alone += 1
        self._sent_at[name] = sent_at

    def is_too_large(self, instance_states: Mapping[str, InstanceState]) -> bool:
        """Whether others passed so often, or it was alone so often, that only its own size explains the throttles."""
        if self._alone >= ALONE_OFTEN:
            return True
        if self._overtaken.total() < OVERTAKEN_OFTEN:
            return False
        shares = {name: _share_throttled(instance_states[name].counters, self._own[name]) for name in self._overtaken}
        return prod(shares[name] ** times for name, times in self._overtaken.items()) < BY_CHANCE


def _share_throttled(counters: RequestCounters, own: int) -> float:
    """How often an instance throttles others, reckoned as `_share_failing` does."""
    others = counters.throttled - own
    return (others + 1) / (others + counters.succeeded + 2)


def _share_failing(counters: RequestCounters, own: int) -> float:
    """How often an instance fails for others; one of each is assumed, so that little evidence is no proof."""
    others = counters.failed - own
    return (others + 1) / (others + counters.succeeded + 2)

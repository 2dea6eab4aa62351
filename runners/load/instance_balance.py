"""Which of several instances gets the next request of a load: the least loaded one that does not refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from providers.instance import Instance

from .request_result import RequestResult

UNSAID_WAIT_S = 1.0
"""Seconds after a refusal without a hint for which another instance is preferred."""


@dataclass(slots=True)
class InstanceBalance:
    """Requests in flight of every instance, and when an instance that refused may be asked again."""

    shares: Mapping[str, float] = field(default_factory=dict)
    """How many requests each instance carries, as far as it is known: 1 otherwise."""
    in_flight: dict[str, int] = field(default_factory=dict)
    opens_at: dict[str, float] = field(default_factory=dict)

    def choose(self, instances: Sequence[Instance], number: int, now: float) -> Instance:
        """Choose the instance that is least loaded for its share, and count the request; equals get their turn."""
        chosen = instances[0]
        if len(instances) > 1:
            first = number % len(instances)
            chosen = min([*instances[first:], *instances[:first]], key=lambda instance: self._rank(instance.name, now))
        self.in_flight[chosen.name] = self.in_flight.get(chosen.name, 0) + 1
        return chosen

    def release(self, instance: Instance) -> None:
        """Count a request that ended."""
        self.in_flight[instance.name] -= 1

    def learn(self, result: RequestResult) -> None:
        """Note how long an instance that refused wants to be left alone."""
        if result.how == "throttled":
            wait_s = result.hint.retry_after_s if result.hint is not None else None
            self.opens_at[result.scheduled.instance] = result.ended_at + (UNSAID_WAIT_S if wait_s is None else wait_s)

    def _rank(self, name: str, now: float) -> tuple[bool, float]:
        load = (self.in_flight.get(name, 0) + 1) / self.shares.get(name, 1.0)
        return self.opens_at.get(name, 0.0) > now, load

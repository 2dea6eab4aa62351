"""The health of an instance, with the evidence for it: healthy → suspect (one canary at a time) → down, or gone for good.

What is gone is never probed again. What is suspect or down gets one request now and then, and the work of others when it answers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum

from providers.errors import AuthFailed, DeploymentMissing, InstanceGone, OutOfQuota, Transient

from ..samples.record import instant

SUSPECT_AFTER = 5
"""Failures in a row without an answer between them."""
DOWN_AFTER = 3
"""Canaries in a row that failed."""
FIRST_CANARY_S = 1.0
LONGEST_CANARY_S = 60.0
"""A wait that doubles between these."""


class Health(StrEnum):
    HEALTHY = "healthy"
    SUSPECT = "suspect"
    DOWN = "down"
    REVOKED = "revoked"
    OUT_OF_QUOTA = "out of quota"
    MISSING = "deployment missing"


WHY_GONE: dict[type[InstanceGone], Health] = {
    AuthFailed: Health.REVOKED,
    OutOfQuota: Health.OUT_OF_QUOTA,
    DeploymentMissing: Health.MISSING,
}
_ALIVE = frozenset({Health.HEALTHY, Health.SUSPECT, Health.DOWN})


@dataclass(frozen=True, slots=True)
class InstanceHealth:
    state: Health = Health.HEALTHY
    evidence: str = ""
    error_class: str | None = None
    """What records say of samples that were moved away."""

    @property
    def is_usable(self) -> bool:
        """Not gone for good: it may be waited for."""
        return self.state in _ALIVE

    @staticmethod
    def gone(error: InstanceGone) -> InstanceHealth:
        until = "" if error.retry_after_s is None else f"; until {instant(time.time() + error.retry_after_s)}"
        return InstanceHealth(WHY_GONE.get(type(error), Health.REVOKED), f"{error}{until}", error.error_class)


class HealthTracker:
    """The state machine of one instance. Pure: every method takes `now` in loop seconds; those that return a bool say "it changed"."""

    def __init__(self) -> None:
        self.health = InstanceHealth()
        self.opens_at = 0.0
        """When the next canary is due, while suspect or down."""
        self.has_answered = False
        self.silent_since: float | None = None
        """When the first of the failures in a row came; None after an answer."""
        self._failures = 0
        self._canaries = 0
        self._canary_is_out = False

    @property
    def is_healthy(self) -> bool:
        return self.health.state is Health.HEALTHY

    def may_send(self, now: float) -> bool:
        """Anything while healthy; one canary when it is due."""
        return self.is_healthy or (self.health.is_usable and not self._canary_is_out and now >= self.opens_at)

    def send_probe(self) -> None:
        self._canary_is_out = True

    def recall_probe(self) -> None:
        """It was cancelled before anything could be learned from it."""
        self._canary_is_out = False

    def answered(self) -> bool:
        """Any answer, a refusal too: it is there."""
        self.has_answered = True
        self.silent_since = None
        self._failures = self._canaries = 0
        self._canary_is_out = False
        if self.is_healthy or not self.health.is_usable:
            return False
        self.health = InstanceHealth()
        return True

    def failed(self, error: Transient, now: float, *, is_probe: bool) -> bool:
        """No answer. What was sent before the first canary teaches nothing more."""
        if self.silent_since is None:
            self.silent_since = now
        if is_probe:
            return self._canary_failed(error, now)
        self._failures += 1
        if not self.is_healthy or self._failures < SUSPECT_AFTER:
            return False
        self.health = InstanceHealth(Health.SUSPECT, str(error), error.error_class)
        self.opens_at = now + FIRST_CANARY_S
        return True

    def lose(self, error: InstanceGone) -> bool:
        """For good; saying so twice is harmless."""
        if not self.health.is_usable:
            return False
        self.health = InstanceHealth.gone(error)
        return True

    def _canary_failed(self, error: Transient, now: float) -> bool:
        self._canary_is_out = False
        self._canaries += 1
        self.opens_at = now + min(FIRST_CANARY_S * 2.0**self._canaries, LONGEST_CANARY_S)
        if self.health.state is not Health.SUSPECT or self._canaries < DOWN_AFTER:
            return False
        self.health = InstanceHealth(Health.DOWN, str(error), error.error_class)
        return True

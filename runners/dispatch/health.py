"""The health of an instance, with the evidence for it: healthy → suspect (one canary at a time) → down, or gone for good.

What is gone is never probed again. What is suspect or down gets one request now and then, and the work of others when it answers.
What refuses different samples alike gets no new work: one answer to what is still in flight reopens it, none makes it unusable.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from enum import StrEnum

from providers.errors import (
    AuthFailed,
    DeploymentMissing,
    InstanceGone,
    OutOfQuota,
    Refused,
    Transient,
    Unusable,
)

from ..instants import instant

SUSPECT_AFTER = 5
"""Failures in a row without an answer between them."""
DOWN_AFTER = 3
"""Canaries in a row that failed."""
FIRST_CANARY_S = 1.0
LONGEST_CANARY_S = 60.0
"""A wait that doubles between these."""
REFUSED_ALIKE = 5
"""Different samples refused in the same words, and none answered in between: it is the configuration, whatever the words mean."""
WORDINGS_KEPT = 50
_VARYING = re.compile(r"\w*\d\w*|'[^']{0,200}'|\"[^\"]{0,200}\"")
"""Digits, ids and quotations."""


def wording_of(sentence: str) -> str:
    """What two refusals for one reason have in common."""
    return _VARYING.sub("#", sentence)


class Health(StrEnum):
    HEALTHY = "healthy"
    SUSPECT = "suspect"
    DOWN = "down"
    REFUSING = "refusing"
    REVOKED = "revoked"
    NOT_ACCEPTED = "key not accepted"
    OUT_OF_QUOTA = "out of quota"
    MISSING = "deployment missing"
    UNUSABLE = "unusable"


WHY_GONE: dict[type[InstanceGone], Health] = {
    AuthFailed: Health.REVOKED,
    OutOfQuota: Health.OUT_OF_QUOTA,
    DeploymentMissing: Health.MISSING,
    Unusable: Health.UNUSABLE,
}
_PROBED = frozenset({Health.SUSPECT, Health.DOWN})
_ALIVE = _PROBED | {Health.HEALTHY, Health.REFUSING}


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
    def gone(error: InstanceGone, *, has_worked: bool = True) -> InstanceHealth:
        """A key that never worked was not revoked: it is wrong."""
        state = WHY_GONE.get(type(error), Health.REVOKED)
        if state is Health.REVOKED and not has_worked:
            state = Health.NOT_ACCEPTED
        until = "" if error.retry_after_s is None else f"; until {instant(time.time() + error.retry_after_s)}"
        return InstanceHealth(state, f"{error}{until}", error.error_class)


class HealthTracker:
    """The state machine of one instance. Pure: every method takes `now` in loop seconds; those that return a bool say "it changed"."""

    def __init__(self) -> None:
        self.health = InstanceHealth()
        self.opens_at = 0.0
        """When the next canary is due, while suspect or down."""
        self.has_answered = False
        """In any way: it is there."""
        self.has_worked = False
        """It has answered as a model."""
        self.silent_since: float | None = None
        """When the first of the failures in a row came; None after an answer."""
        self._failures = 0
        self._canaries = 0
        self._canary_is_out = False
        self._refused: dict[str, set[str]] = {}
        """Since the last answer: samples by the words in which they were refused."""
        self._refusal: Refused | None = None

    @property
    def is_healthy(self) -> bool:
        return self.health.state is Health.HEALTHY

    def may_send(self, now: float) -> bool:
        """Anything while healthy; one canary when it is due; nothing while it refuses."""
        is_due = self.health.state in _PROBED and not self._canary_is_out and now >= self.opens_at
        return self.is_healthy or is_due

    def send_probe(self) -> None:
        self._canary_is_out = True

    def recall_probe(self) -> None:
        """It was cancelled before anything could be learned from it."""
        self._canary_is_out = False

    def answered(self, *, has_worked: bool = True) -> bool:
        """Any answer, a refusal too: it is there. `has_worked` says that a model answered."""
        self.has_answered = True
        self.silent_since = None
        self._failures = self._canaries = 0
        self._canary_is_out = False
        if has_worked:
            self.has_worked = True
            self._refused.clear()
        if self.is_healthy or not self.health.is_usable or (self.health.state is Health.REFUSING and not has_worked):
            return False
        self.health = InstanceHealth()
        return True

    def refused(self, error: Refused, sample: str) -> bool:
        """It does not take the request as it is configured; enough samples refused alike close it."""
        has_changed = self.answered(has_worked=False)
        samples = self._refused.setdefault(wording_of(str(error)), set())
        samples.add(sample)
        if len(self._refused) > WORDINGS_KEPT:
            del self._refused[next(iter(self._refused))]
        if not self.is_healthy or len(samples) < REFUSED_ALIKE:
            return has_changed
        self._refusal = error
        self.health = InstanceHealth(Health.REFUSING, str(error), error.error_class)
        return True

    def verdict(self, in_flight: int) -> Unusable | None:
        """That it is unusable: it refuses, and nothing is in flight that could still be answered."""
        if self.health.state is not Health.REFUSING or in_flight or self._refusal is None:
            return None
        return Unusable(str(self._refusal), self._refusal.evidence)

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
        self.health = InstanceHealth.gone(error, has_worked=self.has_worked)
        return True

    def _canary_failed(self, error: Transient, now: float) -> bool:
        self._canary_is_out = False
        self._canaries += 1
        self.opens_at = now + min(FIRST_CANARY_S * 2.0**self._canaries, LONGEST_CANARY_S)
        if self.health.state is not Health.SUSPECT or self._canaries < DOWN_AFTER:
            return False
        self.health = InstanceHealth(Health.DOWN, str(error), error.error_class)
        return True

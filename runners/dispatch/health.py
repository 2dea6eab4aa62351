"""The health of an instance, with the evidence for it: healthy → suspect (one probe at a time) → down, or gone for good.

An instance that is gone gets no more requests. A suspect or down instance gets one request, the probe, at growing intervals, and is
healthy again when it answers. An instance that refuses different samples in the same words gets no new requests: it is healthy again if it
answers one of those in flight, and unusable if it answers none.
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
"""Failures in a row, with no answer between them, after which an instance is suspect."""
DOWN_AFTER = 3
"""Failed probes in a row after which an instance is down."""
FIRST_PROBE_S = 1.0
LONGEST_PROBE_S = 60.0
"""The wait before a probe doubles from the first value to this one."""
REFUSED_ALIKE = 5
"""Different samples refused in the same words, with no answer between them, that show that the configuration is the cause."""
WORDINGS_KEPT = 50
_VARYING = re.compile(r"\w*\d\w*|'[^']{0,200}'|\"[^\"]{0,200}\"")
"""The parts of a message that differ between refusals for the same reason: digits, ids and quotations."""


def wording_of(sentence: str) -> str:
    """Return `sentence` without the parts that differ between refusals for the same reason."""
    return _VARYING.sub("#", sentence)


class Health(StrEnum):
    """The states of an instance's health."""

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
PROBED = frozenset({Health.SUSPECT, Health.DOWN})
"""The states in which one request at a time finds out whether the instance answers again."""
_ALIVE = PROBED | {Health.HEALTHY, Health.REFUSING}


@dataclass(frozen=True, slots=True)
class InstanceHealth:
    """The health of an instance and the evidence for it."""

    state: Health = Health.HEALTHY
    evidence: str = ""
    error_class: str | None = None
    """The reason that records give for samples that were moved to another instance."""

    @property
    def is_usable(self) -> bool:
        """Whether it is not gone for good: requests may wait for it."""
        return self.state in _ALIVE

    @staticmethod
    def gone(error: InstanceGone, *, has_worked: bool = True) -> InstanceHealth:
        """Return the health of an instance that is gone for good. A key that has never worked is wrong, not revoked."""
        state = WHY_GONE.get(type(error), Health.REVOKED)
        if state is Health.REVOKED and not has_worked:
            state = Health.NOT_ACCEPTED
        until = "" if error.retry_after_s is None else f"; until {instant(time.time() + error.retry_after_s)}"
        return InstanceHealth(state, f"{error}{until}", error.error_class)


class HealthTracker:
    """The state machine of one instance's health. Pure: methods take `now` in loop seconds and return whether the health changed."""

    def __init__(self) -> None:
        self.health = InstanceHealth()
        self.opens_at = 0.0
        """When the next probe is due, while suspect or down."""
        self.has_answered = False
        """Whether the server has ever answered, even with a refusal."""
        self.has_worked = False
        """Whether the model has ever answered."""
        self.silent_since: float | None = None
        """When the first of the current failures in a row occurred; None after an answer."""
        self._failures = 0
        self._failed_probes = 0
        self._probe_in_flight = False
        self._refused: dict[str, set[str]] = {}
        """The samples refused since the last answer, by the wording of the refusal."""
        self._refusal: Refused | None = None

    @property
    def is_healthy(self) -> bool:
        """Whether requests may be sent without a probe."""
        return self.health.state is Health.HEALTHY

    def may_send(self, now: float) -> bool:
        """Return whether a request may be sent: any while healthy, one probe when it is due, none while the instance refuses."""
        is_due = self.health.state in PROBED and not self._probe_in_flight and now >= self.opens_at
        return self.is_healthy or is_due

    def send_probe(self) -> None:
        """Note that a probe is waiting or in flight: no second one may be sent."""
        self._probe_in_flight = True

    def recall_probe(self) -> None:
        """Note that the probe was cancelled without a result: another may be sent."""
        self._probe_in_flight = False

    def answered(self, *, has_worked: bool = True) -> bool:
        """Count an answer of the server, which may be a refusal. `has_worked` means that the model answered."""
        self.has_answered = True
        self.silent_since = None
        self._failures = self._failed_probes = 0
        self._probe_in_flight = False
        if has_worked:
            self.has_worked = True
            self._refused.clear()
        if self.is_healthy or not self.health.is_usable or (self.health.state is Health.REFUSING and not has_worked):
            return False
        self.health = InstanceHealth()
        return True

    def refused(self, error: Refused, sample: str) -> bool:
        """Count a refusal of a sample's request; `REFUSED_ALIKE` samples refused in the same words close the instance."""
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
        """Return the error that makes it unusable, if it refuses and no request is in flight that it could still answer."""
        if self.health.state is not Health.REFUSING or in_flight or self._refusal is None:
            return None
        return Unusable(str(self._refusal), self._refusal.evidence)

    def failed(self, error: Transient, now: float, *, is_probe: bool) -> bool:
        """Count a request without an answer. Once suspect, only probes count: other requests were sent before."""
        if self.silent_since is None:
            self.silent_since = now
        if is_probe:
            return self._probe_failed(error, now)
        self._failures += 1
        if not self.is_healthy or self._failures < SUSPECT_AFTER:
            return False
        self.health = InstanceHealth(Health.SUSPECT, str(error), error.error_class)
        self.opens_at = now + FIRST_PROBE_S
        return True

    def give_up(self, error: InstanceGone) -> bool:
        """Take the instance out of the run for good; a second call has no effect."""
        if not self.health.is_usable:
            return False
        self.health = InstanceHealth.gone(error, has_worked=self.has_worked)
        return True

    def _probe_failed(self, error: Transient, now: float) -> bool:
        self._probe_in_flight = False
        self._failed_probes += 1
        self.opens_at = now + min(FIRST_PROBE_S * 2.0**self._failed_probes, LONGEST_PROBE_S)
        if self.health.state is not Health.SUSPECT or self._failed_probes < DOWN_AFTER:
            return False
        self.health = InstanceHealth(Health.DOWN, str(error), error.error_class)
        return True

"""The health of an instance, with the evidence for it. What is out stays out: a revoked key is never probed again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from providers.errors import AuthFailed, DeploymentMissing, InstanceGone, OutOfQuota


class Health(StrEnum):
    HEALTHY = "healthy"
    REVOKED = "revoked"
    OUT_OF_QUOTA = "out of quota"
    MISSING = "deployment missing"


WHY_GONE: dict[type[InstanceGone], Health] = {
    AuthFailed: Health.REVOKED,
    OutOfQuota: Health.OUT_OF_QUOTA,
    DeploymentMissing: Health.MISSING,
}


@dataclass(frozen=True, slots=True)
class InstanceHealth:
    state: Health = Health.HEALTHY
    evidence: str = ""
    error_class: str | None = None
    """What records say of samples that were moved away."""

    @property
    def is_usable(self) -> bool:
        return self.state is Health.HEALTHY

    @staticmethod
    def gone(error: InstanceGone) -> InstanceHealth:
        return InstanceHealth(WHY_GONE.get(type(error), Health.REVOKED), str(error), error.error_class)

"""The quota that a refusal states: limit, window, unit and name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from providers.messages import RateLimitHint

QuotaUnit = Literal["requests", "tokens"]


@dataclass(frozen=True, slots=True)
class StatedQuota:
    """A quota as the server states it; fields that it does not state are None."""

    limit: float | None = None
    window_s: float | None = None
    unit: QuotaUnit | None = None
    name: str | None = None
    """The server's name of the quota, for example "UserByModelByMinuteTokens"."""

    @property
    def counts_by_model(self) -> bool:
        """Whether its name says that all deployments of a model count against it."""
        return self.name is not None and "bymodel" in self.name.lower().replace("_", "").replace("-", "")


UNSTATED = StatedQuota()


def stated_quota(hint: RateLimitHint | None) -> StatedQuota:
    """Read the stated quota from the hint of a refusal."""
    if hint is None:
        return UNSTATED
    return StatedQuota(hint.stated_limit, hint.stated_window_s, hint.stated_unit, hint.stated_quota)

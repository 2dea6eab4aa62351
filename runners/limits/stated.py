"""What a refusal says in words about the quota behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from providers.messages import RateLimitHint

QuotaUnit = Literal["requests", "tokens"]


@dataclass(frozen=True, slots=True)
class StatedQuota:
    """None where the server says nothing."""

    limit: float | None = None
    window_s: float | None = None
    unit: QuotaUnit | None = None
    name: str | None = None
    """The server's own name of it: "UserByModelByMinuteTokens"."""

    @property
    def counts_by_model(self) -> bool:
        """It says that every deployment of a model counts against it."""
        return self.name is not None and "bymodel" in self.name.lower().replace("_", "").replace("-", "")


UNSTATED = StatedQuota()


def stated_quota(hint: RateLimitHint | None) -> StatedQuota:
    """Read off a refusal's hint."""
    if hint is None:
        return UNSTATED
    return StatedQuota(hint.stated_limit, hint.stated_window_s, hint.stated_unit, hint.stated_quota)

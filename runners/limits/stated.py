"""The quota that a refusal states: limit, window, kind, scope and name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from providers.messages import LimitKind, LimitScope, RateLimitHint

QuotaUnit = Literal["requests", "tokens"]


@dataclass(frozen=True, slots=True)
class StatedQuota:
    """A quota as the server states it; fields that it does not state are None. Two are equal if they are the same quota."""

    limit: float | None = None
    """The limit of a rate; see `concurrency` for a limit of requests in flight."""
    window_s: float | None = None
    unit: QuotaUnit | None = None
    name: str | None = None
    """The server's name of the quota, for example "UserByModelByMinuteTokens"."""
    kind: LimitKind | None = field(default=None, compare=False)
    """What the refusal is about. `unit` is the same where it is a rate, and None otherwise."""
    concurrency: float | None = None
    """The limit of requests in flight."""
    scope: tuple[LimitScope, ...] = ()
    usage: float | None = field(default=None, compare=False)
    source: str | None = field(default=None, compare=False)

    @property
    def counts_by_model(self) -> bool:
        """Whether its name says that all deployments of a model count against it."""
        return self.name is not None and "bymodel" in self.name.lower().replace("_", "").replace("-", "")


UNSTATED = StatedQuota()


def stated_quota(hint: RateLimitHint | None) -> StatedQuota:
    """Read the stated quota from the hint of a refusal."""
    if hint is None:
        return UNSTATED
    kind = hint.stated_kind
    unit: QuotaUnit | None = "requests" if kind == "requests" else "tokens" if kind == "tokens" else None
    is_rate = unit is not None or kind is None
    return StatedQuota(
        hint.stated_limit if is_rate else None,
        hint.stated_window_s if is_rate else None,
        unit,
        hint.stated_quota,
        kind,
        hint.stated_limit if kind == "concurrency" else None,
        hint.stated_scope,
        hint.stated_usage,
        hint.source,
    )

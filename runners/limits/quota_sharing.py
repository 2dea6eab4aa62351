"""The consequence of a shared quota: the limiter with the most accepted requests absorbs the others that share it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

from providers.messages import RateLimitHint

from .shared_quota import JointRefusal, SharedQuota, SharedQuotaDetector
from .stated import stated_quota


class ShareableLimits(Protocol):
    """The part of an adaptive limiter that sharing needs."""

    @property
    def experience(self) -> float:
        """Number of requests accepted so far."""
        ...

    def accepted(self, after: float, until: float) -> Sequence[float]:
        """Return what was accepted after one time and until another, in each unit."""
        ...

    def absorb(self, other: Self, now: float) -> None:
        """Limit the requests of `other` from now on, too."""
        ...

    def settle_doubts(self) -> None:
        """Take the current refusal to be by a rate limit: others were refused until the same moment."""
        ...

    def tilt(self, share: float, until: float, now: float) -> None:
        """Ask for `share` of the known limit until then, to find out whether it is shared."""
        ...


L = TypeVar("L", bound=ShareableLimits)


@dataclass(frozen=True, slots=True)
class Merger(Generic[L]):
    """Limiters that share a quota, and the one that limits all of their instances from now on."""

    quota: SharedQuota
    limits: L
    absorbed: tuple[L, ...]


class QuotaSharing(Generic[L]):
    """The limiters of one model at one endpoint, by name, and the detector of quotas that they share."""

    def __init__(self, limits: Mapping[str, L], *, trusts_words: bool = True) -> None:
        self._limits = dict(limits)
        self._detector = SharedQuotaDetector(trusts_words=trusts_words)

    def refused(self, limits: L, sent_at: float, now: float, hint: RateLimitHint | None) -> Merger[L] | None:
        """Learn from a refusal that `limits` has settled; carry out and return the merger that follows from it, if any."""
        name = self._name_of(limits)
        if name is None or len(self._limits) < 2:
            return None
        wait_s = hint.retry_after_s if hint is not None else None
        quota = self._detector.refused(JointRefusal(name, sent_at, now, wait_s, limits.accepted, stated_quota(hint)))
        if quota is not None:
            return self._merge(quota, now)
        for refused in self._detector.refused_together(name):
            self._limits[refused].settle_doubts()
        self._tilt(now)
        return None

    def _tilt(self, now: float) -> None:
        tilt = self._detector.tilt()
        if tilt is None:
            return
        for name, share in tilt.shares:
            self._limits[name].tilt(share, tilt.until, now)

    def _name_of(self, limits: L) -> str | None:
        """Return the name of a limiter; None if it was absorbed: its requests in flight may still be refused."""
        return next((name for name, known in self._limits.items() if known is limits), None)

    def _merge(self, quota: SharedQuota, now: float) -> Merger[L]:
        survivor = max(quota.limiters, key=lambda name: self._limits[name].experience)
        limits = self._limits[survivor]
        absorbed = tuple(self._limits.pop(name) for name in quota.limiters if name != survivor)
        for other in absorbed:
            limits.absorb(other, now)
        self._detector.merge(quota.limiters, survivor)
        return Merger(quota, limits, absorbed)

"""Acts on what the detector finds: of the limiters that share a quota, the most experienced one stands for all from then on. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

from providers.messages import RateLimitHint

from .shared_quota import QuotaRefusal, SharedQuota, SharedQuotaDetector
from .stated import stated_quota


class ShareableLimits(Protocol):
    """The part of an adaptive limiter that sharing needs."""

    @property
    def experience(self) -> float: ...

    def accepted(self, after: float, until: float) -> Sequence[float]: ...

    def absorb(self, other: Self, now: float) -> None: ...

    def tilt(self, share: float, until: float, now: float) -> None: ...


L = TypeVar("L", bound=ShareableLimits)


@dataclass(frozen=True, slots=True)
class Merger(Generic[L]):
    """Limiters that were found to share a quota, and the one that limits them all from now on."""

    found: SharedQuota
    limits: L
    absorbed: tuple[L, ...]


class QuotaSharing(Generic[L]):
    """The limiters of one model at one endpoint, by name."""

    def __init__(self, limits: Mapping[str, L], *, trusts_words: bool = True) -> None:
        self._limits = dict(limits)
        self._detector = SharedQuotaDetector(trusts_words=trusts_words)

    def refused(self, limits: L, sent_at: float, now: float, hint: RateLimitHint | None) -> Merger[L] | None:
        """Learn from a refusal that `limits` has settled; the merger that follows from it, already carried out."""
        name = self._name_of(limits)
        if name is None or len(self._limits) < 2:
            return None
        wait_s = hint.retry_after_s if hint is not None else None
        found = self._detector.refused(QuotaRefusal(name, sent_at, now, wait_s, limits.accepted, stated_quota(hint)))
        if found is not None:
            return self._merge(found, now)
        self._tilt(now)
        return None

    def _tilt(self, now: float) -> None:
        tilt = self._detector.tilt()
        if tilt is None:
            return
        for name, share in tilt.shares:
            self._limits[name].tilt(share, tilt.until, now)

    def _name_of(self, limits: L) -> str | None:
        """None for one that was absorbed: what it had in flight may still be refused."""
        return next((name for name, known in self._limits.items() if known is limits), None)

    def _merge(self, found: SharedQuota, now: float) -> Merger[L]:
        survivor = max(found.limiters, key=lambda name: self._limits[name].experience)
        limits = self._limits[survivor]
        absorbed = tuple(self._limits.pop(name) for name in found.limiters if name != survivor)
        for other in absorbed:
            limits.absorb(other, now)
        self._detector.merge(found.limiters, survivor)
        return Merger(found, limits, absorbed)

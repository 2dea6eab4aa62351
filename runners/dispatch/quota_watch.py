"""Watches the refusals of one model for a quota that stands behind several of its instances, and lets these share one limiter."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from providers.messages import JSON, RateLimitHint

from ..limits.adaptive_limiter import AdaptiveLimiter
from ..limits.quota_sharing import Merger, QuotaSharing
from ..limits.shared_quota import SharedQuota
from .decision_log import Decide
from .instance_state import InstanceState, Permit

EVENT = "quota_shared"


class QuotaWatch:
    """Of one model. A fixed rate is what a person asks for: only adaptive limiters are watched and shared."""

    def __init__(self, instance_states: Sequence[InstanceState], decide: Decide) -> None:
        self._stations = instance_states
        self._decide = decide
        self._endpoints = {provider: _sharing(its) for provider, its in _by_provider(instance_states).items()}

    def refused(self, permit: Permit, hint: RateLimitHint | None, now: float) -> None:
        """Learn from a refusal that its limiter has settled."""
        limiter = permit.limiter
        if isinstance(limiter, AdaptiveLimiter):
            merger = self._endpoints[permit.instance.provider].refused(limiter, permit.sent_at, now, hint)
            if merger is not None:
                self._share(merger)

    def _share(self, merger: Merger[AdaptiveLimiter]) -> None:
        for instance_state in self._stations:
            if instance_state.limiter in merger.absorbed:
                instance_state.limiter = merger.limits
        for limiter in merger.absorbed:
            limiter.wake()
        names = [
            instance_state.instance.name for instance_state in self._stations if instance_state.limiter is merger.limits
        ]
        self._decide(names[0], EVENT, described(merger.found, names))


def _by_provider(instance_states: Sequence[InstanceState]) -> dict[str, list[InstanceState]]:
    def provider(instance_state: InstanceState) -> str:
        return instance_state.instance.provider

    return {name: list(its) for name, its in groupby(sorted(instance_states, key=provider), key=provider)}


def _sharing(instance_states: Sequence[InstanceState]) -> QuotaSharing[AdaptiveLimiter]:
    """Keys of one deployment may belong to several accounts: then a quota that counts by user and model says too little."""
    limiters: dict[str, AdaptiveLimiter] = {}
    for instance_state in instance_states:
        if isinstance(instance_state.limiter, AdaptiveLimiter) and instance_state.limiter not in limiters.values():
            limiters[instance_state.instance.name] = instance_state.limiter
    deployments = {instance_state.instance.deployment for instance_state in instance_states}
    return QuotaSharing(limiters, trusts_words=len(deployments) == len(instance_states))


# ------------------------------------------------------------------ in words
def described(found: SharedQuota, names: Sequence[str]) -> dict[str, JSON]:
    """The decision's evidence, for the log and for people."""
    return {
        "instances": list(names),
        "limit": round(found.limit),
        "unit": found.unit,
        "window_s": found.window_s,
        "is_stated": found.is_stated,
        "episodes": found.episodes,
        "parts": [round(part) for part in found.parts],
        "evidence": sentence(found, names),
    }


def sentence(found: SharedQuota, names: Sequence[str]) -> str:
    """What was seen, and what it means for the time that the run takes."""
    parts = " + ".join(f"{part:,.0f}" for part in found.parts)
    limit = f"the stated limit is {found.limit:,.0f}" if found.is_stated else f"together {found.limit:,.0f} each time"
    times = "once" if found.episodes == 1 else f"{found.episodes} times"
    return (
        f"{listed(names)} share one quota: they were refused together {times}, with waits that end at the same moment, "
        f"after {parts} {found.unit} in {found.window_s:g} s ({limit}); {consequence(len(names))}"
    )


def consequence(count: int) -> str:
    """What it means for a person who counted on several quotas."""
    number = NUMBERS.get(count, str(count))
    share = FRACTIONS.get(count, f"1/{count}")
    return (
        f"{number} deployments are not {number} quotas: {share} of the time cannot be had, and they share one limiter"
    )


NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}
FRACTIONS = {2: "half", 3: "a third", 4: "a quarter", 5: "a fifth"}


def listed(names: Sequence[str]) -> str:
    """Spell out two names or more."""
    return f"{', '.join(names[:-1])} and {names[-1]}"

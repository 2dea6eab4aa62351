"""Detection of a quota that several instances of one model share: their refusals are watched, and they then share one limiter."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from providers.messages import JSON, RateLimitHint

from ..decisions.decision_log import Decide
from ..limits.adaptive_limiter import AdaptiveLimiter
from ..limits.quota_sharing import Merger, QuotaSharing
from ..limits.shared_quota import SharedQuota
from .instance_state import InstanceState, Permit

EVENT = "quota_shared"


class QuotaWatch:
    """The quotas of one model's instances. Only adaptive limiters are watched and shared: a fixed rate is the user's choice."""

    def __init__(self, instance_states: Sequence[InstanceState], decide: Decide) -> None:
        self._instance_states = instance_states
        self._decide = decide
        self._endpoints = {provider: _sharing(states) for provider, states in _by_provider(instance_states).items()}

    def refused(self, permit: Permit, hint: RateLimitHint | None, now: float) -> bool:
        """Learn from a throttled request, which its limiter has settled; return whether instances share a limiter from now on."""
        limiter = permit.limiter
        if isinstance(limiter, AdaptiveLimiter):
            merger = self._endpoints[permit.instance.provider].refused(limiter, permit.sent_at, now, hint)
            if merger is not None:
                self._share(merger)
                return True
        return False

    def _share(self, merger: Merger[AdaptiveLimiter]) -> None:
        for instance_state in self._instance_states:
            if instance_state.limiter in merger.absorbed:
                instance_state.limiter = merger.limits
        names = [
            instance_state.instance.name
            for instance_state in self._instance_states
            if instance_state.limiter is merger.limits
        ]
        self._decide(names[0], EVENT, described(merger.quota, names))


def _by_provider(instance_states: Sequence[InstanceState]) -> dict[str, list[InstanceState]]:
    def provider(instance_state: InstanceState) -> str:
        return instance_state.instance.provider

    return {name: list(states) for name, states in groupby(sorted(instance_states, key=provider), key=provider)}


def _sharing(instance_states: Sequence[InstanceState]) -> QuotaSharing[AdaptiveLimiter]:
    """Build the quota detection of one endpoint's instances.

    The keys of one deployment may belong to several accounts. Then the stated name of a quota does not show which keys share it.
    """
    limiters: dict[str, AdaptiveLimiter] = {}
    for instance_state in instance_states:
        if isinstance(instance_state.limiter, AdaptiveLimiter) and instance_state.limiter not in limiters.values():
            limiters[instance_state.instance.name] = instance_state.limiter
    deployments = {instance_state.instance.deployment for instance_state in instance_states}
    return QuotaSharing(limiters, trusts_words=len(deployments) == len(instance_states))


# ------------------------------------------------------------------ in words
def described(quota: SharedQuota, names: Sequence[str]) -> dict[str, JSON]:
    """Build the evidence of the decision, for the log and for the user."""
    return {
        "instances": list(names),
        "limit": round(quota.limit),
        "unit": quota.unit,
        "window_s": quota.window_s,
        "is_stated": quota.is_stated,
        "episodes": quota.episodes,
        "parts": [round(part) for part in quota.parts],
        "evidence": sentence(quota, names),
    }


def sentence(quota: SharedQuota, names: Sequence[str]) -> str:
    """Describe the observation and its consequence for the duration of the run."""
    parts = " + ".join(f"{part:,.0f}" for part in quota.parts)
    limit = f"the stated limit is {quota.limit:,.0f}" if quota.is_stated else f"together {quota.limit:,.0f} each time"
    times = "once" if quota.episodes == 1 else f"{quota.episodes} times"
    return (
        f"{listed(names)} share one quota: they were refused together {times}, with waits that end at the same moment, "
        f"after {parts} {quota.unit} in {quota.window_s:g} s ({limit}); {consequence(len(names))}"
    )


def consequence(count: int) -> str:
    """Describe what follows for a user who planned with `count` separate quotas."""
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

"""The limiters of a run's instances, and the dispatcher of each model above them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from providers.instance import Instance
from providers.messages import JSON
from providers.provider import Sender
from runners.decisions.decision_log import Decide
from runners.dispatch.dispatcher import Dispatcher
from runners.dispatch.instance_state import InstanceState
from runners.dispatch.waiting_queue import LimiterGroups
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.adaptive_limiter import AdaptiveLimiter
from runners.limits.fixed import FixedLimiter
from runners.limits.permit import Limiter

from ..alerts.shared_quotas import start_shared, tell_remembered, together

UNBOUNDED_WORKERS = 1_000
"""`workers: auto` in fixed mode: the rate is the bound."""


@dataclass(frozen=True, slots=True)
class Limiting:
    """How sends are limited, and which callback receives decisions."""

    mode: str
    decide: Decide
    learned: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict)
    """What earlier runs have learnt, by the instance's name."""


def build_dispatchers(
    instances: Mapping[str, Sequence[Instance]], senders: Mapping[str, Sender], limiting: Limiting
) -> dict[str, Dispatcher]:
    """Build one dispatcher per model.

    Instances of one limiter group share a limiter, and so do those that were found to share a quota.
    """
    limiters: dict[str, Limiter] = {}
    limiter_groups = LimiterGroups()
    dispatchers = {}
    for model, own in instances.items():
        groups = start_shared(own, limiting.learned if limiting.mode == "adaptive" else {})
        joined: defaultdict[str, list[Instance]] = defaultdict(list)
        for instance in own:
            if groups[instance.name] != instance.limiter_group:
                joined[groups[instance.name]].append(instance)
        for instance in own:
            group = groups[instance.name]
            if group not in limiters:
                limiters[group] = _build_limiter(instance, joined[group], limiting)
        instance_states = [
            InstanceState(instance, senders[instance.provider], limiters[groups[instance.name]]) for instance in own
        ]
        dispatchers[model] = Dispatcher(model, instance_states, limiting.decide, limiter_groups)
        tell_remembered(own, groups, limiting.decide)
    return dispatchers


def _build_limiter(instance: Instance, joined: Sequence[Instance], limiting: Limiting) -> Limiter:
    """Build the limiter of an instance, and of those that have `joined` it because they share its quota."""
    if limiting.mode == "fixed":
        return FixedLimiter(workers=instance.workers or UNBOUNDED_WORKERS, qps=instance.qps)
    most, restored = together([instance, *joined]), limiting.learned.get(instance.name)
    on_decision = partial(limiting.decide, instance.name)
    return AdaptiveLimiter(AdaptiveLimits(most=most, restored=restored, on_decision=on_decision))

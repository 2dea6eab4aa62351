"""Quotas that stand behind several instances, from one run to the next: what is remembered of them, and who starts with one limiter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from providers.instance import Instance
from providers.messages import JSON
from runners.dispatch.decision_log import Decide
from runners.dispatch.dispatcher import Dispatcher
from runners.dispatch.instance_state import InstanceState
from runners.dispatch.quota_watch import EVENT, consequence, listed
from runners.limits.permit import Limiter

QUOTA_GROUP = "quota_group"
"""Beside what was learnt of an instance: the identities of all that share its quota."""
Learned = Mapping[str, Mapping[str, JSON]]
"""By the instance's name, or by its identity where it is written down."""


def start_shared(instances: Sequence[Instance], learned: Learned) -> dict[str, str]:
    """The limiter group of each instance; one for those of which an earlier run found that they share a quota.

    A group that the file names is left as it is.
    """
    leaders: dict[tuple[str, ...], str] = {}
    groups = {}
    for instance in instances:
        remembered = learned.get(instance.name, {}).get(QUOTA_GROUP)
        group = instance.limiter_group
        if isinstance(remembered, list | tuple) and group == instance.name:
            group = leaders.setdefault((instance.provider, *map(str, remembered)), group)
        groups[instance.name] = group
    return groups


def tell_remembered(instances: Sequence[Instance], groups: Mapping[str, str], decide: Decide) -> None:
    """Say once which instances start with one limiter."""
    for group in dict.fromkeys(groups.values()):
        names = [one.name for one in instances if groups[one.name] == group]
        if any(one.limiter_group != group for one in instances if one.name in names):
            words = f"an earlier run found that {listed(names)} share one quota; {consequence(len(names))}"
            decide(names[0], EVENT, {"instances": names, "is_remembered": True, "evidence": words})


def together(instances: Sequence[Instance]) -> int | None:
    """Most in flight of all of them; None where one has no bound."""
    bounds = [instance.workers for instance in instances]
    return None if None in bounds else sum(bound for bound in bounds if bound is not None)


def learned_of(dispatchers: Mapping[str, Dispatcher], identities: Mapping[str, str]) -> dict[str, Mapping[str, JSON]]:
    """What every limiter has learnt, by identity, and with whom it shares a quota."""
    learned: dict[str, Mapping[str, JSON]] = {}
    for dispatcher in dispatchers.values():
        for name, instance_state in dispatcher.instance_states.items():
            if name in identities and (exported := instance_state.limiter.export()):
                sharing = _sharers(instance_state.limiter, list(dispatcher.instance_states.values()), identities)
                learned[identities[name]] = {**exported, QUOTA_GROUP: sharing} if sharing else exported
    return learned


def _sharers(limiter: Limiter, instance_states: Sequence[InstanceState], identities: Mapping[str, str]) -> list[str]:
    """Empty where the file has said so itself."""
    sharing = [instance_state.instance for instance_state in instance_states if instance_state.limiter is limiter]
    if len({instance.limiter_group for instance in sharing}) < 2:
        return []
    return sorted(identities[instance.name] for instance in sharing if instance.name in identities)

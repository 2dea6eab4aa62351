"""Quotas that several instances share: what is remembered between runs, and which instances start with one limiter."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from providers.instance import Instance
from providers.messages import JSON
from runners.decisions.decision_log import Decide
from runners.dispatch.dispatcher import Dispatcher
from runners.dispatch.instance_state import InstanceState
from runners.dispatch.quota_watch import EVENT, consequence, listed
from runners.limits.permit import Limiter

QUOTA_GROUP = "quota_group"
"""The key, beside what was learnt of an instance, of the identities that share its quota."""
Learned = Mapping[str, Mapping[str, JSON]]
"""By the instance's name; in the file, by its identity."""


def start_shared(instances: Sequence[Instance], learned: Learned) -> dict[str, str]:
    """Return the limiter group of each instance; instances that an earlier run found to share a quota have the same group.

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
    """Report once which instances start with one limiter."""
    members: defaultdict[str, list[Instance]] = defaultdict(list)
    for instance in instances:
        members[groups[instance.name]].append(instance)
    for group, sharing in members.items():
        names = [instance.name for instance in sharing]
        if any(instance.limiter_group != group for instance in sharing):
            words = f"an earlier run found that {listed(names)} share one quota; {consequence(len(names))}"
            decide(names[0], EVENT, {"instances": names, "is_remembered": True, "evidence": words})


def together(instances: Sequence[Instance]) -> int | None:
    """Return the sum of the workers; None if one instance has no bound."""
    bounds = [instance.workers for instance in instances]
    return None if None in bounds else sum(bound for bound in bounds if bound is not None)


@dataclass(frozen=True, slots=True)
class LimiterReport:
    """The state of an instance's limiter at the end."""

    instance: str
    snapshot: Mapping[str, JSON]
    learned: Mapping[str, JSON]
    """What the next run may start with; empty if there is nothing."""
    sharers: Sequence[str] = ()
    """All instances that were found to share its quota; empty if it has its own quota, or if the file names the group."""


def limiter_reports(dispatchers: Mapping[str, Dispatcher]) -> Iterator[LimiterReport]:
    """Yield every limiter's state, what it has learnt, and the instances that it shares a quota with."""
    now = asyncio.get_running_loop().time()
    for dispatcher in dispatchers.values():
        for name, instance_state in dispatcher.instance_states.items():
            limiter = instance_state.limiter
            sharers = _sharers(limiter, list(dispatcher.instance_states.values()))
            yield LimiterReport(name, limiter.snapshot(now), limiter.export() or {}, sharers)


def learned_of(reports: Iterable[LimiterReport], identities: Mapping[str, str]) -> dict[str, Mapping[str, JSON]]:
    """Key what every limiter has learnt by identity, and add the instances that it shares a quota with."""
    learned: dict[str, Mapping[str, JSON]] = {}
    for report in reports:
        if report.instance in identities and report.learned:
            sharing = sorted(identities[name] for name in report.sharers if name in identities)
            learned[identities[report.instance]] = (
                {**report.learned, QUOTA_GROUP: sharing} if sharing else report.learned
            )
    return learned


def _sharers(limiter: Limiter, instance_states: Sequence[InstanceState]) -> Sequence[str]:
    sharing = [instance_state.instance for instance_state in instance_states if instance_state.limiter is limiter]
    if len({instance.limiter_group for instance in sharing}) < 2:
        return ()
    return tuple(instance.name for instance in sharing)

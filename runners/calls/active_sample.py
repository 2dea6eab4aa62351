"""A sample that a pool has opened: the sample, the instance that opened it, and the time."""

from __future__ import annotations

from dataclasses import dataclass, field

from sharding.plan import Sample

from .activity import Activity


@dataclass(frozen=True, slots=True)
class ActiveSample:
    """A sample that a pool has opened and that has no record yet."""

    sample: Sample
    planned: str
    """The instance that the plan gave it to."""
    instance: str
    """The instance whose pool opened it and which its requests prefer; it differs from `planned` where work was rebalanced."""
    stage: int
    at_s: float
    """When it was opened, wall clock."""
    queue_s: float = 0.0
    """Time that the pool waited for a free worker slot before it opened the sample."""
    activity: Activity = field(default_factory=Activity, compare=False)

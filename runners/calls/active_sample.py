"""A sample that a pool has opened: what it is, who opened it, and since when."""

from __future__ import annotations

from dataclasses import dataclass, field

from sharding.plan import Sample

from .activity import Activity


@dataclass(frozen=True, slots=True)
class ActiveSample:
    sample: Sample
    planned: str
    """The instance of its shard."""
    instance: str
    """The instance whose pool opened it, which its requests prefer: another than planned where work was rebalanced."""
    stage: int
    at_s: float
    """Wall clock."""
    queue_s: float = 0.0
    """From the pool's wish for it to its place among the workers."""
    activity: Activity = field(default_factory=Activity, compare=False)

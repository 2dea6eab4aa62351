"""Work stealing: an instance without samples takes some from the shard of its model that would finish last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """The remaining samples of a shard and the rate of its instance."""

    remaining: int
    rate_per_s: float
    """Samples that the instance finished per second lately; 0 where it is out of use or has finished none yet."""


@dataclass(frozen=True, slots=True)
class Theft:
    """A decision to take samples from the shard of another instance."""

    victim: str
    """Name of the instance that gives samples away."""
    count: int


def choose_theft(thief: str, loads: Mapping[str, Load]) -> Theft | None:
    """Choose the shard that would finish last, and a count so that both finish together; None where no other shard has samples.

    Instances with rates a and b share r samples as r * a / (a + b) and r * b / (a + b). At most half is taken at once, because the rates
    are estimates and a surplus would have to be moved back.
    """
    others = {name: load for name, load in loads.items() if name != thief and load.remaining}
    if not others:
        return None
    victim = max(others, key=lambda name: time_left_s(others[name]))
    return Theft(victim, _fair_share(loads[thief].rate_per_s, others[victim]))


def time_left_s(load: Load) -> float:
    """Return the seconds until a shard is finished at its present rate; infinity where the rate is 0."""
    return load.remaining / load.rate_per_s if load.rate_per_s > 0 else float("inf")


def _fair_share(thief_rate: float, victim: Load) -> int:
    if victim.rate_per_s <= 0:
        return max(1, victim.remaining // 2)
    share = thief_rate / (thief_rate + victim.rate_per_s) if thief_rate > 0 else 0.0
    return max(1, min(int(victim.remaining * share), victim.remaining // 2))

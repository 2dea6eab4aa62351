"""Who may take whose work: an instance that runs dry helps the shard of its model that would finish last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """What a shard still has to open, and how fast its instance gets through it."""

    remaining: int
    rate_per_s: float
    """Samples that its instance has lately finished per second; 0 where it is out or has done none yet."""


@dataclass(frozen=True, slots=True)
class Theft:
    victim: str
    count: int


def choose_theft(thief: str, loads: Mapping[str, Load]) -> Theft | None:
    """Take from the shard that would finish last, as much as makes both finish together; None where nobody has any left.

    Two instances with rates a and b share r samples fairly as r * a / (a + b) and r * b / (a + b). At most half is taken at a time: rates
    are estimates, and what was taken too much would have to be taken back.
    """
    others = {name: load for name, load in loads.items() if name != thief and load.remaining}
    if not others:
        return None
    victim = max(others, key=lambda name: _time_left_s(others[name]))
    return Theft(victim, _fair_share(loads[thief].rate_per_s, others[victim]))


def _time_left_s(load: Load) -> float:
    return load.remaining / load.rate_per_s if load.rate_per_s > 0 else float("inf")


def _fair_share(thief_rate: float, victim: Load) -> int:
    if victim.rate_per_s <= 0:
        return max(1, victim.remaining // 2)
    share = thief_rate / (thief_rate + victim.rate_per_s) if thief_rate > 0 else 0.0
    return max(1, min(int(victim.remaining * share), victim.remaining // 2))

"""What the server allows over time: a flow (per second) or a window (a count over 10 or 60 s), in every unit at once.

The limit is only ever asked for again by a scale-free cubic: below what is known at first, there at x = 1, above it later (`factor`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from providers.messages import JSON

from ..ledger import ANSWERED, REQUESTS, TOKENS, UNITS, WINDOWS_S, Amounts, SendLedger

FLOW, TEN_SECONDS, MINUTE = range(3)
"""Levels; those above FLOW are indices into WINDOWS_S."""

DIP = 0.03
"""How far below the known limit sending restarts ..."""
SURE_DIP = 0.012
"""... and how far where it is a window's, or was met more than once."""
RISE = 0.03
"""How much more is asked for at x = 2; 24 % at x = 3."""
FIRST_SCALE_S = 20.0
WINDOW_PACE = 1.2
"""A window is used up a little faster than it refills, so that a lost moment is caught up with."""


class RateModel:
    """What is allowed. What it is learnt from stands in `learning.py`."""

    def __init__(self) -> None:
        self.level = FLOW
        self.windows_s: Sequence[float] = WINDOWS_S
        """The ledger's."""
        self.limits: list[float] | None = None
        """Per second at FLOW, per window above, in the order of UNITS."""
        self.scale_s = FIRST_SCALE_S
        self.learnt_at = 0.0
        self.is_sure = False
        self.tilt, self.tilts_until = 1.0, -math.inf
        """A share of everything that is asked for, for a while."""
        self.counts_answers = False
        """The server was found to count tokens when they are answered."""

    @property
    def window_s(self) -> float:
        return self.windows_s[self.level]

    @property
    def rate(self) -> float:
        """Requests per second; infinite where no limit was met."""
        return self.limits[REQUESTS] / self.window_s if self.limits else math.inf

    def asked_rate(self, tokens: float, now: float) -> float:
        """Requests per second that are asked for now, if each uses so many tokens; infinite where no limit was met.

        In a window the unit that binds is not always that of requests, whose limit is then out of the way.
        """
        if self.limits is None:
            return math.inf
        most = self.limits[REQUESTS]
        if self.level and tokens:
            most = min(most, self.limits[TOKENS] / tokens, self.limits[ANSWERED] / tokens)
        return self.factor(now) * most / self.window_s

    @property
    def shortest_scale_s(self) -> float:
        return max(FIRST_SCALE_S, self.window_s if self.level else 0.0)

    def factor(self, now: float) -> float:
        """Of the known limit, that is asked for now."""
        x = (now - self.learnt_at) / self.scale_s
        tilt = self.tilt if now < self.tilts_until else 1.0
        if x >= 1:
            return tilt * (1 + RISE * (x - 1) ** 3)
        return tilt * (1 - (SURE_DIP if self.is_sure else DIP) * (1 - x) ** 3)

    def gap_s(self, amounts: Amounts, now: float) -> float:
        """Time from a send of `amounts` to the next."""
        if self.limits is None:
            return 0.0
        limits, pace = self.limits, self.factor(now) * (WINDOW_PACE if self.level else 1.0)
        most = max(amounts[0] / limits[0], amounts[1] / limits[1], amounts[2] / limits[2])
        if self.level:
            most = max(most, amounts[TOKENS] / limits[ANSWERED])
        return most * self.window_s / pace

    def opens_at(self, amounts: Amounts, ledger: SendLedger, now: float) -> float:
        """When the window has room for `amounts`; now where it has, or where not even an empty one would."""
        if self.level == FLOW or self.limits is None:
            return now
        counts, factor, opens_at = ledger.counts(self.level, now), self.factor(now), now
        for unit in range(4):
            over = counts[unit] + amounts[unit] - _allowed(self.limits[unit], factor, unit)
            if over > 1e-9:
                opens_at = max(opens_at, ledger.frees_at(self.level, unit, over, now) or now)
        return opens_at

    def restore(self, level: int, limits: list[float]) -> None:
        """Use what an earlier run learnt; the first samples decide whether it still holds."""
        self.level, self.limits = level, limits
        self.scale_s = self.shortest_scale_s

    def absorb(self, other: RateModel) -> None:
        """Add what the other one allows, where both count over the same time."""
        if self.limits is not None and other.limits is not None and self.window_s == other.window_s:
            self.limits = [sum(pair) for pair in zip(self.limits, other.limits, strict=True)]

    def forget(self) -> None:
        """It was no rate."""
        self.level, self.limits, self.is_sure, self.counts_answers = FLOW, None, False, False

    def describe(self) -> Mapping[str, JSON]:
        limits = [round(limit, 3) if math.isfinite(limit) else None for limit in self.limits or [math.inf] * 4]
        return {"window_s": round(self.window_s, 3) if self.level else None, **dict(zip(UNITS, limits, strict=True))}


def _allowed(limit: float, factor: float, unit: int) -> float:
    """Requests are whole: a limit of 60 less 1 % is 60, not 59."""
    if unit == REQUESTS and factor < 1 and math.isfinite(limit):
        return math.ceil(limit * factor - 1e-9)
    return limit * factor

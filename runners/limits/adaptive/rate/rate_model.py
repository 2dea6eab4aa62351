"""The model of a server's rate limit: a flow (per second) or a window (a count over 10 or 60 s), in every unit at once.

After a refusal the requested share of the known limit follows a cubic of the scaled time x: below the limit at first, equal to it at
x = 1, above it later (`factor`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from providers.messages import JSON

from ..ledger import ANSWERED, REQUESTS, TOKENS, UNITS, WINDOWS_S, Amounts, SendLedger

FLOW, TEN_SECONDS, MINUTE = range(3)
"""Levels; those above FLOW are indices into WINDOWS_S."""

DIP = 0.03
"""How far below the known limit sending starts again."""
SURE_DIP = 0.012
"""The same for the limit of a window, or one that was met more than once."""
RISE = 0.03
"""How far above the limit the requested rate is at x = 2; at x = 3 it is 60 %."""
BOLD_RISE = 0.25
"""The same where the server tells the length of its window and a higher rate was allowed lately."""
MOST_RISE, FASTEST, SLOWEST, REQUESTS_PER_DOUBLING = 100.0, 4.3, 1.5, 8.0
"""The rise doubles with each window, or at most so often per time scale, as long as nothing is refused; up to the first of these."""
FIRST_SCALE_S = 20.0
WINDOW_PACE = 1.2
"""The pace under a window: a little faster than its refill, so that a delay is made up for."""

FEW = 16.0
"""With no more requests in a window, a dip costs no whole one."""
USUAL_REQUESTS = 20.0
"""The requests in a window that limits only tokens, to raise its limit by some of them."""


class RateModel:
    """The known limits and the rate that is requested now. `rate_learner.py` updates it."""

    def __init__(self) -> None:
        self.level = FLOW
        self.windows_s: Sequence[float] = WINDOWS_S
        """The window lengths of the ledger."""
        self.limits: list[float] | None = None
        """The limits in the order of UNITS, per second at FLOW, per window above it."""
        self.scale_s = FIRST_SCALE_S
        self.learnt_at = 0.0
        self.is_sure = False
        self.is_told = False
        """Whether refusals tell how long to wait, so that the window is known and a refusal costs little."""
        self.was_higher = False
        """Whether a rate was allowed lately that was much higher."""
        self.is_guessed = False
        """Whether the length of the window lies between two trials, so that it may be too long."""
        self.is_exact = True
        """Whether a window that is a little shorter was found too short, where the length was guessed."""
        self.too_short_s = 0.0
        """A window of this length was found too short."""
        self.is_doubted = False
        """Whether the limit of the window was learned by an earlier run and no probe has confirmed it: it sets no pace."""
        self.tilt, self.tilts_until = 1.0, -math.inf
        """A factor on the requested rate, and the time until which it applies."""
        self.counts_answers = False
        """Whether the server counts tokens when the answer is complete."""

    @property
    def window_s(self) -> float:
        """The length of the window that the limits count over; 1 s at FLOW."""
        return self.windows_s[self.level]

    @property
    def rate(self) -> float:
        """Requests per second; infinite if no limit is known."""
        return self.limits[REQUESTS] / self.window_s if self.limits else math.inf

    def asked_rate(self, tokens: float, now: float) -> float:
        """Return the requests per second that are requested now, for requests of `tokens` each; infinite if no limit is known.

        Under a window tokens may bind instead of requests; the request limit is then set too high to bind.
        """
        if self.limits is None or self.is_doubted:
            return math.inf
        most = self.limits[REQUESTS]
        if self.level and tokens:
            most = min(most, self.limits[TOKENS] / tokens, self.limits[ANSWERED] / tokens)
        return self.factor(now) * most / self.window_s

    @property
    def shortest_scale_s(self) -> float:
        """The shortest time scale of the cubic: at least one window."""
        return max(FIRST_SCALE_S, self.window_s if self.level else 0.0)

    def factor(self, now: float) -> float:
        """Return the share of the known limit that is requested now."""
        if self.is_doubted:
            return 1.0
        x = (now - self.learnt_at) / self.scale_s
        tilt = self.tilt if now < self.tilts_until else 1.0
        if x >= 1:
            return tilt * (1 + self._rise(x) if self.is_exact else 1.0)
        return tilt * (1 - (SURE_DIP if self.is_sure else DIP) * (1 - x) ** 3)

    def _rise(self, x: float) -> float:
        """Return how far above the limit is requested: one request at x = 2 at least, then twice as much per window, as none is refused."""
        rise = max(RISE, 1 / max(1.0, self.limits[REQUESTS])) if self.level and self.limits is not None else RISE
        if self.is_told and self.was_higher:
            rise = max(BOLD_RISE, rise)
        if x < 2:
            return rise * (x - 1) ** 3
        fastest = (
            self.scale_s / self.window_s
            if self.level
            else max(SLOWEST, self.scale_s * self.rate / REQUESTS_PER_DOUBLING)
        )
        doublings = (x - 2) * min(FASTEST, fastest)
        return min(MOST_RISE, rise * math.exp2(min(20.0, doublings)))

    def gap_s(self, amounts: Amounts, now: float) -> float:
        """Return the time from a send of `amounts` to the next send."""
        if self.limits is None:
            return 0.0
        limits, pace = self.limits, self.factor(now) * (WINDOW_PACE if self.level else 1.0)
        most = max(amounts[0] / limits[0], amounts[1] / limits[1], amounts[2] / limits[2])
        if self.level:
            most = min(1.0, max(most, amounts[TOKENS] / limits[ANSWERED]))  # an empty window admits any request
        return most * self.window_s / pace

    def opens_at(self, amounts: Amounts, ledger: SendLedger, now: float) -> float:
        """Return when the window has room for `amounts`; `now` if it has, or if even an empty window would not."""
        if self.level == FLOW or self.limits is None:
            return now
        counts, factor, opens_at = ledger.counts(self.level, now), self.factor(now), now
        for unit in range(4):
            over = counts[unit] + amounts[unit] - _allowed(self.limits[unit], factor, unit, amounts[unit])
            if over > 1e-9:
                opens_at = max(opens_at, ledger.frees_at(self.level, unit, over, now) or now)
        return opens_at

    def requests_fit_at(self, ledger: SendLedger, now: float) -> float:
        """Return when the window has room for one request more, whatever its tokens; `now` if it has."""
        if self.level == FLOW or self.limits is None:
            return now
        over = ledger.counts(self.level, now)[REQUESTS] + 1 - self.limits[REQUESTS]
        return (ledger.frees_at(self.level, REQUESTS, over, now) or now) if over > 1e-9 else now

    def make_room_for(self, counts: Sequence[float]) -> None:
        """Raise the limits in tokens to what was accepted in one window."""
        if self.limits is not None:
            self.limits = [
                self.limits[REQUESTS],
                *(max(pair) for pair in zip(self.limits[1:], counts[1:], strict=True)),
            ]

    def raise_by(self, requests: int) -> None:
        """Raise the limits, in every unit alike, as if the window had room for so many requests more."""
        if self.limits is not None:
            known = self.limits[REQUESTS] if math.isfinite(self.limits[REQUESTS]) else USUAL_REQUESTS
            share = 1 + requests / max(1.0, known)
            self.limits = [limit * share for limit in self.limits]

    def restore(self, level: int, limits: list[float]) -> None:
        """Use the limits that an earlier run learned; the first samples confirm or replace them."""
        self.level, self.limits = level, limits
        self.scale_s = self.shortest_scale_s

    def absorb(self, other: RateModel) -> None:
        """Add the limits of `other` if both count over the same window."""
        if self.limits is not None and other.limits is not None and self.window_s == other.window_s:
            self.limits = [sum(pair) for pair in zip(self.limits, other.limits, strict=True)]

    def forget(self) -> None:
        """Forget the limits: the refusals had another cause."""
        self.level, self.limits, self.is_sure, self.counts_answers = FLOW, None, False, False
        self.is_doubted = self.is_guessed = self.is_told = False
        self.is_exact = True

    def describe(self) -> Mapping[str, JSON]:
        """Build the limits as JSON, for the decision log."""
        limits = [round(limit, 3) if math.isfinite(limit) else None for limit in self.limits or [math.inf] * 4]
        return {"window_s": round(self.window_s, 3) if self.level else None, **dict(zip(UNITS, limits, strict=True))}


def _allowed(limit: float, factor: float, unit: int, amount: float) -> float:
    """Return the allowed amount. A dip of less than one of few requests is none, and they are rounded up: 60 less 1 % is 60, not 59."""
    if factor < 1 and math.isfinite(limit):
        if limit <= FEW * amount and limit * (1 - factor) < amount:
            return limit
        if unit == REQUESTS:
            return math.ceil(limit * factor - 1e-9)
    return limit * factor

"""The gate of the `remaining` headers. The quota now is what was left at the last reading plus the refill less the spending since.

It may delay a send but never blocks: a header that is constant, negative or counted otherwise costs at most a short delay per send.
"""

from __future__ import annotations

from dataclasses import dataclass

from providers.messages import RateLimitHint

from .concurrency.in_flight import InFlightRequest
from .ledger import CEILING, REQUESTS, Amounts

TRUSTED_REFILL = 0.95
BASELINE_S = 2.0
"""Shortest time between the two readings from which the refill is computed."""
TOP_SHARE = 0.7
"""Above this share of the highest reading the bucket may be full: the computed refill is a lower bound."""
TOP_FADES = 0.999
GAIN = 0.3
UNKNOWN_WAIT_S = 2.0
LONGEST_WAIT_S = 10.0
BLIND_ANSWERS = 16
"""After so many answers with nothing left and no refill the header is ignored."""
PAIRS = ((0, REQUESTS), (1, CEILING))


@dataclass(frozen=True, slots=True)
class QuotaReading:
    """The remaining quota that one answer reported, in requests and in tokens."""

    at: float
    """When the request of that answer was sent."""
    left: tuple[float | None, float | None]
    spent: tuple[float, float]


class RemainingQuotaGate:
    """The gate that delays sends while the reported quota is used up."""

    def __init__(self) -> None:
        self._spent = [0.0, 0.0]
        self._latest: QuotaReading | None = None
        self._base: QuotaReading | None = None
        self._refill = [0.0, 0.0]
        self._top = [0.0, 0.0]
        self._blind = [0, 0]
        self._sent_at = -1e9

    def send(self, request: InFlightRequest) -> None:
        """Count what the request spends and note the totals in it."""
        self._sent_at = request.sent_at
        self._spent[0] += 1
        self._spent[1] += request.amounts[CEILING]
        request.spent = (self._spent[0], self._spent[1])

    def refuse(self, request: InFlightRequest) -> None:
        """Subtract a refused request: it spent nothing."""
        self._spent[0] -= 1
        self._spent[1] -= request.amounts[CEILING]

    def opens_at(self, amounts: Amounts, latency_s: float, now: float) -> float:
        """Return when enough quota should be left for `amounts`; `now` if it is."""
        if self._latest is None:
            return now
        wait_s = 0.0
        for kind, unit in PAIRS:
            wait_s = max(wait_s, self._wait_s(self._latest, kind, amounts[unit], now))
        if wait_s <= 0:
            return now
        latest = self._sent_at + max(wait_s, 0.25 * latency_s)
        if now >= latest:
            return now
        return max(now + 0.02, min(now + wait_s, latest))

    def _wait_s(self, reading: QuotaReading, kind: int, amount: float, now: float) -> float:
        left, refill = reading.left[kind], self._refill[kind]
        if left is None or self._blind[kind] >= BLIND_ANSWERS:
            return 0.0
        short = amount - (
            left + TRUSTED_REFILL * refill * (now - reading.at) - (self._spent[kind] - reading.spent[kind])
        )
        if short <= 0:
            return 0.0
        return min(LONGEST_WAIT_S, short / refill) if refill > 0 else UNKNOWN_WAIT_S

    def learn(self, request: InFlightRequest, hint: RateLimitHint) -> None:
        """Learn from the headers of an accepted request."""
        left = (_usable(hint.remaining_requests), _usable(hint.remaining_tokens))
        if left == (None, None) or (self._latest is not None and request.sent_at < self._latest.at):
            return
        self._latest = reading = QuotaReading(request.sent_at, left, request.spent)
        for kind in (0, 1):
            self._blind[kind] = self._blind[kind] + 1 if not left[kind] and not self._refill[kind] else 0
        if self._base is None:
            self._base = reading
        elif reading.at - self._base.at >= BASELINE_S:
            self._learn_refill(self._base, reading, request.amounts)
            self._base = reading

    def _learn_refill(self, base: QuotaReading, reading: QuotaReading, amounts: Amounts) -> None:
        for kind, unit in PAIRS:
            before, after = base.left[kind], reading.left[kind]
            if before is None or after is None:
                continue
            refill = max(0.0, (after - before + reading.spent[kind] - base.spent[kind]) / (reading.at - base.at))
            self._top[kind] = max(TOP_FADES * self._top[kind], after)
            is_exact = after < TOP_SHARE * self._top[kind] and after > 2 * amounts[unit]
            if refill > self._refill[kind] or is_exact:
                self._refill[kind] += (refill - self._refill[kind]) * (GAIN if self._refill[kind] else 1.0)


def _usable(left: float | None) -> float | None:
    return left if left is not None and left >= 0 else None

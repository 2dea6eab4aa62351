"""The brake that `remaining` headers allow: what was left when a request came in, what has flowed in since, less what was spent since.

It may delay, never block: a header that is constant, negative or in another arithmetic costs at most a moment per send.
"""

from __future__ import annotations

from dataclasses import dataclass

from providers.messages import RateLimitHint

from .concurrency.in_flight import InFlightRequest
from .ledger import CEILING, REQUESTS, Amounts

TRUSTED_REFILL = 0.95
BASELINE_S = 2.0
"""Between the two looks that a refill is learnt from."""
TOP_SHARE = 0.7
"""Above this share of the most ever left the bucket may be full: the refill seen is a lower bound."""
TOP_FADES = 0.999
GAIN = 0.3
UNKNOWN_WAIT_S = 2.0
LONGEST_WAIT_S = 10.0
BLIND_ANSWERS = 16
"""With nothing left and no refill after so many answers the header says nothing."""
PAIRS = ((0, REQUESTS), (1, CEILING))


@dataclass(frozen=True, slots=True)
class QuotaReading:
    at: float
    """When the request was sent that was told."""
    left: tuple[float | None, float | None]
    spent: tuple[float, float]


class RemainingQuotaGate:
    def __init__(self) -> None:
        self._spent = [0.0, 0.0]
        self._look: QuotaReading | None = None
        self._base: QuotaReading | None = None
        self._refill = [0.0, 0.0]
        self._top = [0.0, 0.0]
        self._blind = [0, 0]
        self._sent_at = -1e9

    def send(self, flight: InFlightRequest) -> None:
        self._sent_at = flight.sent_at
        self._spent[0] += 1
        self._spent[1] += flight.amounts[CEILING]
        flight.spent = (self._spent[0], self._spent[1])

    def refuse(self, flight: InFlightRequest) -> None:
        """A refused request spent nothing."""
        self._spent[0] -= 1
        self._spent[1] -= flight.amounts[CEILING]

    def opens_at(self, amounts: Amounts, latency_s: float, now: float) -> float:
        """When enough should be left for `amounts`; now where it is."""
        if self._look is None:
            return now
        wait_s = max(self._wait_s(self._look, kind, amounts[unit], now) for kind, unit in PAIRS)
        latest = self._sent_at + max(wait_s, 0.25 * latency_s)
        if wait_s <= 0 or now >= latest:
            return now
        return max(now + 0.02, min(now + wait_s, latest))

    def _wait_s(self, look: QuotaReading, kind: int, amount: float, now: float) -> float:
        left, refill = look.left[kind], self._refill[kind]
        if left is None or self._blind[kind] >= BLIND_ANSWERS:
            return 0.0
        short = amount - (left + TRUSTED_REFILL * refill * (now - look.at) - (self._spent[kind] - look.spent[kind]))
        if short <= 0:
            return 0.0
        return min(LONGEST_WAIT_S, short / refill) if refill > 0 else UNKNOWN_WAIT_S

    def learn(self, flight: InFlightRequest, hint: RateLimitHint) -> None:
        """From the header of an accepted request."""
        left = (_usable(hint.remaining_requests), _usable(hint.remaining_tokens))
        if left == (None, None) or (self._look is not None and flight.sent_at < self._look.at):
            return
        self._look = look = QuotaReading(flight.sent_at, left, flight.spent)
        for kind in (0, 1):
            self._blind[kind] = self._blind[kind] + 1 if not left[kind] and not self._refill[kind] else 0
        if self._base is None:
            self._base = look
        elif look.at - self._base.at >= BASELINE_S:
            self._learn_refill(self._base, look, flight.amounts)
            self._base = look

    def _learn_refill(self, base: QuotaReading, look: QuotaReading, amounts: Amounts) -> None:
        for kind, unit in PAIRS:
            before, after = base.left[kind], look.left[kind]
            if before is None or after is None:
                continue
            seen = max(0.0, (after - before + look.spent[kind] - base.spent[kind]) / (look.at - base.at))
            self._top[kind] = max(TOP_FADES * self._top[kind], after)
            is_exact = after < TOP_SHARE * self._top[kind] and after > 2 * amounts[unit]
            if seen > self._refill[kind] or is_exact:
                self._refill[kind] += (seen - self._refill[kind]) * (GAIN if self._refill[kind] else 1.0)


def _usable(left: float | None) -> float | None:
    return left if left is not None and left >= 0 else None

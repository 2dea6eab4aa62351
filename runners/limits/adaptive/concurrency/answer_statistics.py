"""Statistics of answers: latency and tokens, as running means."""

from __future__ import annotations

import math
from dataclasses import dataclass

from providers.messages import Usage

from ...permit import Cost
from ..ledger import Amounts

WEIGHT = 0.05
"""Weight of the newest answer: the mean covers about twenty."""
UNKNOWN_SHARE = 0.5
"""Share of max_tokens that is assumed before the first answer."""


@dataclass(slots=True)
class AnswerStatistics:
    """Running statistics of the answers of one limiter group."""

    count: int = 0
    latency_s: float | None = None
    output_tokens: float | None = None
    _tokens: float = 0.0
    _squares: float = 0.0

    def learn(self, latency_s: float, usage: Usage | None) -> None:
        """Add one answer."""
        self.count += 1
        self.latency_s = _moved(self.latency_s, latency_s)
        if usage is not None:
            self.output_tokens = _moved(self.output_tokens, usage.output_tokens)
            used = usage.input_tokens + usage.output_tokens
            self._tokens += used
            self._squares += used * used

    def amounts(self, cost: Cost) -> Amounts:
        """Estimate what a request counts in each unit, before it is sent."""
        output = UNKNOWN_SHARE * cost.max_output_tokens if self.output_tokens is None else self.output_tokens
        used = cost.input_tokens + int(min(output, cost.max_output_tokens))
        return 1.0, float(used), float(cost.input_tokens + cost.max_output_tokens), 0.0

    def tokens(self) -> float:
        """Return the mean number of tokens of a request; 0 before the first answer."""
        return self._tokens / max(1, self.count)

    def spread(self) -> float:
        """Return the coefficient of variation of a request's tokens."""
        if not self._tokens or not self.count:
            return 0.0
        mean = self._tokens / self.count
        return math.sqrt(max(0.0, self._squares / self.count - mean * mean)) / mean


def _moved(mean: float | None, value: float) -> float:
    return value if mean is None else mean + WEIGHT * (value - mean)

"""What answers look like: how long they take and how many tokens they use, as running means."""

from __future__ import annotations

import math
from dataclasses import dataclass

from providers.messages import Usage

from ...permit import Cost
from ..ledger import Amounts

WEIGHT = 0.05
"""Of the newest answer: a memory of about twenty."""
UNKNOWN_SHARE = 0.5
"""Of max_tokens, before the first answer."""


@dataclass(slots=True)
class AnswerStatistics:
    count: int = 0
    latency_s: float | None = None
    output_tokens: float | None = None
    _tokens: float = 0.0
    _squares: float = 0.0

    def learn(self, latency_s: float, usage: Usage | None) -> None:
        self.count += 1
        self.latency_s = _moved(self.latency_s, latency_s)
        if usage is not None:
            self.output_tokens = _moved(self.output_tokens, usage.output_tokens)
            used = usage.input_tokens + usage.output_tokens
            self._tokens += used
            self._squares += used * used

    def amounts(self, cost: Cost) -> Amounts:
        """What a request will count in each unit, as far as one knows before it is sent."""
        output = UNKNOWN_SHARE * cost.max_output_tokens if self.output_tokens is None else self.output_tokens
        used = cost.input_tokens + int(min(output, cost.max_output_tokens))
        return 1.0, float(used), float(cost.input_tokens + cost.max_output_tokens), 0.0

    def tokens(self) -> float:
        """Of one request; 0 before the first answer."""
        return self._tokens / max(1, self.count)

    def spread(self) -> float:
        """Standard deviation of the tokens of one request over their mean."""
        if not self._tokens or not self.count:
            return 0.0
        mean = self._tokens / self.count
        return math.sqrt(max(0.0, self._squares / self.count - mean * mean)) / mean


def _moved(mean: float | None, value: float) -> float:
    return value if mean is None else mean + WEIGHT * (value - mean)

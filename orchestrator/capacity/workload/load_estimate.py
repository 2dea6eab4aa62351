"""The requests, tokens and cost of a load test, estimated before it starts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from providers.messages import Usage
from runners.calls.budget import PriceUsd
from runners.load.run_load import ClosedLoop, OpenLoop, Volume

from .workload import Workload

CONFIRM_ABOVE_USD = 1.0
"""A load test that may cost more than this needs a confirmation."""
SOME_TOKENS = 256
"""Tokens assumed for an answer where no max_tokens bounds it."""


@dataclass(frozen=True, slots=True)
class LoadEstimate:
    """Requests, tokens and cost; None where unknown: the requests of a closed loop with a duration, the cost of a self-hosted server."""

    requests: int | None
    input_tokens: int | None
    output_tokens: int | None
    """An upper bound: answers may be shorter."""
    cost_usd: float | None
    is_bounded: bool = True
    """Whether every request bounds the length of its answer."""


def estimate(requests: int | None, workload: Workload, model: str, price_usd: PriceUsd) -> LoadEstimate:
    """Estimate the tokens and the cost of that many requests."""
    if requests is None:
        return LoadEstimate(None, None, None, None)
    input_tokens = round(requests * workload.input_tokens)
    bound = workload.max_output_tokens
    output_tokens = round(requests * (SOME_TOKENS if bound is None else bound))
    cost_usd = price_usd(model, Usage(input_tokens, output_tokens))
    return LoadEstimate(requests, input_tokens, output_tokens, cost_usd, bound is not None)


def requests_of(load: ClosedLoop | OpenLoop, volume: Volume) -> int | None:
    """Compute how many requests a load sends; None where that depends on the server."""
    by_rate = (
        math.ceil(load.rate_per_s * volume.duration_s)
        if isinstance(load, OpenLoop) and volume.duration_s is not None and math.isfinite(load.rate_per_s)
        else None
    )
    known = [amount for amount in (volume.requests, by_rate) if amount is not None]
    return min(known, default=None)

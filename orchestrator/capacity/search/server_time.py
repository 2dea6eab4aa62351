"""Evidence of the server's own time: answers that slow down, and a contrast of requests with other lengths."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from ..measurement.rung import Rung
from .rules import INVALID, Judgement

Limit = Literal["TPM", "RPM", "concurrency", "quota", "capacity", "held or saturated", "client", "errors", "none"]
Sureness = Literal["certain", "likely", "open"]
LimitEvidence = tuple[Limit, Sureness, str]
LEAST_CONTRAST = 1.4
"""A contrast is meaningful from this factor of tokens per request."""
SHORTER = 0.75
"""Maximum factor of output per answer in a contrast, where requests stay the same."""
NEAR = 0.35
"""A change below this share of the contrast, in logarithms, counts as no change."""
SLOWER = 1.5
"""Minimum factor of time per token that shows a busy server; also at least the root of the factor of latency, to exclude this client."""


def by_slowing(rungs: Sequence[Rung]) -> LimitEvidence | None:
    """Find a busy server: its answers slow down once they have begun, as no quota slows them. The lowest rung against the highest."""
    ordered = sorted(rungs, key=lambda rung: rung.concurrency)
    if len(ordered) < 2:
        return None
    lowest, highest = ordered[0], ordered[-1]
    slower, grown = ratio(_token_s([highest]), _token_s([lowest])), ratio(highest.latency_s, lowest.latency_s)
    if slower < max(SLOWER, math.sqrt(grown)):
        return None
    return (
        "capacity",
        "certain",
        f"a token takes {slower:.2g} × as long at {highest.concurrency} in flight as at {lowest.concurrency}: a busy server, because no "
        "quota slows an answer that has begun",
    )


def by_contrast(
    measured: tuple[Rung, Sequence[Rung]], contrast: Rung, judged: Judgement, minute_s: float
) -> LimitEvidence | None:
    """Find the unit that stays constant when requests grow, against the lowest rung and the plateau; None without a decision."""
    lowest, plateau = measured
    same = [rung for rung in plateau if rung.concurrency == contrast.concurrency]
    if not same or judged.verdict in INVALID or judged.verdict == "FAIL-SUCCESS":
        return None
    requests = ratio(contrast.measures.qpm, mean(rung.measures.qpm for rung in same))
    tokens = ratio(contrast.measures.tpm, mean(rung.measures.tpm for rung in same))
    longer = tokens / requests
    if longer < LEAST_CONTRAST:
        return None
    shorter = ratio(_output_tokens([contrast]), _output_tokens(same))
    slower = ratio(_token_s(same), _token_s([lowest]))
    saw = (
        f"requests of {longer:.2g} times the tokens and {shorter:.2g} times the output: {requests:.2f} × the requests and "
        f"{tokens:.2f} × the tokens a minute; a token takes {slower:.2g} × what it takes at {lowest.concurrency} in flight"
    )
    grown = ratio(mean(rung.measures.latency_s.mean or 0.0 for rung in same), lowest.measures.latency_s.mean)
    if slower >= max(SLOWER, math.sqrt(grown)):
        return "capacity", "certain", f"{saw}: a busy server, because no quota slows an answer that has begun"
    near, sure = math.log(longer) * NEAR, _sureness([*same, contrast], minute_s)
    if abs(math.log(tokens)) <= near:
        return "TPM", sure, f"{saw}: a token quota that delays requests without a refusal"
    if abs(math.log(requests)) <= near:
        if shorter > SHORTER:  # answers of the same length take a busy server the same time
            return None
        return "RPM", sure, f"{saw}: a request quota that delays requests without a refusal"
    if any(rung.measures.is_burst for rung in (*same, contrast)):
        return None  # stored credit of a quota, or a window that the rung before had spent, is no time of the server
    return "capacity", "likely", f"{saw}: neither stays the same, so the server's time is the limit"


def _sureness(rungs: Sequence[Rung], minute_s: float) -> Sureness:
    """Return "certain" only where a quota window is visible: else a queue before a server may explain it."""
    return "certain" if any(rung.is_held(minute_s) for rung in rungs) else "likely"


def why_undecided(contrast: Rung, judged: Judgement) -> str:
    """Say why the contrast does not tell a quota from a busy server."""
    if judged.reason:
        return judged.reason
    if contrast.measures.is_burst and _output_tokens([contrast]):
        return "its rungs were shorter than two quota windows; --window measures whole ones"
    return (
        f"{contrast.measures.succeeded} answers had other lengths than requested; --random-output-len must limit them"
    )


def mean(values: Iterable[float]) -> float | None:
    """Compute the mean; None without values."""
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else None


def ratio(after: float | None, before: float | None) -> float:
    """Divide two figures; 1 where one is unknown."""
    return after / before if after and before else 1.0


def _output_tokens(rungs: Sequence[Rung]) -> float | None:
    """Return the mean output tokens of an answer."""
    return mean(rung.measures.output_tokens / max(1, rung.measures.succeeded) for rung in rungs)


def _token_s(rungs: Sequence[Rung]) -> float | None:
    """Return the seconds per token after the first, the median of a rung; None where nothing is streamed."""
    return mean(rung.measures.tpot_s.p50 for rung in rungs if rung.measures.tpot_s.p50 is not None)

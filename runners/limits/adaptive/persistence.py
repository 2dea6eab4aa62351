"""What outlives a run: the learnt limits as a small mapping fit for JSON, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping

from providers.messages import JSON

from .concurrency.answer_statistics import AnswerStatistics
from .concurrency.concurrency_cap import FIRST_CAP, ConcurrencyCap
from .ledger import UNITS, WINDOWS_S
from .rate.rate_model import FLOW, RateModel

VERSION = 1


def export(cap: ConcurrencyCap, rates: RateModel, answers: AnswerStatistics) -> Mapping[str, JSON]:
    limits = None if rates.limits is None else [x if math.isfinite(x) else None for x in _known(rates)]
    return {
        "version": VERSION,
        "mode": cap.mode,
        "cap": round(cap.size, 2),
        "best_rho": cap.best_rho if math.isfinite(cap.best_rho) else None,
        "level": rates.level if rates.window_s == WINDOWS_S[rates.level] else FLOW,
        "limits": None if limits is None else dict(zip(UNITS, limits, strict=True)),
        "latency_s": answers.latency_s,
        "output_tokens": answers.output_tokens,
    }


def _known(rates: RateModel) -> list[float]:
    """A window of unusual length is told as a flow."""
    usual = rates.window_s == WINDOWS_S[rates.level]
    return [limit if usual else limit / rates.window_s for limit in rates.limits or ()]


def restore(stored: Mapping[str, JSON], cap: ConcurrencyCap, rates: RateModel, answers: AnswerStatistics) -> None:
    """Anything that does not look like an export is left out: a cold start is never wrong."""
    if stored.get("version") != VERSION:
        return
    answers.latency_s = _number(stored.get("latency_s"))
    answers.output_tokens = _number(stored.get("output_tokens"))
    limits, level = stored.get("limits"), stored.get("level")
    if isinstance(limits, Mapping) and isinstance(level, int) and 0 <= level < len(WINDOWS_S):
        values = [_number(limits.get(unit)) for unit in UNITS]
        rates.restore(level, [math.inf if value is None else value for value in values])
        cap.follow_rate(rates.rate, answers.latency_s or 1.0, is_window=level != FLOW)
    elif stored.get("mode") in {"knee", "conc"}:
        size = _number(stored.get("cap")) or FIRST_CAP
        cap.restore("knee" if stored["mode"] == "knee" else "conc", size, _number(stored.get("best_rho")))


def _number(value: JSON) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and value > 0 and math.isfinite(value) else None  # type: ignore[arg-type, operator]

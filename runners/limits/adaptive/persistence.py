"""Export of the learned limits to a small JSON mapping at the end of a run, and their restoration in the next."""

from __future__ import annotations

import math
from collections.abc import Mapping

from providers.messages import JSON

from .concurrency.answer_statistics import AnswerStatistics
from .concurrency.concurrency_cap import FIRST_CAP, ConcurrencyCap
from .ledger import KEPT_S, UNITS, WINDOWS_S, SendLedger
from .rate.rate_model import FLOW, RateModel

VERSION = 1
SHORTEST_WINDOW_S = 2.0


def export(cap: ConcurrencyCap, rates: RateModel, answers: AnswerStatistics) -> Mapping[str, JSON]:
    """Return the learned limits as a JSON mapping."""
    limits = None if rates.limits is None else [x if math.isfinite(x) else None for x in _known(rates)]
    return {
        "version": VERSION,
        "mode": cap.mode,
        "cap": round(cap.size, 2),
        "best_rho": cap.best_rho if math.isfinite(cap.best_rho) else None,
        "level": rates.level if rates.window_s == WINDOWS_S[rates.level] else FLOW,
        "window_s": rates.window_s if rates.level != FLOW else None,
        "limits": None if limits is None else dict(zip(UNITS, limits, strict=True)),
        "latency_s": answers.latency_s,
        "output_tokens": answers.output_tokens,
    }


def _known(rates: RateModel) -> list[float]:
    """Return the limits per window; if its length is not one of WINDOWS_S, per second."""
    usual = rates.window_s == WINDOWS_S[rates.level]
    return [limit if usual else limit / rates.window_s for limit in rates.limits or ()]


def restore(
    stored: Mapping[str, JSON], cap: ConcurrencyCap, rates: RateModel, answers: AnswerStatistics, ledger: SendLedger
) -> None:
    """Restore what `export` returned. Values of another version or type are ignored: a cold start is always correct."""
    if stored.get("version") != VERSION:
        return
    answers.latency_s = _number(stored.get("latency_s"))
    answers.output_tokens = _number(stored.get("output_tokens"))
    limits, level = stored.get("limits"), stored.get("level")
    if isinstance(limits, Mapping) and isinstance(level, int) and 0 <= level < len(WINDOWS_S):
        values = [_number(limits.get(unit)) for unit in UNITS]
        if any(values):
            _restore_limits(level, [math.inf if value is None else value for value in values], stored, rates, ledger)
    elif stored.get("mode") in {"knee", "conc"}:
        size = _number(stored.get("cap")) or FIRST_CAP
        cap.restore("start" if stored["mode"] == "knee" else "conc", size, _number(stored.get("best_rho")))
        if cap.mode == "start" and answers.latency_s is not None:
            cap.pace = cap.size / answers.latency_s


def _restore_limits(
    level: int, limits: list[float], stored: Mapping[str, JSON], rates: RateModel, ledger: SendLedger
) -> None:
    """Restore limits; those of a window whose length is not one of WINDOWS_S were exported per second."""
    window_s = _number(stored.get("window_s"))
    if level == FLOW and window_s is not None and SHORTEST_WINDOW_S <= window_s < KEPT_S:
        level = 1 if window_s < WINDOWS_S[2] else 2
        ledger.resize(level, window_s)
        limits = [limit * window_s for limit in limits]
    rates.restore(level, limits)


def _number(value: JSON) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and value > 0 and math.isfinite(value) else None  # type: ignore[arg-type, operator]

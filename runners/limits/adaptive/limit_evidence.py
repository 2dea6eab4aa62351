"""The evidence for a learned limit: how often and how long it was met, and how old that is. It decides how far a later run believes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from providers.messages import JSON

from .rate.rate_model import FLOW, RateModel

STRONG_REFUSALS, STRONG_WINDOWS, STRONG_S = 3, 3.0, 120.0
"""Refusals at one limit, and the windows and the seconds from the first to the last of them, from which evidence is strong."""
FRESH_S = 24 * 3600.0
"""Evidence that is older is weak."""
CHANGED = 1.25
"""Factor by which a limit changes to be another one."""
USUAL_WINDOW_S = 60.0
"""The time for which the traffic of an earlier run counts, unless a longer window is known."""


@dataclass(slots=True)
class LimitEvidence:
    """What supports the current limit of one limiter."""

    refusals: int = 0
    """Refusals that met the limit."""
    bound_s: float = 0.0
    """Time from the first to the last of them, of each run."""
    age_s: float = 0.0
    """Time since the last one, when it was exported."""
    met_at: float | None = None
    """Time of the last one in this run."""
    _rate: float = math.inf
    _window_s: float = 0.0

    def meet(self, rates: RateModel, now: float, *, is_doubtful: bool) -> None:
        """Count an episode of refusals after which `rates` were learned. A changed limit, or one beside refusals by chance, starts anew."""
        is_same = abs(rates.window_s - self._window_s) < 1 and 1 / CHANGED < rates.rate / self._rate < CHANGED
        if rates.limits is None or is_doubtful or not is_same:
            self.refusals, self.bound_s, self.met_at = 0, 0.0, None
            self._rate, self._window_s = rates.rate, rates.window_s
        self.bound_s += 0.0 if self.met_at is None else now - self.met_at
        self.refusals += 1
        self.met_at, self.age_s = now, 0.0

    def remember(self, rates: RateModel) -> None:
        """Take the limit that was restored as the one that this is evidence for."""
        self._rate, self._window_s = rates.rate, rates.window_s

    def is_strong(self, window_s: float, idle_s: float) -> bool:
        """Return whether a run that begins `idle_s` after the end of the last one may believe the limit."""
        return (
            self.refusals >= STRONG_REFUSALS
            and self.bound_s >= max(STRONG_S, STRONG_WINDOWS * window_s)
            and self.age_s + idle_s <= FRESH_S
        )

    def is_mixed(self, rates: RateModel, ran_s: float, idle_s: float) -> bool:
        """Return whether traffic of an earlier run, which ended `idle_s` before this one, still counted after `ran_s`."""
        window_s = USUAL_WINDOW_S if rates.level == FLOW else max(USUAL_WINDOW_S, rates.window_s)
        return idle_s + ran_s < window_s

    def export(self, older_s: float) -> Mapping[str, JSON]:
        """Return it as a JSON mapping, `older_s` older than it was."""
        return {"refusals": self.refusals, "bound_s": round(self.bound_s, 1), "age_s": round(self.age_s + older_s, 1)}


def read_evidence(stored: JSON) -> LimitEvidence:
    """Read what `export` returned; anything else is no evidence."""
    values = stored if isinstance(stored, Mapping) else {}
    refusals, bound_s, age_s = (values.get(name) for name in ("refusals", "bound_s", "age_s"))
    if not (_is_amount(refusals) and _is_amount(bound_s) and _is_amount(age_s)):
        return LimitEvidence()
    return LimitEvidence(int(refusals), float(bound_s), float(age_s))  # type: ignore[arg-type]


def _is_amount(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf

"""What an earlier run learned, in doubt until this run has met it.

A window with weak evidence, or with strong, is a ceiling that sets no pace: requests are sent as at a cold start until it is reached, and
then one more is sent as a probe. A refused probe confirms it. Accepted probes raise it, until it is dropped and the cold start goes on. A
refusal before it is reached drops it, too, unless its evidence is strong: then it is believed and corrected as any learned limit.

A flow with weak evidence is only where the start begins. With strong evidence it is the rate, which is raised soon; it is dropped where a
higher rate is not refused. So a warm start is never slower than a cold one by more than the time of the probes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from providers.messages import JSON

from . import persistence
from .concurrency.answer_statistics import AnswerStatistics
from .concurrency.concurrency_cap import ConcurrencyCap
from .ledger import REQUESTS, UNITS, WINDOWS_S, SendLedger
from .limit_evidence import LimitEvidence, read_evidence
from .rate.rate_model import FLOW, RateModel

WEAK_RISE, STRONG_RISE = 1.25, 2.0
"""Factors above the remembered limit of a window at which it is dropped."""
FLOW_RISE, FLOW_SCALE_S = 1.25, 5.0
"""The same for a flow, and its time scale, at which this takes 15 s."""
START_SHARE, START_RATE = 0.5, 4.0
"""The share of a remembered flow with which a start begins, and the least rate for that."""
MET = 0.9
"""Share of a remembered limit from which a refusal is no sign against it."""


class RememberedLimit:
    """The limit that one limiter starts with, its evidence, and what the next run shall remember."""

    def __init__(
        self,
        rates: RateModel,
        cap: ConcurrencyCap,
        answers: AnswerStatistics,
        ledger: SendLedger,
        decide: Callable[[str, Mapping[str, JSON]], None],
    ) -> None:
        self._rates, self._cap, self._answers, self._ledger, self._decide = rates, cap, answers, ledger, decide
        self.is_open = False
        """Whether this run has not met the limit yet."""
        self.probe: int | None = None
        """The number of the request that is sent above the limit of a window in doubt."""
        self._step = 1
        self._evidence = LimitEvidence()
        self._is_strong = False
        self._stored: Mapping[str, JSON] = {}
        self._idle_s = self._remembered = math.inf
        self._began_at: float | None = None

    def restore(self, stored: Mapping[str, JSON]) -> None:
        """Start with what `export` returned. `idle_s` is the time since another run ended; without it none is known."""
        idle_s = stored.get("idle_s")
        if isinstance(idle_s, int | float):
            self._idle_s = max(0.0, float(idle_s))
        self._stored = {name: value for name, value in stored.items() if name != "idle_s"}
        persistence.restore(self._stored, self._cap, self._rates, self._answers, self._ledger)
        rates = self._rates
        if rates.limits is None:
            return
        self.is_open, self._remembered = True, rates.limits[REQUESTS]
        self._evidence = read_evidence(stored.get("evidence"))
        self._evidence.remember(rates)
        idle_s = 0.0 if math.isinf(self._idle_s) else self._idle_s
        self._is_strong = self._evidence.is_strong(rates.window_s, idle_s)
        if rates.level != FLOW:
            rates.is_doubted = True
        elif self._is_strong:
            rates.scale_s = FLOW_SCALE_S
            self._follow(0.0)
        else:
            self._begin_at(START_SHARE * rates.rate)

    def _begin_at(self, rate: float) -> None:
        if rate > START_RATE and math.isfinite(rate):
            self._cap.pace = rate
        self._rates.forget()

    def _follow(self, now: float) -> None:
        asked = self._rates.asked_rate(self._answers.tokens(), now)
        self._cap.follow_rate(asked, self._answers.latency_s or 1.0, is_window=self._rates.level != FLOW)

    # ------------------------------------------------------------------ what this run meets
    def see(self, now: float) -> None:
        """Note that a request waits, the first one or one under a limit in doubt."""
        if self._began_at is None:
            self._began_at = self._rates.learnt_at = now
        if self.is_open and self._rates.level == FLOW and self._rates.limits and self._rates.factor(now) > FLOW_RISE:
            self._drop()
            self._cap.restart()

    def probed(self, now: float, *, accepted: bool) -> None:
        """Judge the limit by its probe: an accepted one raises it, by twice as much as the one before, a refused one confirms it."""
        self.probe = None
        if accepted:
            self._raise()
        else:
            self._confirm(now)

    def _raise(self) -> None:
        rates = self._rates
        if not self.is_open or rates.limits is None:
            return
        before = rates.describe()
        rates.raise_by(self._step)
        self._step *= 2
        self._decide("probe", {"accepted": True, "old": before, "new": rates.describe()})
        share = rates.limits[REQUESTS] / self._remembered if math.isfinite(self._remembered) else WEAK_RISE
        if share >= (STRONG_RISE if self._is_strong else WEAK_RISE):
            self._drop()

    def _confirm(self, now: float) -> None:
        if self.is_open and self._reached(now) >= (STRONG_RISE if self._is_strong else WEAK_RISE):
            self._drop()
        elif self.is_open:
            self._believe(now)
            self._evidence.meet(self._rates, now, is_doubtful=False)

    def refused(self, now: float) -> None:
        """Judge the limit at a refusal that was no probe."""
        if not self.is_open:
            return
        reached, rise = self._reached(now), STRONG_RISE if self._is_strong else WEAK_RISE
        if self._rates.limits is None:
            self.is_open = False
        elif reached < rise and (self._is_strong or reached >= MET):
            self._believe(now)
        else:
            self._drop()

    def learned(self, now: float, *, by_chance: bool) -> None:
        """Count an episode of refusals that has been learned from."""
        self._evidence.meet(self._rates, now, is_doubtful=by_chance)

    def _reached(self, now: float) -> float:
        limits = self._rates.limits
        if self._rates.level == FLOW or limits is None:
            return 0.0
        counts = self._ledger.counts(self._rates.level, now)
        accepted = 1 - 1 / max(1.0, counts[REQUESTS])  # the refused request is still counted
        return accepted * max(count / limit for count, limit in zip(counts, limits, strict=True))

    def _believe(self, now: float) -> None:
        self.is_open = self._rates.is_doubted = False
        self._rates.learnt_at = now
        self._follow(now)
        self._decide("remembered", {"holds": True, "limits": self._rates.describe()})

    def _drop(self) -> None:
        self._decide("remembered", {"holds": False, "limits": self._rates.describe()})
        level = self._rates.level
        self.is_open, self.probe = False, None
        self._rates.forget()
        if level != FLOW and self._ledger.windows_s[level] != WINDOWS_S[level]:
            self._ledger.resize(level, WINDOWS_S[level])

    # ------------------------------------------------------------------ for the next run
    def export(self, sent_at: float) -> Mapping[str, JSON]:
        """Return what the next run shall start with, when the last request was sent at `sent_at`; empty where nothing is known.

        A limit that was met while the requests of another run still counted is not kept; what was remembered before is.
        """
        began_at = 0.0 if self._began_at is None else self._began_at
        ran_s = max(0.0, sent_at - began_at)
        met_at = self._evidence.met_at
        until_met_s = ran_s if met_at is None else met_at - began_at
        if self._evidence.is_mixed(self._rates, until_met_s, self._idle_s):
            return self._stored if any(unit in _limits(self._stored) for unit in UNITS) else {}
        if self.is_open and not self._is_exceeded(ran_s):
            older_s = ran_s + (0.0 if math.isinf(self._idle_s) else self._idle_s)
            return {**self._stored, "evidence": self._evidence.export(older_s)}
        evidence = self._evidence.export(0.0 if met_at is None else max(0.0, sent_at - met_at))
        return {**persistence.export(self._cap, self._rates, self._answers), "evidence": evidence}

    def _is_exceeded(self, ran_s: float) -> bool:
        """Return whether more was answered than the remembered flow allows, without a refusal."""
        window_s = self._rates.window_s
        return self._rates.limits is None and self._answers.count > FLOW_RISE * self._remembered * ran_s / window_s


def _limits(stored: Mapping[str, JSON]) -> Mapping[str, JSON]:
    limits = stored.get("limits")
    return limits if isinstance(limits, Mapping) else {}

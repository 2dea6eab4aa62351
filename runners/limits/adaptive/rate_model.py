"""What the server allows over time: a flow (per second) or a window (a count over 10 or 60 s), in every unit at once.

The limit is only ever asked for again by a scale-free cubic: below what is known at first, there at x = 1, above it later (`factor`).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from providers.messages import JSON

from . import blame
from .answers import Answers
from .episode import Episode
from .flow import Flow, Stretch
from .ledger import ANSWERED, REQUESTS, TOKENS, UNITS, WINDOWS_S, Amounts, Ledger
from .windows import Windows

FLOW, TEN_SECONDS, MINUTE = range(3)
"""Levels; those above FLOW are indices into WINDOWS_S."""

DIP = 0.03
"""How far below the known flow sending restarts."""
SURE_DIP = 0.012
"""The same, where the limit is a window's or was met more than once."""
RISE = 0.03
"""How much more is asked for at x = 2; 24 % at x = 3."""
FIRST_SCALE_S = 20.0
LONGEST_SCALE_S = 300.0
REFUSED_BUDGET = 0.004
"""Share of sends that probing may cost."""
WINDOW_PACE = 1.2
"""A window is used up a little faster than it refills, so that a lost moment is caught up with."""
COSTLY = 30.0
"""Times the length of an episode that pass before the limit is asked for again."""
SHORTFALL = 0.9
SURPLUS = 1.25
RISING = 1.1
STORED = 0.93
LATE_S, LATE_REQUESTS, LATE_SHARE = 6.0, 8.0, 0.98
MOST_STRANGERS = 3
MEMORY_S = 900.0
KEPT_OF_SERVED = 0.4
"""A flow is never set below this share of what was served in the last half minute."""

Decide = Callable[[str, Mapping[str, JSON]], None]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What else is known when an episode ends."""

    ledger: Ledger
    answers: Answers
    believes: bool
    """Retry-After was not found to overstate."""
    running_s: float
    now: float


class RateModel:
    def __init__(self, decide: Decide) -> None:
        self.level = FLOW
        self.limits: list[float] | None = None
        """Per second at FLOW, per window above, in the order of UNITS."""
        self.scale_s = FIRST_SCALE_S
        self.learnt_at = 0.0
        self._samples: list[list[float]] = []
        self._stores = False
        """The bucket was seen to keep what was not used."""
        self._strangers = 0
        """Samples in a row that nothing known explains."""
        self._flow = Flow()
        self._windows = Windows()
        self._best: tuple[float, float] | None = None
        """(when, requests per second): what was allowed lately."""
        self._decide = decide

    # ------------------------------------------------------------------ what it allows
    @property
    def window_s(self) -> float:
        return WINDOWS_S[self.level]

    @property
    def rate(self) -> float:
        """Requests per second; infinite where no limit was met."""
        return self.limits[REQUESTS] / self.window_s if self.limits else math.inf

    @property
    def counts_answers(self) -> bool:
        """The server was found to count tokens when they are answered."""
        return self.level > 0 and len(self._samples) > 1 and blame.binding(self._samples)[ANSWERED]

    def factor(self, now: float) -> float:
        x = (now - self.learnt_at) / self.scale_s
        if x >= 1:
            return 1 + RISE * (x - 1) ** 3
        return 1 - (SURE_DIP if len(self._samples) > 1 or (self.level and self._samples) else DIP) * (1 - x) ** 3

    def gap_s(self, amounts: Amounts, now: float) -> float:
        """Time from a send of `amounts` to the next."""
        if self.limits is None:
            return 0.0
        limits, pace = self.limits, self.factor(now) * (WINDOW_PACE if self.level else 1.0)
        most = max(amounts[0] / limits[0], amounts[1] / limits[1], amounts[2] / limits[2])
        if self.level:
            most = max(most, amounts[TOKENS] / limits[ANSWERED])
        return most * self.window_s / pace

    def opens_at(self, amounts: Amounts, ledger: Ledger, now: float) -> float:
        """When the window has room for `amounts`; now or earlier where it has."""
        if self.level == FLOW or self.limits is None:
            return now
        counts, factor, opens_at = ledger.counts(self.level, now), self.factor(now), now
        for unit in range(4):
            over = counts[unit] + amounts[unit] - _allowed(self.limits[unit], factor, unit)
            if over > 1e-9:
                opens_at = max(opens_at, ledger.frees_at(self.level, unit, over, now) or now)
        return opens_at

    def restore(self, level: int, limits: list[float]) -> None:
        """Use what an earlier run learnt; the first samples decide whether it still holds."""
        self.level, self.limits = level, limits
        self.scale_s = self._shortest_scale_s()

    def forget(self) -> None:
        """It was no rate."""
        self.level, self.limits, self._samples, self._best = FLOW, None, [], None
        self._flow.forget()
        self._windows.forget()

    # ------------------------------------------------------------------ what it learns
    def learn(self, episode: Episode, seen: Evidence) -> None:
        """An episode is over: something was let in again. Its first refusal is a sample of the limit."""
        before = self._describe()
        if self.limits is None or episode.level > self.level:
            self._first(episode, seen)
        elif self.level == FLOW:
            self._again_as_flow(episode, seen)
        else:
            self._again_as_window(episode, seen)
        self._windows.add(episode)
        self._change_window(episode)
        self.learnt_at = seen.now
        self._remember_best(seen.now)
        if len(self._samples) > 1:  # nor one that costs time
            self.scale_s = max(self.scale_s, min(LONGEST_SCALE_S, COSTLY * (seen.now - episode.at - 1)))
        if episode.told_s > 1 and seen.believes:  # a refusal that costs a long pause is asked for rarely
            self.scale_s = max(self.scale_s, min(1800.0, 30 * episode.told_s))
        self._decide("rate", {"old": before, "new": self._describe(), "scale_s": round(self.scale_s, 1)})

    def _first(self, episode: Episode, seen: Evidence) -> None:
        self.level = episode.level
        self.scale_s = self._shortest_scale_s()
        self._best = None
        if self.level:
            sample = episode.counts[self.level]
            requests = sample[REQUESTS]
        else:
            sample = _ramp(episode, seen)
            requests = 10 * sample[REQUESTS]
            self._flow.measure(episode)
        self._samples = [sample] if self.level else []
        self.limits = _positive(blame.first_limits(sample, requests, seen.answers.spread()))

    def _change_window(self, episode: Episode) -> None:
        window = self._windows.clearer_than(self.level)
        if window is None:
            return
        self.level, self._strangers = window, 0
        self._samples = self._windows.samples(window)
        self.limits = _positive(self._agreed(episode, 0.0, blame_flow=False))
        self.scale_s = max(self.scale_s, self._shortest_scale_s())

    def _again_as_flow(self, episode: Episode, seen: Evidence) -> None:
        stretch = self._flow.measure(episode)
        if stretch is None:  # the limits were restored or drawn from a window: this is the first empty bucket
            stretch = Stretch(_ramp(episode, seen), 0.0)
        if stretch.stands_alone:
            self._take(self._less_loss(stretch.rates, episode, seen), episode, seen, blame_flow=True)
        else:
            self._stores = self._stores or (self.limits is not None and stretch.rates[0] < STORED * self.limits[0])
            self._samples = []
            self.limits = _positive(blame.first_limits(stretch.rates, stretch.requests, seen.answers.spread()))
            self.scale_s = FIRST_SCALE_S
        self._keep_what_is_served(seen)

    def _less_loss(self, rates: list[float], episode: Episode, seen: Evidence) -> list[float]:
        """A small bucket overflows while less is sent than it lets through, so the mean is too low: the last seconds are nearer.

        A large one stores it, and the mean is exact: that it does shows when the last seconds turn out too high.
        """
        if self._stores:
            return rates
        late = _late(episode, seen, min(50.0, max(LATE_S, LATE_REQUESTS / max(0.01, rates[0]))))
        return [max(mean, LATE_SHARE * last) for mean, last in zip(rates, late, strict=True)]

    def _again_as_window(self, episode: Episode, seen: Evidence) -> None:
        sample = episode.counts[self.level]
        if episode.refused_trials >= 2 and max(self._shares(sample)) < 0.97:
            sample = _lowered(sample, episode, seen.ledger.counts(self.level, seen.now))
            self._samples = []
        self._take(sample, episode, seen, blame_flow=False)
        if self._strangers >= MOST_STRANGERS:
            self._fall_back_to_flow(episode, seen)

    def _fall_back_to_flow(self, episode: Episode, seen: Evidence) -> None:
        """No window of this length explains the refusals: pace evenly, which is right under any."""
        served = seen.ledger.between(seen.now - 60, seen.now)
        seconds = min(60.0, max(1.0, seen.running_s))
        self.forget()
        self.limits = _positive([max(episode.cost[unit], served[unit]) / seconds for unit in range(4)])
        self.scale_s, self._strangers = FIRST_SCALE_S, 0
        self._flow.measure(episode)

    def _take(self, sample: list[float], episode: Episode, seen: Evidence, *, blame_flow: bool) -> None:
        shares = self._shares(sample)
        dropped = max(shares) < SHORTFALL
        together = [*self._samples, sample][-blame.KEPT :]
        if dropped or min(shares) > SURPLUS or not (blame_flow or self._explained(sample, together, episode)):
            together = [sample]
            self._strangers += 1
        else:
            self._strangers = 0
        self._samples = together
        if len(self._samples) == 1:
            self.limits = _positive(blame.first_limits(sample, sample[0] * (10 if blame_flow else 1), seen.answers.spread()))
        else:
            self.limits = _positive(self._agreed(episode, episode.told_s if seen.believes else 0.0, blame_flow=blame_flow))
        if dropped:
            self._decide("drop", {"reached": [round(share, 3) for share in shares]})
        if dropped or (blame_flow and min(shares) > RISING):
            self.scale_s = self._shortest_scale_s()
        else:
            goodput = max(0.05, seen.answers.count / max(1.0, seen.running_s))
            self.scale_s = min(LONGEST_SCALE_S, max(2 * self.scale_s, 0.5 / (REFUSED_BUDGET * goodput)))

    def _explained(self, sample: list[float], together: list[list[float]], episode: Episode) -> bool:
        """Some unit agrees with what is known; or all show more: a fixed window was met after its boundary."""
        known = together[:-1]
        more = bool(known) and all(sample[unit] >= min(seen[unit] for seen in known) for unit in range(3))
        return more or blame.agree(together, episode.cost)

    def _agreed(self, episode: Episode, told_s: float, *, blame_flow: bool) -> list[float]:
        limits = []
        for unit, binds in enumerate(blame.binding(self._samples)):
            values = [sample[unit] for sample in self._samples]
            if not binds:
                limits.append(blame.relaxed(values))
            elif blame_flow:
                limits.append(blame.flow_limit(values))
            else:
                cost = 0.0 if unit == REQUESTS else episode.cost[TOKENS if unit == ANSWERED else unit]
                limits.append(blame.window_limit(values, unit, cost, told_s))
        return limits

    def _shares(self, sample: list[float]) -> list[float]:
        """Of what is known, in each unit: one of them stays near 1 while the limit is the same."""
        if self._samples:
            known = [statistics.median(seen[unit] for seen in self._samples) for unit in range(4)]
        else:
            known = self.limits or sample
        return [value / max(1e-9, reference) for value, reference in zip(sample, known, strict=True)]

    def _remember_best(self, now: float) -> None:
        """A rate that was allowed lately is soon asked for again."""
        if self._best is None or self.rate >= self._best[1] or now - self._best[0] > MEMORY_S:
            if len(self._samples) > 1:
                self._best = (now, self.rate)
        elif self.rate < 0.8 * self._best[1]:
            self.scale_s = self._shortest_scale_s()

    def _keep_what_is_served(self, seen: Evidence) -> None:
        served = seen.ledger.between(seen.now - 30, seen.now)[REQUESTS] / min(30.0, max(1.0, seen.running_s))
        short = KEPT_OF_SERVED * served / self.rate
        if short > 1 and self.limits is not None:
            self.limits = [limit * short for limit in self.limits]

    def _shortest_scale_s(self) -> float:
        return max(FIRST_SCALE_S, self.window_s if self.level else 0.0)

    def _describe(self) -> Mapping[str, JSON]:
        limits = [round(limit, 3) for limit in self.limits] if self.limits else [None] * 4
        return {"window_s": self.window_s if self.level else None, **dict(zip(UNITS, limits, strict=True))}


def _allowed(limit: float, factor: float, unit: int) -> float:
    """Requests are whole: a limit of 60 less 1 % is 60, not 59."""
    return math.ceil(limit * factor - 1e-9) if unit == REQUESTS and factor < 1 else limit * factor


def _ramp(episode: Episode, seen: Evidence) -> list[float]:
    """While the rate still rises, the last seconds before the refusal say more than the mean: per second, in each unit."""
    seconds = min(max(2.0, seen.answers.latency_s or 2.0), max(0.5, seen.running_s - (seen.now - episode.at)))
    return _late(episode, seen, seconds)


def _late(episode: Episode, seen: Evidence, seconds: float) -> list[float]:
    """Accepted per second in the last `seconds` before the refusal, one request at least."""
    late = seen.ledger.between(episode.at - seconds, episode.at)
    return [max(episode.cost[unit], late[unit]) / seconds for unit in range(4)]


def _lowered(sample: list[float], episode: Episode, now_counts: list[float]) -> list[float]:
    """Trials were refused far below the known limit: the limit lies between what the last one met and what was let in."""
    latest = episode.latest or sample
    return [
        min(sample[unit], max(0.5 * (now_counts[unit] + latest[unit]), 0.25 * sample[unit])) for unit in range(4)
    ]


def _positive(limits: list[float]) -> list[float]:
    """A unit in which nothing was counted does not limit."""
    return [limit if limit > 0 else math.inf for limit in limits]

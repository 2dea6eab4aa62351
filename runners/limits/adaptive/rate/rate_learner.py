"""What the rate model is learnt from: each episode of refusals is a sample of the limit, read off the ledger.

Of a window the sample is what had been counted when it first refused. Of a flow it is what was accepted between two refusals, over
the time between. Samples that agree say in which unit the server counts; those that nothing explains say that the model is wrong.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping

from providers.messages import JSON

from .. import words
from ..episode import Episode
from ..ledger import ANSWERED, REQUESTS, TOKENS
from . import unit_inference as blame
from .episode_evidence import EpisodeEvidence, late, lowered, ramp
from .rate_model import FIRST_SCALE_S, FLOW, RateModel
from .refill import RefillEstimator, RefillInterval
from .windows import WindowCandidates

LONGEST_SCALE_S = 600.0
REFUSED_BUDGET = 0.004
"""Share of sends that probing may cost."""
GUESS_SCALE_S = 5.0
"""Of a window's rate, while its length is unknown: the guess is low, and nothing but the next refusal would say so."""
COSTLY = 60.0
"""Times the length of an episode that pass before the limit is asked for again."""
TOLD_SCALE_S = 1800.0
"""Longest, where each refusal costs a Retry-After."""
SHORTFALL, SURPLUS, RISING = 0.9, 1.25, 1.1
"""Shares of what was known: the limit has dropped, has risen, is still being looked for."""
LOWERED = 0.97
STORED = 0.93
"""A flow that turns out so much lower than the last seconds said comes from a bucket that had kept what was not used."""
LATE_S, LATE_REQUESTS, LATE_SHARE = 6.0, 8.0, 0.98
"""The last seconds: so long, or as long as so many requests take; and the share of their rate that is believed."""
MOST_LATE_S = 50.0
MOST_STRANGERS = 3
SAME_WINDOW_S = 0.1
MEMORY_S = 900.0
REMEMBERED = 0.8
"""Below this share of a rate that was allowed within MEMORY_S it is soon asked for again."""
KEPT_OF_SERVED = 0.4
"""A flow is never set below this share of what was served in the last half minute."""
FLOW_SAMPLE_S = 10.0
"""A flow's first sample weighs as much as the requests of so many seconds."""

Decide = Callable[[str, Mapping[str, JSON]], None]


class RateLearner:
    def __init__(self, model: RateModel, decide: Decide) -> None:
        self._model = model
        self._decide = decide
        self._samples: list[list[float]] = []
        self._flow = RefillEstimator()
        self._windows = WindowCandidates()
        self._stores = False
        """The bucket was seen to keep what was not used."""
        self._has_asked = False
        """For the limit that the server states."""
        self._strangers = 0
        """Samples in a row that nothing known explains."""
        self._best: tuple[float, float] | None = None
        """(when, requests per second): what was allowed lately."""

    def forget(self) -> None:
        """It was no rate."""
        self._model.forget()
        self._samples, self._best, self._strangers = [], None, 0
        self._flow.forget()
        self._windows.forget()

    def learn(self, episode: Episode, seen: EpisodeEvidence) -> None:
        """An episode is over: something was let in again."""
        model, before = self._model, self._model.describe()
        if model.level and episode.level == model.level and episode.at < model.tilts_until:
            return  # what it asked for was no share of its own
        if episode.has_new_window:
            self._windows.forget()
        if model.limits is None or episode.level > model.level or episode.has_new_window:
            self._first(episode, seen)
        elif model.level == FLOW:
            self._again_as_flow(episode, seen)
        else:
            self._again_as_window(episode, seen)
        self._change_window(episode)
        self._heed_words(episode)
        model.learnt_at = seen.now
        model.is_sure = len(self._samples) > (0 if model.level else 1)
        model.counts_answers = model.level > 0 and len(self._samples) > 1 and blame.binding(self._samples)[ANSWERED]
        self._remember_best(seen.now)
        self._spare(episode, seen)
        self._decide("rate", {"old": before, "new": model.describe(), "scale_s": round(model.scale_s, 1)})

    def _spare(self, episode: Episode, seen: EpisodeEvidence) -> None:
        """What costs time is asked for rarely: a long episode, and a Retry-After that holds."""
        model = self._model
        if len(self._samples) > 1:
            model.scale_s = max(model.scale_s, min(LONGEST_SCALE_S, COSTLY * (seen.now - episode.at - 1)))
        if episode.retry_after_s > 1 and seen.trusts_hint and len(self._samples) > 1:
            model.scale_s = max(model.scale_s, min(TOLD_SCALE_S, COSTLY * episode.retry_after_s))

    def _first(self, episode: Episode, seen: EpisodeEvidence) -> None:
        model = self._model
        model.level = episode.level
        model.scale_s = model.shortest_scale_s
        self._best = None
        if model.level:
            self._start_over(list(episode.counts[model.level]), 1.0, seen)
        else:
            self._flow.measure(episode)
            self._start_over(ramp(episode, seen), FLOW_SAMPLE_S, seen)
            self._samples = []  # the ramp's rate is no sample of the flow
            if episode.told_window:
                model.scale_s = GUESS_SCALE_S

    def _start_over(self, sample: list[float], weight: float, seen: EpisodeEvidence) -> None:
        self._samples = [sample]
        self._set(blame.first_limits(sample, weight * sample[REQUESTS], seen.answers.spread()))

    def _set(self, limits: list[float]) -> None:
        """A unit in which nothing was counted does not limit."""
        self._model.limits = [limit if limit > 0 else math.inf for limit in limits]

    # ------------------------------------------------------------------ a flow
    def _again_as_flow(self, episode: Episode, seen: EpisodeEvidence) -> None:
        known = self._model.limits
        stretch = self._flow.measure(episode) or RefillInterval(ramp(episode, seen), 0.0)
        if stretch.stands_alone:
            self._take(self._less_loss(stretch.rates, episode, seen), episode, seen)
        else:
            self._stores = self._stores or (known is not None and stretch.rates[REQUESTS] < STORED * known[REQUESTS])
            self._samples = []
            self._set(blame.first_limits(stretch.rates, stretch.requests, seen.answers.spread()))
            self._model.scale_s = FIRST_SCALE_S
        self._keep_what_is_served(seen)

    def _less_loss(self, rates: list[float], episode: Episode, seen: EpisodeEvidence) -> list[float]:
        """A small bucket overflows while less is sent than it lets through, so the mean is too low: the last seconds are nearer.

        A large one stores it, and the mean is exact: that it does shows when the last seconds turn out too high. Unless they are
        higher by far: then the refill has risen meanwhile, and even a large one has overflowed.
        """
        seconds = min(MOST_LATE_S, max(LATE_S, LATE_REQUESTS / max(0.01, rates[REQUESTS])))
        more = max(1.0, LATE_SHARE * late(episode, seen, seconds)[REQUESTS] / rates[REQUESTS])
        return rates if self._stores and more < SURPLUS else [more * rate for rate in rates]

    def _keep_what_is_served(self, seen: EpisodeEvidence) -> None:
        served = seen.ledger.between(seen.now - 30, seen.now)[REQUESTS] / min(30.0, max(1.0, seen.running_s))
        short = KEPT_OF_SERVED * served / self._model.rate
        if short > 1 and self._model.limits is not None:
            self._model.limits = [limit * short for limit in self._model.limits]

    # ------------------------------------------------------------------ a window
    def _again_as_window(self, episode: Episode, seen: EpisodeEvidence) -> None:
        level = self._model.level
        sample = list(episode.counts[level])
        if episode.refused_trials >= 2 and max(self._shares(sample)) < LOWERED:
            sample = lowered(sample, episode, seen.ledger.counts(level, seen.now))
            self._samples = []
        self._take(sample, episode, seen)
        if self._strangers >= MOST_STRANGERS:
            self._fall_back_to_flow(episode, seen)

    def _fall_back_to_flow(self, episode: Episode, seen: EpisodeEvidence) -> None:
        """No window of this length explains the refusals: pace evenly, which is right under any."""
        served = seen.ledger.between(seen.now - 60, seen.now)
        seconds = min(60.0, max(1.0, seen.running_s))
        self.forget()
        self._set([max(episode.cost[unit], served[unit]) / seconds for unit in range(4)])
        self._model.scale_s = FIRST_SCALE_S
        self._flow.measure(episode)

    def _change_window(self, episode: Episode) -> None:
        """Another window may turn out to be the one that is counted."""
        self._windows.add(episode)
        window = self._windows.clearer_than(self._model.level)
        if window is None:
            return
        self._model.level, self._strangers = window, 0
        self._samples = self._windows.samples(window)
        self._set(self._agreed(episode, 0.0))
        self._model.scale_s = max(self._model.scale_s, self._model.shortest_scale_s)

    # ------------------------------------------------------------------ words
    def _heed_words(self, episode: Episode) -> None:
        """What the server states names the unit, where the count agrees; a limit that was not reached is asked for, once."""
        model, stated = self._model, episode.stated
        if not model.level or stated.window_s is None or abs(stated.window_s - model.window_s) >= SAME_WINDOW_S:
            return
        counts = episode.counts[model.level]
        unit = words.agreeing_unit(stated, self._samples)
        if unit is not None:
            cost = 0.0 if unit == REQUESTS else episode.cost[TOKENS if unit == ANSWERED else unit]
            limit = blame.window_limit([sample[unit] for sample in self._samples], unit, cost, 0.0)
            model.limits = words.limits_in(unit, limit, counts)
        elif stated.limit is not None and not self._has_asked and words.is_far_below(stated, counts):
            self._has_asked, self._samples = True, []
            model.limits = words.limits_in(words.careful_unit(stated), stated.limit, counts)

    # ------------------------------------------------------------------ samples
    def _take(self, sample: list[float], episode: Episode, seen: EpisodeEvidence) -> None:
        shares = self._shares(sample)
        dropped = max(shares) < SHORTFALL
        if dropped or min(shares) > SURPLUS or not self._explained(sample, episode):
            self._strangers += 1
            self._start_over(sample, 1.0 if self._model.level else FLOW_SAMPLE_S, seen)
        else:
            self._strangers = 0
            self._add(sample, episode, seen)
        if dropped:
            self._decide("drop", {"reached": [round(share, 3) for share in shares]})
        self._rescale(seen, again_soon=dropped or (self._model.level == FLOW and min(shares) > RISING))

    def _add(self, sample: list[float], episode: Episode, seen: EpisodeEvidence) -> None:
        if not self._samples:
            self._start_over(sample, 1.0 if self._model.level else FLOW_SAMPLE_S, seen)
            return
        self._samples = [*self._samples, sample][-blame.KEPT :]
        self._set(self._agreed(episode, episode.retry_after_s if seen.trusts_hint else 0.0))

    def _rescale(self, seen: EpisodeEvidence, *, again_soon: bool) -> None:
        """Twice as rare each time the limit is met where it was, and rare enough for the budget of refusals."""
        model = self._model
        goodput = max(0.05, seen.answers.count / max(1.0, seen.running_s))
        rarer_s = max(2 * model.scale_s, 0.5 / (REFUSED_BUDGET * goodput))
        model.scale_s = model.shortest_scale_s if again_soon else min(LONGEST_SCALE_S, rarer_s)

    def _explained(self, sample: list[float], episode: Episode) -> bool:
        """Some unit agrees with what is known; or all show more: a fixed window was met after its boundary."""
        known = self._samples
        if self._model.level == FLOW:
            return True
        more = bool(known) and all(sample[unit] >= min(old[unit] for old in known) for unit in range(3))
        return more or blame.agree([*known, sample][-blame.KEPT :], episode.cost)

    def _agreed(self, episode: Episode, retry_after_s: float) -> list[float]:
        limits = []
        for unit, binds in enumerate(blame.binding(self._samples)):
            values = [sample[unit] for sample in self._samples]
            if not binds:
                limits.append(blame.relaxed(values))
            elif self._model.level == FLOW:
                limits.append(blame.flow_limit(values))
            else:
                cost = 0.0 if unit == REQUESTS else episode.cost[TOKENS if unit == ANSWERED else unit]
                limits.append(blame.window_limit(values, unit, cost, retry_after_s))
        return limits

    def _shares(self, sample: list[float]) -> list[float]:
        """Of what is known, in each unit: one of them stays near 1 while the limit is the same."""
        known = self._model.limits or sample
        if self._samples:
            known = [statistics.median(seen[unit] for seen in self._samples) for unit in range(4)]
        return [value / max(1e-9, reference) for value, reference in zip(sample, known, strict=True)]

    def _remember_best(self, now: float) -> None:
        """A rate that was allowed lately is soon asked for again."""
        rate = self._model.rate
        if self._best is None or rate >= self._best[1] or now - self._best[0] > MEMORY_S:
            if len(self._samples) > 1:
                self._best = (now, rate)
        elif rate < REMEMBERED * self._best[1]:
            self._model.scale_s = self._model.shortest_scale_s

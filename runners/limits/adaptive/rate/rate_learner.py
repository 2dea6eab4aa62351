"""The learning of the rate model: each episode of refusals gives a sample of the limit, computed from the ledger.

The sample of a window is the count at its first refusal. The sample of a flow is what was accepted between two refusals, divided by the
time between. Samples that agree show in which unit the server counts; samples that no unit explains show that the model is wrong.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping

from providers.messages import JSON

from .. import stated_limits
from ..episode import Episode
from ..ledger import ANSWERED, NOTHING, REQUESTS, TOKENS, UNITS, WINDOWS_S, Amounts
from . import unit_inference
from .episode_evidence import EpisodeEvidence, first_rates, latest_rates, lowered_limits
from .guessed_window import GuessedWindow
from .probing_scale import budgeted_scale_s, longest_scale_s
from .rate_model import FIRST_SCALE_S, FLOW, RateModel
from .refill import RefillEstimator, RefillInterval
from .refusal_share import RefusalShare
from .windows import WindowCandidates

GUESS_SCALE_S = 5.0
"""Time scale for a window of unknown length: the guessed rate is low, and only the next refusal corrects it."""
GUESS_SCALE = 0.5
"""The same as a share of the window, where its length was found by trials."""
COSTLY = 60.0
"""Time before the limit is probed again, as a multiple of the length of an episode."""
CHEAP, LONG_WAIT_S = 10.0, 30.0
"""The same after a Retry-After that is no longer than this: at the end of a window there is little to lose."""
RETRY_AFTER_SCALE_S = 1800.0
"""Longest time scale where each refusal costs a Retry-After."""
SHORTFALL, SURPLUS, RISING = 0.9, 1.25, 1.1
"""Shares of the known limit at which it has dropped, has risen, or is still being searched for."""
LOWERED = 0.97
STORED = 0.93
"""A flow that is lower than this share of the last seconds' rate comes from a bucket that had stored unused quota."""
LATE_S, LATE_REQUESTS, LATE_SHARE = 6.0, 8.0, 0.98
"""Length of the last seconds, the number of requests that they must cover, and the share of their rate that is used."""
MOST_LATE_S = 50.0
MOST_UNEXPLAINED = 3
SAME_WINDOW_S = 0.1
MEMORY_S = 900.0
REMEMBERED = 0.8
"""Below this share of a rate that was allowed within MEMORY_S, the limit is soon probed again."""
KEPT_OF_SERVED = 0.4
"""Lowest flow as a share of the rate of the last half minute."""
FLOW_SAMPLE_S = 10.0
"""The first sample of a flow has the weight of this many seconds of requests."""

Decide = Callable[[str, Mapping[str, JSON]], None]


class RateLearner:
    """The learner that updates a RateModel at the end of each episode."""

    def __init__(self, model: RateModel, decide: Decide) -> None:
        self._model = model
        self._decide = decide
        self._samples: list[list[float]] = []
        self._flow = RefillEstimator()
        self._windows = WindowCandidates()
        self._guess = GuessedWindow(model)
        self._refusal_share = RefusalShare()
        self._stores_unused = False
        """Whether the bucket has been found to store unused quota."""
        self._has_asked = False
        """Whether the stated limit was tried."""
        self._unexplained = 0
        """Number of samples in a row that no unit explains."""
        self._best: tuple[float, float] | None = None
        """Time and requests per second of the highest rate that was allowed lately."""

    def forget(self) -> None:
        """Forget everything: the refusals had another cause than a rate limit."""
        self._model.forget()
        self._samples, self._best, self._unexplained = [], None, 0
        self._flow.forget()
        self._windows.forget()

    def learn(self, episode: Episode, evidence: EpisodeEvidence) -> None:
        """Learn from an episode that is over."""
        model, before = self._model, self._model.describe()
        if model.level and episode.level == model.level and episode.at < model.tilts_until:
            return  # during a tilt the count is no sample of the limit
        if self._follows_no_rate(episode, evidence):
            return
        if episode.has_new_window:
            self._windows.forget()
        if model.limits is None or episode.level > model.level or episode.has_new_window:
            self._first(episode, evidence)
        elif model.level == FLOW:
            self._again_as_flow(episode, evidence)
        else:
            self._again_as_window(episode, evidence)
        self._change_window(episode)
        self._use_stated_limit(episode)
        model.learnt_at = evidence.now
        self._guess.note_end(episode, evidence)
        model.is_sure = len(self._samples) > (0 if model.level else 1)
        model.counts_answers = (
            model.level > 0 and len(self._samples) > 1 and unit_inference.binding(self._samples)[ANSWERED]
        )
        self._remember_best(evidence.now)
        self._limit_probing(episode, evidence)
        self._tell(before)

    def _tell(self, before: Mapping[str, JSON]) -> None:
        """Report the limits, the number of refusals that they follow from, and the units in which the server may count."""
        model, count = self._model, len(self._samples)
        binding = unit_inference.binding(self._samples) if count > 1 else []
        counted_in = " or ".join(unit for unit, binds in zip(UNITS, binding, strict=False) if binds)
        evidence: dict[str, JSON] = {"samples": max(1, count), "counted_in": counted_in or None}
        self._decide("rate", {"old": before, "new": model.describe(), **evidence, "scale_s": round(model.scale_s, 1)})

    def _follows_no_rate(self, episode: Episode, evidence: EpisodeEvidence) -> bool:
        """Return whether a lower rate does not make refusals rarer. If so, restore the limits that were known before they were lowered."""
        model, share = self._model, self._refusal_share
        if model.limits is None:
            return False
        share.add(episode, [limit / model.window_s for limit in model.limits])
        earlier = share.earlier_limits()
        if earlier is not None:
            before = model.describe()
            self.forget()
            self._set(earlier)
            model.scale_s = FIRST_SCALE_S
            self._decide("rate", {"old": before, "new": model.describe(), "refused_at_any_rate": round(share.share, 3)})
        if share.is_held:
            model.learnt_at = evidence.now
        return share.is_held

    def _limit_probing(self, episode: Episode, evidence: EpisodeEvidence) -> None:
        """Probe the limit more rarely after a long episode or a Retry-After that was correct."""
        model = self._model
        if len(self._samples) > 1:
            costly_s = COSTLY * (evidence.now - episode.at - 1)
            model.scale_s = max(model.scale_s, min(longest_scale_s(model, evidence), costly_s))
        if episode.retry_after_s > 1 and evidence.trusts_hint and len(self._samples) > 1:
            times = COSTLY if episode.retry_after_s > LONG_WAIT_S else CHEAP
            model.scale_s = max(model.scale_s, min(RETRY_AFTER_SCALE_S, times * episode.retry_after_s))

    def _first(self, episode: Episode, evidence: EpisodeEvidence) -> None:
        model = self._model
        model.level = episode.level
        model.scale_s = model.shortest_scale_s
        is_silent = not episode.retry_after_s and episode.stated.window_s is None
        model.is_guessed = model.level > 0 and is_silent and model.window_s < WINDOWS_S[2]
        model.is_exact, model.is_told = not model.is_guessed, model.level > 0 and episode.retry_after_s > 0
        model.too_short_s = episode.known_at - episode.at if episode.refused_trials else 0.0
        self._best = None
        if model.level:
            self._start_over(list(episode.counts[model.level]), 1.0, evidence, episode.cost)
            if episode.has_new_window and not model.is_guessed:
                model.scale_s = max(GUESS_SCALE_S, GUESS_SCALE * model.window_s)
        else:
            self._flow.measure(episode)
            self._start_over(first_rates(episode, evidence), FLOW_SAMPLE_S, evidence)
            self._samples = []  # the rate during the start is no sample of the flow
            if episode.names_window:
                model.scale_s = GUESS_SCALE_S

    def _start_over(
        self, sample: list[float], weight: float, evidence: EpisodeEvidence, cost: Amounts = NOTHING
    ) -> None:
        self._samples = [sample]
        self._set(unit_inference.first_limits(sample, weight * sample[REQUESTS], evidence.answers.spread(), cost))

    def _set(self, limits: list[float]) -> None:
        """Set the limits; a unit in which nothing was counted does not limit."""
        self._model.limits = [limit if limit > 0 else math.inf for limit in limits]

    # ------------------------------------------------------------------ a flow
    def _again_as_flow(self, episode: Episode, evidence: EpisodeEvidence) -> None:
        known = self._model.limits
        stretch = self._flow.measure(episode) or RefillInterval(first_rates(episode, evidence), 0.0)
        if stretch.stands_alone:
            self._take(self._less_loss(stretch.rates, episode, evidence), episode, evidence)
        else:
            self._stores_unused = self._stores_unused or (
                known is not None and stretch.rates[REQUESTS] < STORED * known[REQUESTS]
            )
            self._samples = []
            self._set(unit_inference.first_limits(stretch.rates, stretch.requests, evidence.answers.spread()))
            self._model.scale_s = FIRST_SCALE_S
        self._keep_what_is_served(evidence)

    def _less_loss(self, rates: list[float], episode: Episode, evidence: EpisodeEvidence) -> list[float]:
        """Raise the mean rates to those of the last seconds where the bucket has overflowed.

        A small bucket overflows while less is sent than it refills, so the mean rate is too low. A large bucket stores the rest, so the
        mean is exact: this is known once the rate of the last seconds has been too high. If that rate is far above the mean, the refill
        has risen and even a large bucket has overflowed.
        """
        seconds = min(MOST_LATE_S, max(LATE_S, LATE_REQUESTS / max(0.01, rates[REQUESTS])))
        more = max(1.0, LATE_SHARE * latest_rates(episode, evidence, seconds)[REQUESTS] / rates[REQUESTS])
        if self._stores_unused and more < SURPLUS:
            more = math.sqrt(more) if more > RISING else 1.0
        return [more * rate for rate in rates]

    def _keep_what_is_served(self, evidence: EpisodeEvidence) -> None:
        seconds = min(30.0, max(1.0, evidence.running_s))
        served = evidence.ledger.between(evidence.now - 30, evidence.now)[REQUESTS] / seconds
        short = KEPT_OF_SERVED * served / self._model.rate
        if short > 1 and self._model.limits is not None:
            self._model.limits = [limit * short for limit in self._model.limits]

    # ------------------------------------------------------------------ a window
    def _again_as_window(self, episode: Episode, evidence: EpisodeEvidence) -> None:
        level = self._model.level
        if self._model.is_guessed and self._lengthen(episode, evidence):
            return
        sample = list(episode.counts[level])
        if episode.refused_trials >= 2 and max(self._shares(sample)) < LOWERED:
            sample = lowered_limits(sample, episode, evidence.ledger.counts(level, evidence.now))
            self._samples = []
        self._take(sample, episode, evidence)
        if self._unexplained >= MOST_UNEXPLAINED or not sample[REQUESTS]:
            self._fall_back_to_flow(episode, evidence)

    def _lengthen(self, episode: Episode, evidence: EpisodeEvidence) -> bool:
        """Lengthen a guessed window if it was too short, or change to a flow if it is no window. Return whether the limits stay."""
        sample = self._guess.lengthen(episode, evidence)
        if sample is None:
            return False
        self._samples = [sample]
        if self._guess.is_trickle:
            self._trickle(episode, evidence)
        return True

    def _trickle(self, episode: Episode, evidence: EpisodeEvidence) -> None:
        """Change to the flow of the last refusals."""
        stretch = self._flow.measure(episode)
        self._fall_back_to_flow(episode, evidence)
        if stretch is not None:
            self._set(stretch.rates)

    def _fall_back_to_flow(self, episode: Episode, evidence: EpisodeEvidence) -> None:
        """Return to a flow if no window of this length explains the refusals: even pacing is correct under any window."""
        served = evidence.ledger.between(evidence.now - 60, evidence.now)
        seconds = min(60.0, max(1.0, evidence.running_s))
        self.forget()
        self._set([max(episode.cost[unit], served[unit]) / seconds for unit in range(4)])
        self._model.scale_s = FIRST_SCALE_S
        self._flow.measure(episode)

    def _change_window(self, episode: Episode) -> None:
        """Change to another window if it explains the last refusals better."""
        self._windows.add(episode)
        window = self._windows.clearer_than(self._model.level)
        if window is None:
            return
        self._model.level, self._unexplained = window, 0
        self._samples = self._windows.samples(window)
        self._set(self._agreed(episode, 0.0, 0.0))
        self._model.scale_s = max(self._model.scale_s, self._model.shortest_scale_s)

    # ------------------------------------------------------------------ stated limits
    def _use_stated_limit(self, episode: Episode) -> None:
        """Use the stated limit: where a count agrees it shows the unit; a limit that was not reached is tried once."""
        model, stated = self._model, episode.stated
        if not model.level or stated.window_s is None or abs(stated.window_s - model.window_s) >= SAME_WINDOW_S:
            return
        counts = episode.counts[model.level]
        unit = stated_limits.agreeing_unit(stated, self._samples)
        if unit is not None:
            cost = 0.0 if unit == REQUESTS else episode.cost[TOKENS if unit == ANSWERED else unit]
            limit = unit_inference.window_limit([sample[unit] for sample in self._samples], unit, cost, 0.0)
            model.limits = stated_limits.limits_in(unit, limit, counts)
        elif stated.limit is not None and not self._has_asked and stated_limits.is_far_below(stated, counts):
            self._has_asked, self._samples = True, []
            model.limits = stated_limits.limits_in(stated_limits.careful_unit(stated), stated.limit, counts)

    # ------------------------------------------------------------------ samples
    def _take(self, sample: list[float], episode: Episode, evidence: EpisodeEvidence) -> None:
        shares = self._shares(sample)
        dropped = max(shares) < SHORTFALL
        if dropped or min(shares) > SURPLUS or not self._explained(sample, episode):
            self._unexplained += 1
            self._start_over(sample, 1.0 if self._model.level else FLOW_SAMPLE_S, evidence)
        else:
            self._unexplained = 0
            self._add(sample, episode, evidence)
        if dropped:
            self._decide("drop", {"reached": [round(share, 3) for share in shares]})
        self._rescale(evidence, again_soon=dropped or (self._model.level == FLOW and min(shares) > RISING))

    def _add(self, sample: list[float], episode: Episode, evidence: EpisodeEvidence) -> None:
        if not self._samples:
            self._start_over(sample, 1.0 if self._model.level else FLOW_SAMPLE_S, evidence)
            return
        self._samples = [*self._samples, sample][-unit_inference.KEPT :]
        self._set(
            self._agreed(episode, episode.retry_after_s if evidence.trusts_hint else 0.0, evidence.answers.spread())
        )

    def _rescale(self, evidence: EpisodeEvidence, *, again_soon: bool) -> None:
        """Double the time scale each time the limit is met again, and keep within REFUSED_BUDGET; reset it if `again_soon`."""
        model = self._model
        rarer_s = max(2 * model.scale_s, budgeted_scale_s(model, evidence))
        model.scale_s = model.shortest_scale_s if again_soon else min(longest_scale_s(model, evidence), rarer_s)

    def _explained(self, sample: list[float], episode: Episode) -> bool:
        """Return whether a unit agrees with the samples, or all are higher: a fixed window was met after its boundary."""
        known = self._samples
        if self._model.level == FLOW:
            return True
        more = bool(known) and all(sample[unit] >= min(old[unit] for old in known) for unit in range(3))
        return more or unit_inference.agree([*known, sample][-unit_inference.KEPT :], episode.cost)

    def _agreed(self, episode: Episode, retry_after_s: float, spread: float) -> list[float]:
        limits, requests = [], statistics.fmean(sample[REQUESTS] for sample in self._samples)
        for unit, binds in enumerate(unit_inference.binding(self._samples)):
            values = [sample[unit] for sample in self._samples]
            if not binds:
                limits.append(unit_inference.relaxed(values, requests, spread))
            elif self._model.level == FLOW:
                limits.append(unit_inference.flow_limit(values))
            else:
                cost = 0.0 if unit == REQUESTS else episode.cost[TOKENS if unit == ANSWERED else unit]
                limits.append(unit_inference.window_limit(values, unit, cost, retry_after_s))
        return limits

    def _shares(self, sample: list[float]) -> list[float]:
        """Return the sample as shares of the known limit, in each unit: one share stays near 1 while the limit is the same."""
        known = self._model.limits or sample
        if self._samples:
            known = [statistics.median(earlier[unit] for earlier in self._samples) for unit in range(4)]
        return [value / max(1e-9, reference) for value, reference in zip(sample, known, strict=True)]

    def _remember_best(self, now: float) -> None:
        """Remember the highest rate that was allowed lately; if the rate is far below it, probe again soon."""
        rate = self._model.rate
        self._model.was_higher = False
        if self._best is None or rate >= self._best[1] or now - self._best[0] > MEMORY_S:
            if len(self._samples) > 1:
                self._best = (now, rate)
        elif rate < REMEMBERED * self._best[1]:
            self._model.was_higher = True
            self._model.scale_s = self._model.shortest_scale_s

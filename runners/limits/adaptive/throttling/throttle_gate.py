"""The adaptive throttle gate: a refusal shuts it, then it opens for one trial at a time, and it is open again when a trial is accepted.

Without a Retry-After the time of a trial comes from the ledger: first as if the limit were a flow, then a window, an ever longer one.
A Retry-After is waited for exactly, after one trial for each of its doubts (the refusal came by chance, or for want of a slot). A long one
may be a constant without information (some gateways always send their window's length): this is tested once, by a single early trial at
the time that the ledger predicts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from providers.messages import JSON

from ...refusal_chance import CHANCE_TRIALS
from ..episode import Doubt, Episode
from ..ledger import UNITS, WINDOWS_S
from ..stated_limits import agreeing_unit
from .trials import (
    FLOW_STEP,
    ROUNDED_S,
    SAME_END_S,
    SAME_S,
    SHORTEST_GUESS_S,
    SHORTEST_WINDOW_S,
    WindowForecast,
    counts_down,
    guess,
    is_a_window,
    is_no_bucket,
    lengthen,
    named_window,
    step,
)

SAME_RETRY_AFTERS = 2
"""Episodes with an equal Retry-After after which it is taken as the length of a window."""
SHORT_S = 1.0
"""A shorter Retry-After gives no evidence of a window."""
LONG_S = 2.0
"""Shortest Retry-After for which an early trial is made."""
WORTH_S, WORTH = 1.0, 0.1
"""Shortest time that an early trial must save, and the same as a share of Retry-After."""
BURST = 2
"""Refusals of one burst that show that they do not come by chance."""
SLOT_TRIALS, SLOT_STEP = 4, 0.5
"""Trials in a row where a slot is what was missing before, and the time between them as a share of the latency."""
SHORTEST_S = 0.02
MOVED_S = 1.0


class AdaptiveThrottleGate:
    """The throttle gate of one adaptive limiter. Pure: every method takes `now` in loop seconds."""

    def __init__(self) -> None:
        self.opens_at = 0.0
        self.holds_until = 0.0
        """During a trial the other requests wait until its refusal would have arrived."""
        self.episode: Episode | None = None
        self.trusts_hint = True
        """Whether Retry-After has not been found too long."""
        self.trial_at = 0.0
        self._early_allowed = True
        self._checks = 0
        self._retry_afters: list[float] = []
        self._has_resized = False
        self._belief_at = 0.0
        """When the gate opens if the refusal is what it states, or what the ledger shows."""
        self._room_at = math.inf
        """When a window as long as Retry-After has room."""

    def until(self) -> float:
        """Return the time until which nothing may be sent."""
        return max(self.opens_at, self.holds_until)

    @property
    def tests_chance(self) -> bool:
        """Whether the next send is a trial of whether the refusal came by chance: it says nothing if it waits for anything."""
        return self.episode is not None and self.episode.trial == "chance"

    def check(self, sends: int, until: float) -> None:
        """Send the next `sends` requests one at a time, the first not before `until`."""
        self._checks = sends
        self.holds_until = until

    def is_checking(self, patience_s: float, now: float) -> bool:
        """Return whether checks remain to be sent or the result of the last one is not known yet."""
        return self._checks > 0 or now <= self.holds_until + patience_s

    def sent(self, patience_s: float, now: float) -> None:
        """Note that a request is sent: during an episode as a trial, after `check` as a check."""
        if self.episode is not None:
            self.episode.tries += 1
            if self.episode.trial == "chance" and now >= self._belief_at:
                self.episode.trial = None  # the wait is over: an answer says nothing of chance
            self.trial_at = now
            self.holds_until = now + patience_s
        elif self._checks:
            self._checks -= 1
            self.trial_at = now
            self.holds_until = now + patience_s

    def trial_was_accepted(self, now: float) -> bool:
        """Return whether a trial was sent and its refusal would have arrived by now."""
        return self.episode is not None and self.episode.tries > 0 and now >= self.until()

    def reopen(self) -> Episode:
        """End the episode and return it."""
        episode, self.episode = self.episode, None
        if episode is None:
            raise AssertionError("reopened without an episode")
        if episode.is_early and self.trial_at > episode.retry_until - SAME_END_S:
            self._forget_early(episode)
        if episode.is_early:
            self.trusts_hint = False
        return episode

    def restart(self, now: float) -> None:
        """Open and forget the refusal."""
        self.episode, self.opens_at, self.holds_until, self._checks = None, now, 0.0, 0

    def _forget_early(self, episode: Episode) -> None:
        """Forget the early trial that was planned: another one was sent instead, or it was sent when Retry-After was over."""
        episode.is_early = False
        episode.window_s = episode.expected_window_s

    def absorb(self, other: AdaptiveThrottleGate) -> None:
        """Merge with the gate of a limiter that met the same limit: the later time counts; two episodes become one, without doubts.

        A trial in flight counts no more: it was sent before the refusal that showed that the limit is shared.
        """
        self.opens_at = max(self.opens_at, other.opens_at)
        self.holds_until = max(self.holds_until, other.holds_until)
        if other.episode is not None:
            self._belief_at = max(self._belief_at if self.episode else 0.0, other._belief_at)
            self._room_at = max(self._room_at, other._room_at) if self.episode else other._room_at
        if self.episode is None:
            self.episode = other.episode
        elif other.episode is not None:
            self.episode.absorb(other.episode)
        self.settle_doubts()

    def settle_doubts(self) -> None:
        """Take the refusal to be by a rate limit. A trial in flight that tested another cause counts no more."""
        episode = self.episode
        if episode is None:
            return
        if episode.trial is not None:
            episode.tries, episode.trial = 0, None
            episode.known_at = max(episode.known_at, math.nextafter(self.trial_at, math.inf))
        if "chance" in episode.doubts:
            self._plan_early_if_short(episode)
        episode.doubts = []
        self.opens_at = max(self.opens_at, self._belief_at)

    def shut(self, episode: Episode, retry_after_s: float | None, forecast: WindowForecast, now: float) -> None:
        """Shut the gate at the first refusal of an episode."""
        self.episode = episode
        self._raise_level(episode, retry_after_s, forecast, now)
        episode.is_known = forecast.level > 0
        self._expect_window(episode, retry_after_s, forecast)
        self._set(episode, retry_after_s, forecast, now)

    def refuse_trial(self, retry_after_s: float | None, forecast: WindowForecast, now: float) -> None:
        """Shut the gate again after a trial was refused."""
        episode = self.episode
        if episode is None:
            raise AssertionError("a trial without an episode")
        episode.known_at = now
        episode.tries = 0
        tested, episode.trial = episode.trial, None
        first_at = episode.retry_until - episode.retry_after_s
        if retry_after_s == episode.retry_after_s and now - first_at > SAME_S and not episode.has_constant_wait:
            episode.has_constant_wait = True
            self._expect_window(episode, retry_after_s, forecast)
        if retry_after_s is not None and counts_down(episode, retry_after_s, now):
            self._early_allowed = False  # it counts down to one end
            episode.doubts = [doubt for doubt in episode.doubts if doubt == tested]
            episode.chance_trials = CHANCE_TRIALS
        if tested is not None:
            self._drop(episode, tested)
        else:
            episode.refused_trials += 1
            episode.refused_here += 1
            episode.latest = forecast.ledger.counts(max(1, episode.level), now)
            self._judge_early(episode, retry_after_s, now)
            if retry_after_s is None and self._is_no_flow(episode, now):
                lengthen(episode, forecast, now)
        self._set(episode, retry_after_s, forecast, now)

    def _drop(self, episode: Episode, doubt: Doubt) -> None:
        """Drop a cause that trials have refuted. Where slots are known to be limited, more trials are made."""
        episode.slot_trials += doubt == "slot"
        episode.chance_trials += doubt == "chance"
        if doubt == "chance":
            is_refuted = episode.chance_trials >= CHANCE_TRIALS
        else:
            is_refuted = not episode.is_about_slots or episode.slot_trials >= SLOT_TRIALS
        if is_refuted:
            episode.doubts.remove(doubt)

    def _is_no_flow(self, episode: Episode, now: float) -> bool:
        return episode.window_s > 0 or now + FLOW_STEP * (now - episode.at) > episode.flow_until

    def _judge_early(self, episode: Episode, retry_after_s: float | None, now: float) -> None:
        """Judge Retry-After by a refused early trial: it is a constant if its end has moved since the first refusal."""
        if not episode.is_early:
            return
        episode.is_early = False
        if retry_after_s is not None and now + retry_after_s > episode.retry_until + MOVED_S:
            self.trusts_hint = False
        else:
            first_at = episode.retry_until - episode.retry_after_s
            self._early_allowed = (
                episode.retry_after_s <= WINDOWS_S[1] and now <= first_at + MOVED_S
            )  # rounding hides a shorter countdown
            episode.window_s = episode.expected_window_s

    def extend(self, retry_after_s: float | None, now: float) -> None:
        """Extend the wait after another refusal of the same burst: several are no chance."""
        episode = self.episode
        if episode is None:
            return
        if retry_after_s is not None and self.trusts_hint and not episode.is_early:
            self._belief_at = max(self._belief_at, now + retry_after_s)
        episode.burst += 1
        if "chance" in episode.doubts and episode.burst >= BURST and not episode.tries:
            episode.doubts.remove("chance")
            episode.trial = None
            self._plan_early_if_short(episode)
        if episode.trial is None:
            self.opens_at = self._belief_at

    def answered(self, sent_at: float, now: float) -> None:
        """Note that a request was answered: a trial is accepted, and if a refusal was for want of a slot, there is one now."""
        episode = self.episode
        if episode is not None and episode.tries and sent_at >= self.trial_at:
            self.holds_until = min(self.holds_until, now)
        if episode is None or "slot" not in episode.doubts:
            return
        episode.was_answered = True
        if not episode.tries and episode.trial != "chance":
            episode.trial = "slot"
            self.opens_at = now

    def describe(self, now: float) -> Mapping[str, JSON]:
        """Build the evidence of a refusal, for the decision log."""
        episode = self.episode
        if episode is None:
            return {}
        accepted = {
            f"{round(seconds, 2):g} s": {unit: round(amount) for unit, amount in zip(UNITS, amounts, strict=True)}
            for seconds, amounts in zip(episode.windows_s, episode.counts, strict=True)
        }
        return {
            "wait_s": round(self.opens_at - now, 3),
            "next_test": episode.trial,
            "tested_window_s": round(episode.window_s, 2) or None,
            "refused_trials": episode.refused_trials,
            "accepted_before": accepted,
        }

    def _expect_window(self, episode: Episode, retry_after_s: float | None, forecast: WindowForecast) -> None:
        """Expect the known window, or one as long as Retry-After."""
        if retry_after_s is not None and is_a_window(episode, retry_after_s, forecast):
            episode.stated_s = retry_after_s
        if not episode.window_s:
            episode.window_s = episode.expected_window_s

    def _raise_level(self, episode: Episode, retry_after_s: float | None, forecast: WindowForecast, now: float) -> None:
        """Raise the level if the refusal states a window or its Retry-After is too long for a bucket."""
        if self._is_stated_window(episode, retry_after_s or 0.0, forecast):
            episode.level = max(episode.level, self._stated_window(episode, forecast))
        if retry_after_s is None:
            return
        episode.retry_after_s = retry_after_s
        episode.retry_until = now + retry_after_s
        episode.names_window = retry_after_s > SHORT_S and is_no_bucket(episode, retry_after_s)
        if self._is_length(episode, retry_after_s, forecast) or episode.names_window:
            episode.level = max(episode.level, named_window(episode, retry_after_s, forecast, now))

    def _is_stated_window(self, episode: Episode, retry_after_s: float, forecast: WindowForecast) -> bool:
        """Return whether the stated window is the one that refused: its count is the stated limit, or the wait fits no shorter one."""
        seconds = episode.stated.window_s
        if seconds is None or not SHORTEST_WINDOW_S <= seconds <= forecast.ledger.windows_s[-1]:
            return False
        counts = forecast.ledger.between(episode.at - seconds, episode.at)
        return (
            agreeing_unit(episode.stated, [counts]) is not None or WINDOWS_S[1] < retry_after_s <= seconds + ROUNDED_S
        )

    def _stated_window(self, episode: Episode, forecast: WindowForecast) -> int:
        """Return the level of the stated window; if none has its length, the shorter window is resized."""
        seconds = episode.stated.window_s or 0.0
        for window in (1, 2):
            if abs(seconds - forecast.ledger.windows_s[window]) < SAME_S:
                return window
        if self._has_resized:
            return 0
        self._has_resized = True
        forecast.ledger.resize(1, seconds)
        episode.resize(1, seconds, forecast.ledger)
        return 1

    def _is_length(self, episode: Episode, retry_after_s: float, forecast: WindowForecast) -> bool:
        """Return whether Retry-After is constant and as long as a window; once, the shorter window is resized where none has its length."""
        self._retry_afters = [*self._retry_afters, retry_after_s][-SAME_RETRY_AFTERS:]
        is_constant = (
            len(self._retry_afters) == SAME_RETRY_AFTERS and max(self._retry_afters) - min(self._retry_afters) < SAME_S
        )
        if not is_constant or not SHORTEST_WINDOW_S <= retry_after_s < forecast.ledger.windows_s[2]:
            return False
        if any(abs(retry_after_s - seconds) < SAME_S for seconds in forecast.ledger.windows_s):
            return True
        if self._has_resized:
            return False
        self._has_resized = True
        forecast.ledger.resize(1, retry_after_s)
        episode.resize(1, retry_after_s, forecast.ledger)
        return True

    def _set(self, episode: Episode, retry_after_s: float | None, forecast: WindowForecast, now: float) -> None:
        self.holds_until = 0.0
        if episode.is_early:
            self._forget_early(episode)
        if retry_after_s is None:
            self._belief_at, self._room_at = guess(episode, forecast, now), math.inf
        else:
            self._belief_at = now + max(SHORTEST_S, retry_after_s)
            self._room_at = forecast.expires_at(retry_after_s, episode, now)
            if retry_after_s > LONG_S and "chance" not in episode.doubts:
                self._belief_at = self._shortened(episode, self._belief_at, forecast, now)
        self.opens_at = self._belief_at
        if "chance" in episode.doubts:
            episode.trial = "chance"
            self.opens_at = now
        elif "slot" in episode.doubts and (
            episode.is_about_slots or episode.was_answered or not forecast.in_flight_tokens
        ):
            episode.trial = "slot"
            self.opens_at = min(self._belief_at, now + max(SHORTEST_GUESS_S, SLOT_STEP * forecast.latency_s))

    def _shortened(self, episode: Episode, retry_until: float, forecast: WindowForecast, now: float) -> float:
        """Return an earlier time for a long Retry-After: one early trial, or several if it was found too long before.

        The early trial is due when the window has room that is as long as the Retry-After.
        """
        retry_after_s = retry_until - now
        if not self.trusts_hint:
            early = (
                forecast.at(forecast.level, now) if forecast.level else forecast.expires_at(retry_after_s, episode, now)
            )
            return min(retry_until, early if not episode.refused_trials else now + retry_after_s * step(episode))
        self._plan_early(episode)
        return self._belief_at

    def _plan_early_if_short(self, episode: Episode) -> None:
        """Plan the early trial after several refusals at once in the first minute, unless Retry-After is long."""
        if episode.retry_after_s <= WINDOWS_S[1] and episode.running_s <= WINDOWS_S[2]:
            self._plan_early(episode)

    def _plan_early(self, episode: Episode) -> None:
        """Plan the early trial if Retry-After has not been tested and this saves much."""
        retry_after_s = episode.retry_after_s
        is_worth = self._room_at < self._belief_at - max(WORTH_S, WORTH * retry_after_s)
        if (
            retry_after_s > LONG_S
            and self.trusts_hint
            and self._early_allowed
            and not episode.refused_trials
            and is_worth
        ):
            episode.is_early, episode.window_s = True, retry_after_s
            self._belief_at = self._room_at

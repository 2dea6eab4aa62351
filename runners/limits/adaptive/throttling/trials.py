"""The times of trials after a refusal, and the window that a trial finds.

Without a Retry-After windows of usual lengths are tried one after another, from the shortest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..episode import Episode
from ..ledger import ANSWERED, CEILING, REQUESTS, SLACK_S, TOKENS, WINDOWS_S, SendLedger

MOST_KEPT_S = 60.0
"""Longest refill that a bucket is assumed to store."""
SAME_END_S, LATER_S = 0.3, 1.0
"""How far two Retry-Afters may be from the same end, if the second one came so much later."""
SAME_S, ROUNDED_S = 0.1, 1.05
"""How far a Retry-After may be from the ledger's time: later by the network latency, earlier by rounding up to whole seconds."""
BEGUN_S = 0.95
"""How long ago the first request of a window was sent, at most, so that Retry-After in whole seconds is as long as the window."""
SCALES_S = (3.5, 5.0, 7.0, 10.0, 14.0, 20.0, 30.0, 45.0, 60.0, 90.0)
"""The lengths of windows that are tried one after another: a longer one is assumed when a trial at the end of a shorter one was refused."""
SOON = 0.2
"""A trial that is accepted within this share of a window since the refusal shows nothing of the window."""
REPEATS = 2
"""Trials at the end of a window that is known, or is usual, before a longer one is assumed."""
LONGER = 1.1
"""A longer window is at least so many times as long."""
SHORTEST_GUESS_S = 0.2
SHORTEST_WINDOW_S = 3.0
"""Shortest Retry-After that is taken as the length of a window."""
FREED = 0.03
"""Share of a window that must have expired before a trial."""
FREED_KNOWN = 0.01
"""The same share where the window is known."""
LONGEST_STEP_S = 8.0
FLOW_STEP, FLOW_SHARE = 2.0, 0.25
"""The next trial of a flow is due after so many times the time since the refusal, and after such a share of the time between two sends."""


@dataclass(frozen=True, slots=True)
class WindowForecast:
    """The prediction of the time at which a window has room again."""

    ledger: SendLedger
    level: int
    """The level of the rate model."""
    in_flight_tokens: float
    counts_answers: bool
    """Whether the server counts tokens when the answer is complete."""
    latency_s: float
    is_guessed: bool = False
    """Whether the length of the known window may be wrong."""

    gap_s: float = 0.0
    """Time between two sends at the known rate of a flow."""

    def expires_at(self, seconds: float, episode: Episode, now: float) -> float:
        """Return when a small share of the requests that were accepted within `seconds` before the episode has expired."""
        expires_at = self.ledger.expires_at(seconds, FREED, episode.at)
        return max(now + SHORTEST_GUESS_S, now + 0.1 * seconds if expires_at is None else expires_at)

    def at(self, window: int, now: float) -> float:
        """Return when a small share of the requests in the window has expired."""
        held = self.ledger.counts(window, now)[REQUESTS]
        share = FREED_KNOWN if window and self.level else FREED
        frees_at = self.ledger.frees_at(window, REQUESTS, max(1.0, math.ceil(share * held)), now)
        return max(now + SHORTEST_GUESS_S, now + 0.1 * self.ledger.windows_s[window] if frees_at is None else frees_at)

    def answered_at(self, episode: Episode, now: float) -> float:
        """Return when the tokens answered in the window, with those in flight, are fewer than at the refusal."""
        window = max(1, episode.level)
        answered = self.ledger.counts(window, now)[ANSWERED]
        more = answered + self.in_flight_tokens - episode.counts[window][ANSWERED]
        frees_at = self.ledger.frees_at(window, ANSWERED, min(max(1.0, answered), more + 1), now)
        return max(now + SHORTEST_GUESS_S, frees_at or now)


def is_no_bucket(episode: Episode, retry_after_s: float) -> bool:
    """Return whether Retry-After is too long for a bucket: it would have stored more than a minute's refill to accept what it did."""
    requests = min(
        episode.counts[2][unit] / episode.cost[unit] for unit in (REQUESTS, CEILING) if episode.cost[unit] > 0
    )
    return retry_after_s * requests > MOST_KEPT_S + min(episode.windows_s[2], episode.running_s)


def counts_down(episode: Episode, retry_after_s: float, now: float) -> bool:
    """Return whether Retry-After has the end that it had at the first refusal, which is then the true one."""
    first_at = episode.retry_until - episode.retry_after_s
    return now - first_at > LATER_S and abs(now + retry_after_s - episode.retry_until) < SAME_END_S


def named_window(episode: Episode, retry_after_s: float, forecast: WindowForecast, now: float) -> int:
    """Return the window that has room again at the end of Retry-After, or is as long as it; 0 if there is none."""
    for window in (1, 2):
        if _is_as_long(retry_after_s, forecast.ledger.windows_s[window]):
            return window
        for unit in (REQUESTS, TOKENS, CEILING):
            frees_at = forecast.ledger.frees_at(window, unit, episode.cost[unit], now)
            if (
                frees_at is not None
                and episode.at + retry_after_s - ROUNDED_S < frees_at < now + retry_after_s + SAME_S
            ):
                return window
    return 0


def _is_as_long(seconds: float, window_s: float) -> bool:
    """Return whether a window of `window_s`, which the ledger counts a little longer than it is, may be one of `seconds`."""
    return window_s - SAME_S < seconds <= window_s + SLACK_S


def is_a_window(episode: Episode, retry_after_s: float, forecast: WindowForecast) -> bool:
    """Return whether Retry-After is the length of a window that the accepted requests have just begun to fill.

    In whole seconds it is that length whether it is the wait or a constant; a fraction is, where it is a constant. If it is the refill time
    of one request, a window of one request is learned next: that costs no more than a wait.
    """
    is_whole = abs(retry_after_s - round(retry_after_s)) < 1e-6
    if retry_after_s < SHORTEST_WINDOW_S or not (is_whole or episode.has_constant_wait):
        return False
    return forecast.expires_at(retry_after_s, episode, -math.inf) > episode.at + retry_after_s - BEGUN_S


def step(episode: Episode) -> float:
    """Return the share of a false Retry-After to wait after the refused trials so far: 1/8, 1/4, 1/2, 1."""
    return 2.0 ** min(0, episode.refused_trials - 4)


def guess(episode: Episode, forecast: WindowForecast, now: float) -> float:
    """Return the time of the next trial without a Retry-After.

    Under a flow it is soon, then three times later with each refusal. Under a window it is when the ledger predicts room, then ever later.
    """
    if not episode.window_s:
        return now + max(
            SHORTEST_GUESS_S,
            FLOW_SHARE * forecast.gap_s,
            FLOW_STEP * (now - episode.at) if episode.refused_here else 0.0,
        )
    if forecast.level and not episode.refused_here:
        return forecast.answered_at(episode, now) if forecast.counts_answers else forecast.at(episode.level, now)
    later_s = min(LONGEST_STEP_S, 0.5 * 2.0 ** (episode.refused_here - 1)) if episode.refused_here else 0.0
    opens_at = forecast.expires_at(episode.window_s, episode, now) + later_s
    is_usual = episode.window_s == WINDOWS_S[2] and episode.refused_here > 0
    return max(opens_at, forecast.answered_at(episode, now)) if is_usual or forecast.counts_answers else opens_at


def lengthen(episode: Episode, forecast: WindowForecast, now: float) -> None:
    """Assume the next longer window whose end is still to come. One that was known before is tried twice."""
    if forecast.is_guessed:
        return
    if (forecast.level or episode.window_s == WINDOWS_S[2]) and episode.refused_here <= REPEATS:
        return
    for seconds in SCALES_S:
        if seconds > LONGER * episode.window_s and forecast.expires_at(seconds, episode, now) > now + SHORTEST_GUESS_S:
            episode.window_s, episode.refused_here = seconds, 0
            episode.level = 1 if seconds <= WINDOWS_S[1] else 2
            return


def settle_window(episode: Episode, ledger: SendLedger, trial_at: float) -> None:
    """Count the episode in the window that its last trial has found; a flow has refilled as well if the trial came soon."""
    seconds = episode.window_s
    if not seconds:
        return
    if not episode.retry_after_s and not episode.is_known and trial_at - episode.at < SOON * seconds:
        episode.level = 0
        return
    for window in (1, 2):
        if _is_as_long(seconds, ledger.windows_s[window]):
            episode.level = window
            return
    window = 1 if seconds < WINDOWS_S[2] else 2
    ledger.resize(window, seconds)
    episode.resize(window, seconds, ledger)
    episode.level = window

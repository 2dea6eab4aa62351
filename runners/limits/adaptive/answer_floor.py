"""The answer floor: an instance shall not be answered less than a loop with one worker, which waits shortly after a refusal.

Where it is, that loop is tried. If more is answered, the loop is kept for a while and the limits are learned anew; if not, the limits stay
and it is tried again much later: some servers count refused requests, so a trial ends after a few refusals in a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from providers.messages import JSON, RateLimitHint

EVENT, BEGUN = "answer_floor", "answer_floor_trial"
SPAN_S = 180.0
"""Time over which answers are counted before a trial: two of the longest windows."""
TRIAL_S, KEPT_S = 90.0, 600.0
"""Length of a trial, the longest window, and how long a loop that is answered more is kept."""
HOPELESS_S = 30.0
"""Time from which a trial ends as soon as it is not answered more often."""
LOW = 0.5
"""Share of what one worker could get at most, below which its loop is tried."""
WAITED = 0.5
"""Share of the time in which a request must wait: with less, there was too little to send."""
RISE = 1.25
"""Factor by which the trial must be answered more often."""
RARER = 4.0
"""Factor on the time to the next trial after one in vain, unless most requests are refused anyway."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 5.0
FREE_S = 60.0
"""Time without a refusal after which the server is taken to admit more than one worker sends: the limits are learned anew."""
MOST_REFUSED = 4
"""Refusals in a row that end the loop."""
PAUSE_S = 90.0
"""Pause where a trial begins with these and most requests were refused before.

A server that counts refused requests admits none before its longest window is over.
"""

Verdict = Literal["going on", "in vain", "over"]


@dataclass(frozen=True, slots=True)
class Progress:
    """What a limiter has done so far."""

    answered: int
    refused: int
    idle_s: float
    latency_s: float
    now: float


class AnswerFloor:
    """The floor of one limiter. Pure: every method takes the time."""

    def __init__(self, decide: Callable[[str, Mapping[str, JSON]], None]) -> None:
        self.is_looping = False
        """Whether requests are sent one at a time."""
        self.opens_at = 0.0
        self.checks_at = -math.inf
        """When answers are counted next."""
        self._decide = decide
        self._span_s = SPAN_S
        self._mark: Progress | None = None
        self._before = self._most = 0.0
        self._began_at = self._refused_at = 0.0
        self._answered = self._refused_in_a_row = 0
        self._is_kept = False
        self._paused_s = 0.0
        self._is_mostly_refused = False

    def check(self, progress: Progress) -> None:
        """Begin a trial if too little was answered since the last check."""
        mark, now = self._mark, progress.now
        self._mark, self.checks_at = progress, now + self._span_s
        if mark is None:
            return
        span_s = now - mark.now
        answered, refused = progress.answered - mark.answered, progress.refused - mark.refused
        waited_s = span_s - (progress.idle_s - mark.idle_s)
        is_asked = waited_s >= WAITED * span_s or refused > answered
        self._before, self._most = answered / span_s, 1 / progress.latency_s
        if progress.refused and is_asked and self._before < LOW * self._most:
            self.is_looping, self._is_kept, self._began_at, self._refused_at = True, False, now, now
            self._answered = self._refused_in_a_row = 0
            self._paused_s, self.opens_at = 0.0, now
            self._is_mostly_refused = refused > answered
            self._decide(BEGUN, {"per_minute": _per_minute(self._before), "most_per_minute": _per_minute(self._most)})

    def answered(self, now: float) -> Verdict:
        """Count an answer to the loop."""
        self._answered += 1
        self._refused_in_a_row = 0
        is_free = now - self._refused_at >= FREE_S
        return self._judge(now, is_over=is_free or (self._is_kept and now - self._began_at >= KEPT_S))

    def refused(self, hint: RateLimitHint | None, now: float) -> Verdict:
        """Wait shortly after a refusal, or end the loop."""
        self._refused_in_a_row += 1
        self._refused_at = now
        told_s = hint.retry_after_s if hint is not None else None
        wait_s = told_s if told_s else FIRST_WAIT_S * 2.0 ** (self._refused_in_a_row - 1)
        self.opens_at = now + min(LONGEST_WAIT_S, wait_s)
        is_locked_out = self._refused_in_a_row >= MOST_REFUSED and not self._answered
        if is_locked_out and self._is_mostly_refused and not self._paused_s:
            self._refused_in_a_row, self._paused_s, self.opens_at = 0, PAUSE_S, now + PAUSE_S
            return "going on"
        return self._judge(now, is_over=self._refused_in_a_row >= MOST_REFUSED)

    def _judge(self, now: float, *, is_over: bool) -> Verdict:
        elapsed_s = now - self._began_at
        if self._is_kept:
            return self._end(now, "over") if is_over else "going on"
        is_hopeless = elapsed_s >= HOPELESS_S + self._paused_s and self._answered < RISE * self._before * elapsed_s
        if not is_over and not is_hopeless and elapsed_s < TRIAL_S + self._paused_s:
            return "going on"
        rate = self._answered / max(TRIAL_S, elapsed_s)
        self._is_kept = rate > RISE * self._before + 1 / TRIAL_S
        self._tell(rate, elapsed_s, is_over=is_over)
        if not self._is_kept:
            self._span_s *= 1.0 if self._is_mostly_refused else RARER
            return self._end(now, "in vain")
        self._span_s, self._began_at = SPAN_S, now
        return self._end(now, "over") if is_over else "going on"

    def _end(self, now: float, verdict: Verdict) -> Verdict:
        self.is_looping, self._mark, self.checks_at = False, None, now
        return verdict

    def _tell(self, rate: float, elapsed_s: float, *, is_over: bool) -> None:
        before, most, tried = (_per_minute(value) for value in (self._before, self._most, rate))
        kept = "the limits are learned anew" if is_over else f"it is kept for up to {KEPT_S / 60:.0f} min"
        outcome = f"and {kept}" if self._is_kept else "which is not clearly more, so the limits stay"
        pause = f" and a pause of {self._paused_s:.0f} s" if self._paused_s else ""
        sentence = (
            f"{before:g} requests per minute were answered, where one at a time could get up to {most:g}; one at a time "
            f"with short waits{pause} was tried for {elapsed_s:.0f} s: {tried:g} per minute, {outcome}"
        )
        self._decide(
            EVENT,
            {"before_per_minute": before, "tried_per_minute": tried, "is_kept": self._is_kept, "evidence": sentence},
        )


def _per_minute(rate: float) -> float:
    return round(60 * rate, 1)

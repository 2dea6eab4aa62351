"""The throttle gate: shut by a refusal, opened for one trial at a time, open again when a trial met no refusal.

Without a word from the server the ledger says when a window has room again: first as if the limit were a flow, then 10 s, then 60 s.
Retry-After is kept to the millisecond. One that is long may be a constant that says nothing (some gateways name their window's
length whatever is true): a single early trial at the ledger's own time finds out, once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from providers.messages import JSON

from ..episode import Episode
from ..ledger import ANSWERED, CEILING, REQUESTS, TOKENS, WINDOWS_S, SendLedger
from ..words import agreeing_unit

SAME_TOLD = 2
"""Episodes that name the same time make it a window's length ..."""
SHORTEST_WINDOW_S = 3.0
"""... if it is no shorter."""
SHORT_S = 1.0
"""A shorter Retry-After says nothing of a window."""
MOST_KEPT_S = 60.0
"""Of refill, that a bucket keeps."""
SAME_S, ROUNDED_S = 0.1, 1.05
"""How far a Retry-After may be from the ledger's time: later by the way to the server, earlier by rounding up to whole seconds."""
LONG_S = 20.0
"""A Retry-After that is worth an early trial ..."""
WORTH_S = 3.0
"""... if that comes so much earlier."""
SHORTEST_S = 0.02
SHORTEST_GUESS_S = 0.2
FREED = 0.03
"""Share of a window that is let go before it is tried again ..."""
FREED_KNOWN = 0.01
"""... or this, where the window is known."""
LONGEST_STEP_S = 8.0
FLOW_STEP = 2.0
MOVED_S = 1.0


@dataclass(frozen=True, slots=True)
class WindowRoom:
    """When a window should have room again."""

    ledger: SendLedger
    level: int
    """Of the rate model."""
    in_flight_tokens: float
    counts_answers: bool
    """The server was found to count tokens when they are answered."""

    def at(self, window: int, now: float) -> float:
        """When a small part of the requests that fill the window has left it."""
        held = self.ledger.counts(window, now)[REQUESTS]
        share = FREED_KNOWN if window and self.level else FREED
        frees_at = self.ledger.frees_at(window, REQUESTS, max(1.0, math.ceil(share * held)), now)
        return max(now + SHORTEST_GUESS_S, now + 0.1 * self.ledger.windows_s[window] if frees_at is None else frees_at)

    def answered_at(self, episode: Episode, now: float) -> float:
        """When less is answered within the window than at the refusal, all that is in flight included."""
        window = max(1, episode.level)
        answered = self.ledger.counts(window, now)[ANSWERED]
        more = answered + self.in_flight_tokens - episode.counts[window][ANSWERED]
        frees_at = self.ledger.frees_at(window, ANSWERED, min(max(1.0, answered), more + 1), now)
        return max(now + SHORTEST_GUESS_S, frees_at or now)


class AdaptiveThrottleGate:
    def __init__(self) -> None:
        self.opens_at = 0.0
        self.holds_until = 0.0
        """One request is out on trial: the others wait until a refusal would have come back."""
        self.episode: Episode | None = None
        self.trusts_hint = True
        """Retry-After was not yet found to overstate."""
        self.trial_at = 0.0
        self._early_allowed = True
        self._checks = 0
        self._told: list[float] = []
        self._has_resized = False

    def until(self) -> float:
        return max(self.opens_at, self.holds_until)

    def check(self, sends: int, until: float) -> None:
        """Let the next `sends` go one at a time, the first not before `until`."""
        self._checks = sends
        self.holds_until = until

    def is_checking(self, patience_s: float, now: float) -> bool:
        """Fewer checks than asked for went out so far, or the last one has only just."""
        return self._checks > 0 or now <= self.holds_until + patience_s

    def sent(self, patience_s: float, now: float) -> None:
        if self.episode is not None:
            self.episode.tries += 1
            self.trial_at = now
            self.holds_until = now + patience_s
        elif self._checks:
            self._checks -= 1
            self.trial_at = now
            self.holds_until = now + patience_s

    def trial_was_accepted(self, now: float) -> bool:
        return self.episode is not None and self.episode.tries > 0 and now >= self.until()

    def reopen(self) -> Episode:
        """The episode that is over."""
        episode, self.episode = self.episode, None
        if episode is None:
            raise AssertionError("reopened without an episode")
        if episode.is_early:
            self.trusts_hint = False
        return episode

    def absorb(self, other: AdaptiveThrottleGate) -> None:
        """Wait for the later of two moments; two episodes of one limit are one."""
        self.opens_at = max(self.opens_at, other.opens_at)
        self.holds_until = max(self.holds_until, other.holds_until)
        if self.episode is None:
            self.episode = other.episode
        elif other.episode is not None:
            self.episode.absorb(other.episode)

    def shut(self, episode: Episode, retry_after_s: float | None, room: WindowRoom, now: float) -> None:
        """The first refusal of an episode."""
        self.episode = episode
        self._raise_level(episode, retry_after_s, room, now)
        self._set(episode, retry_after_s, room, now)

    def refuse_trial(self, retry_after_s: float | None, room: WindowRoom, now: float) -> None:
        episode = self.episode
        if episode is None:
            raise AssertionError("a trial without an episode")
        episode.refused_trials += 1
        episode.refused_here += 1
        episode.latest = room.ledger.counts(max(1, episode.level), now)
        episode.known_at = now
        episode.tries = 0
        self._judge_early(episode, retry_after_s, now)
        if retry_after_s is None and episode.level < len(WINDOWS_S) - 1 and self._is_no_flow(episode, now):
            episode.level += 1
            episode.refused_here = 0
        self._set(episode, retry_after_s, room, now)

    def _is_no_flow(self, episode: Episode, now: float) -> bool:
        return episode.level > 0 or now + FLOW_STEP * (now - episode.at) > episode.flow_until

    def _judge_early(self, episode: Episode, retry_after_s: float | None, now: float) -> None:
        """A true Retry-After ends when the first one did; one that has moved on is a constant."""
        if not episode.is_early:
            return
        episode.is_early = False
        if retry_after_s is not None and now + retry_after_s > episode.told_until + MOVED_S:
            self.trusts_hint = False
        else:
            self._early_allowed = False

    def extend(self, retry_after_s: float | None, now: float) -> None:
        """Another refusal of the same burst."""
        if retry_after_s is not None and self.trusts_hint and self.episode is not None and not self.episode.is_early:
            self.opens_at = max(self.opens_at, now + retry_after_s)

    def describe(self, now: float) -> Mapping[str, JSON]:
        """The evidence of a refusal."""
        episode = self.episode
        if episode is None:
            return {}
        counts = {
            f"{round(seconds, 2):g} s": [round(x) for x in seen]
            for seconds, seen in zip(episode.windows_s, episode.counts, strict=True)
        }
        return {
            "counts": counts,
            "level": episode.level,
            "refused_trials": episode.refused_trials,
            "wait_s": round(self.opens_at - now, 3),
        }

    def _raise_level(self, episode: Episode, retry_after_s: float | None, room: WindowRoom, now: float) -> None:
        """A Retry-After that is long for the rate betrays a window; words name it."""
        if self._is_stated_window(episode, retry_after_s or 0.0, room):
            episode.level = max(episode.level, self._stated_window(episode, room))
        if retry_after_s is None:
            return
        episode.retry_after_s = retry_after_s
        episode.told_until = now + retry_after_s
        episode.told_window = retry_after_s > SHORT_S and is_no_bucket(episode, retry_after_s)
        if episode.told_window:
            self._resize_window(episode, retry_after_s, room)
            episode.level = max(episode.level, _window_told(episode, retry_after_s, room, now))

    def _is_stated_window(self, episode: Episode, retry_after_s: float, room: WindowRoom) -> bool:
        """The stated limit was counted within it, or its wait is too long for any shorter one."""
        seconds = episode.stated.window_s
        if seconds is None or not SHORTEST_WINDOW_S <= seconds <= room.ledger.windows_s[-1]:
            return False
        counts = room.ledger.between(episode.at - seconds, episode.at)
        return (
            agreeing_unit(episode.stated, [counts]) is not None or WINDOWS_S[1] < retry_after_s <= seconds + ROUNDED_S
        )

    def _stated_window(self, episode: Episode, room: WindowRoom) -> int:
        """The level that counts over the stated time; the one of the shorter window is given its length where none does."""
        seconds = episode.stated.window_s or 0.0
        for window in (1, 2):
            if abs(seconds - room.ledger.windows_s[window]) < SAME_S:
                return window
        if self._has_resized:
            return 0
        self._has_resized = True
        room.ledger.resize(1, seconds)
        episode.resize(1, seconds, room.ledger)
        return 1

    def _resize_window(self, episode: Episode, retry_after_s: float, room: WindowRoom) -> None:
        """A gateway that names one time after every refusal names its window's length: once, and if it is none that is known."""
        self._told = [*self._told, retry_after_s][-SAME_TOLD:]
        is_constant = len(self._told) == SAME_TOLD and max(self._told) - min(self._told) < SAME_S
        known = any(abs(retry_after_s - seconds) < SAME_S for seconds in room.ledger.windows_s)
        if (
            is_constant
            and not known
            and not self._has_resized
            and SHORTEST_WINDOW_S <= retry_after_s < room.ledger.windows_s[2]
        ):
            self._has_resized = True
            room.ledger.resize(1, retry_after_s)
            episode.resize(1, retry_after_s, room.ledger)

    def _set(self, episode: Episode, retry_after_s: float | None, room: WindowRoom, now: float) -> None:
        self.holds_until = 0.0
        if retry_after_s is None:
            opens_at = guess(episode, room, now)
        else:
            opens_at = now + max(SHORTEST_S, retry_after_s)
            if retry_after_s > LONG_S:
                opens_at = self._shortened(episode, opens_at, room, now)
        self.opens_at = max(self.opens_at, opens_at)

    def _shortened(self, episode: Episode, told_until: float, room: WindowRoom, now: float) -> float:
        """A long Retry-After is tried once before its end; one that was found false, a few times."""
        early = room.at(2, now)
        if not self.trusts_hint:
            return min(told_until, early if not episode.refused_trials else now + (told_until - now) * _step(episode))
        if self._early_allowed and not episode.refused_trials and early < told_until - WORTH_S:
            episode.is_early = True
            return early
        return told_until


def is_no_bucket(episode: Episode, retry_after_s: float) -> bool:
    """A bucket that needs so long for one request would have had to keep more than a minute's refill to let in what it did."""
    requests = min(
        episode.counts[2][unit] / episode.cost[unit] for unit in (REQUESTS, CEILING) if episode.cost[unit] > 0
    )
    return retry_after_s * requests > MOST_KEPT_S + min(episode.windows_s[2], episode.running_s)


def _window_told(episode: Episode, retry_after_s: float, room: WindowRoom, now: float) -> int:
    """The window that has room when the refusal says, or is as long as it says; none where its length is another one."""
    for window in (1, 2):
        if abs(retry_after_s - room.ledger.windows_s[window]) < SAME_S:
            return window
        for unit in (REQUESTS, TOKENS, CEILING):
            frees_at = room.ledger.frees_at(window, unit, episode.cost[unit], now)
            if (
                frees_at is not None
                and episode.at + retry_after_s - ROUNDED_S < frees_at < now + retry_after_s + SAME_S
            ):
                return window
    return 0


def _step(episode: Episode) -> float:
    """Share of a false Retry-After that is waited after so many trials: an eighth, a quarter, a half, all."""
    return min(1.0, 2.0 ** (episode.refused_trials - 4))


def guess(episode: Episode, room: WindowRoom, now: float) -> float:
    """As a flow: soon, then three times as late. As a window: when the ledger says that it has room, later and later."""
    if episode.level == 0:
        return now + max(SHORTEST_GUESS_S, FLOW_STEP * (now - episode.at) if episode.refused_here else 0.0)
    if not episode.refused_here:
        return room.answered_at(episode, now) if room.counts_answers else room.at(episode.level, now)
    later_s = min(LONGEST_STEP_S, 0.5 * 2.0 ** (episode.refused_here - 1))
    return max(room.at(episode.level, now) + later_s, room.answered_at(episode, now))

"""The ledger of accepted requests of the last minute, from which limits are inferred.

Every send is counted in three units (one request; tokens used; prompt + max_tokens) at its send time, and its tokens once more when it is
answered, for servers that count then. A refused send is removed; an estimate is corrected when the usage is known. Invariant: a count
equals the sum over the entries inside the window.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from operator import attrgetter

REQUESTS, TOKENS, CEILING, ANSWERED = range(4)
UNITS = ("requests", "tokens", "prompt + max_tokens", "tokens when answered")
WINDOWS_S = (1.0, 10.0, 60.0)
"""The windows that providers use."""
SLACK_S = 0.03
"""A window is counted this much longer than it is: requests arrive at the server with a varying delay."""
KEPT_S = 100.0
"""The longest window and the time that a refusal takes: counts are needed as of the time the refused request was sent."""
GRAIN_S = 0.01
"""Sends closer together than this share an entry, so that a minute has at most 6,000 entries."""

Amounts = tuple[float, float, float, float]
NOTHING: Amounts = (0.0, 0.0, 0.0, 0.0)


class LedgerEntry:
    """The amounts sent or answered within one grain. It expires by its last moment, so that no amount expires too early."""

    __slots__ = ("amounts", "at", "since")

    def __init__(self, amounts: Amounts, now: float) -> None:
        self.since = now
        self.at = now
        self.amounts = list(amounts)

    def copy(self) -> LedgerEntry:
        """Return an independent copy."""
        copied = LedgerEntry(NOTHING, self.since)
        copied.at, copied.amounts = self.at, list(self.amounts)
        return copied


class _LedgerWindow:
    """The entries younger than `seconds`. The count is the total ever added minus `left`, the total that has expired."""

    __slots__ = ("entries", "left", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.entries: deque[LedgerEntry] = deque()
        self.left = [0.0, 0.0, 0.0, 0.0]

    def forget(self, now: float) -> None:
        entries, left, horizon = self.entries, self.left, now - self.seconds
        while entries and entries[0].at <= horizon:
            gone = entries.popleft().amounts
            left[0] += gone[0]
            left[1] += gone[1]
            left[2] += gone[2]
            left[3] += gone[3]

    def holds(self, entry: LedgerEntry) -> bool:
        return bool(self.entries) and self.entries[0].at <= entry.at

    def merge(self, entries: Iterable[LedgerEntry], total: Sequence[float]) -> None:
        """Add entries that were counted elsewhere; `total` is everything ever added here, including them."""
        self.entries = deque(sorted([*self.entries, *entries], key=attrgetter("at")))
        self.left = [amount - sum(entry.amounts[unit] for entry in self.entries) for unit, amount in enumerate(total)]


class SendLedger:
    """The ledger of one limiter group. Pure: every method takes `now` in seconds, which must not decrease."""

    def __init__(self) -> None:
        self.total = [0.0, 0.0, 0.0, 0.0]
        """Total amounts accepted so far, in each unit."""
        self.windows_s = list(WINDOWS_S)
        self._windows = [_LedgerWindow(seconds + SLACK_S) for seconds in WINDOWS_S]
        self._kept = _LedgerWindow(KEPT_S)
        self._all = (*self._windows, self._kept)
        self._last: LedgerEntry | None = None

    def add(self, amounts: Amounts, now: float) -> LedgerEntry:
        """Count amounts at `now` and return their entry, for `correct`."""
        total, last = self.total, self._last
        requests, tokens, ceiling, answered = amounts
        total[0] += requests
        total[1] += tokens
        total[2] += ceiling
        total[3] += answered
        if last is not None and now - last.since < GRAIN_S:
            last.at = now
            merged = last.amounts
            merged[0] += requests
            merged[1] += tokens
            merged[2] += ceiling
            merged[3] += answered
            return last
        entry = self._last = LedgerEntry(amounts, now)
        for window in self._all:
            window.forget(now)
            window.entries.append(entry)
        return entry

    def correct(self, entry: LedgerEntry, by: Amounts) -> None:
        """Change the amounts of an entry in the windows that still hold it and in those that it has left."""
        for unit, amount in enumerate(by):
            if amount:
                self.total[unit] += amount
                entry.amounts[unit] += amount
        for window in self._all:
            if not window.holds(entry):
                for unit, amount in enumerate(by):
                    window.left[unit] += amount

    def counts(self, window: int, now: float) -> list[float]:
        """Return the amounts in windows_s[window] plus the slack, in each unit: what may still count against the next send."""
        kept = self._windows[window]
        kept.forget(now)
        total, left = self.total, kept.left
        return [total[0] - left[0], total[1] - left[1], total[2] - left[2], total[3] - left[3]]

    def resize(self, window: int, seconds: float) -> None:
        """Change the length of a window, at most to KEPT_S."""
        self.windows_s[window] = seconds
        resized = self._windows[window] = _LedgerWindow(seconds + SLACK_S)
        resized.entries.extend(self._kept.entries)
        resized.left = list(self._kept.left)
        self._all = (*self._windows, self._kept)

    def absorb(self, other: SendLedger, now: float) -> None:
        """Add what `other` has accepted; later corrections in `other` are not applied here."""
        for unit in range(4):
            self.total[unit] += other.total[unit]
        copies = [entry.copy() for entry in other._kept.entries]
        for window in self._all:
            window.forget(now)
            window.merge((entry for entry in copies if entry.at > now - window.seconds), self.total)
        self._last = None

    def between(self, after: float, until: float) -> list[float]:
        """Return the exact amounts of a period within the last KEPT_S, in each unit. Slow: only learning uses it."""
        sums = [0.0, 0.0, 0.0, 0.0]
        for entry in reversed(self._kept.entries):
            if entry.at <= after:
                break
            if entry.at <= until:
                for unit in range(4):
                    sums[unit] += entry.amounts[unit]
        return sums

    def last_at(self, requests: float, until: float) -> float | None:
        """Return when the first of the last so many requests until then was sent; None if fewer are kept."""
        for entry in reversed(self._kept.entries):
            if entry.at <= until:
                requests -= entry.amounts[REQUESTS]
                if requests <= 1e-9:
                    return entry.since
        return None

    def expires_at(self, seconds: float, share: float, at: float) -> float | None:
        """Return when a share of the requests accepted within `seconds` before `at` will be older than that; None if there are none."""
        left = max(1.0, math.ceil(share * self.between(at - seconds, at)[REQUESTS]))
        for entry in self._kept.entries:
            if at - seconds < entry.at <= at:
                left -= entry.amounts[REQUESTS]
                if left <= 0:
                    return entry.at + seconds + SLACK_S
        return None

    def frees_at(self, window: int, unit: int, amount: float, now: float) -> float | None:
        """Return when `amount` of the window's content will have expired; None if the window holds less."""
        kept = self._windows[window]
        kept.forget(now)
        for entry in kept.entries:
            amount -= entry.amounts[unit]
            if amount <= 1e-9:
                return entry.at + kept.seconds
        return None

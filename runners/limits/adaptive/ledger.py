"""What was accepted in the last minute: the ruler that limits are read off.

Every send stands here under three units (one request; tokens as used; prompt + max_tokens) at the time it went out, and its tokens
once more at the time it was answered, for servers that count afterwards. A refused send is taken out, an estimate is put right when
the usage is known. Invariant: what is counted equals the sum over the entries inside the window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from operator import attrgetter

REQUESTS, TOKENS, CEILING, ANSWERED = range(4)
UNITS = ("requests", "tokens", "prompt + max_tokens", "tokens when answered")
WINDOWS_S = (1.0, 10.0, 60.0)
"""The windows that the field uses."""
SLACK_S = 0.03
"""A window is counted this much longer than it is: requests reach the server later than they go out, and not all equally late."""
KEPT_S = 64.0
"""A minute, and as long as a refusal takes to come back: counts are asked for as of when it was sent."""
GRAIN_S = 0.01
"""Sends closer than this share an entry, so that a minute is 6,000 entries at any rate."""

Amounts = tuple[float, float, float, float]
NOTHING: Amounts = (0.0, 0.0, 0.0, 0.0)


class LedgerEntry:
    """What was sent or answered within one grain; forgotten by its last moment, which errs on the careful side."""

    __slots__ = ("amounts", "at", "since")

    def __init__(self, amounts: Amounts, now: float) -> None:
        self.since = now
        self.at = now
        self.amounts = list(amounts)

    def copy(self) -> LedgerEntry:
        copied = LedgerEntry(NOTHING, self.since)
        copied.at, copied.amounts = self.at, list(self.amounts)
        return copied


class _LedgerWindow:
    """The entries younger than `seconds`, and what has left them: `counted` is everything ever added less what has left."""

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
        """Add entries that were counted elsewhere; `total` is everything ever added here, they included."""
        self.entries = deque(sorted([*self.entries, *entries], key=attrgetter("at")))
        self.left = [amount - sum(entry.amounts[unit] for entry in self.entries) for unit, amount in enumerate(total)]


class SendLedger:
    """Pure: every method takes `now` in seconds, which must not go back."""

    def __init__(self) -> None:
        self.total = [0.0, 0.0, 0.0, 0.0]
        """Everything ever accepted."""
        self.windows_s = list(WINDOWS_S)
        self._windows = [_LedgerWindow(seconds + SLACK_S) for seconds in WINDOWS_S]
        self._kept = _LedgerWindow(KEPT_S)
        self._all = (*self._windows, self._kept)
        self._last: LedgerEntry | None = None

    def add(self, amounts: Amounts, now: float) -> LedgerEntry:
        total, last = self.total, self._last
        requests, tokens, ceiling, answered = amounts
        total[0] += requests
        total[1] += tokens
        total[2] += ceiling
        total[3] += answered
        if last is not None and now - last.since < GRAIN_S:
            self._merge(last, amounts, now)
            return last
        entry = self._last = LedgerEntry(amounts, now)
        for window in self._all:
            window.forget(now)
            window.entries.append(entry)
        return entry

    def _merge(self, entry: LedgerEntry, amounts: Amounts, now: float) -> None:
        entry.at = now
        for unit in range(4):
            entry.amounts[unit] += amounts[unit]

    def correct(self, entry: LedgerEntry, by: Amounts) -> None:
        """Change what an entry says, wherever it is by now."""
        gone = [window for window in self._all if not window.holds(entry)]
        for unit, amount in enumerate(by):
            if amount:
                self.total[unit] += amount
                entry.amounts[unit] += amount
                for window in gone:
                    window.left[unit] += amount

    def counts(self, window: int, now: float) -> list[float]:
        """In each unit, over windows_s[window] and the slack: what may still count against the next send."""
        kept = self._windows[window]
        kept.forget(now)
        total, left = self.total, kept.left
        return [total[0] - left[0], total[1] - left[1], total[2] - left[2], total[3] - left[3]]

    def resize(self, window: int, seconds: float) -> None:
        """The server turned out to count over another time, a minute at most."""
        self.windows_s[window] = seconds
        resized = self._windows[window] = _LedgerWindow(seconds + SLACK_S)
        resized.entries.extend(self._kept.entries)
        resized.left = list(self._kept.left)
        self._all = (*self._windows, self._kept)

    def absorb(self, other: SendLedger, now: float) -> None:
        """Count what `other` has accepted, too; later corrections there are not followed here."""
        for unit in range(4):
            self.total[unit] += other.total[unit]
        copies = [entry.copy() for entry in other._kept.entries]
        for window in self._all:
            window.forget(now)
            window.merge((entry for entry in copies if entry.at > now - window.seconds), self.total)
        self._last = None

    def between(self, after: float, until: float) -> list[float]:
        """In each unit, exactly, over a stretch of the last minute; slower, for the rare moments of learning."""
        sums = [0.0, 0.0, 0.0, 0.0]
        for entry in reversed(self._kept.entries):
            if entry.at <= after:
                break
            if entry.at <= until:
                for unit in range(4):
                    sums[unit] += entry.amounts[unit]
        return sums

    def frees_at(self, window: int, unit: int, amount: float, now: float) -> float | None:
        """When `amount` of what now fills the window will have left it; None where the window holds less."""
        kept = self._windows[window]
        kept.forget(now)
        for entry in kept.entries:
            amount -= entry.amounts[unit]
            if amount <= 1e-9:
                return entry.at + kept.seconds
        return None

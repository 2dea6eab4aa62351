"""The time that the next send waited at each gate, in seconds. The parts add up to the time since the first call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Blocker = Literal["gate", "cap", "pacer", "ledger", "quota", "idle"]
BLOCKERS: tuple[Blocker, ...] = ("gate", "cap", "pacer", "ledger", "quota", "idle")


class BlockedTime:
    """The time at each gate. The time between two `acquire` calls counts for the gate that blocked the first one; after a Go it is idle."""

    def __init__(self) -> None:
        self._spent = dict.fromkeys(BLOCKERS, 0.0)
        self._blocker: Blocker = "idle"
        self._since: float | None = None

    def turn(self, blocker: Blocker, now: float) -> None:
        """Count the time from now on for `blocker`."""
        if self._since is not None:
            self._spent[self._blocker] += now - self._since
        self._since = now
        self._blocker = blocker

    def cap_s(self, now: float) -> float:
        """Return the time under the concurrency cap, in which the rate was not tested."""
        return self._under("cap", now)

    def under(self, now: float) -> Mapping[str, float]:
        """Return the time at each gate up to `now`."""
        return {blocker: self._under(blocker, now) for blocker in BLOCKERS}

    def _under(self, blocker: Blocker, now: float) -> float:
        running = blocker == self._blocker and self._since is not None
        return self._spent[blocker] + (now - self._since if running and self._since is not None else 0.0)

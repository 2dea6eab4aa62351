"""The clock of one call: it measures the phases and bounds each of them with a single timer that moves along.

connect → first_token → between_tokens, and the call's deadline ("attempt") over all. An answer that comes whole has no first token: from
the send on, the deadline alone bounds it. The timer is asyncio's, so a cancellation from
outside is never mistaken for ours.
"""

from __future__ import annotations

import asyncio
import math

from ..errors import Evidence, TimedOut
from ..route import Timeouts

_TAIL_S = 5.0
"""A silence this long ends an answer that is whole, or an error page, and does not spoil it."""

_MEANING = {
    "connect": "no connection",
    "first_token": "no first token",
    "between_tokens": "silence inside the answer",
    "attempt": "no whole answer before the deadline",
}


class CallClock:
    """Use `async with clock.timer`; where it ends in TimeoutError and `clock.expired`, raise `clock.timed_out(…)`."""

    __slots__ = (
        "_bound_s",
        "_deadline",
        "_is_streamed",
        "_loop",
        "_stage",
        "_timeouts",
        "sent_at",
        "started_at",
        "timer",
    )

    def __init__(self, timeouts: Timeouts, deadline: float, *, is_streamed: bool = True) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeouts = timeouts
        self._deadline = deadline
        self._is_streamed = is_streamed
        self.started_at = self.sent_at = self.now()
        self._stage, self._bound_s = "connect", timeouts.connect_s
        self.timer = asyncio.timeout_at(min(self.started_at + timeouts.connect_s, deadline))

    def now(self) -> float:
        return self._loop.time()

    def connected(self) -> None:
        """A connection is there and the request goes out: from here on the first token is waited for, or the whole answer."""
        self.sent_at = self.now()
        if self._is_streamed:
            self._wait_for("first_token", self._timeouts.first_token_s, self.sent_at)
        else:
            self._wait_for("attempt", math.inf, self.sent_at)

    def heard(self, now: float) -> None:
        """A part of the answer came: from here on the next one is waited for."""
        if self._is_streamed:
            self._wait_for("between_tokens", self._timeouts.between_tokens_s, now)

    def tail(self) -> asyncio.Timeout:
        """What may still follow, where what matters has come: `async with clock.tail()`, which ends in TimeoutError."""
        return asyncio.timeout(min(_TAIL_S, self._timeouts.between_tokens_s / 2))

    @property
    def connect_s(self) -> float:
        return self.sent_at - self.started_at

    @property
    def expired(self) -> bool:
        return self.timer.expired()

    def timed_out(self, evidence: Evidence) -> TimedOut:
        when = self.timer.when()
        stage = "attempt" if when is not None and when >= self._deadline else self._stage
        bound = "" if stage == "attempt" else f" within {self._bound_s:g} s"
        return TimedOut(f"{evidence.instance}: {_MEANING[stage]}{bound}", evidence, stage=stage)

    def _wait_for(self, stage: str, bound_s: float, now: float) -> None:
        self._stage, self._bound_s = stage, bound_s
        if not self.timer.expired():
            self.timer.reschedule(min(now + bound_s, self._deadline))

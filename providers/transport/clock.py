"""The clock of one call of the SDK transport, and the timeout errors of both transports.

It measures the phases and limits each of them with a single timer that is rescheduled.

The phases are connect → first_token → between_tokens; the call's deadline ("attempt") limits their sum. An answer that is not streamed has
no first token: after the send, only the deadline limits it. The timer is asyncio's, so a cancellation from outside is never mistaken
for a timeout.
"""

from __future__ import annotations

import asyncio
import math

from ..errors import Evidence, TimedOut
from ..route import Timeouts

TAIL_S = 5.0
"""A pause of this length ends the reading of an answer that is already complete, or of an error page, without an error."""

_MEANING = {
    "connect": "no connection",
    "first_token": "no first token",
    "between_tokens": "silence inside the answer",
    "attempt": "no whole answer before the deadline",
}


class CallClock:
    """Measures and limits the phases of one call.

    Use `async with clock.timer`; where it raises TimeoutError and `clock.expired` is true, raise `clock.timed_out(…)`.
    """

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
        """Return the time of the running loop."""
        return self._loop.time()

    def connected(self) -> None:
        """Record that the connection is open and the request is sent; start the wait for the first token or the whole answer."""
        self.sent_at = self.now()
        if self._is_streamed:
            self._wait_for("first_token", self._timeouts.first_token_s, self.sent_at)
        else:
            self._wait_for("attempt", math.inf, self.sent_at)

    def heard(self, now: float) -> None:
        """Record that a part of the answer was received; start the wait for the next part."""
        if self._is_streamed:
            self._wait_for("between_tokens", self._timeouts.between_tokens_s, now)

    def tail(self) -> asyncio.Timeout:
        """Return a short timeout for optional data after the answer: `async with clock.tail()`, which raises TimeoutError."""
        return asyncio.timeout(min(TAIL_S, self._timeouts.between_tokens_s / 2))

    @property
    def connect_s(self) -> float:
        """Seconds from the start of the call to the send."""
        return self.sent_at - self.started_at

    @property
    def expired(self) -> bool:
        """Whether the timer has expired."""
        return self.timer.expired()

    def timed_out(self, evidence: Evidence) -> TimedOut:
        """Build the error of the phase that exceeded its timeout."""
        when = self.timer.when()
        stage = "attempt" if when is not None and when >= self._deadline else self._stage
        return build_timeout(stage, self._bound_s, evidence)

    def _wait_for(self, stage: str, bound_s: float, now: float) -> None:
        self._stage, self._bound_s = stage, bound_s
        if not self.timer.expired():
            self.timer.reschedule(min(now + bound_s, self._deadline))


def build_timeout(stage: str, bound_s: float, evidence: Evidence) -> TimedOut:
    """Build the error of a phase that exceeded its bound; the bound of an attempt is the deadline."""
    bound = "" if stage == "attempt" else f" within {bound_s:g} s"
    return TimedOut(f"{evidence.instance}: {_MEANING[stage]}{bound}", evidence, stage=stage)

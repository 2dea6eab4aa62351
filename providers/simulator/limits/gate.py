"""An endpoint's quota on the running loop: admits a request, refuses it, or holds it until it fits (`on_limit: hold`)."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .quota import Admitted, Quota, QuotaRefusal

if TYPE_CHECKING:
    from ..settings.provider import EndpointSettings


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    tokens: int
    outcome: asyncio.Future[QuotaRefusal | None]


class QuotaGate:
    """The admission control of an endpoint. Held requests are admitted in order of arrival. Call `leave` once after each `enter` that
    returned None."""

    def __init__(self, settings: EndpointSettings) -> None:
        self.quota = Quota(settings)
        self._holds = settings.on_limit == "hold"
        self._held: deque[_Held] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, tokens: int) -> QuotaRefusal | None:
        """Admit the request and return None, or return the refusal."""
        loop = asyncio.get_running_loop()
        if not self._holds:
            outcome = self.quota.admit(tokens, loop.time())
            return outcome if isinstance(outcome, QuotaRefusal) else None
        held = _Held(tokens, loop.create_future())
        self._held.append(held)
        self._let_in()
        try:
            return await held.outcome
        except asyncio.CancelledError:
            self._forget(held)
            raise

    def leave(self, tokens: int) -> None:
        """Record that a request ended and used `tokens`."""
        self.quota.finish(tokens, asyncio.get_running_loop().time())
        self._let_in()

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _let_in(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._held:
            if self._held[0].outcome.cancelled():  # just cancelled: its task has not run yet
                self._held.popleft()
                continue
            outcome = self.quota.admit(self._held[0].tokens, now)
            if isinstance(outcome, QuotaRefusal) and outcome.ready_at != math.inf:
                self._wait_until(outcome.ready_at)
                return
            future = self._held.popleft().outcome
            # a refusal here means that the request is larger than the limit: waiting does not help
            future.set_result(None if isinstance(outcome, Admitted) else outcome)

    def _wait_until(self, ready_at: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if ready_at is not None:  # else the next `leave` is the event
            self._timer = asyncio.get_running_loop().call_at(ready_at, self._let_in)

    def _forget(self, held: _Held) -> None:
        if held in self._held:
            self._held.remove(held)
            self._let_in()
        elif (
            not held.outcome.cancelled() and held.outcome.result() is None
        ):  # admitted at the moment when the client disconnected
            self.leave(0)

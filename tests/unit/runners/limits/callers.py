"""Callers that wait for one limiter behind a dispatcher."""

from __future__ import annotations

import asyncio

from runners.dispatch.instance_state import Permit
from runners.dispatch.permit_request import PermitRequest
from runners.limits.permit import Limiter, Settled
from tests.unit.runners.doubles import COST, ScriptedSender, a_dispatcher

DONE = Settled("succeeded", 0.1)


def now() -> float:
    return asyncio.get_running_loop().time()


class Callers:
    """Callers of one limiter that arrive one after another; remembers who was let through and when."""

    def __init__(self, limiter: Limiter) -> None:
        self.dispatcher = a_dispatcher(ScriptedSender(), "a", limiters={"a": limiter})
        self.went: list[tuple[str, float]] = []

    async def take(self, *, ahead: bool = False, patience_s: float = 1e6) -> Permit:
        """As a call does: at once if nobody waits, else in the queue."""
        permit = self.dispatcher.try_acquire(COST, "a", frozenset())
        if permit is not None:
            return permit
        return await self.dispatcher.acquire(PermitRequest(COST, "a", frozenset(), now() + patience_s, was_sent=ahead))

    def end(self, permit: Permit, settled: Settled = DONE) -> None:
        self.dispatcher.finish(permit, settled, None)

    async def call(self, name: object, holds_s: float = 0.0, *, ahead: bool = False) -> None:
        permit = await self.take(ahead=ahead)
        self.went.append((str(name), now()))
        try:
            await asyncio.sleep(holds_s)
            self.end(permit)
        finally:
            self.dispatcher.abandon(permit)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.went]

    @property
    def times(self) -> list[float]:
        return [at for _, at in self.went]

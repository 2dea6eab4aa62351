"""The fixed limiter: at most `workers` requests in flight, one send every 1/qps seconds, and the gate before both."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping

from aiolimiter import AsyncLimiter

from providers.messages import JSON

from .chance_gate import ChanceGate, Sent
from .permit import TICK_S, Cost, Settled

ROUNDING_S = 1e-6
"""How much more than the tick the bucket holds, so that its rounding never refuses what is due."""


class FixedLimiter:
    """A limiter with a fixed number of slots and a fixed rate. It must be used in the event loop whose time it is given."""

    def __init__(self, *, workers: int, qps: float | None) -> None:
        self._workers = workers
        self._pace = SendPace(qps) if qps else None
        self._gate = ChanceGate()
        self._in_flight: dict[int, Sent] = {}
        self._free = workers
        self._sent = 0

    def try_acquire(self, cost: Cost, now: float) -> int | None:  # noqa: ARG002 - a fixed rate counts requests
        """Return a ticket to send now; None if a request must wait."""
        gate = self._gate
        if not self._free or (not gate.is_new and gate.opens_at(now) > now):
            return None
        if self._pace is not None and not self._pace.try_send():
            return None
        self._free -= 1
        self._sent += 1
        self._in_flight[self._sent] = (now, None) if gate.is_new else gate.send(now)
        return self._sent

    def opens_at(self, cost: Cost, now: float) -> float | None:  # noqa: ARG002 - a fixed rate counts requests
        """Return the earliest time at which a ticket may be had, `now` or earlier if at once; None if only an event can open it."""
        if not self._free:
            return None
        opens_at = self._gate.opens_at(now)
        return opens_at if self._pace is None else max(opens_at, self._pace.opens_at(now))

    def settle(self, ticket: int, settled: Settled, now: float) -> None:
        """Return the ticket and learn from the end of its request."""
        self._free += 1
        sent, gate = self._in_flight.pop(ticket), self._gate
        if settled.how == "throttled" or not gate.is_new:
            gate.settle(sent, settled, now)

    @property
    def sends_others(self) -> bool:
        """Whether the last refusal may say nothing of the next request: then only the refused one waits."""
        return self._gate.sends_others

    def shut_until(self, now: float) -> float:  # noqa: ARG002 - the gate knows the time itself
        """Return the time until which a refusal keeps the limiter shut."""
        return self._gate.shut_until

    def snapshot(self, now: float) -> Mapping[str, JSON]:  # noqa: ARG002 - nothing in it depends on the time
        """Return the current state, for the decision log."""
        return {"mode": "fixed", "in_flight": self._workers - self._free, "cap": self._workers}

    def export(self) -> Mapping[str, JSON]:
        """Return nothing: a fixed limiter learns nothing."""
        return {}


class SendPace:
    """One send every 1/qps seconds, by aiolimiter's leaky bucket. It holds one send and the part that drains in a timer tick.

    So a send that is due within the tick may go now, and an idle hour earns no burst. A send adds one to the level however early it is:
    the due times after it do not move, and the rate is exact.
    """

    def __init__(self, qps: float) -> None:
        size = 1 + (TICK_S + ROUNDING_S) * qps
        self._bucket = AsyncLimiter(size, size / qps)
        self._gap_s = 1 / qps
        self._due_at = 0.0

    def try_send(self) -> bool:
        """Count a send if one is due. The bucket reads the clock of the loop, which may be ahead of the caller's `now`."""
        if not self._bucket.has_capacity():
            return False
        _finish(self._bucket.acquire())
        self._due_at = max(asyncio.get_running_loop().time(), self._due_at) + self._gap_s
        return True

    def opens_at(self, now: float) -> float:
        """Return when the next send is due; `now` if it is due within the tick."""
        return self._due_at if self._due_at - now > TICK_S else now


def _finish(call: Coroutine[None, None, None]) -> None:
    """Run a call that has nothing to wait for."""
    try:
        call.send(None)
    except StopIteration:
        return
    call.close()
    raise AssertionError("the bucket has room, but its acquire waits")

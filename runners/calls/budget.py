"""The budget of a run: tokens and dollars are reserved before a request is sent and committed when it ends.

A reservation covers the estimated input and all of `max_tokens`. So a limit is exceeded by no more than the underestimated input of the
requests in flight (and, where max_tokens is not set, by the part of the answers that is longer than assumed). The reservation of a request
that was sent and never answered is committed in full. A request that does not fit waits, first come, first served, until other requests
end. When no request is in flight and the next one still does not fit, the limit is reached and nothing more is sent.

What may be spent is on disk before it is sent: the ledger holds a ceiling over what is spent and reserved, which is raised by a block
when a request would exceed it. After a kill all of the ceiling counts as spent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Protocol

from providers.errors import OrchestratorError, ProviderError
from providers.messages import Usage

from ..limits.permit import Cost

BLOCKS = 256
"""Parts of a limit by which the ceiling is raised: the ledger is written so often at most, and a kill counts one of them too many."""
NEAR = 0.9
"""Share of a limit at which the user is notified."""

PriceUsd = Callable[[str, Usage], float | None]
"""Price in USD of a model's usage; None where no price is known."""


class LimitReached(OrchestratorError):
    """The budget has no room for another request: the sample stays pending and the run drains."""


@dataclass(frozen=True, slots=True)
class Spending:
    """An amount of tokens and dollars."""

    tokens: int = 0
    """Input and output tokens together."""
    cost_usd: float = 0.0

    def __add__(self, other: Spending) -> Spending:
        return Spending(self.tokens + other.tokens, self.cost_usd + other.cost_usd)

    def __sub__(self, other: Spending) -> Spending:
        return Spending(self.tokens - other.tokens, self.cost_usd - other.cost_usd)

    def upper(self, other: Spending) -> Spending:
        """Return the higher of both amounts, for tokens and dollars each."""
        return Spending(max(self.tokens, other.tokens), max(self.cost_usd, other.cost_usd))

    def is_within(self, ceiling: Spending) -> bool:
        """Return whether neither amount is above that of `ceiling`."""
        return self.tokens <= ceiling.tokens and self.cost_usd <= ceiling.cost_usd


NOTHING = Spending()


class Ledger(Protocol):
    """The record of what a run may have spent, which survives a kill."""

    @property
    def presumed(self) -> Spending:
        """What was reserved by executions that were killed, and counts as spent."""
        ...

    async def reserve(self, ceiling: Spending) -> None:
        """Return when the ceiling is on disk. Raises StorageError."""
        ...


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """The limits of a run over all of its executions; None means no limit."""

    tokens: int | None = None
    cost_usd: float | None = None

    def shares(self, spending: Spending) -> list[BudgetShare]:
        """Return `spending` as a share of each limit that is set."""
        amounts = (
            ("token", spending.tokens, self.tokens, "tokens"),
            ("cost", spending.cost_usd, self.cost_usd, "USD"),
        )
        return [BudgetShare(name, amount, limit, unit) for name, amount, limit, unit in amounts if limit is not None]

    def hold(self, spending: Spending) -> bool:
        """Return whether `spending` is within every limit."""
        if self.tokens is not None and spending.tokens > self.tokens:
            return False
        return self.cost_usd is None or spending.cost_usd <= self.cost_usd

    def ceiling(self, spending: Spending) -> Spending:
        """Return `spending` and a block of each limit, at most the limit; without one a block of `spending`."""
        tokens, cost_usd = spending.tokens, spending.cost_usd
        return Spending(ceil(_raised(tokens, self.tokens)), _raised(cost_usd, self.cost_usd))


def _raised(amount: float, limit: float | None) -> float:
    if limit is None:
        return amount + amount / BLOCKS
    return max(amount, min(amount + limit / BLOCKS, limit))


@dataclass(frozen=True, slots=True)
class BudgetShare:
    """How much of a limit is spent."""

    name: str
    spent: float
    limit: float
    unit: str

    @property
    def is_near(self) -> bool:
        """Whether the spending has reached `NEAR` of the limit."""
        return self.spent >= NEAR * self.limit

    def __str__(self) -> str:
        return f"{shown(self.spent)} of {shown(self.limit)} {self.unit}"


def shown(amount: float) -> str:
    """Format an amount: tokens as whole numbers, dollars and seconds with at most four decimal places."""
    return f"{amount:,}" if isinstance(amount, int) else f"{amount:,.4f}".rstrip("0").rstrip(".")


def _ignore(_: object) -> None:
    """Do nothing: the default listener."""


@dataclass(frozen=True, slots=True)
class BudgetListeners:
    """The callbacks of a budget. Each is called once per limit: with the share that is near, with the sentence about the reached limit."""

    on_near: Callable[[BudgetShare], None] = _ignore
    on_reached: Callable[[str], None] = _ignore


@dataclass(slots=True, eq=False)
class _PendingReservation:
    """A request that waits until its reservation fits."""

    needs: Spending
    admitted: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Budget:
    """The budget of a run: what is spent and what is reserved, within the limits."""

    def __init__(
        self,
        price_usd: PriceUsd = lambda _model, _usage: None,
        bounds: BudgetLimits | None = None,
        before: Spending = NOTHING,
        listeners: BudgetListeners | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self.spent = before
        """Spending of the earlier executions and of this one."""
        self.unanswered = 0
        """Requests of this execution that were sent and ended without a usage report: they may have been billed."""
        self.bounds = bounds or BudgetLimits()
        self._listeners = listeners or BudgetListeners()
        self._price_usd = price_usd
        self._ledger = ledger
        self._ceiling = NOTHING
        """What the ledger holds: up to it may be sent."""
        self._raising = asyncio.Lock()
        self.is_bounded = self.bounds != BudgetLimits()
        """Whether a limit is set: otherwise nothing is reserved."""
        self._reserved = NOTHING
        self._in_flight = 0
        self._queue: deque[_PendingReservation] = deque()
        self._notified: set[str] = set()
        self._reached = ""

    async def reserve(self, model: str, cost: Cost) -> Spending:
        """Wait until the highest cost of a request fits and is on disk, reserve it and return it, for `commit`.

        Raises LimitReached, and StorageError where the ledger cannot be written.
        """
        if not self.is_bounded:
            return NOTHING
        needs = self._priced(model, Usage(cost.input_tokens, cost.max_output_tokens))
        if self._queue or not self._has_room(needs):
            await self._wait(needs)
        else:
            self._take(needs)
        if self._ledger is not None and not self._exposed.is_within(self._ceiling):
            await self._raise_ceiling(self._ledger, needs)
        return needs

    def commit(self, model: str, reserved: Spending, usage: Usage | None) -> None:
        """Replace a reservation by the actual usage, None for no usage. Call it, or one of its variants, once per `reserve`."""
        if usage is not None:
            spent, cost_usd = self.spent, self._price_usd(model, usage) or 0.0
            tokens = spent.tokens + usage.input_tokens + usage.output_tokens
            self.spent = Spending(tokens, spent.cost_usd + cost_usd)
        if self.is_bounded:
            self._release(reserved)
            self._notify_near()

    def commit_failed(self, model: str, reserved: Spending, error: ProviderError) -> None:
        """Replace a reservation by what a request that ended in `error` cost; servers bill some of these requests."""
        usage = error.evidence.usage
        if usage is None and may_be_billed(error):
            self.commit_unknown(model, reserved)
        else:
            self.commit(model, reserved, usage)

    def commit_unknown(self, model: str, reserved: Spending) -> None:
        """Count the whole reservation as spent: the request was sent and its usage is unknown."""
        self.unanswered += 1
        self.spent += reserved
        self.commit(model, reserved, None)

    @property
    def reached(self) -> str:
        """The sentence about the limit that was reached; empty before that."""
        return self._reached

    def _priced(self, model: str, usage: Usage) -> Spending:
        return Spending(usage.input_tokens + usage.output_tokens, self._price_usd(model, usage) or 0.0)

    @property
    def _exposed(self) -> Spending:
        return self.spent + self._reserved

    async def _raise_ceiling(self, ledger: Ledger, needs: Spending) -> None:
        """Write a ceiling over all that is reserved by now. One is written at a time; most requests find theirs under the last one."""
        try:
            async with self._raising:
                if not self._exposed.is_within(self._ceiling):
                    ceiling = self.bounds.ceiling(self._exposed)
                    await ledger.reserve(ceiling)
                    self._ceiling = ceiling
        except BaseException:
            self._release(needs)  # it was not sent
            raise

    def _has_room(self, needs: Spending) -> bool:
        return not self._reached and self.bounds.hold(self._exposed + needs)

    def _take(self, needs: Spending) -> None:
        self._in_flight += 1
        self._reserved += needs

    def _release(self, reserved: Spending) -> None:
        self._in_flight -= 1
        self._reserved = self._reserved - reserved if self._in_flight else NOTHING  # drops the rounding error
        self._admit()

    async def _wait(self, needs: Spending) -> None:
        waiter = _PendingReservation(needs)
        self._queue.append(waiter)
        self._admit()
        try:
            await waiter.admitted
        except asyncio.CancelledError:
            if waiter in self._queue:
                self._queue.remove(waiter)
                self._admit()
            elif not waiter.admitted.cancelled() and waiter.admitted.exception() is None:
                self._release(needs)  # admitted just before the cancellation
            raise

    def _admit(self) -> None:
        """Admit the requests that fit, in the order of arrival. With nothing in flight, a request that does not fit never will."""
        while self._queue:
            head = self._queue[0]
            if head.admitted.done():
                pass  # cancelled, and not yet removed
            elif self._has_room(head.needs):
                self._take(head.needs)
                head.admitted.set_result(None)
            elif self._in_flight:
                return
            else:
                head.admitted.set_exception(LimitReached(self._reach(head.needs)))
            self._queue.popleft()

    def _reach(self, needs: Spending) -> str:
        if not self._reached:
            self._reached = self._sentence(needs)
            self._listeners.on_reached(self._reached)
        return self._reached

    def _sentence(self, needs: Spending) -> str:
        shares = zip(self.bounds.shares(self.spent), self.bounds.shares(needs), strict=True)
        spent, needed = next((spent, needed) for spent, needed in shares if spent.spent + needed.spent > spent.limit)
        return (
            f"the {spent.name} limit is reached: {spent} are spent{self._presumed_part(spent.name)}, and the next request may take "
            f"{shown(needed.spent)}; resume with a larger limit (run.{spent.name}_limit, --{spent.name}-limit)"
        )

    def _presumed_part(self, name: str) -> str:
        presumed = self._ledger.presumed if self._ledger else NOTHING
        amount = next(share.spent for share in self.bounds.shares(presumed) if share.name == name)
        return f" ({shown(amount)} of them are possibly billed: killed executions had reserved them)" if amount else ""

    def _notify_near(self) -> None:
        for share in self.bounds.shares(self.spent):
            if share.is_near and share.name not in self._notified:
                self._notified.add(share.name)
                self._listeners.on_near(share)


def may_be_billed(error: ProviderError) -> bool:
    """Return whether a failed request may cost money: it reports usage, or it was sent and got no answer or a damaged one.

    A refusal and a 5xx status are answers that cost nothing.
    """
    status = error.evidence.status
    if error.evidence.usage is not None:
        return True
    return error.was_sent and (status is None or status < 300)

"""What a run may spend: tokens and dollars are set aside before a request goes out and reckoned up when it ends.

Setting aside takes the estimate of the input and all of `max_tokens`, so a limit is overrun by no more than the input of what is in
flight was underestimated (and, where nobody set max_tokens, by what answers are longer than reckoned). What was sent and is never answered
stays as it was reckoned. Who does not fit in waits, first come, first served, for others' requests to end; when none is in flight any
more, the limit is reached: nothing more is sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from providers.errors import OrchestratorError, ProviderError
from providers.messages import Usage

from ..limits.permit import Cost

NEAR = 0.9
"""Share of a limit at which people are told."""

PriceUsd = Callable[[str, Usage], float | None]
"""Of a model's usage; None where no price is known."""


class LimitReached(OrchestratorError):
    """There is no room for another request: the sample stays pending and the run drains."""


@dataclass(frozen=True, slots=True)
class Spending:
    tokens: int = 0
    """Input and output."""
    cost_usd: float = 0.0

    def __add__(self, other: Spending) -> Spending:
        return Spending(self.tokens + other.tokens, self.cost_usd + other.cost_usd)

    def __sub__(self, other: Spending) -> Spending:
        return Spending(self.tokens - other.tokens, self.cost_usd - other.cost_usd)


NOTHING = Spending()


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """Over all executions of a run; None is no limit."""

    tokens: int | None = None
    cost_usd: float | None = None

    def shares(self, spending: Spending) -> list[BudgetShare]:
        """`spending` against each limit there is."""
        both = (
            ("token", spending.tokens, self.tokens, "tokens"),
            ("cost", spending.cost_usd, self.cost_usd, "USD"),
        )
        return [BudgetShare(name, amount, limit, unit) for name, amount, limit, unit in both if limit is not None]

    def hold(self, spending: Spending) -> bool:
        if self.tokens is not None and spending.tokens > self.tokens:
            return False
        return self.cost_usd is None or spending.cost_usd <= self.cost_usd


@dataclass(frozen=True, slots=True)
class BudgetShare:
    """How much of a limit is spent."""

    name: str
    spent: float
    limit: float
    unit: str

    @property
    def is_near(self) -> bool:
        return self.spent >= NEAR * self.limit

    def __str__(self) -> str:
        return f"{shown(self.spent)} of {shown(self.limit)} {self.unit}"


def shown(amount: float) -> str:
    """Tokens whole, dollars and seconds with four places at most."""
    return f"{amount:,}" if isinstance(amount, int) else f"{amount:,.4f}".rstrip("0").rstrip(".")


def _ignore(_: object) -> None:
    """Nobody has asked to be told."""


@dataclass(frozen=True, slots=True)
class BudgetListeners:
    """Who is told, once each: that a limit is near, and the sentence that says which one was reached."""

    on_near: Callable[[BudgetShare], None] = _ignore
    on_reached: Callable[[str], None] = _ignore


@dataclass(slots=True, eq=False)
class _PendingReservation:
    """A request that waits for room."""

    needs: Spending
    admitted: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Budget:
    """Of a run: what it has spent and set aside, against its bounds."""

    def __init__(
        self,
        price_usd: PriceUsd = lambda _model, _usage: None,
        bounds: BudgetLimits | None = None,
        before: Spending = NOTHING,
        listeners: BudgetListeners | None = None,
    ) -> None:
        self.spent = before
        """By the executions before and by this one."""
        self.unanswered = 0
        """Requests of this execution that were sent and ended without a word on usage: they may have been billed."""
        self.bounds = bounds or BudgetLimits()
        self._listeners = listeners or BudgetListeners()
        self._price_usd = price_usd
        self._is_bounded = self.bounds != BudgetLimits()
        self._set_aside = NOTHING
        self._in_flight = 0
        self._line: deque[_PendingReservation] = deque()
        self._told: set[str] = set()
        self._reached = ""

    async def set_aside(self, model: str, cost: Cost) -> Spending:
        """Wait until what a request may cost fits in; returns it, for `settle`. Raises LimitReached."""
        if not self._is_bounded:
            return NOTHING
        needs = self._priced(model, Usage(cost.input_tokens, cost.max_output_tokens))
        if self._line or not self._has_room(needs):
            await self._wait(needs)
        else:
            self._take(needs)
        return needs

    def settle(self, model: str, aside: Spending, usage: Usage | None) -> None:
        """Exchange what was set aside for what was spent; once per `set_aside`."""
        if usage is not None:
            self.spent += self._priced(model, usage)
        if self._is_bounded:
            self._give_back(aside)
            self._tell_near()

    def fail(self, model: str, aside: Spending, error: ProviderError) -> None:
        """The same for a request that ended in an error; servers bill some of these."""
        usage = error.evidence.usage
        if usage is None and may_be_billed(error):
            self.lose(model, aside)
        else:
            self.settle(model, aside, usage)

    def lose(self, model: str, aside: Spending) -> None:
        """The same for a request that was sent and brings no word on usage: what was set aside for it counts as spent."""
        self.unanswered += 1
        self.spent += aside
        self.settle(model, aside, None)

    @property
    def reached(self) -> str:
        """The sentence that says which limit was reached; nothing before that."""
        return self._reached

    def _priced(self, model: str, usage: Usage) -> Spending:
        return Spending(usage.input_tokens + usage.output_tokens, self._price_usd(model, usage) or 0.0)

    def _has_room(self, needs: Spending) -> bool:
        return not self._reached and self.bounds.hold(self.spent + self._set_aside + needs)

    def _take(self, needs: Spending) -> None:
        self._in_flight += 1
        self._set_aside += needs

    def _give_back(self, aside: Spending) -> None:
        self._in_flight -= 1
        self._set_aside = self._set_aside - aside if self._in_flight else NOTHING  # no rounding is carried on
        self._admit()

    async def _wait(self, needs: Spending) -> None:
        waiter = _PendingReservation(needs)
        self._line.append(waiter)
        self._admit()
        try:
            await waiter.admitted
        except asyncio.CancelledError:
            if waiter in self._line:
                self._line.remove(waiter)
                self._admit()
            elif not waiter.admitted.cancelled() and waiter.admitted.exception() is None:
                self._give_back(needs)  # let in at the last moment
            raise

    def _admit(self) -> None:
        """Let in whoever fits, in the order of arrival; with nothing in flight, who does not fit never will."""
        while self._line:
            head = self._line[0]
            if head.admitted.done():
                pass  # cancelled, and not yet gone
            elif self._has_room(head.needs):
                self._take(head.needs)
                head.admitted.set_result(None)
            elif self._in_flight:
                return
            else:
                head.admitted.set_exception(LimitReached(self._reach(head.needs)))
            self._line.popleft()

    def _reach(self, needs: Spending) -> str:
        if not self._reached:
            self._reached = self._sentence(needs)
            self._listeners.on_reached(self._reached)
        return self._reached

    def _sentence(self, needs: Spending) -> str:
        shares = zip(self.bounds.shares(self.spent), self.bounds.shares(needs), strict=True)
        spent, asked = next((one, ask) for one, ask in shares if one.spent + ask.spent > one.limit)
        return (
            f"the {spent.name} limit is reached: {spent} are spent, and the next request may take {shown(asked.spent)}; "
            f"go on with a larger --{spent.name}-limit"
        )

    def _tell_near(self) -> None:
        for share in self.bounds.shares(self.spent):
            if share.is_near and share.name not in self._told:
                self._told.add(share.name)
                self._listeners.on_near(share)


def may_be_billed(error: ProviderError) -> bool:
    """The answer says so, was lost, or may have been on its way; a refusal and a 5xx are answers that cost nothing."""
    status = error.evidence.status
    if error.evidence.usage is not None:
        return True
    return error.was_sent and (status is None or status < 300)

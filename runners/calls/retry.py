"""The one retry loop: what is tried again, how often, and how long between. Waiting gives the worker's slot back.

A call ends at its attempts, where its caller gives it up (`GivesUp`), or with an answer. Over all calls of a run, retries are a
bounded share (`RetryBudget`): a service that fails for everybody is not asked six times by everybody.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState
from tenacity.retry import retry_if_exception_type

from providers.errors import Empty, ProviderError, Transient

EMPTY_ATTEMPTS = 2
"""An answer that stays empty on a second instance is the model's."""
FREE_RETRIES = 500
"""Of a run, before its share counts: a small run is not starved, and an outage of what is in flight is survived."""


@dataclass(frozen=True, slots=True)
class RetryLimits:
    max_retries: int
    """Further attempts of one call after the first; throttling is not an attempt."""
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0


class RetryBudget:
    """Of a run: its retries are at most FREE_RETRIES and `share` of its calls."""

    def __init__(self, share: float, *, on_spent: Callable[[str], None] = lambda _: None) -> None:
        self.calls = 0
        self.retries = 0
        self.refused = 0
        self._share = share
        self._on_spent = on_spent

    def take(self) -> bool:
        """Use one retry; False where none is left, which is told of once."""
        if self.retries < FREE_RETRIES + self._share * self.calls:
            self.retries += 1
            return True
        self.refused += 1
        if self.refused == 1:
            self._on_spent(str(self))
        return False

    def __str__(self) -> str:
        return f"{self.retries:,} retries in {self.calls:,} calls; run.retry_budget is {self._share:g}"


GivesUp = Callable[[ProviderError], bool]
"""Whether a failure that might be tried again is not, for a reason beyond the call's own attempts."""


def retry_policy(
    limits: RetryLimits, sleep: Callable[[float], Awaitable[None]], seed: str, gives_up: GivesUp = lambda _: False
) -> AsyncRetrying:
    """Retry Transient and Empty within `limits`, honour Retry-After, raise the last error.

    A Retry-After is waited out however long it is: whoever has a deadline gives up (`gives_up`) what asks for more than is left.

    `sleep` must give the slot back; `seed` is what the waits are drawn from: a run of one seed waits alike.
    """
    return AsyncRetrying(
        sleep=sleep,
        stop=_Exhausted(limits.max_retries + 1, gives_up),
        wait=_HintOrBackoff(limits, seed),
        retry=retry_if_exception_type((Transient, Empty)),
        reraise=True,
    )


class _Exhausted:
    """Of one call: it counts the empty answers, so that an earlier failure of another kind is not taken for one."""

    def __init__(self, attempts: int, gives_up: GivesUp) -> None:
        self._attempts = attempts
        self._gives_up = gives_up
        self._empty = 0

    def __call__(self, state: RetryCallState) -> bool:
        error = _error(state)
        self._empty += isinstance(error, Empty)
        if self._empty >= EMPTY_ATTEMPTS or state.attempt_number >= self._attempts:
            return True
        return isinstance(error, Transient) and self._gives_up(error)


class _HintOrBackoff:
    """The server's own wait; else a random one below a bound that doubles."""

    def __init__(self, limits: RetryLimits, seed: str) -> None:
        self._limits = limits
        self._seed = seed

    def __call__(self, state: RetryCallState) -> float:
        error = _error(state)
        if isinstance(error, Empty):
            return 0.0
        hinted = error.retry_after_s if isinstance(error, ProviderError) else None
        return hinted if hinted is not None else self._backoff_s(state.attempt_number)

    def _backoff_s(self, attempt: int) -> float:
        bound_s = min(self._limits.first_wait_s * 2 ** min(attempt - 1, 30), self._limits.longest_wait_s)
        return random.Random(f"{self._seed}/{attempt}").uniform(0.0, bound_s)


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None

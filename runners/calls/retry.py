"""The retry policy of a call: which errors are retried, how often, and after which wait. The worker's slot is released during the wait.

A call ends with an answer, when its attempts are used up, or when its caller gives it up (`GivesUp`). Over all calls of a run, retries are
a bounded share (`RetryBudget`), so that an outage of a service does not multiply the requests to it.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState
from tenacity.retry import retry_if_exception_type

from providers.errors import Empty, ProviderError, Transient

EMPTY_ATTEMPTS = 2
"""Attempts that may end with an empty answer: if a second instance answers with nothing, too, the cause is the model."""
FREE_RETRIES = 500
"""Retries of a run that are allowed before its share applies, enough for a small run and for an outage of the requests in flight."""


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """The limits of the retries of one call."""

    max_retries: int
    """Attempts of one call after the first; a throttled request is not an attempt."""
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0


class RetryBudget:
    """The retries of a run: at most FREE_RETRIES plus `share` of its calls."""

    def __init__(self, share: float, *, on_spent: Callable[[str], None] = lambda _: None) -> None:
        self.calls = 0
        self.retries = 0
        self.refused = 0
        self._share = share
        self._on_spent = on_spent

    def take(self) -> bool:
        """Use one retry; return False when none is left. The first time, `on_spent` is called."""
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
"""Returns whether a failure that could be retried is not, for a reason other than the number of attempts."""


def retry_policy(
    limits: RetryLimits, sleep: Callable[[float], Awaitable[None]], seed: str, gives_up: GivesUp = lambda _: False
) -> AsyncRetrying:
    """Retry Transient and Empty errors within `limits`, wait for a Retry-After, raise the last error.

    A Retry-After has no upper bound here: a caller with a deadline must give up (`gives_up`) if the wait is longer than the time left.

    `sleep` must release the worker's slot. `seed` seeds the random waits: two runs with the same seed wait equally long.
    """
    return AsyncRetrying(
        sleep=sleep,
        stop=_Exhausted(limits.max_retries + 1, gives_up),
        wait=_HintOrBackoff(limits, seed),
        retry=retry_if_exception_type((Transient, Empty)),
        reraise=True,
    )


class _Exhausted:
    """The stop condition of one call. It counts empty answers apart from other failures."""

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
    """The wait before a retry: the server's Retry-After, else a random time below a bound that doubles."""

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

"""The retry policy of a call: which errors are retried, how often, and after which wait. The worker's slot is released during the wait.

A call ends with an answer, when its attempts are used up, or when its caller gives it up (`GivesUp`). Over all calls of a run, retries are
a bounded share (`RetryBudget`), so that an outage of a service does not multiply the requests to it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState
from tenacity.wait import wait_exponential

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


class Retries:
    """The retries of one call: Transient and Empty errors are tried again within `limits`.

    `seed` seeds the random waits: two runs with the same seed wait equally long.
    """

    def __init__(self, limits: RetryLimits, seed: str, gives_up: GivesUp = lambda _: False) -> None:
        self._attempts = limits.max_retries + 1
        self._seed = seed
        self._gives_up = gives_up
        self._empty = 0
        """Empty answers, which are counted apart from other failures."""
        self._state = RetryCallState(AsyncRetrying(), None, (), {})
        self._bound = wait_exponential(multiplier=limits.first_wait_s, max=limits.longest_wait_s)

    def delay_after(self, error: ProviderError) -> float | None:
        """Return the wait before the next attempt in seconds; None if the call ends with this error.

        A Retry-After has no upper bound here: a caller with a deadline must give up (`gives_up`) if the wait is longer than the time left.
        """
        if not isinstance(error, Transient | Empty) or self._is_exhausted(error):
            return None
        delay_s = self._delay_s(error)
        self._state.attempt_number += 1
        return delay_s

    def _is_exhausted(self, error: ProviderError) -> bool:
        self._empty += isinstance(error, Empty)
        if self._empty >= EMPTY_ATTEMPTS or self._state.attempt_number >= self._attempts:
            return True
        return isinstance(error, Transient) and self._gives_up(error)

    def _delay_s(self, error: ProviderError) -> float:
        """Return the server's Retry-After, else a random time below a bound that doubles."""
        if isinstance(error, Empty):
            return 0.0
        if error.retry_after_s is not None:
            return error.retry_after_s
        draws = random.Random(f"{self._seed}/{self._state.attempt_number}")
        return draws.uniform(0.0, self._bound(self._state))

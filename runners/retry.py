"""The one retry loop: what is tried again, how often, and how long between. Waiting gives the worker's slot back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, wait_random_exponential
from tenacity.retry import retry_if_exception_type

from providers.errors import Empty, ProviderError, Transient

EMPTY_ATTEMPTS = 2
"""An answer that stays empty on a second instance is the model's."""


@dataclass(frozen=True, slots=True)
class RetryLimits:
    max_retries: int = 5
    """Further attempts of one call after the first; throttling is not an attempt."""
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0


def retry_policy(limits: RetryLimits, sleep: Callable[[float], Awaitable[None]]) -> AsyncRetrying:
    """Retry Transient and Empty within `limits`, honour Retry-After, raise the last error. `sleep` must give the slot back."""
    return AsyncRetrying(
        sleep=sleep,
        stop=_Exhausted(limits.max_retries + 1),
        wait=_HintOrBackoff(limits),
        retry=retry_if_exception_type((Transient, Empty)),
        reraise=True,
    )


class _Exhausted:
    """Of one call: it counts the empty answers, so that an earlier failure of another kind is not taken for one."""

    def __init__(self, attempts: int) -> None:
        self._attempts = attempts
        self._empty = 0

    def __call__(self, state: RetryCallState) -> bool:
        self._empty += isinstance(_error(state), Empty)
        return self._empty >= EMPTY_ATTEMPTS or state.attempt_number >= self._attempts


class _HintOrBackoff:
    def __init__(self, limits: RetryLimits) -> None:
        self._backoff = wait_random_exponential(multiplier=limits.first_wait_s, max=limits.longest_wait_s)

    def __call__(self, state: RetryCallState) -> float:
        error = _error(state)
        if isinstance(error, Empty):
            return 0.0
        hinted = error.retry_after_s if isinstance(error, ProviderError) else None
        return hinted if hinted is not None else self._backoff(state)


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None

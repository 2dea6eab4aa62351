"""What all clients of a run share: the dispatchers, the settings of each model, the deadlines and the limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from providers.messages import PLAIN_GENERATION, Generation
from providers.usage.estimates import TokenEstimator

from ..cache.answer_cache import AnswerCache
from ..dispatch.dispatcher import Dispatcher
from .budget import Budget
from .retry import RetryBudget, RetryLimits
from .sample_timers import SampleTimers


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The deadlines of an attempt and of a sample, in seconds. No wait is without one."""

    attempt_s: float
    """One request."""
    sample_s: float
    """All turns, attempts and waits of one sample."""


@dataclass(frozen=True, slots=True)
class Asking:
    """The settings of requests to one model: generation and deadlines."""

    generation: Generation = PLAIN_GENERATION
    """The epoch is added to its seed, so that repetitions differ."""
    judging: Generation = PLAIN_GENERATION
    """The settings that apply where a scorer asks this model."""
    deadlines: Deadlines = field(kw_only=True)
    own: frozenset[str] = frozenset()
    """Fields of the generation that this model sets for itself; the parameters of a task do not override them."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """What all clients of a run share: the dispatchers and the limits."""

    dispatchers: Mapping[str, Dispatcher]
    estimators: Mapping[str, TokenEstimator]
    asking: Mapping[str, Asking]
    """By model."""
    retries: RetryLimits
    retry_budget: RetryBudget
    budget: Budget = field(default_factory=Budget)
    on_first_send: Callable[[int], None] = lambda _ordinal: None
    """Called once per sample with its ordinal, before its first request is sent."""
    on_unbilled: Callable[[int], None] = lambda _ordinal: None
    """Called with the ordinal of a sample that ends without a record and whose requests were all refused."""
    timers: SampleTimers = field(default_factory=SampleTimers)
    cache: AnswerCache | None = None

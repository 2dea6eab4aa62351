"""An owner: all that touches a key. Dispatchers, limiters and clients are built here and nowhere else; so are solver and scorers.

An owner is built from plain values, the OwnerAssignment, and says everything to its driver through a DriverLink. On one loop (`local`) both
are joined by direct calls, and the owner works with the providers and the sweep that its driver has open; it could open the same from
its assignment.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from providers.messages import JSON, Generation
from providers.provider import Sender
from providers.usage.estimates import TokenEstimator
from runners.cache.answer_cache import AnswerCache
from runners.calls.active_sample import ActiveSample
from runners.calls.call_context import Asking, CallContext, Deadlines
from runners.calls.retry import RetryLimits
from runners.dispatch.dispatcher import Dispatcher
from runners.dispatch.slots import WorkerSlot
from runners.samples.in_flight_samples import InFlightSamples
from runners.samples.pool import Deliver, Work
from runners.samples.record import Record
from runners.samples.worker import work

from ..config.sections.model_settings import GenerationConfig
from ..config.settings import Config
from ..scoring.registry import spelt_out
from .alerts.budgets import Budgets
from .alerts.shared_quotas import LimiterReport, limiter_reports
from .context import RunContext, UserCode
from .limits.limiting import Limiting, build_dispatchers
from .method import build_method

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OwnerAssignment:
    """The assignment of an owner, in plain values: names of variables and of code, never a key."""

    run_id: str
    config: Mapping[str, object]
    """As in the manifest."""
    base: str
    """The folder that its paths are relative to."""
    instances: Sequence[str]
    """The instances that it owns."""
    learned: Mapping[str, Mapping[str, JSON]]
    """What earlier runs have learnt of its instances."""
    solver: str
    scorer: str
    follows_samples: bool = False
    """Whether the debug log records which instance takes up which sample."""


def assign_all(
    run_id: str,
    context: RunContext,
    learned: Mapping[str, Mapping[str, JSON]] | None = None,
    *,
    follows_samples: bool = False,
) -> OwnerAssignment:
    """Assign every instance of a run to one owner."""
    return OwnerAssignment(
        run_id=run_id,
        config=context.loaded.raw,
        base=str(context.loaded.base),
        instances=[instance.name for instance in context.providers.all_instances()],
        learned=learned or {},
        solver=context.config.run.solver,
        scorer=spelt_out(context.config.run.scorer),
        follows_samples=follows_samples,
    )


class DriverLink(Protocol):
    """What an owner reports to its driver: calls here, messages if the owner is another process."""

    @property
    def budgets(self) -> Budgets:
        """The budgets: an amount is reserved before a request is sent, and committed when it has ended."""
        ...

    def started(self, ordinal: int) -> None:
        """Receive the notice that the first request of a sample is about to be sent."""
        ...

    def unbilled(self, ordinal: int) -> None:
        """Receive the notice that a sample ended without a record and that all its requests were refused."""
        ...

    def decided(self, instance: str, event: str, evidence: Mapping[str, JSON]) -> None:
        """Receive a decision about an instance: its health, its limits."""
        ...

    async def finished(self, record: Record) -> None:
        """Take a record; wait while the disk is behind."""
        ...


@dataclass(frozen=True, slots=True)
class LocalParts:
    """The open resources that an owner on its driver's loop gets beside its assignment."""

    context: RunContext
    senders: Mapping[str, Sender]
    """By the provider's name: the run's own adapters, or simulated servers."""
    code: UserCode
    cache: AnswerCache | None = None


class Owner:
    """An owner, which works on the samples that its pools open and hands over the records."""

    def __init__(self, assignment: OwnerAssignment, parts: LocalParts, driver: DriverLink) -> None:
        config, owned = parts.context.config, frozenset(assignment.instances)
        instances = {
            model: [instance for instance in own if instance.name in owned]
            for model, own in parts.context.instances.items()
        }
        limiting = Limiting(config.run.rate_mode, driver.decided, assignment.learned)
        self.dispatchers = build_dispatchers(instances, parts.senders, limiting)
        method = build_method(assignment.run_id, parts.context, parts.code)
        solve = partial(
            work, method=method, call_context=_build_call_context(config, self.dispatchers, driver, parts.cache)
        )
        self.work: Work = partial(_follow, solve) if assignment.follows_samples else solve
        """Solves and scores one sample. Raises NoUsableInstance or LimitReached if it stays pending."""
        self.deliver: Deliver = driver.finished
        """Hands a record over, and waits while the driver's disk is behind."""
        self.in_flight = InFlightSamples()
        """The samples that its pools have opened."""
        self._patience_s = own_attempt_deadlines(config)

    def waits(self) -> Mapping[str, JSON]:
        """Return what the open samples wait for, as plain values."""
        return {"open_samples": len(self.in_flight), "waits": [wait.as_row() for wait in self.in_flight.waits()]}

    def expects_answer(self) -> bool:
        """Return whether a model with its own attempt deadline may still answer within it."""
        return self.in_flight.expects_answer(self._patience_s)

    def limiter_reports(self) -> Iterator[LimiterReport]:
        """Return every limiter's state, what it has learnt, and the instances that it shares a quota with."""
        return limiter_reports(self.dispatchers)


def _follow(solve: Work, active: ActiveSample, slot: WorkerSlot) -> Awaitable[Record]:
    """Log which instance takes up which sample, and work on it."""
    log.debug("%s taken up by %s", active.sample.sample_id, active.instance, extra={"planned": active.planned})
    return solve(active, slot)


def _build_call_context(
    config: Config, dispatchers: Mapping[str, Dispatcher], driver: DriverLink, cache: AnswerCache | None
) -> CallContext:
    return CallContext(
        dispatchers=dispatchers,
        estimators={model: TokenEstimator() for model in dispatchers},
        asking={model: asking_of(config, model) for model in dispatchers},
        retries=RetryLimits(config.run.max_retries),
        retry_budget=driver.budgets.retries,
        budget=driver.budgets.budget,
        on_first_send=driver.started,
        on_unbilled=driver.unbilled,
        cache=cache,
    )


def asking_of(config: Config, model: str) -> Asking:
    """Build the settings that a model is asked with: its own over those of the file and the run."""
    run, timeouts = config.run, config.models[model].timeouts
    deadlines = Deadlines(timeouts.attempt_s or run.attempt_timeout_s, timeouts.sample_s or run.sample_timeout_s)
    own = config.models[model].generation
    written = frozenset() if own is None else frozenset(own.model_fields_set)
    return Asking(
        config.generation_of(model).as_generation(), _judging(config, model), deadlines=deadlines, own=written
    )


def own_attempt_deadlines(config: Config) -> dict[str, float]:
    """Return the seconds that one attempt has, by model, where the model sets its own."""
    own = {name: model.timeouts.attempt_s for name, model in config.models.items()}
    return {name: attempt_s for name, attempt_s in own.items() if attempt_s is not None}


def _judging(config: Config, model: str) -> Generation:
    """Build a scorer's generation settings: a judge has its own settings, and few of those for the tested models."""
    tested, own = config.generation, config.models[model].generation
    shared = GenerationConfig(temperature=tested.temperature, stream=tested.stream, seed=tested.seed)
    return (shared if own is None else own.over(shared)).as_generation()

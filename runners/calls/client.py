"""The client that a solver calls, one per sample: it reserves budget, gets the permit, retries and times out, and adds up the usage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from typing import Literal, Protocol

from providers.errors import (
    ConnectionLost,
    Empty,
    InstanceGone,
    OrchestratorError,
    ProviderError,
    Refused,
    Rejected,
    RequestTooLarge,
    Throttled,
)
from providers.instance import Instance
from providers.messages import (
    PLAIN_GENERATION,
    Adaptation,
    ChatRequest,
    ChatResponse,
    Generation,
    Message,
    Tool,
    Usage,
)
from providers.suggestion import suggestion
from providers.tokens import TokenEstimator

from ..dispatch.dispatcher import Dispatcher, NoUsableInstance
from ..dispatch.instance_state import Permit
from ..dispatch.poison import PoisonDetector, ThrottleSuspicion
from ..dispatch.slots import SlotLease
from ..limits.permit import Cost, Settled
from ..tools.names import names_of
from .active_sample import ActiveSample
from .activity import Activity, ActivityStep
from .budget import Budget, LimitReached, may_be_billed
from .retry import RetryBudget, RetryLimits, retry_policy

DEFAULT_OUTPUT_TOKENS = 512
"""Output tokens that are reserved for an answer where max_tokens is not set."""
JUDGE_TURN = "judge-"
"""Prefix of the turns of a scorer's client in request ids."""

REFUSALS_AT_MOST = 3
"""Instances that one request is sent to while each of them refuses it."""

NO_USAGE = Usage(0, 0)

CLOSE_S = 5.0
"""How long a solver's cancelled calls may take to end."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The deadlines of an attempt and of a sample, in seconds. No wait is without one."""

    attempt_s: float
    """One request."""
    sample_s: float
    """All turns, attempts and waits of one sample."""


class SampleOverdue(OrchestratorError):
    """The sample's deadline passed while it waited for a permit."""


class ModelClient(Protocol):
    """The interface through which a solver or a scorer asks a model."""

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        max_tokens: int | None = None,
        model: str | None = None,
    ) -> ChatResponse:
        """Send `messages` to the sample's model, or to another `model` of the sweep, and return the answer."""
        ...


@dataclass(slots=True)
class SampleUsage:
    """The usage of a sample so far: filled by its client, read by its worker."""

    model: str
    """The model of the sample. Answers of other models, for example a judge, count for tokens and time, not as the sample's answer."""
    opened_s: float = 0.0
    """When the sample was opened, loop time."""
    turns: int = 0
    attempts: int = 0
    throttles: int = 0
    first_sent_s: float | None = None
    rate_wait_s: float = 0.0
    retry_wait_s: float = 0.0
    """Both waits are summed over calls, which may wait at the same time."""
    waited_s: float = 0.0
    """Time in which at least one call waited."""
    waited_until_s: float = 0.0
    connect_s: float = 0.0
    ttft_s: float | None = None
    generation_s: float = 0.0
    parse_s: float = 0.0
    spent: dict[str, Usage] = field(default_factory=dict)
    """Usage by model: a solver may ask several models."""
    instance: Instance | None = None
    moved_reason: str | None = None
    request_id: str | None = None
    response: ChatResponse | None = None
    error: ProviderError | None = None
    """The last error, even if a later attempt succeeded."""
    adaptation: Adaptation | None = None
    """How the last request was adapted to its instance."""

    @property
    def usage(self) -> Usage:
        """The usage of all models together."""
        return sum_usage(self.spent.values())

    def waited(self, since_s: float, until_s: float) -> float:
        """Add a call's wait and return its length in seconds; `waited_s` counts time that overlaps an earlier wait only once."""
        self.waited_s += max(0.0, until_s - max(since_s, self.waited_until_s))
        self.waited_until_s = until_s
        return until_s - since_s

    def concerns(self, model: str) -> bool:
        """Return whether an answer of `model` is the sample's answer: it is the sample's model, or that model has not answered yet."""
        return model == self.model or self.model not in self.spent

    def credit(self, response: ChatResponse, model: str) -> None:
        """Add an answer of `model`: its usage and its times."""
        timing = response.timing
        if self.concerns(model):
            self.response, self.adaptation = response, response.adaptation
        self._spend(model, response.usage)
        self.connect_s += timing.connect_s
        self.generation_s += timing.generation_s
        self.parse_s += timing.parse_s
        if self.ttft_s is None:
            self.ttft_s = timing.ttft_s

    def debit(self, error: ProviderError, model: str) -> None:
        """Add a failed request to `model`: the error, and its usage where the server reported one."""
        self.error = error
        if self.concerns(model):
            self.response, self.adaptation = None, error.evidence.adaptation
        if error.evidence.usage is not None:
            self._spend(model, error.evidence.usage)

    def _spend(self, model: str, usage: Usage) -> None:
        before = self.spent.get(model)
        self.spent[model] = usage if before is None else sum_usage((before, usage))


def sum_usage(usages: Iterable[Usage]) -> Usage:
    """Return the sum; it is marked as estimated if one of them is."""
    total: Usage | None = None
    for usage in usages:
        total = usage if total is None else _add_usage(total, usage)
    return NO_USAGE if total is None else total


def _add_usage(left: Usage, right: Usage) -> Usage:
    """Add two of them up."""
    return Usage(
        left.input_tokens + right.input_tokens,
        left.output_tokens + right.output_tokens,
        left.cached_tokens + right.cached_tokens,
        left.reasoning_tokens + right.reasoning_tokens,
        left.estimated or right.estimated,
    )


@dataclass(frozen=True, slots=True)
class Asking:
    """The settings of requests to one model: generation and deadlines."""

    generation: Generation = PLAIN_GENERATION
    """The epoch is added to its seed, so that repetitions differ."""
    judging: Generation = PLAIN_GENERATION
    """The settings that apply where a scorer asks this model."""
    deadlines: Deadlines = field(kw_only=True)


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


class SampleClient:
    """The ModelClient of one sample."""

    def __init__(self, call_context: CallContext, active: ActiveSample, slot: SlotLease) -> None:
        self.sample_usage = SampleUsage(active.sample.cell.model, asyncio.get_running_loop().time())
        self.deadline = self.sample_usage.opened_s + call_context.asking[self.sample_usage.model].deadlines.sample_s
        self.call_context = call_context
        self.active = active
        self.active.activity.since_s = self.sample_usage.opened_s
        self.sample = active.sample
        self.is_judging = False
        self.turn_prefix = ""
        self.slot = slot
        self.billable = 0
        """Number of requests that were or may have been billed."""
        self.ended_by: LimitReached | NoUsableInstance | SampleOverdue | None = None
        """Why no more answers are possible. The sample then has no answer, even if its solver catches the error."""
        self._scoring: SampleClient | None = None
        self._owner = asyncio.current_task()
        self._calls: set[asyncio.Task[object]] = set()
        self._is_closed = False

    async def close(self) -> None:
        """Cancel the calls that the solver started in other tasks and did not await (`asyncio.gather` leaves such tasks)."""
        self._is_closed = True
        if self._scoring is not None:
            await self._scoring.close()
            self.ended_by = self.ended_by or self._scoring.ended_by
        if self._calls:
            for task in self._calls:
                task.cancel()
            await asyncio.wait(self._calls, timeout=CLOSE_S)

    def for_scoring(self, sample_usage: SampleUsage) -> SampleClient:
        """Return a client for the scorer. It fills `sample_usage`, apart from the answer's usage, and shares the slot and the deadline.

        It generates with `Asking.judging`: the settings of the tested models do not apply to their judge.
        """
        scoring = SampleClient(self.call_context, self.active, self.slot)
        sample_usage.opened_s, sample_usage.first_sent_s = scoring.sample_usage.opened_s, self.sample_usage.first_sent_s
        scoring.sample_usage, scoring.deadline, scoring.turn_prefix = sample_usage, self.deadline, JUDGE_TURN
        scoring.is_judging = True
        self._scoring = scoring
        return scoring

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        max_tokens: int | None = None,
        model: str | None = None,
    ) -> ChatResponse:
        """Send `messages` to the sample's model, or to another `model` of the sweep. Raises ProviderError once retries are used up.

        Tools may have any name: a name that the API does not allow is replaced in the request and restored in the answer.
        """
        names = names_of(tools) if tools else None
        if names is not None:
            messages, tools = names.messages(messages), names.tools(tools)
        name = model or self.sample.cell.model
        if name not in self.call_context.dispatchers:
            raise LookupError(f"this run has no model {name!r}; {suggestion(name, self.call_context.dispatchers)}")
        self.sample_usage.turns += 1
        with self._registered(), self.active.activity.call() as activity:
            try:
                response = await self._answered(
                    _ChatCall(self, ChatRequest(messages, tools, self._generation(name, max_tokens)), name, activity)
                )
            except (LimitReached, NoUsableInstance, SampleOverdue) as error:
                self.ended_by = error
                raise
        self.sample_usage.credit(response, name)
        return names.response(response) if names is not None else response

    @contextmanager
    def _registered(self) -> Iterator[None]:
        """Register a call that the solver makes in a task that it created."""
        task = asyncio.current_task()
        if self._is_closed:
            raise RuntimeError(f"task {self.sample.task.task_id} has ended; its client can no longer be called")
        if task is None or task is self._owner:
            yield
            return
        self._calls.add(task)
        try:
            yield
        finally:
            self._calls.discard(task)

    def first_send(self) -> None:
        """Report that the sample's first request is about to be sent."""
        self.call_context.on_first_send(self.sample.ordinal)
        self.slot.sent()

    async def _answered(self, call: _ChatCall) -> ChatResponse:
        """Make the first attempt; only if it fails, build the retry policy, which starts with the error of that attempt."""
        try:
            return await call.attempt_in_budget()
        except ProviderError:
            park = partial(self._park, call.activity)
            policy = retry_policy(self.call_context.retries, park, call.name, call.gives_up)
            return await policy(call.replay_then_attempt)

    async def _park(self, activity: Activity, delay_s: float) -> None:
        since = asyncio.get_running_loop().time()
        activity.wait_to_retry(since, delay_s)
        await self.slot.park(delay_s)
        self.sample_usage.retry_wait_s += self.sample_usage.waited(since, asyncio.get_running_loop().time())

    def _generation(self, model: str, max_tokens: int | None) -> Generation:
        """Return the model's generation settings; the call's `max_tokens` overrides them, and the epoch is added to the seed."""
        asking = self.call_context.asking[model]
        generation = asking.judging if self.is_judging else asking.generation
        if max_tokens:
            generation = replace(generation, max_tokens=max_tokens)
        if generation.seed is None or not self.sample.epoch:
            return generation
        return replace(generation, seed=generation.seed + self.sample.epoch)


class _ChatCall:
    """One turn: a request that is sent until it is answered, rejected or out of attempts."""

    def __init__(self, client: SampleClient, request: ChatRequest, model: str, activity: Activity) -> None:
        call_context = client.call_context
        call_context.retry_budget.calls += 1
        self.activity = activity
        self._client = client
        self._turn = f"{client.turn_prefix}{client.sample_usage.turns}"
        self._has_answer = client.sample_usage.turns > 1 or bool(client.turn_prefix)
        self._request = request
        self._deadlines = call_context.asking[model].deadlines
        self._model = model
        self._dispatcher = call_context.dispatchers[model]
        self._estimator = call_context.estimators[model]
        self._prefer = client.active.instance
        self._avoid: frozenset[str] = frozenset()
        self._poison_detector = PoisonDetector()
        self._throttles: ThrottleSuspicion | None = None
        self._refused_by: frozenset[str] = frozenset()
        self._attempts = 0
        self._is_out = False
        self._first_error: ProviderError | None = None
        estimate = self._estimator.estimate(request.messages, request.tools)
        self._cost = Cost(estimate, request.generation.output_limit or DEFAULT_OUTPUT_TOKENS)

    @property
    def name(self) -> str:
        """The name of the call, the same in every run with the same seed."""
        sample = self._client.sample
        return f"{sample.seed}/{sample.sample_id}/{self._turn}"

    async def replay_then_attempt(self) -> ChatResponse:
        """Raise the first attempt's error once, then make new attempts."""
        error, self._first_error = self._first_error, None
        if error is not None:
            raise error
        return await self.attempt_in_budget()

    async def attempt_in_budget(self) -> ChatResponse:
        """Reserve the highest cost of an attempt, make it and commit its usage. Raises LimitReached when the budget has no room."""
        budget, model = self._client.call_context.budget, self._model
        since = asyncio.get_running_loop().time()
        self.activity.begin(ActivityStep.BUDGET, since)
        reserved = await budget.reserve(model, self._cost)
        sample_usage = self._client.sample_usage
        sample_usage.rate_wait_s += sample_usage.waited(since, asyncio.get_running_loop().time())
        try:
            response = await self.attempt()
        except ProviderError as error:
            budget.commit_failed(model, reserved, error)
            raise
        except BaseException:
            if self._is_out:
                budget.commit_unknown(model, reserved)
            else:
                budget.commit(model, reserved, None)
            raise
        budget.commit(model, reserved, response.usage)
        return response

    def gives_up(self, error: ProviderError) -> bool:
        """Return whether to stop retrying: poison, a wait beyond the sample's deadline, or no retry left in the run.

        The reason is added to the error as a note. An attempt to reach a silent instance takes nothing from the retry budget.
        """
        if self._poison_detector.is_poison(self._dispatcher.instance_states):
            error.add_note("not tried again: the same failure on two instances that answer others")
            return True
        wait_s, left_s = error.retry_after_s, self._client.deadline - asyncio.get_running_loop().time()
        if wait_s is not None and wait_s >= left_s:
            error.add_note(
                f"not tried again: the server asks to wait {wait_s:,.0f} s, the sample has {left_s:,.0f} s left"
            )
            return True
        budget = self._client.call_context.retry_budget
        if not error.was_sent and self._dispatcher.is_silent(error.evidence.instance):
            return False
        if budget.take():
            return False
        error.add_note(f"not tried again: the run's retry budget is used up ({budget})")
        return True

    async def attempt(self) -> ChatResponse:
        """Make one attempt. After a throttle, a refusal or a lost instance the request is sent again within the same attempt."""
        self._attempts += 1
        self._client.sample_usage.attempts += 1
        while True:
            try:
                return await self._send()
            except ProviderError as raised:
                self._note(raised)
                error = self._judged(raised)
                if isinstance(error, Throttled | InstanceGone) or self._may_ask_another(error):
                    continue
                if self._attempts == 1:
                    self._first_error = error
                if error is not raised:
                    raise error from raised
                raise

    def _judged(self, error: ProviderError) -> ProviderError:
        """Turn a throttle into RequestTooLarge if this request is throttled again and again while other requests pass."""
        if not isinstance(error, Throttled) or self._throttles is None:
            return error
        if not self._throttles.is_too_large(self._dispatcher.instance_states):
            return error
        return RequestTooLarge(f"{error}; it was refused again and again while others were answered", error.evidence)

    def _may_ask_another(self, error: ProviderError) -> bool:
        """Return whether a refused request may be sent to another instance: at most `REFUSALS_AT_MOST` of them, once to each."""
        if not isinstance(error, Refused):
            return False
        self._refused_by |= {error.evidence.instance}
        instance_states = self._dispatcher.instance_states
        others = [
            name
            for name in instance_states
            if name not in self._refused_by and instance_states[name].health_tracker.is_healthy
        ]
        return bool(others) and len(self._refused_by) < REFUSALS_AT_MOST

    async def _send(self) -> ChatResponse:
        loop = asyncio.get_running_loop()
        sample_usage, deadline = self._client.sample_usage, self._client.deadline
        since = loop.time()
        permit_request = self._dispatcher.permit(
            self._cost,
            prefer=self._prefer,
            avoid=self._avoid | self._refused_by,
            deadline=deadline,
            is_begun=self._has_answer,
            slot=self._client.slot,
            yields=self._throttles is not None and self._throttles.yields,
        )
        self.activity.wait_for_permit(permit_request.request, since)
        try:
            async with permit_request as permit:
                self.activity.wait_for_answer(permit.instance_state, permit.sent_at)
                sample_usage.rate_wait_s += sample_usage.waited(since, permit.sent_at)
                return await self._complete(permit, min(deadline, permit.sent_at + self._deadlines.attempt_s))
        except TimeoutError as error:
            raise SampleOverdue from error

    async def _complete(self, permit: Permit, deadline: float) -> ChatResponse:
        sample_usage, instance_state = self._client.sample_usage, permit.instance_state
        if sample_usage.first_sent_s is None:
            sample_usage.first_sent_s = permit.sent_at
            self._client.first_send()
        request_id = f"{self._client.sample.sample_id}/{self._turn}/{self._attempts}"
        if sample_usage.concerns(self._model):
            sample_usage.instance, sample_usage.request_id = instance_state.instance, request_id
            sample_usage.moved_reason = sample_usage.moved_reason or self._dispatcher.why_moved(
                self._client.active.planned, instance_state
            )
        self._client.billable += 1
        self._is_out = True
        try:
            response = await instance_state.sender.complete(
                instance_state.instance, self._request, request_id=request_id, deadline=deadline
            )
        except ProviderError as error:
            self._is_out = False
            self._client.billable -= not may_be_billed(error)
            self._count_resent(error.evidence.resent)
            self._dispatcher.finish(permit, _failed(error, permit), error)
            if isinstance(error, Throttled):
                self._throttles = self._throttles or ThrottleSuspicion()
                self._throttles.note(instance_state, permit.sent_at)
            raise
        self._count_resent(response.timing.resent)
        latency_s = asyncio.get_running_loop().time() - permit.sent_at
        self._dispatcher.finish(permit, Settled("succeeded", latency_s, response.usage, response.hint), None)
        self._estimator.learn(self._request.messages, self._request.tools, response.usage)
        return response

    def _count_resent(self, resent: int) -> None:
        self._client.billable += resent
        self._client.call_context.budget.unanswered += resent

    def _note(self, error: ProviderError) -> None:
        sample_usage = self._client.sample_usage
        sample_usage.debit(error, self._model)
        sample_usage.throttles += isinstance(error, Throttled)
        is_suspected = self._poison_detector.note(error, asyncio.get_running_loop().time())
        if isinstance(error, Empty | ConnectionLost | InstanceGone):
            self._avoid = frozenset({error.evidence.instance})
        elif is_suspected:
            self._avoid = frozenset(self._poison_detector.times)
        moves = is_suspected or isinstance(error, Empty | ConnectionLost | InstanceGone | Throttled | Refused)
        if moves and sample_usage.concerns(self._model):
            sample_usage.moved_reason = error.error_class


def _failed(error: ProviderError, permit: Permit) -> Settled:
    latency_s = asyncio.get_running_loop().time() - permit.sent_at
    return Settled(_how(error), latency_s, error.evidence.usage, error.evidence.hint)


def _how(error: ProviderError) -> Literal["succeeded", "throttled", "failed", "cancelled"]:
    """Return the outcome for the limiter: an empty or bad answer is still an answer; a request that was refused at once is no evidence."""
    if isinstance(error, Throttled):
        return "throttled"
    if isinstance(error, Empty | Rejected) and error.evidence.status == HTTPStatus.OK:
        return "succeeded"
    return "cancelled" if isinstance(error, Rejected | Refused) else "failed"

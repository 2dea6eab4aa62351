"""What a solver holds: every call is permitted, retried, timed out and accounted for. One client per sample."""

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
"""What an answer is reckoned to cost where nobody set max_tokens."""
JUDGE_TURN = "judge-"
"""What turns of a scorer's client are called by in request ids."""

REFUSALS_AT_MOST = 3
"""Instances that one request is sent to while each refuses it as it is configured."""

CLOSE_S = 5.0
"""How long a solver's cancelled calls may take to end."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. Nobody waits without one."""

    attempt_s: float = 300.0
    sample_s: float = 1800.0


class SampleOverdue(OrchestratorError):
    """The sample's deadline came while it waited for leave to send."""


class ModelClient(Protocol):
    async def chat(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        max_tokens: int | None = None,
        model: str | None = None,
    ) -> ChatResponse: ...


@dataclass(slots=True)
class SampleUsage:
    """What a sample has cost so far: filled by its client, read by its worker."""

    model: str
    """The sample's own. What other models say, a judge say, counts for tokens and time, not as the sample's answer."""
    opened_s: float = 0.0
    """Loop time."""
    turns: int = 0
    attempts: int = 0
    throttles: int = 0
    first_sent_s: float | None = None
    rate_wait_s: float = 0.0
    retry_wait_s: float = 0.0
    """Both summed over calls, which may wait beside each other."""
    waited_s: float = 0.0
    """Time in which a call waited, each moment once."""
    waited_until_s: float = 0.0
    connect_s: float = 0.0
    ttft_s: float | None = None
    generation_s: float = 0.0
    parse_s: float = 0.0
    spent: dict[str, Usage] = field(default_factory=dict)
    """By model: a solver may ask several."""
    instance: Instance | None = None
    moved_reason: str | None = None
    request_id: str | None = None
    response: ChatResponse | None = None
    error: ProviderError | None = None
    """The last one met, also where a later attempt succeeded."""
    adaptation: Adaptation | None = None
    """How the last request was adapted to its instance."""

    @property
    def usage(self) -> Usage:
        return sum_usage(self.spent.values())

    def waited(self, since_s: float, until_s: float) -> float:
        """A call has waited from `since_s` until now; returns how long. What a wait before it covered already is no further waiting."""
        self.waited_s += max(0.0, until_s - max(since_s, self.waited_until_s))
        self.waited_until_s = until_s
        return until_s - since_s

    def concerns(self, model: str) -> bool:
        """Whether what `model` says is the sample's: its own model's word, or anybody's until that has spoken."""
        return model == self.model or self.model not in self.spent

    def credit(self, response: ChatResponse, model: str) -> None:
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
        self.error = error
        if self.concerns(model):
            self.response, self.adaptation = None, error.evidence.adaptation
        if error.evidence.usage is not None:
            self._spend(model, error.evidence.usage)

    def _spend(self, model: str, usage: Usage) -> None:
        before = self.spent.get(model)
        self.spent[model] = usage if before is None else sum_usage((before, usage))


def sum_usage(usages: Iterable[Usage]) -> Usage:
    """All of them together; estimated where one is."""
    total = Usage(0, 0)
    for usage in usages:
        total = Usage(
            total.input_tokens + usage.input_tokens,
            total.output_tokens + usage.output_tokens,
            total.cached_tokens + usage.cached_tokens,
            total.reasoning_tokens + usage.reasoning_tokens,
            total.estimated or usage.estimated,
        )
    return total


@dataclass(frozen=True, slots=True)
class Asking:
    """How one model is asked, and how long for."""

    generation: Generation = PLAIN_GENERATION
    """Its seed is sent plus the epoch, so that repetitions differ."""
    judging: Generation = PLAIN_GENERATION
    """The same where a scorer asks."""
    deadlines: Deadlines = Deadlines()


@dataclass(frozen=True, slots=True)
class CallContext:
    """What all clients of a run share: where calls go and the bounds that they keep."""

    dispatchers: Mapping[str, Dispatcher]
    estimators: Mapping[str, TokenEstimator]
    asking: Mapping[str, Asking]
    """By model."""
    retries: RetryLimits = field(default_factory=RetryLimits)
    retry_budget: RetryBudget = field(default_factory=RetryBudget)
    budget: Budget = field(default_factory=Budget)
    on_first_send: Callable[[int], None] = lambda _ordinal: None
    """Told once per sample, before its first request goes out."""
    on_unbilled: Callable[[int], None] = lambda _ordinal: None
    """Told of a sample that ends without a record, and of whose requests every one was refused."""


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
        """Requests that were or may have been billed."""
        self.ended_by: LimitReached | NoUsableInstance | SampleOverdue | None = None
        """Why there is no answer to be had any more: whatever a solver makes of it, it is none."""
        self._scoring: SampleClient | None = None
        self._owner = asyncio.current_task()
        self._calls: set[asyncio.Task[object]] = set()
        self._is_closed = False

    async def close(self) -> None:
        """The sample is over: calls that its solver started beside itself and left behind (asyncio.gather does) end here."""
        self._is_closed = True
        if self._scoring is not None:
            await self._scoring.close()
            self.ended_by = self.ended_by or self._scoring.ended_by
        if self._calls:
            for task in self._calls:
                task.cancel()
            await asyncio.wait(self._calls, timeout=CLOSE_S)

    def for_scoring(self, sample_usage: SampleUsage) -> SampleClient:
        """A second client, for the scorer, that fills `account`: what a judge says and costs is not the answer. Same place and deadline.

        It generates as `Asking.judging` says: what is said for the models that are tested is not said for their judge.
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

        Tools may have any name: what the wire does not allow is renamed on the way out and back.
        """
        names = names_of(tools) if tools else None
        if names is not None:
            messages, tools = names.messages(messages), names.tools(tools)
        name = model or self.sample.cell.model
        if name not in self.call_context.dispatchers:
            raise LookupError(f"this run has no model {name!r}; {suggestion(name, self.call_context.dispatchers)}")
        self.sample_usage.turns += 1
        with self._noted(), self.active.activity.call() as doing:
            try:
                response = await self._answered(
                    _ChatCall(self, ChatRequest(messages, tools, self._generation(name, max_tokens)), name, doing)
                )
            except (LimitReached, NoUsableInstance, SampleOverdue) as error:
                self.ended_by = error
                raise
        self.sample_usage.credit(response, name)
        return names.response(response) if names is not None else response

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Remember calls that are made in tasks of the solver's own."""
        task = asyncio.current_task()
        if self._is_closed:
            raise RuntimeError(f"task {self.sample.task.task_id} is over; nothing can be asked for it any more")
        if task is None or task is self._owner:
            yield
            return
        self._calls.add(task)
        try:
            yield
        finally:
            self._calls.discard(task)

    def first_send(self) -> None:
        """The sample's first request is about to go out."""
        self.call_context.on_first_send(self.sample.ordinal)
        self.slot.sent()

    async def _answered(self, call: _ChatCall) -> ChatResponse:
        """Only a first attempt that failed needs the retry policy, which gets its error: a call that succeeds never builds one."""
        try:
            return await call.pay()
        except ProviderError:
            park = partial(self._park, call.doing)
            policy = retry_policy(self.call_context.retries, park, call.name, call.gives_up)
            return await policy(call.replay_then_pay)

    async def _park(self, doing: Activity, delay_s: float) -> None:
        since = asyncio.get_running_loop().time()
        doing.wait_to_retry(since, delay_s)
        await self.slot.park(delay_s)
        self.sample_usage.retry_wait_s += self.sample_usage.waited(since, asyncio.get_running_loop().time())

    def _generation(self, model: str, max_tokens: int | None) -> Generation:
        """As the model is asked; a call's own bound wins, and a seed moves with the epoch."""
        asking = self.call_context.asking[model]
        generation = asking.judging if self.is_judging else asking.generation
        if max_tokens:
            generation = replace(generation, max_tokens=max_tokens)
        if generation.seed is None or not self.sample.epoch:
            return generation
        return replace(generation, seed=generation.seed + self.sample.epoch)


class _ChatCall:
    """One turn: a request that is sent until it is answered, rejected or out of attempts."""

    def __init__(self, client: SampleClient, request: ChatRequest, model: str, doing: Activity) -> None:
        call_context = client.call_context
        call_context.retry_budget.calls += 1
        self.doing = doing
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
        self._suspicion = PoisonDetector()
        self._throttles: ThrottleSuspicion | None = None
        self._refused_by: frozenset[str] = frozenset()
        self._attempts = 0
        self._is_out = False
        self._first_error: ProviderError | None = None
        estimate = self._estimator.estimate(request.messages, request.tools)
        self._cost = Cost(estimate, request.generation.output_limit or DEFAULT_OUTPUT_TOKENS)

    @property
    def name(self) -> str:
        """The same in every run of one seed."""
        sample = self._client.sample
        return f"{sample.seed}/{sample.sample_id}/{self._turn}"

    async def replay_then_pay(self) -> ChatResponse:
        """Raise the first attempt's error once, then attempt anew."""
        error, self._first_error = self._first_error, None
        if error is not None:
            raise error
        return await self.pay()

    async def pay(self) -> ChatResponse:
        """One attempt; what it may cost is set aside first. Raises LimitReached where nothing is left."""
        budget, model = self._client.call_context.budget, self._model
        since = asyncio.get_running_loop().time()
        self.doing.begin(ActivityStep.BUDGET, since)
        aside = await budget.set_aside(model, self._cost)
        sample_usage = self._client.sample_usage
        sample_usage.rate_wait_s += sample_usage.waited(since, asyncio.get_running_loop().time())
        try:
            response = await self.attempt()
        except ProviderError as error:
            budget.fail(model, aside, error)
            raise
        except BaseException:
            if self._is_out:
                budget.lose(model, aside)
            else:
                budget.settle(model, aside, None)
            raise
        budget.settle(model, aside, response.usage)
        return response

    def gives_up(self, error: ProviderError) -> bool:
        """Poison, a wait beyond the sample's deadline, or no retry left in the run: the error says so.

        Trying to reach a silent instance again is its canaries' business.
        """
        if self._suspicion.is_poison(self._dispatcher.instance_states):
            error.add_note("not tried again: the same failure on two instances that answer others")
            return True
        asked_s, left_s = error.retry_after_s, self._client.deadline - asyncio.get_running_loop().time()
        if asked_s is not None and asked_s >= left_s:
            error.add_note(
                f"not tried again: the server asks to wait {asked_s:,.0f} s, the sample has {left_s:,.0f} s left"
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
        """One attempt: throttling, refusals and lost instances are waited out or moved away from, and count as none."""
        self._attempts += 1
        self._client.sample_usage.attempts += 1
        while True:
            try:
                return await self._send()
            except ProviderError as met:
                self._note(met)
                error = self._judged(met)
                if isinstance(error, Throttled | InstanceGone) or self._may_ask_another(error):
                    continue
                if self._attempts == 1:
                    self._first_error = error
                if error is not met:
                    raise error from met
                raise

    def _judged(self, error: ProviderError) -> ProviderError:
        """A throttle that follows this request while others pass is its own size."""
        if not isinstance(error, Throttled) or self._throttles is None:
            return error
        if not self._throttles.is_too_large(self._dispatcher.instance_states):
            return error
        return RequestTooLarge(f"{error}; it was refused again and again while others were answered", error.evidence)

    def _may_ask_another(self, error: ProviderError) -> bool:
        """A refused request goes to a few instances, once to each: what one endpoint does not take another may."""
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
        asked = self._dispatcher.permit(
            self._cost,
            prefer=self._prefer,
            avoid=self._avoid | self._refused_by,
            deadline=deadline,
            is_begun=self._has_answer,
            slot=self._client.slot,
            yields=self._throttles is not None and self._throttles.yields,
        )
        self.doing.wait_for_leave(asked, since)
        try:
            async with asked as permit:
                self.doing.wait_for_answer(permit.instance_state, permit.sent_at)
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
            permit.settle(_failed(error, permit))
            self._dispatcher.observe(permit, error)
            if isinstance(error, Throttled):
                self._throttles = self._throttles or ThrottleSuspicion()
                self._throttles.note(instance_state, permit.sent_at)
            raise
        self._count_resent(response.timing.resent)
        latency_s = asyncio.get_running_loop().time() - permit.sent_at
        permit.settle(Settled("succeeded", latency_s, response.usage, response.hint))
        self._dispatcher.observe(permit, None)
        self._estimator.learn(self._request.messages, self._request.tools, response.usage)
        return response

    def _count_resent(self, resent: int) -> None:
        self._client.billable += resent
        self._client.call_context.budget.unanswered += resent

    def _note(self, error: ProviderError) -> None:
        sample_usage = self._client.sample_usage
        sample_usage.debit(error, self._model)
        sample_usage.throttles += isinstance(error, Throttled)
        is_suspected = self._suspicion.note(error, asyncio.get_running_loop().time())
        if isinstance(error, Empty | ConnectionLost | InstanceGone):
            self._avoid = frozenset({error.evidence.instance})
        elif is_suspected:
            self._avoid = frozenset(self._suspicion.times)
        moves = is_suspected or isinstance(error, Empty | ConnectionLost | InstanceGone | Throttled | Refused)
        if moves and sample_usage.concerns(self._model):
            sample_usage.moved_reason = error.error_class


def _failed(error: ProviderError, permit: Permit) -> Settled:
    latency_s = asyncio.get_running_loop().time() - permit.sent_at
    return Settled(_how(error), latency_s, error.evidence.usage, error.evidence.hint)


def _how(error: ProviderError) -> Literal["succeeded", "throttled", "failed", "cancelled"]:
    """For the limiter: an answer that is worth nothing was still an answer; a request that was sent back at once teaches nothing."""
    if isinstance(error, Throttled):
        return "throttled"
    if isinstance(error, Empty | Rejected) and error.evidence.status == HTTPStatus.OK:
        return "succeeded"
    return "cancelled" if isinstance(error, Rejected | Refused) else "failed"

"""The attempts of one turn: each reserves budget, gets a permit, sends the request and settles the permit, until one is answered."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

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
from providers.messages import ChatRequest, ChatResponse
from providers.usage.estimates import prompt_bytes

from ..dispatch.instance_state import Permit
from ..dispatch.permit_request import PermitRequest
from ..dispatch.poison import PoisonDetector, ThrottleSuspicion
from ..limits.permit import Cost, Settled
from .activity import Activity, ActivityStep
from .budget import NOTHING, Spending, may_be_billed
from .client_state import ClientState
from .retry import Retries

DEFAULT_OUTPUT_TOKENS = 512
"""Output tokens that are reserved for an answer where max_tokens is not set."""
REFUSALS_AT_MOST = 3
"""Instances that one request is sent to while each of them refuses it."""
NOBODY: frozenset[str] = frozenset()


class SampleOverdue(OrchestratorError):
    """The sample's deadline passed while it waited for a permit."""


class Call:
    """One turn: a request that is sent until it is answered, rejected or out of attempts."""

    def __init__(self, client: ClientState, request: ChatRequest, model: str, activity: Activity) -> None:
        self._call_context = call_context = client.call_context
        call_context.retry_budget.calls += 1
        self._activity = activity
        self._client = client
        self._sample_usage = usage = client.sample_usage
        self._turn = f"{client.turn_prefix}{usage.turns}"
        self._has_answer = usage.turns > 1 or client.is_judging
        self._request = request
        self._attempt_s = call_context.asking[model].deadlines.attempt_s
        self._model = model
        self._dispatcher = call_context.dispatchers[model]
        self._estimator = call_context.estimators[model]
        self._prompt_bytes = prompt_bytes(request.messages, request.tools)
        self._cost = Cost(
            self._estimator.estimate_bytes(self._prompt_bytes), request.generation.output_limit or DEFAULT_OUTPUT_TOKENS
        )
        self._avoid = NOBODY
        self._refused_by = NOBODY
        self._poison_detector: PoisonDetector | None = None
        self._throttles: ThrottleSuspicion | None = None
        self._attempts = 0
        self._is_out = False
        """A request is sent and has not ended."""
        self.answered_by: Instance | None = None
        self._is_alone = False
        """The last request was refused by an instance that goes on sending others."""

    async def answer(self) -> ChatResponse:
        """Make attempts, and wait between them, until one is answered. Raises the last error once no retry is left."""
        retries: Retries | None = None
        while True:
            try:
                return await self._attempt()
            except ProviderError as error:
                if retries is None:
                    retries = Retries(self._call_context.retries, self._name, self._gives_up)
                delay_s = retries.delay_after(error)
                if delay_s is None:
                    raise
            waited_s = await self._park(delay_s)
            self._sample_usage.retry_wait_s += waited_s

    @property
    def _name(self) -> str:
        """The name of the call, the same in every run with the same seed."""
        sample = self._client.sample
        return f"{sample.seed}/{sample.sample_id}/{self._turn}"

    async def _park(self, delay_s: float) -> float:
        """Wait before the next request, without the worker's slot. Returns the seconds to count."""
        since = self._client.time()
        self._activity.wait_to_retry(since, delay_s)
        await self._client.slot.park(delay_s)
        return self._sample_usage.waited(since, self._client.time())

    async def _attempt(self) -> ChatResponse:
        """Make one attempt within the budget. After a throttle, a refusal or a lost instance the request is sent again within it."""
        budget, model = self._call_context.budget, self._model
        reserved = await self._reserve() if budget.is_bounded else NOTHING
        self._attempts += 1
        self._sample_usage.attempts += 1
        while True:
            try:
                response = await self._send()
            except ProviderError as raised:
                error = self._judged(raised)
                if isinstance(error, Throttled):
                    await self._wait_alone(error)
                    continue
                if isinstance(error, InstanceGone) or self._may_ask_another(error):
                    continue
                budget.commit_failed(model, reserved, error)
                if error is not raised:
                    raise error from raised
                raise
            except BaseException:
                if self._is_out:
                    budget.commit_unknown(model, reserved)
                else:
                    budget.commit(model, reserved, None)
                raise
            budget.commit(model, reserved, response.usage)
            return response

    async def _wait_alone(self, error: Throttled) -> None:
        """Spare an instance that goes on sending others: ask another one, or wait for Retry-After, without the worker's slot."""
        if not self._is_alone or not error.retry_after_s:
            return
        if len(self._dispatcher.instance_states) > 1:
            self._avoid = frozenset({error.evidence.instance})
            return
        waited_s = await self._park(max(0.0, min(error.retry_after_s, self._client.deadline - self._client.time())))
        self._sample_usage.rate_wait_s += waited_s

    async def _reserve(self) -> Spending:
        """Reserve the highest cost of an attempt. Raises LimitReached when the budget has no room."""
        usage, since = self._sample_usage, self._client.time()
        self._activity.begin(ActivityStep.BUDGET, since)
        reserved = await self._call_context.budget.reserve(self._model, self._cost)
        usage.rate_wait_s += usage.waited(since, self._client.time())
        return reserved

    async def _send(self) -> ChatResponse:
        """Send the request once, when it has a permit, and settle the permit."""
        client, dispatcher = self._client, self._dispatcher
        dispatcher.require_open(is_begun=self._has_answer)
        avoid = self._avoid | self._refused_by if self._refused_by else self._avoid
        permit = dispatcher.try_acquire(self._cost, client.active.instance, avoid) or await self._wait_for_permit(avoid)
        client.slot.begin_request()
        try:
            request_id = self._begin(permit)
            response = await permit.instance_state.sender.complete(
                permit.instance_state.instance,
                self._request,
                request_id=request_id,
                deadline=min(client.deadline, permit.sent_at + self._attempt_s),
            )
        except ProviderError as error:
            self._fail(permit, error)
            raise
        except BaseException:
            dispatcher.abandon(permit)
            raise
        finally:
            client.slot.end_request()
        self._succeed(permit, response)
        return response

    async def _wait_for_permit(self, avoid: frozenset[str]) -> Permit:
        """Wait for a permit, without the worker's slot if the sample was sent before. Raises SampleOverdue at the sample's deadline."""
        client, usage, since = self._client, self._sample_usage, self._client.time()
        waiting = PermitRequest(
            self._cost,
            client.active.instance,
            avoid,
            client.deadline,
            is_begun=self._has_answer,
            was_sent=client.slot.was_sent,
            yields=self._throttles is not None and self._throttles.yields,
        )
        self._activity.wait_for_permit(waiting, since)
        try:
            with client.slot.release_while_waiting():
                permit = await self._dispatcher.acquire(waiting)
        except TimeoutError as error:
            raise SampleOverdue from error
        usage.rate_wait_s += usage.waited(since, permit.sent_at)
        return permit

    def _begin(self, permit: Permit) -> str:
        """Note that the request is about to be sent, and return its id."""
        client, usage, instance_state = self._client, self._sample_usage, permit.instance_state
        self._activity.wait_for_answer(instance_state, permit.sent_at)
        if usage.first_sent_s is None:
            usage.first_sent_s = permit.sent_at
            self._call_context.on_first_send(client.sample.ordinal)
            client.slot.sent()
        request_id = f"{client.sample.sample_id}/{self._turn}/{self._attempts}"
        if usage.concerns(self._model):
            usage.instance, usage.request_id = instance_state.instance, request_id
            planned = client.active.planned
            if instance_state.instance.name != planned:
                usage.moved_reason = usage.moved_reason or self._dispatcher.why_moved(planned, instance_state)
        client.billable += 1
        self._is_out = True
        return request_id

    def _succeed(self, permit: Permit, response: ChatResponse) -> None:
        """Settle a request that was answered."""
        if response.timing.resent:
            self._count_resent(response.timing.resent)
        self.answered_by = permit.instance_state.instance
        settled = Settled("succeeded", self._client.time() - permit.sent_at, response.usage, response.hint)
        self._dispatcher.finish(permit, settled, None)
        self._estimator.learn_bytes(self._prompt_bytes, response.usage)

    def _fail(self, permit: Permit, error: ProviderError) -> None:
        """Settle a request that ended in an error."""
        self._is_out = False
        self._client.billable -= not may_be_billed(error)
        self._count_resent(error.evidence.resent)
        if isinstance(error, Throttled):
            self._throttles = self._throttles or ThrottleSuspicion()
            self._throttles.note(permit.instance_state, permit.sent_at)
        latency_s = self._client.time() - permit.sent_at
        settled = Settled(_how(error), latency_s, error.evidence.usage, error.evidence.hint)
        self._dispatcher.finish(permit, settled, error)
        self._is_alone = permit.limiter.sends_others

    def _count_resent(self, resent: int) -> None:
        self._client.billable += resent
        self._call_context.budget.unanswered += resent

    def _judged(self, error: ProviderError) -> ProviderError:
        """Note an error; turn a throttle into RequestTooLarge if this request is throttled again and again while others pass."""
        self._note(error)
        if not isinstance(error, Throttled) or self._throttles is None:
            return error
        if not self._throttles.is_too_large(self._dispatcher.instance_states):
            return error
        return RequestTooLarge(f"{error}; it was refused again and again while others were answered", error.evidence)

    def _note(self, error: ProviderError) -> None:
        """Add an error to the sample's usage, and choose which instances the next request avoids."""
        usage = self._sample_usage
        usage.debit(error, self._model)
        usage.throttles += isinstance(error, Throttled)
        self._poison_detector = self._poison_detector or PoisonDetector()
        is_suspected = self._poison_detector.note(error, self._client.time())
        if isinstance(error, Empty | ConnectionLost | InstanceGone):
            self._avoid = frozenset({error.evidence.instance})
        elif is_suspected:
            self._avoid = frozenset(self._poison_detector.times)
        moves = is_suspected or isinstance(error, Empty | ConnectionLost | InstanceGone | Throttled | Refused)
        if moves and usage.concerns(self._model):
            usage.moved_reason = error.error_class

    def _may_ask_another(self, error: ProviderError) -> bool:
        """Return whether a refused request may be sent to another instance: at most `REFUSALS_AT_MOST` of them, once to each."""
        if not isinstance(error, Refused):
            return False
        self._refused_by |= {error.evidence.instance}
        has_other = any(
            name not in self._refused_by and instance_state.health_tracker.is_healthy
            for name, instance_state in self._dispatcher.instance_states.items()
        )
        return has_other and len(self._refused_by) < REFUSALS_AT_MOST

    def _gives_up(self, error: ProviderError) -> bool:
        """Return whether to stop retrying: poison, a wait beyond the sample's deadline, or no retry left in the run.

        The reason is added to the error as a note. An attempt to reach a silent instance takes nothing from the retry budget.
        """
        if self._poison_detector is not None and self._poison_detector.is_poison(self._dispatcher.instance_states):
            error.add_note("not tried again: the same failure on two instances that answer others")
            return True
        wait_s, left_s = error.retry_after_s, self._client.deadline - self._client.time()
        if wait_s is not None and wait_s >= left_s:
            error.add_note(
                f"not tried again: the server asks to wait {wait_s:,.0f} s, the sample has {left_s:,.0f} s left"
            )
            return True
        retry_budget = self._call_context.retry_budget
        is_free = not error.was_sent and self._dispatcher.is_silent(error.evidence.instance)
        if is_free or retry_budget.take():
            return False
        error.add_note(f"not tried again: the run's retry budget is used up ({retry_budget})")
        return True


def _how(error: ProviderError) -> Literal["succeeded", "throttled", "failed", "cancelled"]:
    """Return the outcome for the limiter: an empty or bad answer is still an answer; a request that was refused at once is no evidence."""
    if isinstance(error, Throttled):
        return "throttled"
    if isinstance(error, Empty | Rejected) and error.evidence.status == HTTPStatus.OK:
        return "succeeded"
    return "cancelled" if isinstance(error, Rejected | Refused) else "failed"

"""What a solver holds: every call is permitted, retried, timed out and accounted for. One client per sample."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Literal, Protocol

from providers.errors import (
    ConnectionLost,
    Empty,
    InstanceGone,
    OrchestratorError,
    ProviderError,
    Rejected,
    Throttled,
)
from providers.instance import Instance
from providers.messages import JSON, ChatRequest, ChatResponse, Message, Tool
from providers.tokens import TokenEstimator

from .dispatch import Dispatcher
from .lease import SlotLease
from .limits.permit import Cost, Settled
from .opened import Opened
from .retry import RetryLimits, retry_policy
from .station import Permit

DEFAULT_OUTPUT_TOKENS = 512
"""What an answer is reckoned to cost where nobody set max_tokens."""
JUDGE_TURN = "judge-"
"""What turns of a scorer's client are called by in request ids."""


@dataclass(frozen=True, slots=True)
class Generation:
    """How answers are generated; part of what a run's results belong to."""

    temperature: float | None = None
    max_tokens: int | None = None
    stream: bool = False
    seed: int | None = None
    """Sent plus the epoch, so that repetitions differ; None sends no seed."""
    extra_body: Mapping[str, JSON] | None = None


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
class Account:
    """What a sample has cost so far: filled by its client, read by its worker."""

    opened_s: float = 0.0
    """Loop time."""
    turns: int = 0
    attempts: int = 0
    throttles: int = 0
    first_sent_s: float | None = None
    rate_wait_s: float = 0.0
    retry_wait_s: float = 0.0
    connect_s: float = 0.0
    ttft_s: float | None = None
    generation_s: float = 0.0
    parse_s: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    usage_estimated: bool = False
    instance: Instance | None = None
    moved_reason: str | None = None
    request_id: str | None = None
    response: ChatResponse | None = None
    error: ProviderError | None = None
    """The last one met, also where a later attempt succeeded."""

    def credit(self, response: ChatResponse) -> None:
        usage, timing = response.usage, response.timing
        self.response = response
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens
        self.cached_tokens += usage.cached_tokens
        self.reasoning_tokens += usage.reasoning_tokens
        self.usage_estimated |= usage.estimated
        self.connect_s += timing.connect_s
        self.generation_s += timing.generation_s
        self.parse_s += timing.parse_s
        if self.ttft_s is None:
            self.ttft_s = timing.ttft_s

    def debit(self, error: ProviderError) -> None:
        self.error = error
        self.response = None
        if error.evidence.usage is not None:
            self.input_tokens += error.evidence.usage.input_tokens
            self.output_tokens += error.evidence.usage.output_tokens


@dataclass(frozen=True, slots=True)
class Exchange:
    """What all clients of a run share: where calls go and the bounds that they keep."""

    dispatchers: Mapping[str, Dispatcher]
    estimators: Mapping[str, TokenEstimator]
    generation: Generation = field(default_factory=Generation)
    deadlines: Deadlines = field(default_factory=Deadlines)
    retries: RetryLimits = field(default_factory=RetryLimits)
    on_first_send: Callable[[int], None] = lambda _ordinal: None
    """Told once per sample, before its first request goes out."""


class SampleClient:
    """The ModelClient of one sample."""

    def __init__(self, exchange: Exchange, opened: Opened, lease: SlotLease) -> None:
        self.account = Account(asyncio.get_running_loop().time())
        self.deadline = self.account.opened_s + exchange.deadlines.sample_s
        self.exchange = exchange
        self.opened = opened
        self.sample = opened.sample
        self.turn_prefix = ""
        self._lease = lease

    def for_scoring(self, account: Account) -> SampleClient:
        """A second client, for the scorer, that fills `account`: what a judge says and costs is not the answer. Same place and deadline.

        Of the run's generation it leaves out what is said for the models that are tested: their max_tokens, their extra_body.
        """
        generation = replace(self.exchange.generation, max_tokens=None, extra_body=None)
        scoring = SampleClient(replace(self.exchange, generation=generation), self.opened, self._lease)
        account.opened_s, account.first_sent_s = scoring.account.opened_s, self.account.first_sent_s
        scoring.account, scoring.deadline, scoring.turn_prefix = account, self.deadline, JUDGE_TURN
        return scoring

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        max_tokens: int | None = None,
        model: str | None = None,
    ) -> ChatResponse:
        """Send `messages` to the sample's model, or to another `model` of the sweep. Raises ProviderError once retries are used up."""
        self.account.turns += 1
        call = _Call(self, self._request(messages, tools, max_tokens), model or self.sample.cell.model)
        try:
            response = await call.attempt()
        except ProviderError:
            response = await self._again(call)
        self.account.credit(response)
        return response

    def first_send(self) -> None:
        """The sample's first request is about to go out."""
        self.exchange.on_first_send(self.sample.ordinal)
        self._lease.sent()

    async def _again(self, call: _Call) -> ChatResponse:
        """The first attempt failed: hand its error to the retry policy, which a call that succeeds at once never has to build."""
        policy = retry_policy(self.exchange.retries, self._park)
        return await policy(call.replay_then_attempt)

    async def _park(self, delay_s: float) -> None:
        since = asyncio.get_running_loop().time()
        await self._lease.park(delay_s)
        self.account.retry_wait_s += asyncio.get_running_loop().time() - since

    def _request(self, messages: Sequence[Message], tools: Sequence[Tool], max_tokens: int | None) -> ChatRequest:
        generation = self.exchange.generation
        return ChatRequest(
            messages=messages,
            tools=tools,
            max_tokens=max_tokens or generation.max_tokens,
            temperature=generation.temperature,
            seed=None if generation.seed is None else generation.seed + self.sample.epoch,
            stream=generation.stream,
            extra_body=generation.extra_body,
        )


class _Call:
    """One turn: a request that is sent until it is answered, rejected or out of attempts."""

    def __init__(self, client: SampleClient, request: ChatRequest, model: str) -> None:
        exchange = client.exchange
        self._client = client
        self._turn = f"{client.turn_prefix}{client.account.turns}"
        self._request = request
        self._deadlines = exchange.deadlines
        self._dispatcher = exchange.dispatchers[model]
        self._estimator = exchange.estimators[model]
        self._prefer = client.opened.instance
        self._avoid: frozenset[str] = frozenset()
        self._attempts = 0
        self._first_error: ProviderError | None = None
        estimate = self._estimator.estimate(request.messages, request.tools)
        self._cost = Cost(estimate, request.max_tokens or DEFAULT_OUTPUT_TOKENS)

    async def replay_then_attempt(self) -> ChatResponse:
        """Raise the first attempt's error once, then attempt anew."""
        error, self._first_error = self._first_error, None
        if error is not None:
            raise error
        return await self.attempt()

    async def attempt(self) -> ChatResponse:
        """One attempt: throttling and lost instances are waited out or moved away from, and count as none."""
        self._attempts += 1
        self._client.account.attempts += 1
        while True:
            try:
                return await self._send()
            except (Throttled, InstanceGone) as error:
                self._note(error)
            except ProviderError as error:
                self._note(error)
                if self._attempts == 1:
                    self._first_error = error
                raise

    async def _send(self) -> ChatResponse:
        loop = asyncio.get_running_loop()
        account, deadline = self._client.account, self._client.deadline
        since = loop.time()
        try:
            async with self._dispatcher.permit(
                self._cost, prefer=self._prefer, avoid=self._avoid, deadline=deadline
            ) as permit:
                account.rate_wait_s += permit.sent_at - since
                return await self._complete(permit, min(deadline, permit.sent_at + self._deadlines.attempt_s))
        except TimeoutError as error:
            raise SampleOverdue from error

    async def _complete(self, permit: Permit, deadline: float) -> ChatResponse:
        account, station = self._client.account, permit.station
        if account.first_sent_s is None:
            account.first_sent_s = permit.sent_at
            self._client.first_send()
        account.instance = station.instance
        account.moved_reason = account.moved_reason or self._dispatcher.why_moved(self._client.opened.planned, station)
        account.request_id = request_id = f"{self._client.sample.sample_id}/{self._turn}/{self._attempts}"
        try:
            response = await station.sender.complete(
                station.instance, self._request, request_id=request_id, deadline=deadline
            )
        except ProviderError as error:
            permit.settle(_failed(error, permit))
            self._dispatcher.observe(permit, error)
            raise
        latency_s = asyncio.get_running_loop().time() - permit.sent_at
        permit.settle(Settled("succeeded", latency_s, response.usage, response.hint))
        self._dispatcher.observe(permit, None)
        self._estimator.learn(self._request.messages, self._request.tools, response.usage)
        return response

    def _note(self, error: ProviderError) -> None:
        account = self._client.account
        account.debit(error)
        account.throttles += isinstance(error, Throttled)
        if isinstance(error, Empty | ConnectionLost | InstanceGone):
            self._avoid = frozenset({error.evidence.instance})
        if isinstance(error, Empty | ConnectionLost | InstanceGone | Throttled):
            account.moved_reason = error.error_class


def _failed(error: ProviderError, permit: Permit) -> Settled:
    latency_s = asyncio.get_running_loop().time() - permit.sent_at
    return Settled(_how(error), latency_s, error.evidence.usage, error.evidence.hint)


def _how(error: ProviderError) -> Literal["succeeded", "throttled", "failed", "cancelled"]:
    """For the limiter: an answer that is worth nothing was still an answer; a request that was sent back at once teaches nothing."""
    if isinstance(error, Throttled):
        return "throttled"
    if isinstance(error, Empty | Rejected):
        return "succeeded" if error.evidence.status == HTTPStatus.OK else "cancelled"
    return "failed"

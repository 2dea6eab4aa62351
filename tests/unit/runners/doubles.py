"""Doubles of what the runners stand on, and made-up values for tests that do not care about them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from providers.errors import (
    AuthFailed,
    ConnectionLost,
    ContentFiltered,
    ContextTooLong,
    DeploymentMissing,
    Empty,
    Evidence,
    InvalidToolCall,
    Malformed,
    OutOfQuota,
    ProviderError,
    Refused,
    ServerFault,
    Throttled,
    TimedOut,
    Truncated,
)
from providers.instance import Instance
from providers.messages import JSON, ChatRequest, ChatResponse, Generation, RateLimitHint, Timing, Usage
from providers.provider import Sender
from providers.usage.estimates import TokenEstimator
from runners.calls.active_sample import ActiveSample
from runners.calls.budget import Budget
from runners.calls.call_context import Asking, CallContext, Deadlines
from runners.calls.retry import RetryBudget, RetryLimits
from runners.dispatch.dispatcher import Dispatcher
from runners.dispatch.instance_state import InstanceState, Permit
from runners.dispatch.permit_request import PermitRequest
from runners.dispatch.slots import WorkerSlot, WorkerSlots
from runners.journal.sinks.sink import UNRESOLVED, Batch, Row
from runners.limits.permit import Cost, Limiter, Settled
from runners.samples.bitmap import Bitmap
from runners.samples.record import Record
from sharding.plan import Cell, Sample, Shard
from sharding.tasks.task import Task

COST = Cost(input_tokens=10, max_output_tokens=100)
NOON = "2026-01-02T12:00:00.000000+00:00"


# ------------------------------------------------------------------ values
def an_instance(name: str = "a", model: str = "m", workers: int | None = None) -> Instance:
    return Instance(name, model, f"deployment-{name}", "provider", name, workers)


def a_sample(ordinal: int = 0, *, model: str = "m", epoch: int = 0) -> Sample:
    task = Task(f"t{ordinal}", ({"role": "user", "content": f"question {ordinal}"},), target="fine")
    return Sample(ordinal, f"s{ordinal}", task, Cell(model, "baseline", 1.0), epoch, 7)


def an_opened(sample: Sample | None = None, instance: str = "a", planned: str | None = None) -> ActiveSample:
    return ActiveSample(sample or a_sample(), planned or instance, instance, 0, 1_767_355_200.0)


def a_response(text: str = "fine", *, usage: Usage | None = None, hint: RateLimitHint | None = None) -> ChatResponse:
    timing = Timing(connect_s=0.1, ttft_s=0.2, generation_s=0.3, parse_s=0.01)
    return ChatResponse(text, (), "stop", usage or Usage(10, 5), timing, hint, "r1", "m-2026", "fp")


def evidence(on: str = "a", **known: Any) -> Evidence:
    return Evidence(on, "s0/1/1", **known)


def throttled(on: str = "a", retry_after_s: float | None = None) -> Throttled:
    hint = None if retry_after_s is None else RateLimitHint(retry_after_s=retry_after_s)
    return Throttled("too many requests", evidence(on, status=429, hint=hint))


def server_fault(on: str = "a", retry_after_s: float | None = None) -> ServerFault:
    hint = None if retry_after_s is None else RateLimitHint(retry_after_s=retry_after_s)
    return ServerFault("internal error", evidence(on, status=500, hint=hint, body="oops"))


def timed_out(on: str = "a", stage: str = "first_token") -> TimedOut:
    return TimedOut("no first token", evidence(on), stage=stage)


def connection_lost(on: str = "a") -> ConnectionLost:
    return ConnectionLost("reset by peer", evidence(on))


def malformed(on: str = "a") -> Malformed:
    return Malformed("cut off", evidence(on, status=200))


def empty(on: str = "a") -> Empty:
    return Empty("no content", evidence(on, status=200, usage=Usage(10, 0)))


def rejections(on: str = "a") -> Sequence[ProviderError]:
    said = evidence(on, status=400)
    return [kind("rejected", said) for kind in (ContentFiltered, Truncated, ContextTooLong, InvalidToolCall)]


def refused(on: str = "a", words: str = "the request was refused (HTTP 400): no", sample: str = "s0") -> Refused:
    return Refused(f"{on}: {words}", Evidence(on, f"{sample}/1/1", status=400, body="no"))


def revoked(on: str = "a") -> AuthFailed:
    return AuthFailed("401: key revoked", evidence(on, status=401))


def out_of_quota(on: str = "a") -> OutOfQuota:
    return OutOfQuota("insufficient_quota", evidence(on, status=429))


def missing(on: str = "a") -> DeploymentMissing:
    return DeploymentMissing("no such deployment", evidence(on, status=404))


_RECORD = Record(
    run_id="run", ordinal=0, cell_id="m|baseline|1|easy|math", sample_id="s0", task_id="t0", epoch=0, model="m",
    provider="provider", deployment="d", instance="a", planned_instance="a", moved_reason=None,
    prompt_type="baseline", tool_success_rate=1.0, difficulty="easy", task_type="math", family="", status=200,
    outcome="ok", error_class=None, error_message=None, score=1.0, grade="full", passed=True, score_error=None,
    score_details=None, score_values=None,
        saved_usd=None,
    stage=0, turns=1, tool_calls=0, tool_failures=0, tool_rejections=0, tool_coverage=None, tool_trace=None, input="question",
    target="fine", output_text="fine", messages=None, finish_reason="stop", input_tokens=10, output_tokens=5, cached_tokens=0,
    reasoning_tokens=0, usage_estimated=False, cost_usd=None, judge_input_tokens=0, judge_output_tokens=0, judge_cost_usd=None,
    attempts=1, throttles=0, queued_at=NOON,
    started_at=NOON, completed_at=NOON, queue_s=0.0, rate_wait_s=0.0, retry_wait_s=0.0, connect_s=0.1, ttft_s=None,
    generation_s=0.5, parse_s=0.0, write_s=None, total_s=0.6, working_s=0.6, cache_hit=False, request_id="s0/1/1",
    response_id="r", response_model="m", system_fingerprint=None, seed=7, raw_response=None,
    reasoning_text=None, adaptation=None, tool_unreadable=0,
)  # fmt: skip


def a_record(ordinal: int = 0, outcome: str = "ok", **changes: Any) -> Record:
    return replace(_RECORD, ordinal=ordinal, sample_id=f"s{ordinal}", outcome=outcome, **changes)


# ------------------------------------------------------------------ providers
Step = ChatResponse | BaseException | Callable[[str, int], ChatResponse | BaseException]


@dataclass(frozen=True, slots=True)
class Sent:
    instance: str
    request_id: str
    at: float
    deadline: float
    request: ChatRequest


class ScriptedSender:
    """Plays its steps in order, then answers; a step that is a function gets the instance's name and the number of the call."""

    def __init__(self, *steps: Step, takes_s: float = 0.0, always: Step | None = None) -> None:
        self.sent: list[Sent] = []
        self.most_in_flight = 0
        self._steps = iter(steps)
        self._always: Step = always or a_response()
        self._takes_s = takes_s
        self._in_flight = 0

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        self.sent.append(Sent(on.name, request_id, asyncio.get_running_loop().time(), deadline, request))
        number = len(self.sent)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            await asyncio.sleep(self._takes_s)
        finally:
            self._in_flight -= 1
        step = next(self._steps, self._always)
        outcome = step if isinstance(step, ChatResponse | BaseException) else step(on.name, number)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    @property
    def went_to(self) -> list[str]:
        return [sent.instance for sent in self.sent]

    @property
    def request_ids(self) -> list[str]:
        return [sent.request_id for sent in self.sent]


# ------------------------------------------------------------------ runners
class FreeLimiter:
    """Lets everything through and remembers how it ended; `opens` shuts it as a refusal would."""

    sends_others = False

    def __init__(self, opens: float = 0.0) -> None:
        self.opens = opens
        self.settled: list[str] = []
        self.given = 0

    def try_acquire(self, cost: Cost, now: float) -> int | None:
        if now < self.opens:
            return None
        self.given += 1
        return self.given

    def opens_at(self, cost: Cost, now: float) -> float | None:
        return self.opens

    def settle(self, ticket: int, settled: Settled, now: float) -> None:
        self.settled.append(settled.how)

    def shut_until(self, now: float) -> float:
        return self.opens

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        return {}

    def export(self) -> Mapping[str, JSON]:
        return {}


class BareSlot(WorkerSlot):
    """The only slot of its pool; it remembers for how long it was parked."""

    def __init__(self) -> None:
        super().__init__(WorkerSlots(1))
        self.parked: list[float] = []

    async def park(self, delay_s: float) -> None:
        self.parked.append(delay_s)
        await asyncio.sleep(delay_s)

    @contextmanager
    def release_while_waiting(self) -> Iterator[None]:
        """Release nothing."""
        yield


@dataclass
class Decisions:
    made: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, instance: str, event: str, evidence: Mapping[str, JSON]) -> None:
        self.made.append((instance, event))


def a_dispatcher(
    sender: Sender,
    *names: str,
    model: str = "m",
    limiters: Mapping[str, Limiter] | None = None,
    workers: int | None = None,
) -> Dispatcher:
    instance_states = [
        InstanceState(an_instance(name, model, workers), sender, (limiters or {}).get(name) or FreeLimiter())
        for name in names or ("a",)
    ]
    return Dispatcher(model, instance_states, Decisions())


async def take_permit(dispatcher: Dispatcher, waiting: PermitRequest, slot: WorkerSlot | None = None) -> Permit:
    """Get a permit as a call does; `slot` is released while it waits."""
    dispatcher.require_open(is_begun=waiting.is_begun)
    permit = dispatcher.try_acquire(waiting.cost, waiting.prefer, waiting.avoid)
    if permit is None:
        with slot.release_while_waiting() if slot else nullcontext():
            permit = await dispatcher.acquire(waiting)
    return permit


@asynccontextmanager
async def a_permit(
    dispatcher: Dispatcher,
    cost: Cost = COST,
    *,
    prefer: str,
    avoid: frozenset[str] = frozenset(),
    deadline: float,
    is_begun: bool = False,
    slot: WorkerSlot | None = None,
) -> AsyncIterator[Permit]:
    """Hold a permit within the block; it is abandoned at the end unless it is settled before."""
    was_sent = slot is not None and slot.was_sent
    permit = await take_permit(dispatcher, PermitRequest(cost, prefer, avoid, deadline, is_begun, was_sent), slot)
    if slot is not None:
        slot.begin_request()
    try:
        yield permit
    finally:
        dispatcher.abandon(permit)
        if slot is not None:
            slot.end_request()


USUAL = Deadlines(attempt_s=300, sample_s=1800)


def an_exchange(
    *dispatchers: Dispatcher,
    deadlines: Deadlines | None = None,
    max_retries: int = 5,
    on_first_send: Callable[[int], None] = lambda _: None,
    max_tokens: int | None = None,
    budget: Budget | None = None,
    retry_budget: RetryBudget | None = None,
) -> CallContext:
    generation = Generation(max_tokens=max_tokens)
    asking = Asking(generation, deadlines=deadlines or USUAL)
    return CallContext(
        dispatchers={dispatcher.model: dispatcher for dispatcher in dispatchers},
        estimators={dispatcher.model: TokenEstimator() for dispatcher in dispatchers},
        asking={dispatcher.model: asking for dispatcher in dispatchers},
        retries=RetryLimits(max_retries=max_retries),
        retry_budget=retry_budget or RetryBudget(0.5),
        budget=budget or Budget(),
        on_first_send=on_first_send,
    )


@dataclass(frozen=True)
class GivenPlan:
    stages: Sequence[Sequence[Shard]]
    fingerprint: str = "given"

    def sample(self, ordinal: int) -> Sample:
        return a_sample(ordinal)


class ListSink:
    """Parts in memory; `before_write` may wait or raise as a disk would."""

    def __init__(self, before_write: Callable[[int], None] = lambda _: None) -> None:
        self.parts: dict[int, list[dict[str, Any]]] = {}
        self.unresolved: list[dict[str, Any]] = []
        self._before_write = before_write

    def write_part(self, number: int, rows: Iterable[Row]) -> None:
        assert number not in self.parts, "parts are never rewritten"
        self._before_write(number)
        self.parts[number] = [dict(row) for row in rows]

    def last_part(self) -> int:
        return max(self.parts, default=0)

    def write_unresolved(self, rows: Iterable[Row]) -> None:
        self.unresolved = [dict(row) for row in rows]

    def totals(self, columns: Sequence[str], after: int) -> Mapping[str, float]:
        rows = [row for number, part in self.parts.items() if number > after for row in part]
        return {name: sum(row[name] or 0 for row in rows) for name in columns}

    def examine(self, columns: Sequence[str]) -> Iterator[Batch]:
        for number, part in [*self.parts.items(), (UNRESOLVED, self.unresolved)]:
            yield Batch("memory", number, rows=[[row[name] for name in columns] for row in part])

    def repair(self, numbers: Collection[int], known: Bitmap) -> list[Path]:
        raise NotImplementedError("what is in memory does not break")

    def withdraw(self, is_superseded: Callable[[Row], bool], keep: Callable[[int, Sequence[Row]], None]) -> None:
        for number, rows in self.parts.items():
            keep(number, [row for row in rows if is_superseded(row)])
            self.parts[number] = [row for row in rows if not is_superseded(row)]

    def ordinals(self) -> Iterator[int]:
        return (row["ordinal"] for rows in self.parts.values() for row in rows)

    @property
    def found(self) -> list[int]:
        """Every final ordinal, as often as it stands there."""
        return list(self.ordinals())

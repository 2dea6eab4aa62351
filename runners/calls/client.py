"""The client that a solver calls, one per sample: `chat` makes one call, which `call.py` answers, and adds its usage up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, Generation, Message, Tool
from providers.suggestion import suggestion
from sharding.plan import Sample

from ..cache.answer_cache import AnswerCache
from ..cache.request_key import Draws
from ..dispatch.dispatcher import NoUsableInstance
from ..dispatch.slots import WorkerSlot
from ..tools.names import names_of
from .active_sample import ActiveSample
from .activity import Activity
from .budget import LimitReached
from .call import Call, SampleOverdue
from .call_context import Asking, CallContext
from .client_state import ClientState
from .line_parameters import with_parameters
from .usage import SampleUsage

JUDGE_TURN = "judge-"
"""Prefix of the turns of a scorer's client in request ids."""

CLOSE_S = 5.0
"""How long a solver's cancelled calls may take to end."""


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


class SampleClient(ClientState):
    """The ModelClient of one sample."""

    def __init__(self, call_context: CallContext, active: ActiveSample, slot: WorkerSlot) -> None:
        self.time = asyncio.get_running_loop().time
        self.call_context = call_context
        self.active = active
        self.sample = active.sample
        self.slot = slot
        self.sample_usage = SampleUsage(self.sample.cell.model, self.time())
        self.deadline = self.sample_usage.opened_s + call_context.asking[self.sample_usage.model].deadlines.sample_s
        self.is_judging = False
        self.turn_prefix = ""
        self.billable = 0
        self.ended_by: LimitReached | NoUsableInstance | SampleOverdue | None = None
        """Why no more answers are possible. The sample then has no answer, even if its solver catches the error."""
        self.scoring: SampleClient | None = None
        """The client of the sample's scorer, if that has called a model."""
        self._owner = asyncio.current_task()
        self._calls: set[asyncio.Task[object]] = set()
        """The calls that the solver makes in tasks that it created."""
        self._drawn: Draws | None = None
        self._is_closed = False
        self._cancelling = 0
        self._is_cut_off = False

    # ------------------------------------------------------------------ the sample's end
    def start_timer(self) -> None:
        """Cancel this task at the sample's deadline, unless the timer is stopped before."""
        self._cancelling = 0 if self._owner is None else self._owner.cancelling()
        self.call_context.timers.start(self)

    def cut_off(self) -> None:
        """Cancel the task of the sample: its deadline has come."""
        if self._owner is not None:
            self._is_cut_off = True
            self._owner.cancel()

    def stop_timer(self) -> bool:
        """Stop the timer; return whether the deadline, and nobody else, has cancelled this task."""
        self.call_context.timers.stop(self)
        if not self._is_cut_off or self._owner is None:
            return False
        self._is_cut_off = False
        return self._owner.uncancel() <= self._cancelling

    async def close(self) -> None:
        """Refuse more calls; cancel those that the solver started in other tasks and did not await (`asyncio.gather` leaves such tasks)."""
        self._is_closed = True
        if self.scoring is not None:
            await self.scoring.close()
            self.ended_by = self.ended_by or self.scoring.ended_by
        if self._calls:
            for task in self._calls:
                task.cancel()
            await asyncio.wait(self._calls, timeout=CLOSE_S)

    # ------------------------------------------------------------------ calls
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
        task = self._register(name)
        sample_activity, activity, is_cancelled = (
            self.active.activity,
            self.active.activity.begin_call(self.time()),
            False,
        )
        try:
            request = ChatRequest(messages, tools, self._generation(name, max_tokens))
            cache = self.call_context.cache
            if cache is None:
                response, is_kept = await Call(self, request, name, activity).answer(), False
            else:
                response, is_kept = await self._kept_or_asked(cache, request, name, activity)
        except (LimitReached, NoUsableInstance, SampleOverdue) as error:
            self.ended_by = error
            raise
        except asyncio.CancelledError:
            is_cancelled = True
            raise
        finally:
            sample_activity.end_call(activity, self.time(), is_cancelled=is_cancelled)
            if task is not None:
                self._calls.discard(task)
        if is_kept:
            self.sample_usage.credit_kept(response, name)
        else:
            self.sample_usage.credit(response, name)
        return names.response(response) if names is not None else response

    async def _kept_or_asked(
        self, cache: AnswerCache, request: ChatRequest, model: str, activity: Activity
    ) -> tuple[ChatResponse, bool]:
        """Return the answer, and whether the cache had kept it."""

        async def ask() -> tuple[ChatResponse, Instance | None]:
            call = Call(self, request, model, activity)
            return await call.answer(), call.answered_by

        self._drawn = self._drawn or Draws(self.sample)
        return await cache.answer(self._drawn, model, request, ask, self.slot.lent)

    def _register(self, model: str) -> asyncio.Task[object] | None:
        """Count a turn; return the task that makes the call if the solver created it."""
        if model not in self.call_context.dispatchers:
            raise LookupError(f"this run has no model {model!r}; {suggestion(model, self.call_context.dispatchers)}")
        if self._is_closed:
            raise RuntimeError(f"task {self.sample.task.task_id} has ended; its client can no longer be called")
        self.sample_usage.turns += 1
        task = asyncio.current_task()
        if task is None or task is self._owner:
            return None
        self._calls.add(task)
        return task

    def _generation(self, model: str, max_tokens: int | None) -> Generation:
        """Return the model's generation settings; the call's `max_tokens` overrides them, and the epoch is added to the seed."""
        asking = self.call_context.asking[model]
        generation = generation_of(asking, self.sample, is_judging=self.is_judging)
        return replace(generation, max_tokens=max_tokens) if max_tokens else generation

    def client_for_scoring(self) -> SampleClient:
        """Return the scorer's client, which is built when it is first needed. It shares the slot and the deadline.

        It adds up a usage of its own. It generates with `Asking.judging`: the settings of the tested models do not apply to their judge.
        """
        if self.scoring is None:
            self.scoring = scoring = SampleClient(self.call_context, self.active, self.slot)
            scoring.sample_usage = SampleUsage("", scoring.sample_usage.opened_s)
            scoring.sample_usage.first_sent_s = self.sample_usage.first_sent_s
            scoring.deadline, scoring.turn_prefix, scoring.is_judging = self.deadline, JUDGE_TURN, True
            scoring._owner, scoring._is_closed = self._owner, self._is_closed
        return self.scoring


def generation_of(asking: Asking, sample: Sample, *, is_judging: bool = False) -> Generation:
    """Return the settings that a sample's model is asked with: the task's parameters override them, and the epoch is added to the seed."""
    generation = asking.judging if is_judging else asking.generation
    if sample.task.parameters is not None and not is_judging:
        generation = with_parameters(generation, sample.task.parameters, asking.own)
    if generation.seed is None or not sample.epoch:
        return generation
    return replace(generation, seed=generation.seed + sample.epoch)


class ScorerClient:
    """The ModelClient of a sample's scorer. A scorer that asks no model costs no client."""

    __slots__ = ("_client",)

    def __init__(self, client: SampleClient) -> None:
        self._client = client

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        max_tokens: int | None = None,
        model: str | None = None,
    ) -> ChatResponse:
        """Send `messages` as `SampleClient.chat` does."""
        client = self._client.client_for_scoring()
        return await client.chat(messages, tools=tools, max_tokens=max_tokens, model=model)

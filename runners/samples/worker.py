"""One sample, one record: solve, score, and tell how it ended. An error is an outcome here, never an answer.

`record_building.py` makes the record of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from providers.errors import Empty, ProviderError, Rejected, TimedOut
from sharding.plan import Sample

from ..calls.active_sample import ActiveSample
from ..calls.activity import ActivityStep
from ..calls.call import SampleOverdue
from ..calls.call_context import CallContext
from ..calls.client import SampleClient, ScorerClient
from ..calls.usage import SampleUsage
from ..dispatch.slots import WorkerSlot
from ..user_code_error import UserCodeError
from .answer import Answer, Score, Scorer, Solver, Ungraded
from .record import Record
from .record_building import CompletedSample, Price, Verdict, build_record


@dataclass(frozen=True, slots=True)
class Method:
    """How this run solves, scores and prices its samples."""

    run_id: str
    solver: Solver
    scorer_of: Callable[[Sample], Scorer]
    price_usd: Price


FAILED = Score(0.0, "failed")
"""What no answer is worth where that is the model's own doing."""


TIMER_S = 0.01
"""How far from its moment a timer may fire: some loops count in milliseconds."""


async def work(active: ActiveSample, slot: WorkerSlot, method: Method, call_context: CallContext) -> Record:
    """Run one sample to its record. Raises NoUsableInstance or LimitReached if it must stay pending; other exceptions are bugs."""
    client = SampleClient(call_context, active, slot)
    active.activity.since_s = client.sample_usage.opened_s
    verdict = None
    try:
        verdict = await _judge(active, method, client)
    finally:
        await client.close()
        if (verdict is None or client.ended_by is not None) and not client.billable:
            call_context.on_unbilled(active.sample.ordinal)
    if client.ended_by is not None:
        if not isinstance(client.ended_by, SampleOverdue):
            raise client.ended_by
        verdict = _overdue(client.sample_usage)
    total_s = client.time() - client.sample_usage.opened_s
    judge_usage = None if client.scoring is None else client.scoring.sample_usage
    completed = CompletedSample(active, verdict, client.sample_usage, judge_usage, total_s)
    return build_record(method.run_id, completed, method.price_usd)


async def _judge(active: ActiveSample, method: Method, client: SampleClient) -> Verdict:
    """Solve and score a sample until its deadline."""
    sample = active.sample
    client.start_timer()
    try:
        returned = await method.solver(sample, client)
        answer = returned if isinstance(returned, Answer) else Answer(text=returned)
        active.activity.begin(ActivityStep.SCORE, client.time())
        client.sample_usage.solved_s = active.activity.since_s
        return await _scored(sample, answer, method, client)
    except UserCodeError as error:
        return Verdict("not_run", "user_code", str(error))
    except (Empty, Rejected) as error:
        return Verdict("model_failure", error.error_class, str(error), score=FAILED, failure=error)
    except ProviderError as error:
        return Verdict("infra_failure", _infra_class(error), _told(error), failure=error)
    except SampleOverdue:
        return _overdue(client.sample_usage)
    except asyncio.CancelledError:
        if not client.stop_timer():
            raise
        return _overdue(client.sample_usage) if _was_asking(active, client) else _never_returned(active, client)
    finally:
        client.stop_timer()


async def _scored(sample: Sample, answer: Answer, method: Method, client: SampleClient) -> Verdict:
    """Score an answer. A failure here is a failure of the grading, not of the answer; a resume runs both again."""
    try:
        score = await method.scorer_of(sample)(sample, answer, ScorerClient(client))
    except UserCodeError as error:  # the answer was paid for: `rescore` can grade it
        return Verdict("not_run", "user_code", str(error), answer)
    except Ungraded as error:
        return Verdict("infra_failure", error.error_class, str(error), answer)
    except ProviderError as error:
        return Verdict("infra_failure", "judge", f"the judge gave no verdict: {error}", answer, failure=error)
    return Verdict("ok", answer.error_class, answer=answer, score=score)


def _infra_class(error: ProviderError) -> str:
    return f"timeout_{error.stage}" if isinstance(error, TimedOut) else error.error_class


def _was_asking(active: ActiveSample, client: SampleClient) -> bool:
    """Return whether the deadline cut off a call, and not other code of the user."""
    cut_off_s = active.activity.cut_off_s
    return cut_off_s is not None and cut_off_s > client.deadline - TIMER_S


def _never_returned(active: ActiveSample, client: SampleClient) -> Verdict:
    who = "scorer" if active.activity.step is ActivityStep.SCORE else "solver"
    limit_s = client.call_context.asking[client.sample_usage.model].deadlines.sample_s
    idle_s = client.time() - active.activity.since_s
    message = (
        f"the {who} had not returned on task {active.sample.task.task_id} when its {limit_s:g} s (run.sample_timeout_s) were over; "
        f"it waited in its own code for {idle_s:.0f} s, for no model"
    )
    return Verdict("not_run", "user_code", message)


def _told(error: ProviderError) -> str:
    """Describe what happened, and why it was not tried again if it was given up early."""
    return "; ".join([str(error), *getattr(error, "__notes__", ())])


def _overdue(sample_usage: SampleUsage) -> Verdict:
    last = sample_usage.error
    if last is None or sample_usage.response is not None:  # what failed before an answer did not make the sample late
        return Verdict("infra_failure", "timeout_sample", "the sample's deadline came before its answer")
    message = f"the sample's deadline came; the last attempt had failed: {last}"
    return Verdict("infra_failure", _infra_class(last), message, failure=last)

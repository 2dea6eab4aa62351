"""One sample, one record: solve, score, and write down what happened. An error is an outcome here, never an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

from providers.errors import Empty, ProviderError, Rejected, TimedOut
from providers.messages import JSON, Adaptation, ChatResponse, Message, ToolCall, Usage
from sharding.plan import Sample
from sharding.tasks.task import Task
from sharding.tasks.tool_plan import expected_tools

from ..calls.active_sample import ActiveSample
from ..calls.activity import ActivityStep
from ..calls.client import CallContext, SampleClient, SampleOverdue, SampleUsage
from ..dispatch.slots import SlotLease
from ..instants import instant
from ..tools.simulated_tools import named
from ..user_code_error import UserCodeError
from .answer import REFUSAL, Answer, Score, Scorer, Solver, Ungraded
from .record import Record


@dataclass(frozen=True, slots=True)
class Method:
    """How this run solves, scores and prices its samples."""

    run_id: str
    solver: Solver
    scorer_of: Callable[[Sample], Scorer]
    price_usd: Callable[[str, Usage], float | None]
    """Of a model's usage; None where no price is known."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a sample ended."""

    outcome: str
    error_class: str | None = None
    error_message: str | None = None
    answer: Answer | None = None
    score: Score | None = None
    failure: ProviderError | None = None


@dataclass(frozen=True, slots=True)
class _AnswerAndJudgeUsage:
    """What the answer took, and what its grading took."""

    answer: SampleUsage
    judge: SampleUsage


FAILED = Score(0.0, "failed")
"""What no answer is worth where that is the model's own doing."""


TIMER_S = 0.01
"""How far from its moment a timer may fire: some loops count in milliseconds."""


async def work(active: ActiveSample, method: Method, call_context: CallContext, slot: SlotLease) -> Record:
    """Raises NoUsableInstance or LimitReached when the sample must stay pending; anything else that is not a record is a bug."""
    client = SampleClient(call_context, active, slot)
    books = _AnswerAndJudgeUsage(client.sample_usage, SampleUsage(""))
    verdict = None
    try:
        verdict = await _judge(active, method, client, books)
    finally:
        await client.close()
        if (verdict is None or client.ended_by is not None) and not client.billable:
            call_context.on_unbilled(active.sample.ordinal)
    if isinstance(client.ended_by, SampleOverdue):
        verdict = _overdue(client.sample_usage)
    elif client.ended_by is not None:
        raise client.ended_by
    total_s = asyncio.get_running_loop().time() - client.sample_usage.opened_s
    return _record(active, verdict, books, method, total_s)


async def _judge(active: ActiveSample, method: Method, client: SampleClient, books: _AnswerAndJudgeUsage) -> Verdict:
    sample = active.sample
    try:
        async with asyncio.timeout_at(client.deadline):
            returned = await method.solver(sample, client)
            answer = returned if isinstance(returned, Answer) else Answer(text=returned)
            active.activity.begin(ActivityStep.SCORE, asyncio.get_running_loop().time())
            return await _scored(sample, answer, method, client.for_scoring(books.judge))
    except UserCodeError as error:
        return Verdict("not_run", "user_code", str(error))
    except (Empty, Rejected) as error:
        return Verdict("model_failure", error.error_class, str(error), score=FAILED, failure=error)
    except ProviderError as error:
        return Verdict("infra_failure", _infra_class(error), _told(error), failure=error)
    except SampleOverdue:
        return _overdue(client.sample_usage)
    except TimeoutError:
        return _overdue(client.sample_usage) if _was_asking(active, client) else _never_returned(active, client)


async def _scored(sample: Sample, answer: Answer, method: Method, judge: SampleClient) -> Verdict:
    """What fails here is the grading: the answer is not to blame, and a resume asks for both again."""
    try:
        score = await method.scorer_of(sample)(sample, answer, judge)
    except Ungraded as error:
        return Verdict("infra_failure", error.error_class, str(error), answer)
    except ProviderError as error:
        return Verdict("infra_failure", "judge", f"the judge gave no verdict: {error}", answer, failure=error)
    return Verdict("ok", answer.error_class, answer=answer, score=score)


def _infra_class(error: ProviderError) -> str:
    return f"timeout_{error.stage}" if isinstance(error, TimedOut) else error.error_class


def _was_asking(active: ActiveSample, client: SampleClient) -> bool:
    """Whether the deadline cut a call off, and not code that did something else."""
    cut_off_s = active.activity.cut_off_s
    return cut_off_s is not None and cut_off_s > client.deadline - TIMER_S


def _never_returned(active: ActiveSample, client: SampleClient) -> Verdict:
    who = "scorer" if active.activity.step is ActivityStep.SCORE else "solver"
    limit_s = client.call_context.asking[client.sample_usage.model].deadlines.sample_s
    idle_s = asyncio.get_running_loop().time() - active.activity.since_s
    message = (
        f"the {who} had not returned on task {active.sample.task.task_id} when its {limit_s:g} s (run.sample_timeout_s) were over; "
        f"it waited in its own code for {idle_s:.0f} s, for no model"
    )
    return Verdict("not_run", "user_code", message)


def _told(error: ProviderError) -> str:
    """What happened, and why it was not tried again where it was given up early."""
    return "; ".join([str(error), *getattr(error, "__notes__", ())])


def _overdue(sample_usage: SampleUsage) -> Verdict:
    last = sample_usage.error
    if last is None or sample_usage.response is not None:  # what failed before an answer did not make the sample late
        return Verdict("infra_failure", "timeout_sample", "the sample's deadline came before its answer")
    message = f"the sample's deadline came; the last attempt had failed: {last}"
    return Verdict("infra_failure", _infra_class(last), message, failure=last)


def _record(
    active: ActiveSample, verdict: Verdict, books: _AnswerAndJudgeUsage, method: Method, total_s: float
) -> Record:
    """A group of columns from each who knows them; `Record` refuses a column that is missing or said twice."""
    sample_usage = books.answer
    return Record(
        run_id=method.run_id,
        **_asked(active),
        **_sent(active.planned, sample_usage),
        **_judged(verdict, sample_usage.response),
        **_answered(verdict, sample_usage.response),
        **_called(active.sample.task, verdict.answer),
        **_spent(sample_usage),
        cost_usd=_cost_usd(active.sample.cell.model, sample_usage, method),
        **_spent_on_judging(books.judge, method),
        **_timed(active, books, total_s),
        cache_hit=False,
    )


Columns = dict[str, Any]


def _asked(active: ActiveSample) -> Columns:
    sample, task, cell = active.sample, active.sample.task, active.sample.cell
    return {
        "ordinal": sample.ordinal,
        "cell_id": f"{cell.model}|{cell.prompt_type}|{cell.tool_success_rate:g}|{task.difficulty}|{task.task_type}",
        "sample_id": sample.sample_id,
        "task_id": task.task_id,
        "epoch": sample.epoch,
        "model": cell.model,
        "prompt_type": cell.prompt_type,
        "tool_success_rate": cell.tool_success_rate,
        "difficulty": task.difficulty,
        "task_type": task.task_type,
        "family": task.family,
        "stage": active.stage,
        "input": _last_user_text(task.messages),
        "target": _as_text(task.target),
        "seed": sample.seed,
    }


def _sent(planned: str, sample_usage: SampleUsage) -> Columns:
    instance = sample_usage.instance
    return {
        "provider": instance.provider if instance else None,
        "deployment": instance.deployment if instance else None,
        "instance": instance.name if instance else None,
        "planned_instance": planned,
        "moved_reason": sample_usage.moved_reason if instance and instance.name != planned else None,
        "request_id": sample_usage.request_id,
        "adaptation": _adapted(sample_usage.adaptation),
    }


def _adapted(adaptation: Adaptation | None) -> str | None:
    return None if adaptation is None else orjson.dumps(adaptation).decode()


def _judged(verdict: Verdict, response: ChatResponse | None) -> Columns:
    score = verdict.score
    refused = score is not None and score.grade == "failed" and response is not None and response.refused
    return {
        "outcome": verdict.outcome,
        "error_class": verdict.error_class,
        "error_message": verdict.error_message,
        "score": float(score.value) if score else None,
        "grade": score.grade if score else None,
        "passed": score.grade == "full" if score else None,
        "score_error": REFUSAL if refused else score.error_class if score else None,
        "score_details": orjson.dumps(score.details).decode() if score and score.details else None,
    }


def _answered(verdict: Verdict, response: ChatResponse | None) -> Columns:
    answer, evidence = verdict.answer, verdict.failure.evidence if verdict.failure else None
    failed_status, failed_id = (evidence.status, evidence.response_id or None) if evidence else (None, None)
    was_answered = response is not None and (evidence is None or answer is not None)  # what failed then was the grading
    return {
        "status": HTTPStatus.OK.value if was_answered else failed_status,
        "output_text": answer.text if answer else None,
        "messages": _conversation(answer),
        "finish_reason": response.finish_reason if response else None,
        "response_id": response.response_id if response else failed_id,
        "response_model": response.response_model if response else None,
        "system_fingerprint": response.system_fingerprint if response else None,
        "raw_response": evidence.body or None if evidence else None,
    }


def _called(task: Task, answer: Answer | None) -> Columns:
    calls = answer.tool_calls if answer else ()
    reached = {named(call)[0] for call in calls if not call.get("rejection")}
    expected = expected_tools(task)
    return {
        "tool_calls": len(calls),
        "tool_failures": sum(bool(call.get("failure")) for call in calls),
        "tool_rejections": sum(bool(call.get("rejection")) for call in calls),
        "tool_coverage": len(expected & reached) / len(expected) if expected and answer else None,
        "tool_trace": orjson.dumps([_trace(call) for call in calls]).decode() if calls else None,
    }


def _trace(call: ToolCall) -> Mapping[str, JSON]:
    name, arguments = named(call)
    ending = {key: call.get(key) for key in ("failure", "rejection")}
    return {"turn": call.get("turn", 1), "name": name, "arguments": arguments, **ending}


def _spent(sample_usage: SampleUsage) -> Columns:
    usage = sample_usage.usage
    return {
        "turns": sample_usage.turns,
        "attempts": sample_usage.attempts,
        "throttles": sample_usage.throttles,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "usage_estimated": usage.estimated,
    }


def _cost_usd(model: str, sample_usage: SampleUsage, method: Method) -> float | None:
    """The sample's tokens, each at the price of the model that spent them; None where one has no price."""
    spent = sample_usage.spent or {model: Usage(0, 0)}
    costs = [method.price_usd(name, usage) for name, usage in spent.items()]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def _spent_on_judging(judge: SampleUsage, method: Method) -> Columns:
    usage = judge.usage
    return {
        "judge_input_tokens": usage.input_tokens,
        "judge_output_tokens": usage.output_tokens,
        "judge_cost_usd": _cost_usd(judge.model, judge, method) if judge.spent else None,
    }


def _timed(active: ActiveSample, books: _AnswerAndJudgeUsage, total_s: float) -> Columns:
    sample_usage = books.answer
    first_sent_s = sample_usage.first_sent_s
    was_graded = books.judge.opened_s > sample_usage.opened_s
    solving_s = books.judge.opened_s - sample_usage.opened_s if was_graded else total_s
    return {
        "queued_at": instant(active.at_s - active.queue_s),
        "started_at": None if first_sent_s is None else instant(active.at_s + first_sent_s - sample_usage.opened_s),
        "completed_at": instant(active.at_s + total_s),
        "queue_s": active.queue_s,
        "rate_wait_s": sample_usage.rate_wait_s,
        "retry_wait_s": sample_usage.retry_wait_s,
        "connect_s": sample_usage.connect_s,
        "ttft_s": sample_usage.ttft_s,
        "generation_s": sample_usage.generation_s,
        "parse_s": sample_usage.parse_s,
        "write_s": None,
        "total_s": total_s,
        "working_s": max(0.0, solving_s - sample_usage.waited_s),
    }


def _last_user_text(messages: Sequence[Message]) -> str:
    for message in reversed(messages):
        if message.get("role") == "user":
            return _as_text(message.get("content")) or ""
    return ""


def _as_text(value: JSON) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _conversation(answer: Answer | None) -> str | None:
    """What the solver gave; calls of tools are never left out, because the output text has no place for them."""
    if answer is None or not (answer.messages or answer.tool_calls):
        return None
    called = {"role": "assistant", "content": answer.text or None, "tool_calls": list(answer.tool_calls)}
    return orjson.dumps(list(answer.messages) or [called]).decode()

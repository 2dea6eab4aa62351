"""Build the record of a sample that has come to its end. `build_record` merges groups of columns, one from each source of facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import orjson

from providers.errors import ProviderError
from providers.messages import JSON, ChatResponse, Message, ToolCall, Usage
from sharding.tasks.task import Task
from sharding.tasks.tool_plan import expected_tools

from ..calls.active_sample import ActiveSample
from ..calls.usage import NO_USAGE, SampleUsage
from ..instants import instant
from ..tools.simulated_tools import named
from .answer import REFUSAL, Answer, Score
from .record import (
    AnswerColumns,
    CacheColumns,
    InstanceColumns,
    JudgeColumns,
    Record,
    SampleColumns,
    TimeColumns,
    ToolColumns,
    UsageColumns,
    VerdictColumns,
)

REASONING_CHARACTERS = 20_000
"""The longest `reasoning_text` that a record keeps."""

OK_STATUS = HTTPStatus.OK.value
"""Of an answer."""

NO_TOOLS: ToolColumns = {
    "tool_calls": 0,
    "tool_failures": 0,
    "tool_rejections": 0,
    "tool_coverage": None,
    "tool_trace": None,
    "tool_unreadable": 0,
}
"""Of a sample without tools."""

UNCACHED: CacheColumns = {"cache_hit": False, "saved_usd": None}
"""Of a sample whose every answer came from a model."""

Price = Callable[[str, Usage], float | None]
"""US dollars for a model's usage; None where no price is known."""


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
class CompletedSample:
    """A sample at its end: what was asked, how it ended, what its answer and its grading took, and how long it lasted."""

    active: ActiveSample
    verdict: Verdict
    answer_usage: SampleUsage
    judge_usage: SampleUsage | None
    """None where the scorer asked no model."""
    total_s: float


def build_record(run_id: str, completed: CompletedSample, price_usd: Price) -> Record:
    """Merge the groups of columns. mypy finds a column that is missing, unknown, of a wrong type or given twice."""
    active, verdict, answer_usage = completed.active, completed.verdict, completed.answer_usage
    is_uncached = answer_usage.saved is None and completed.judge_usage is None
    return Record(
        run_id=run_id,
        **_sample_columns(active),
        **_instance_columns(active.planned, answer_usage),
        **verdict_columns(verdict, answer_usage.response),
        **_answer_columns(verdict, answer_usage.response),
        **_tool_columns(active.sample.task, verdict.answer),
        **_usage_columns(active.sample.cell.model, answer_usage, price_usd),
        **_judge_columns(completed.judge_usage, price_usd),
        **(UNCACHED if is_uncached else _cache_columns(answer_usage, completed.judge_usage, price_usd)),
        **_time_columns(completed),
    )


def _sample_columns(active: ActiveSample) -> SampleColumns:
    """Tell what was asked."""
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
        "input": last_user_text(task.messages),
        "target": as_text(task.target),
        "seed": sample.seed,
    }


def _instance_columns(planned: str, usage: SampleUsage) -> InstanceColumns:
    """Tell where the requests went."""
    instance, adaptation = usage.instance, usage.adaptation
    return {
        "provider": instance.provider if instance else None,
        "deployment": instance.deployment if instance else None,
        "instance": instance.name if instance else None,
        "planned_instance": planned,
        "moved_reason": usage.moved_reason if instance and instance.name != planned else None,
        "request_id": usage.request_id,
        "adaptation": None if adaptation is None else orjson.dumps(adaptation).decode(),
    }


def verdict_columns(verdict: Verdict, response: ChatResponse | None) -> VerdictColumns:
    """Tell how the sample ended."""
    score = verdict.score
    refused = score is not None and score.grade == "failed" and response is not None and response.refused
    return {
        "outcome": verdict.outcome,
        "error_class": verdict.error_class,
        "error_message": verdict.error_message,
        "score": float(score.value) if score and score.grade != "ungraded" else None,
        "grade": score.grade if score else None,
        "passed": score.grade == "full" if score and score.grade != "ungraded" else None,
        "score_error": REFUSAL if refused else score.error_class if score else None,
        "score_details": orjson.dumps(score.details).decode() if score and score.details else None,
        "score_values": orjson.dumps(score.values).decode() if score and score.values else None,
    }


def _answer_columns(verdict: Verdict, response: ChatResponse | None) -> AnswerColumns:
    """Tell what came back."""
    answer, evidence = verdict.answer, verdict.failure.evidence if verdict.failure else None
    failed_status, failed_id = (evidence.status, evidence.response_id or None) if evidence else (None, None)
    was_answered = response is not None and (evidence is None or answer is not None)  # what failed then was the grading
    return {
        "status": OK_STATUS if was_answered else failed_status,
        "output_text": answer.text if answer else None,
        "reasoning_text": response.reasoning[:REASONING_CHARACTERS] or None if response else None,
        "messages": _conversation(answer),
        "finish_reason": response.finish_reason if response else None,
        "response_id": response.response_id if response else failed_id,
        "response_model": response.response_model if response else None,
        "system_fingerprint": response.system_fingerprint if response else None,
        "raw_response": evidence.body or None if evidence else None,
    }


def _tool_columns(task: Task, answer: Answer | None) -> ToolColumns:
    """Count the calls of tools."""
    calls = answer.tool_calls if answer else ()
    expected = expected_tools(task)
    if not calls and not expected:
        return NO_TOOLS
    reached = {named(call)[0] for call in calls if not call.get("rejection")}
    return {
        "tool_calls": len(calls),
        "tool_failures": sum(bool(call.get("failure")) for call in calls),
        "tool_rejections": sum(bool(call.get("rejection")) for call in calls),
        "tool_coverage": len(expected & reached) / len(expected) if expected and answer else None,
        "tool_trace": orjson.dumps([_trace(call) for call in calls]).decode() if calls else None,
        "tool_unreadable": sum(call.get("rejection") == "unreadable" for call in calls),
    }


def _trace(call: ToolCall) -> Mapping[str, JSON]:
    """Describe a call in the words of `tool_trace`."""
    name, arguments = named(call)
    ending = {key: call.get(key) for key in ("failure", "rejection")}
    return {"turn": call.get("turn", 1), "name": name, "arguments": arguments, **ending}


def _usage_columns(model: str, sample_usage: SampleUsage, price_usd: Price) -> UsageColumns:
    """Count what the answer took."""
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
        "cost_usd": _cost_usd(sample_usage.spent or {model: NO_USAGE}, price_usd),
    }


def _cache_columns(usage: SampleUsage, judge: SampleUsage | None, price_usd: Price) -> CacheColumns:
    """Tell what was answered without a request."""
    if usage.saved is None and (judge is None or judge.saved is None):
        return UNCACHED
    is_hit = usage.saved is not None and not usage.attempts
    parts = [_cost_usd(part.saved, price_usd) for part in (usage, judge) if part is not None and part.saved]
    known = [part for part in parts if part is not None]
    return {"cache_hit": is_hit, "saved_usd": sum(known) if len(known) == len(parts) else None}


def _judge_columns(judge: SampleUsage | None, price_usd: Price) -> JudgeColumns:
    """Count what the grading took."""
    if judge is None or not (judge.spent or judge.saved):
        return {"judge_input_tokens": 0, "judge_output_tokens": 0, "judge_cost_usd": None}
    usage = judge.usage
    return {
        "judge_input_tokens": usage.input_tokens,
        "judge_output_tokens": usage.output_tokens,
        "judge_cost_usd": _cost_usd(judge.spent, price_usd),
    }


def _cost_usd(spent: Mapping[str, Usage], price_usd: Price) -> float | None:
    """Price each model's tokens at its own price; None where one has no price."""
    total = 0.0
    for model, usage in spent.items():
        cost = price_usd(model, usage)
        if cost is None:
            return None
        total += cost
    return total


def _time_columns(completed: CompletedSample) -> TimeColumns:
    """Tell when it happened, and how long each part lasted."""
    active, usage, total_s = completed.active, completed.answer_usage, completed.total_s
    solving_s = total_s if usage.solved_s is None else usage.solved_s - usage.opened_s
    sent_s = usage.first_sent_s
    return {
        "queued_at": instant(active.at_s - active.queue_s),
        "started_at": None if sent_s is None else instant(active.at_s + sent_s - usage.opened_s),
        "completed_at": instant(active.at_s + total_s),
        "queue_s": active.queue_s,
        "rate_wait_s": usage.rate_wait_s,
        "retry_wait_s": usage.retry_wait_s,
        "connect_s": usage.connect_s,
        "ttft_s": usage.ttft_s,
        "generation_s": usage.generation_s,
        "parse_s": usage.parse_s,
        "write_s": None,
        "total_s": total_s,
        "working_s": max(0.0, solving_s - usage.waited_s),
    }


def last_user_text(messages: Sequence[Message]) -> str:
    """Find what the user said last."""
    for message in reversed(messages):
        if message.get("role") == "user":
            return as_text(message.get("content")) or ""
    return ""


def as_text(value: JSON) -> str | None:
    """Keep text as it is and write anything else as JSON."""
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _conversation(answer: Answer | None) -> str | None:
    """Write what the solver gave; calls of tools are never left out, because the output text has no place for them."""
    if answer is None or not (answer.messages or answer.tool_calls):
        return None
    called = {"role": "assistant", "content": answer.text or None, "tool_calls": list(answer.tool_calls)}
    return orjson.dumps(list(answer.messages) or [called]).decode()

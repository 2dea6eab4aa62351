"""One sample, one record: solve, score, and write down what happened. An error is an outcome here, never an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from providers.errors import Empty, ProviderError, Rejected, TimedOut
from providers.messages import JSON, Message, Usage
from sharding.plan import Sample

from .answer import Answer, Score, Scorer, Solver, UserCodeError
from .client import Account, Exchange, SampleClient, SampleOverdue
from .lease import SlotLease
from .opened import Opened
from .record import Record, instant


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


async def work(opened: Opened, method: Method, exchange: Exchange, lease: SlotLease) -> Record:
    """Raises NoUsableInstance when the sample must stay pending; anything else that is not a record is a bug."""
    client = SampleClient(exchange, opened, lease)
    verdict = await _judge(opened.sample, method, client)
    total_s = asyncio.get_running_loop().time() - client.account.opened_s
    return _record(opened, verdict, client.account, method, total_s)


async def _judge(sample: Sample, method: Method, client: SampleClient) -> Verdict:
    try:
        async with asyncio.timeout_at(client.deadline):
            returned = await method.solver(sample, client)
            answer = returned if isinstance(returned, Answer) else Answer(text=returned)
            score = await method.scorer_of(sample)(sample, answer, client)
            return Verdict("ok", score.error_class, answer=answer, score=score)
    except UserCodeError as error:
        return Verdict("not_run", "user_code", str(error))
    except (Empty, Rejected) as error:
        return Verdict("model_failure", error.error_class, str(error), failure=error)
    except ProviderError as error:
        return Verdict("infra_failure", _infra_class(error), str(error), failure=error)
    except (TimeoutError, SampleOverdue):
        return _overdue(client.account)


def _infra_class(error: ProviderError) -> str:
    return f"timeout_{error.stage}" if isinstance(error, TimedOut) else error.error_class


def _overdue(account: Account) -> Verdict:
    last = account.error
    if last is None or account.response is not None:  # what failed before an answer did not make the sample late
        return Verdict("infra_failure", "timeout_sample", "the sample's deadline came before its answer")
    message = f"the sample's deadline came; the last attempt had failed: {last}"
    return Verdict("infra_failure", _infra_class(last), message, failure=last)


def _record(opened: Opened, verdict: Verdict, account: Account, method: Method, total_s: float) -> Record:
    sample, task, cell = opened.sample, opened.sample.task, opened.sample.cell
    instance, response, answer, score = account.instance, account.response, verdict.answer, verdict.score
    waits_s = account.rate_wait_s + account.retry_wait_s
    sent_after_s = None if account.first_sent_s is None else account.first_sent_s - account.opened_s
    return Record(
        run_id=method.run_id,
        ordinal=sample.ordinal,
        cell_id=f"{cell.model}|{cell.prompt_type}|{cell.tool_success_rate:g}|{task.difficulty}|{task.task_type}",
        sample_id=sample.sample_id,
        task_id=task.task_id,
        epoch=sample.epoch,
        model=cell.model,
        provider=instance.provider if instance else None,
        deployment=instance.deployment if instance else None,
        instance=instance.name if instance else None,
        planned_instance=opened.planned,
        moved_reason=account.moved_reason if instance and instance.name != opened.planned else None,
        prompt_type=cell.prompt_type,
        tool_success_rate=cell.tool_success_rate,
        difficulty=task.difficulty,
        task_type=task.task_type,
        family=task.family,
        status=200 if response else _status(verdict.failure),
        outcome=verdict.outcome,
        error_class=verdict.error_class if score is None else None,
        error_message=verdict.error_message,
        score=float(score.value) if score else (0.0 if verdict.outcome == "model_failure" else None),
        grade=score.grade if score else ("failed" if verdict.outcome == "model_failure" else None),
        passed=score.grade == "full" if score else (False if verdict.outcome == "model_failure" else None),
        score_error=score.error_class if score else None,
        stage=opened.stage,
        turns=account.turns,
        tool_calls=len(answer.tool_calls) if answer else 0,
        tool_failures=0,
        tool_coverage=None,
        input=_last_user_text(task.messages),
        target=_as_text(task.target),
        output_text=answer.text if answer else None,
        messages=_conversation(answer),
        finish_reason=response.finish_reason if response else None,
        input_tokens=account.input_tokens,
        output_tokens=account.output_tokens,
        cached_tokens=account.cached_tokens,
        reasoning_tokens=account.reasoning_tokens,
        usage_estimated=account.usage_estimated,
        cost_usd=method.price_usd(cell.model, _usage(account)),
        attempts=account.attempts,
        throttles=account.throttles,
        queued_at=instant(opened.at_s - opened.queue_s),
        started_at=None if sent_after_s is None else instant(opened.at_s + sent_after_s),
        completed_at=instant(time.time()),
        queue_s=opened.queue_s,
        rate_wait_s=account.rate_wait_s,
        retry_wait_s=account.retry_wait_s,
        connect_s=account.connect_s,
        ttft_s=account.ttft_s,
        generation_s=account.generation_s,
        parse_s=account.parse_s,
        write_s=None,
        total_s=total_s,
        working_s=total_s - waits_s,
        cache_hit=False,
        request_id=account.request_id,
        response_id=response.response_id if response else _response_id(verdict.failure),
        response_model=response.response_model if response else None,
        system_fingerprint=response.system_fingerprint if response else None,
        seed=sample.seed,
        raw_response=verdict.failure.evidence.body or None if verdict.failure else None,
    )


def _status(failure: ProviderError | None) -> int | None:
    return failure.evidence.status if failure else None


def _response_id(failure: ProviderError | None) -> str | None:
    return failure.evidence.response_id or None if failure else None


def _usage(account: Account) -> Usage:
    return Usage(account.input_tokens, account.output_tokens, account.cached_tokens, account.reasoning_tokens)


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
    if answer is None or not answer.messages:
        return None
    return orjson.dumps(list(answer.messages)).decode()

"""The record: one flat row per sample, its groups of columns, and which outcomes are final.

Column names are what the field uses and what `datasets` loads; nested values are JSON strings, instants are ISO 8601 in UTC,
durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

from ..instants import Instant

Outcome = Literal["ok", "model_failure", "infra_failure", "not_run"]
FINAL: frozenset[str] = frozenset({"ok", "model_failure"})
"""Outcomes that stand: results/part-* holds these only. The others are run again by a resume."""


@dataclass(slots=True, kw_only=True)
class Record:
    """A row. It is never changed; that is not enforced, because a frozen class of this size takes three times as long to build.

    New columns are nullable and come last: results that were written without them stay readable."""

    run_id: str
    ordinal: int
    cell_id: str
    sample_id: str
    task_id: str
    epoch: int
    model: str
    provider: str | None
    deployment: str | None
    instance: str | None
    """Who answered, or who failed last."""
    planned_instance: str
    moved_reason: str | None
    prompt_type: str
    tool_success_rate: float
    difficulty: str
    task_type: str
    family: str
    status: int | None
    """HTTP status of the last attempt; null where no answer came."""
    outcome: str
    error_class: str | None
    error_message: str | None
    score: float | None
    grade: str | None
    passed: bool | None
    """Null where there is nothing to score: an infrastructure failure is not a wrong answer, and a task without a target is ungraded."""
    score_error: str | None
    """The scorer's class of what was wrong: tool selection, parameter, format …"""
    score_details: str | None
    """Why, in the scorer's words."""
    stage: int
    """Of the sweep: stages run one after another."""
    turns: int
    tool_calls: int
    tool_failures: int
    """Calls that were made to fail by the sweep's tool success rate. Realised rate: 1 - tool_failures / (tool_calls - tool_rejections)."""
    tool_rejections: int
    """Calls that reached no tool: unreadable, of an unknown name, or with arguments that are not JSON."""
    tool_coverage: float | None
    """Share of the expected tools that were called; null where none is expected."""
    tool_trace: str | None
    """Every call in order: turn, name, arguments, failure, rejection."""
    input: str
    target: str | None
    output_text: str | None
    messages: str | None
    """The whole conversation, where it has more than the input and the output."""
    finish_reason: str | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    usage_estimated: bool
    cost_usd: float | None
    judge_input_tokens: int
    """What the scorer's own calls took; in no other column."""
    judge_output_tokens: int
    judge_cost_usd: float | None
    """Null where no judge was called or its price is not known."""
    attempts: int
    throttles: int
    """Refusals on the way; they are no attempts."""
    queued_at: Instant
    started_at: Instant | None
    completed_at: Instant
    queue_s: float
    rate_wait_s: float
    retry_wait_s: float
    connect_s: float
    ttft_s: float | None
    generation_s: float
    parse_s: float
    write_s: float | None
    """From completion to the disk; null where the wall clock was set in between."""
    total_s: float
    working_s: float
    """`total_s` less the waits and less the grading."""
    cache_hit: bool
    """Whether every answer of the sample's solver came from the cache; what its scorer asked a model stands in the judge's columns."""
    request_id: str | None
    """Of the last attempt: "sample_id/turn/attempt"; the header x-request-id was its UUIDv5."""
    response_id: str | None
    response_model: str | None
    system_fingerprint: str | None
    seed: int
    raw_response: str | None
    """Start of the body where an error needs it."""
    reasoning_text: str | None
    """The start of the model's reasoning, where the server gives it."""
    adaptation: str | None
    """How the last request differs from the configuration because the instance refused a field, as JSON: {renamed, dropped, words}."""
    tool_unreadable: int | None
    """Of the rejected calls, those in whose text no tool could be found."""
    score_values: str | None
    """Further scores by name, as JSON; null where the scorer gives none."""
    saved_usd: float | None
    """What the answers from the cache would have cost; null where there is none, or the price is not known."""


# ------------------------------------------------------------------ groups: one for each source of facts
# A group repeats the types of its columns, so that mypy refuses a column that is missing, unknown, of another type or in two groups.
# At runtime a group is a plain dict.
class SampleColumns(TypedDict):
    """What was asked."""

    ordinal: int
    cell_id: str
    sample_id: str
    task_id: str
    epoch: int
    model: str
    prompt_type: str
    tool_success_rate: float
    difficulty: str
    task_type: str
    family: str
    stage: int
    input: str
    target: str | None
    seed: int


class InstanceColumns(TypedDict):
    """Where the requests went, and how they were adapted to it."""

    provider: str | None
    deployment: str | None
    instance: str | None
    planned_instance: str
    moved_reason: str | None
    request_id: str | None
    adaptation: str | None


class VerdictColumns(TypedDict):
    """How the sample ended, and what it scored."""

    outcome: str
    error_class: str | None
    error_message: str | None
    score: float | None
    grade: str | None
    passed: bool | None
    score_error: str | None
    score_details: str | None
    score_values: str | None


class AnswerColumns(TypedDict):
    """What came back."""

    status: int | None
    output_text: str | None
    reasoning_text: str | None
    messages: str | None
    finish_reason: str | None
    response_id: str | None
    response_model: str | None
    system_fingerprint: str | None
    raw_response: str | None


class ToolColumns(TypedDict):
    """Which tools the answer called."""

    tool_calls: int
    tool_failures: int
    tool_rejections: int
    tool_coverage: float | None
    tool_trace: str | None
    tool_unreadable: int | None


class UsageColumns(TypedDict):
    """What the answer took."""

    turns: int
    attempts: int
    throttles: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    usage_estimated: bool
    cost_usd: float | None


class CacheColumns(TypedDict):
    """What came from the cache."""

    cache_hit: bool
    saved_usd: float | None


class JudgeColumns(TypedDict):
    """What the grading took."""

    judge_input_tokens: int
    judge_output_tokens: int
    judge_cost_usd: float | None


class TimeColumns(TypedDict):
    """When it happened, and how long each part lasted."""

    queued_at: Instant
    started_at: Instant | None
    completed_at: Instant
    queue_s: float
    rate_wait_s: float
    retry_wait_s: float
    connect_s: float
    ttft_s: float | None
    generation_s: float
    parse_s: float
    write_s: float | None
    total_s: float
    working_s: float

"""The groups of columns that a record is built from, one for each source of facts.

`Record` names the columns, their order and their meaning. A group repeats the types of its columns, so that mypy refuses a column that is
missing, unknown, of another type or in two groups. At runtime a group is a plain dict.
"""

from __future__ import annotations

from typing import TypedDict

from ..instants import Instant


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

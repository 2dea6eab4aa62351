"""What a solver returns and what a scorer says of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from providers.errors import OrchestratorError
from providers.messages import JSON, Message, ToolCall
from sharding.plan import Sample

from .client import ModelClient


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    messages: Sequence[Message] = ()
    """The whole conversation, where it has more than the sample's messages and the text."""
    tool_calls: Sequence[ToolCall] = ()
    metadata: Mapping[str, JSON] | None = None


@dataclass(frozen=True, slots=True)
class Score:
    value: float
    """In [0, 1]."""
    grade: Literal["full", "partial", "failed"]
    error_class: str | None = None
    details: Mapping[str, JSON] | None = None


Solver = Callable[[Sample, ModelClient], Awaitable[Answer | str]]
Scorer = Callable[[Sample, Answer, ModelClient], Awaitable[Score]]


class UserCodeError(OrchestratorError):
    """A solver or scorer that a person wrote raised: the sample is not run, the run drains and can be resumed."""


def guard_solver(solver: Solver, name: str) -> Solver:
    """Tell a person's exceptions from ours: theirs become UserCodeError, ours pass."""

    async def guarded(sample: Sample, model: ModelClient) -> Answer | str:
        try:
            return await solver(sample, model)
        except OrchestratorError:
            raise
        except Exception as error:
            raise UserCodeError(_blame(name, sample, error)) from error

    return guarded


def guard_scorer(scorer: Scorer, name: str) -> Scorer:
    """The same for scorers."""

    async def guarded(sample: Sample, answer: Answer, model: ModelClient) -> Score:
        try:
            return await scorer(sample, answer, model)
        except OrchestratorError:
            raise
        except Exception as error:
            raise UserCodeError(_blame(name, sample, error)) from error

    return guarded


def _blame(name: str, sample: Sample, error: Exception) -> str:
    return f"{name} raised {type(error).__name__} on task {sample.task.task_id}: {error}"

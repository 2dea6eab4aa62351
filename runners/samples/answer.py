"""What a solver returns and what a scorer says of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

from providers.errors import OrchestratorError, first_error
from providers.messages import JSON, Message, ToolCall
from sharding.plan import Sample

from ..calls.client import ModelClient
from ..user_code_error import UserCodeError


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer that a solver returns for one sample. A solver may return a plain string instead."""

    text: str
    """The final text of the model; the scorers compare it with the task's target."""
    messages: Sequence[Message] = ()
    """The whole conversation in the OpenAI format; empty where it is only the sample's messages and `text`."""
    tool_calls: Sequence[ToolCall] = ()
    """All tool calls in order, in the OpenAI format. A solver that executed them adds `turn`, `result`, `failure` and `rejection`."""
    metadata: Mapping[str, JSON] | None = None
    """Values that the solver passes to the scorer. They are not stored."""
    error_class: str | None = None
    """Why the solver stopped early, for example `max_turns`; None where it finished. Such an answer is scored, too."""


@dataclass(frozen=True, slots=True)
class Score:
    """The score that a scorer returns for one answer."""

    value: float
    """In [0, 1]; 1 is best."""
    grade: Literal["full", "partial", "failed"]
    """`full` counts as a success in the success rate; `partial` and `failed` do not."""
    error_class: str | None = None
    """What was wrong with the answer, as a short name that summaries count; None where nothing was."""
    details: Mapping[str, JSON] | None = None
    """The explanation for a reader: the fault of a tool call, the text of a judge."""


REFUSAL = "refusal"
"""The class of an answer that says that there will be none."""

T = TypeVar("T")
Solver = Callable[[Sample, ModelClient], Awaitable[Answer | str]]
"""A coroutine function `async def solve(sample, model)` that calls `model.chat(...)` and returns an Answer or its text."""
Scorer = Callable[[Sample, Answer, ModelClient], Awaitable[Score]]
"""A coroutine function `async def score(sample, answer, model)` that returns a Score; it may ask `model` as a judge."""


class Ungraded(OrchestratorError):
    """The answer stands, but whoever had to grade it did not say how: the sample stays unresolved, the model is not to blame."""

    error_class = "judge_format"


def guard_solver(solver: Solver, name: str) -> Solver:
    """Tell a person's exceptions from ours: theirs become UserCodeError, ours pass."""

    async def guarded(sample: Sample, model: ModelClient) -> Answer | str:
        with _attributed_to(name, sample):
            answer = await solver(sample, model)
        return _checked(answer, (Answer, str), name, sample)

    return guarded


def guard_scorer(scorer: Scorer, name: str) -> Scorer:
    """Wrap a scorer in the same way as `guard_solver`."""

    async def guarded(sample: Sample, answer: Answer, model: ModelClient) -> Score:
        with _attributed_to(name, sample):
            score = await scorer(sample, answer, model)
        return _checked(score, (Score,), name, sample)

    return guarded


@contextmanager
def _attributed_to(name: str, sample: Sample) -> Iterator[None]:
    try:
        yield
    except OrchestratorError:
        raise
    except ExceptionGroup as group:  # of a solver that calls the model several times at once, in a TaskGroup
        own_errors, user_errors = group.split(OrchestratorError)
        if user_errors is None and own_errors:
            raise first_error(own_errors) from group
        raise _user_code_error(name, sample, group) from group
    except Exception as error:
        raise _user_code_error(name, sample, error) from error


def _user_code_error(name: str, sample: Sample, error: Exception) -> UserCodeError:
    return UserCodeError(f"{name} raised {type(error).__name__} on task {sample.task.task_id}: {error}")


def _checked(returned: T, types: tuple[type, ...], name: str, sample: Sample) -> T:
    if not isinstance(returned, types):
        expected = " or ".join(kind.__name__ for kind in types)
        actual = type(returned).__name__
        raise UserCodeError(f"{name} returned {actual} on task {sample.task.task_id}; it must return {expected}")
    return returned

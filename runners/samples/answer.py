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
    text: str
    messages: Sequence[Message] = ()
    """The whole conversation, where it has more than the sample's messages and the text."""
    tool_calls: Sequence[ToolCall] = ()
    """In order, in the OpenAI shape; a solver that had them answered adds `turn`, `result`, `failure` and `rejection`."""
    metadata: Mapping[str, JSON] | None = None
    error_class: str | None = None
    """Why the solver had to stop, where it did: `max_turns`. It is an answer all the same, and scored."""


@dataclass(frozen=True, slots=True)
class Score:
    value: float
    """In [0, 1]."""
    grade: Literal["full", "partial", "failed"]
    error_class: str | None = None
    details: Mapping[str, JSON] | None = None
    """Why, for people: the fault of a call, the words of a judge."""


REFUSAL = "refusal"
"""The class of an answer that says that there will be none."""

T = TypeVar("T")
Solver = Callable[[Sample, ModelClient], Awaitable[Answer | str]]
Scorer = Callable[[Sample, Answer, ModelClient], Awaitable[Score]]


class Ungraded(OrchestratorError):
    """The answer stands, but whoever had to grade it did not say how: the sample stays unresolved, the model is not to blame."""

    error_class = "judge_format"


def guard_solver(solver: Solver, name: str) -> Solver:
    """Tell a person's exceptions from ours: theirs become UserCodeError, ours pass."""

    async def guarded(sample: Sample, model: ModelClient) -> Answer | str:
        with _blamed_on(name, sample):
            answer = await solver(sample, model)
        return _checked(answer, (Answer, str), name, sample)

    return guarded


def guard_scorer(scorer: Scorer, name: str) -> Scorer:
    """The same for scorers."""

    async def guarded(sample: Sample, answer: Answer, model: ModelClient) -> Score:
        with _blamed_on(name, sample):
            score = await scorer(sample, answer, model)
        return _checked(score, (Score,), name, sample)

    return guarded


@contextmanager
def _blamed_on(name: str, sample: Sample) -> Iterator[None]:
    try:
        yield
    except OrchestratorError:
        raise
    except ExceptionGroup as group:  # of a solver that calls the model several times at once, in a TaskGroup
        ours, theirs = group.split(OrchestratorError)
        raise (first_error(ours) if theirs is None and ours else _blame(name, sample, group)) from group
    except Exception as error:
        raise _blame(name, sample, error) from error


def _blame(name: str, sample: Sample, error: Exception) -> UserCodeError:
    return UserCodeError(f"{name} raised {type(error).__name__} on task {sample.task.task_id}: {error}")


def _checked(returned: T, types: tuple[type, ...], name: str, sample: Sample) -> T:
    if not isinstance(returned, types):
        wanted = " or ".join(one.__name__ for one in types)
        found = type(returned).__name__
        raise UserCodeError(f"{name} returned {found} on task {sample.task.task_id}; it must return {wanted}")
    return returned

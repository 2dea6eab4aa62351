"""The answer of a solver, the score of a scorer, and the guards around both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

from providers.errors import OrchestratorError, first_error
from providers.messages import JSON, Message, ToolCall
from sharding.plan import Sample

from ..calls.client import ModelClient


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a solver to one sample."""

    text: str
    messages: Sequence[Message] = ()
    """The whole conversation, if it has more than the sample's messages and the text."""
    tool_calls: Sequence[ToolCall] = ()
    """The tool calls in order, in the OpenAI shape; a solver that ran them adds `turn`, `result`, `failure` and `rejection`."""
    metadata: Mapping[str, JSON] | None = None
    error_class: str | None = None
    """Why the solver had to stop early: `max_turns`. The answer is scored all the same."""


@dataclass(frozen=True, slots=True)
class Score:
    """The score of one answer."""

    value: float
    """A number in [0, 1]."""
    grade: Literal["full", "partial", "failed"]
    error_class: str | None = None
    details: Mapping[str, JSON] | None = None
    """The reasons, for the user: the fault of a call, or the text of a judge."""


REFUSAL = "refusal"
"""Error class of an answer in which the model refuses to answer."""

T = TypeVar("T")
Solver = Callable[[Sample, ModelClient], Awaitable[Answer | str]]
Scorer = Callable[[Sample, Answer, ModelClient], Awaitable[Score]]


class UserCodeError(OrchestratorError):
    """A solver, scorer or tool that the user wrote raised an exception: the sample stays pending, the run drains and can be resumed."""


class Ungraded(OrchestratorError):
    """The judge gave no grade for an answer: the sample stays unresolved and does not count against the model."""

    error_class = "judge_format"


def guard_solver(solver: Solver, name: str) -> Solver:
    """Wrap a solver: exceptions of the user's code become UserCodeError, OrchestratorErrors pass unchanged."""

    async def guarded(sample: Sample, model: ModelClient) -> Answer | str:
        with _attributed_to(name, sample):
            answer = await solver(sample, model)
        return _checked(answer, (Answer, str), name, sample)

    return guarded


def guard_scorer(scorer: Scorer, name: str) -> Scorer:
    """Wrap a scorer as `guard_solver` wraps a solver."""

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

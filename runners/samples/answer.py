"""What a solver returns and what a scorer says of it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

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
    """In [0, 1]; 1 is best. It has no meaning where the answer is ungraded."""
    grade: Literal["full", "partial", "failed", "ungraded"]
    """`full` counts as a success in the success rate; `partial` and `failed` do not. `ungraded` is shown and enters no rate."""
    error_class: str | None = None
    """What was wrong with the answer, as a short name that summaries count; None where nothing was."""
    details: Mapping[str, JSON] | None = None
    """The explanation for a reader: the fault of a tool call, the text of a judge."""
    values: Mapping[str, float] | None = None
    """Further scores by name, for example {"workflow": 0.5, "quality": 1.0}. Summaries show the mean of each with its interval."""


UNGRADED = Score(0.0, "ungraded")
"""The score of an answer to a task without a target, by a scorer that needs one."""


REFUSAL = "refusal"
"""The class of an answer that says that there will be none."""

T = TypeVar("T")
Solver = Callable[[Sample, ModelClient], Awaitable[Answer | str]]
"""A coroutine function `async def solve(sample, model)` that calls `model.chat(...)` and returns an Answer or its text."""
Scorer = Callable[[Sample, Answer, ModelClient], Awaitable[Score]]
"""A coroutine function `async def score(sample, answer, model)` that returns a Score; it may ask `model` as a judge."""
ScorerFunction = Scorer | Callable[..., object]
"""A scorer of a user: also a plain function, without `model`, that returns a Score, a bool or a number in [0, 1]."""


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


def guard_scorer(scorer: ScorerFunction, name: str) -> Scorer:
    """Wrap a scorer in the same way as `guard_solver`; it may be a plain function, take no model, and return a bool or a number."""
    takes_model = _takes_model(scorer)

    async def guarded(sample: Sample, answer: Answer, model: ModelClient) -> Score:
        with _attributed_to(name, sample, _without_target(sample)):
            returned = (
                scorer(sample, answer, model) if takes_model else cast("Callable[..., object]", scorer)(sample, answer)
            )
            score = await returned if inspect.isawaitable(returned) else returned
        return _as_score(score, name, sample)

    return guarded


def _takes_model(scorer: ScorerFunction) -> bool:
    try:
        parameters = inspect.signature(scorer).parameters.values()
    except (TypeError, ValueError):  # of a function written in C
        return True
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len([parameter for parameter in parameters if parameter.kind in positional]) > 2


def _as_score(returned: object, name: str, sample: Sample) -> Score:
    """Convert what a user's scorer returned: True and 1 are full, False and 0 failed, and a number between them partial."""
    if isinstance(returned, Score):
        return returned
    number = returned.item() if hasattr(returned, "item") else returned  # a scalar of numpy
    if isinstance(number, bool | int | float) and 0 <= number <= 1:
        if number == 1:
            return Score(1.0, "full")
        return Score(float(number), "partial" if number else "failed", "wrong_answer")
    shown = f"{returned!r:.40}" if isinstance(number, bool | int | float) else type(returned).__name__
    raise UserCodeError(
        f"{name} returned {shown} on task {sample.task.task_id}; it must return a Score, True or False, or a number from 0 to 1"
    )


@contextmanager
def _attributed_to(name: str, sample: Sample, remark: str = "") -> Iterator[None]:
    try:
        yield
    except OrchestratorError:
        raise
    except ExceptionGroup as group:  # of a solver that calls the model several times at once, in a TaskGroup
        own_errors, user_errors = group.split(OrchestratorError)
        if user_errors is None and own_errors:
            raise first_error(own_errors) from group
        raise _user_code_error(name, sample, group, remark) from group
    except Exception as error:
        raise _user_code_error(name, sample, error, remark) from error


def _user_code_error(name: str, sample: Sample, error: Exception, remark: str) -> UserCodeError:
    return UserCodeError(f"{name} raised {type(error).__name__} on task {sample.task.task_id}: {error}{remark}")


def _without_target(sample: Sample) -> str:
    if sample.task.target is not None:
        return ""
    return '; the task has no target: return Score(0, "ungraded") for such a task if the scorer needs one'


def _checked(returned: T, types: tuple[type, ...], name: str, sample: Sample) -> T:
    if not isinstance(returned, types):
        expected = " or ".join(kind.__name__ for kind in types)
        actual = type(returned).__name__
        raise UserCodeError(f"{name} returned {actual} on task {sample.task.task_id}; it must return {expected}")
    return returned

"""How a sample is solved. A solver is `async (sample, model) -> Answer | str`; those built in are told how the run uses tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from providers.messages import Message, ToolCall
from sharding.plan import Sample

from ..calls.client import ModelClient
from ..tools.formats import NATIVE, ToolFormat
from ..tools.simulated_tools import FAILURE_KINDS, LoadFunction, SimulatedTools, no_function
from .answer import Answer, Solver

MAX_TURNS = "max_turns"
"""Error class of an answer that was still calling tools when its turns were used up."""


@dataclass(frozen=True, slots=True)
class ToolUse:
    max_turns: int = 10
    """Replies of the model in one sample."""
    failure_kinds: Sequence[str] = FAILURE_KINDS
    formats: Mapping[str, ToolFormat] = field(default_factory=dict)
    """By model; native where it is not said."""
    load: LoadFunction = no_function
    """Finds a person's own tool by `module:function`."""

    def format_of(self, sample: Sample) -> ToolFormat:
        return self.formats.get(sample.cell.model, NATIVE)


async def single_turn(sample: Sample, model: ModelClient, use: ToolUse | None = None) -> Answer:
    """Send the task's messages once and take the reply; the tools that it asks for are not called.

    The answer keeps the conversation where the model reasoned, since the text has no place for that.
    """
    task, speech = sample.task, (use or ToolUse()).format_of(sample)
    asked = speech.opening(task.messages, task.tools)
    reply = await model.chat(asked, tools=speech.offered(task.tools))
    calls = speech.calls(reply)
    messages = [*asked, speech.turn(reply, calls)] if reply.reasoning else ()
    return Answer(reply.text, messages, calls)


async def tool_loop(sample: Sample, model: ModelClient, use: ToolUse | None = None) -> Answer:
    """Let the model call the task's simulated tools, several in one turn if it likes, until it answers without a call."""
    use, task = use or ToolUse(), sample.task
    speech, tools = use.format_of(sample), SimulatedTools(sample, use.load, use.failure_kinds)
    messages: list[Message] = list(speech.opening(task.messages, task.tools))
    done: list[ToolCall] = []
    for turn in range(1, use.max_turns + 1):
        reply = await model.chat(tuple(messages), tools=speech.offered(task.tools))
        calls = speech.calls(reply)
        messages.append(speech.turn(reply, calls))
        if not calls:
            return Answer(reply.text, messages, done)
        results = [await tools.call(call) for call in calls]
        messages += speech.results(calls, [result.content for result in results])
        done += [result.noted_on(call, turn) for call, result in zip(calls, results, strict=True)]
    return Answer(reply.text, messages, done, error_class=MAX_TURNS)


SOLVERS: Mapping[str, Callable[..., Awaitable[Answer]]] = {"single_turn": single_turn, "tool_loop": tool_loop}


def build_solver(name: str, use: ToolUse) -> Solver:
    """A built-in solver, told how this run uses tools."""
    return partial(SOLVERS[name], use=use)

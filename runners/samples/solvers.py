"""The built-in solvers. A solver is `async (sample, model) -> Answer | str`; the built-in ones also get the run's settings for tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from providers.messages import Message, ToolCall
from sharding.plan import Sample

from ..calls.client import ModelClient
from ..tools.formats import NATIVE, ToolFormat
from ..tools.reliability import STEADY, Reliability
from ..tools.simulated_tools import LoadFunction, SimulatedTools, no_function
from .answer import Answer, Solver

MAX_TURNS = "max_turns"
"""Error class of an answer whose turns were used up while the model still called tools."""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """How a run uses tools."""

    max_turns: int
    """Most replies of the model in one sample."""
    failure_kinds: Sequence[str]
    """Of those of `SimulatedTools`; one is drawn for every failing call."""
    formats: Mapping[str, ToolFormat] = field(default_factory=dict)
    """The tool format by model; native where none is set."""
    load: LoadFunction = no_function
    """Finds a tool of the user by `module:function`."""
    reliability: Reliability = STEADY
    """How the success rate of a call follows from the calls before it."""

    def format_of(self, sample: Sample) -> ToolFormat:
        """Return the tool format of the sample's model."""
        return self.formats.get(sample.cell.model, NATIVE)


async def single_turn(sample: Sample, model: ModelClient, use: ToolUse | None = None) -> Answer:
    """Send the task's messages once and return the reply; the tools that it calls are not run.

    If the model reasoned, the answer keeps the conversation, because the text does not include the reasoning.
    """
    task, tool_format = sample.task, NATIVE if use is None else use.format_of(sample)
    opening = tool_format.opening(task.messages, task.tools)
    reply = await model.chat(opening, tools=tool_format.offered(task.tools))
    calls = tool_format.calls(reply, task.tools)
    messages = [*opening, tool_format.turn(reply, calls)] if reply.reasoning else ()
    if calls:
        calls = [call for call in calls if tool_format.own_result(call, task.tools) is None]
    return Answer(reply.text, messages, calls)


async def tool_loop(sample: Sample, model: ModelClient, use: ToolUse) -> Answer:
    """Let the model call the task's simulated tools, one or several in a turn, until it answers without a call."""
    task = sample.task
    tool_format = use.format_of(sample)
    tools = SimulatedTools(sample, use.load, use.failure_kinds, use.reliability)
    messages: list[Message] = list(tool_format.opening(task.messages, task.tools))
    done: list[ToolCall] = []
    for turn in range(1, use.max_turns + 1):
        reply = await model.chat(tuple(messages), tools=tool_format.offered(task.tools))
        calls = tool_format.calls(reply, task.tools)
        messages.append(tool_format.turn(reply, calls))
        if not calls:
            return Answer(reply.text, messages, done)
        contents: list[str] = []
        for call in calls:
            content = tool_format.own_result(call, task.tools)
            if content is None:
                result = await tools.call(call)
                content = result.content
                done.append(result.noted_on(call, turn))
            contents.append(content)
        messages += tool_format.results(calls, contents)
    return Answer(reply.text, messages, done, error_class=MAX_TURNS)


SOLVERS: Mapping[str, Callable[..., Awaitable[Answer]]] = {"single_turn": single_turn, "tool_loop": tool_loop}


def build_solver(name: str, use: ToolUse) -> Solver:
    """Build a built-in solver with the run's settings for tools."""
    return partial(SOLVERS[name], use=use)

"""A simulated model in a tool loop: it makes the calls of the task's plan, one per turn, then gives its final answer.

With the probability of its skill the model is right; otherwise its plan has one corruption, drawn from the sample. It detects a flaw in the
prompt's plan with the same probability, and otherwise follows the flawed plan. A persistent model, again with the same probability,
repeats a failed call once; a failed repetition, or the first failure of another model, ends its attempts. The next step depends on the
conversation only, so that every attempt of a turn gives the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from providers.errors import InputError
from providers.messages import ChatRequest, Message
from providers.seeded_draws import draw_name, draw_uniform
from providers.simulator.answers.source import SimulatedAnswer
from runners.tools.names import name_on_the_wire
from sharding.conversation import text_of
from sharding.plan import Sample
from sharding.prompts.flaws import damage
from sharding.tasks.tool_plan import PlanStep, ToolPlan, plan_of

BROKEN_FORMAT = "broken_format"
CORRUPTIONS = (
    "tool_misuse",
    "parameter_error",
    "sequence_disorder",
    "missing_step",
    "redundant_operations",
    BROKEN_FORMAT,
)
_RESPONSE = re.compile(r"<tool_response>\n(.*?)\n</tool_response>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Intention:
    """The steps that a simulated model will take for a sample."""

    steps: Sequence[PlanStep]
    is_right: bool
    is_persistent: bool
    broken_step: int | None = None
    """Index of the step whose arguments are not valid JSON."""


@dataclass(frozen=True, slots=True)
class PlanProgress:
    """The progress of a conversation through the steps."""

    next_step: int
    has_given_up: bool = False


def plan_to_follow(sample: Sample, request: ChatRequest) -> ToolPlan | None:
    """Return the task's plan; None where it has none, or the request does not offer the tools."""
    offers_tools = bool(request.tools) or any(
        "<tools>" in text_of(message.get("content")) for message in request.messages
    )
    return plan_of(sample.task) if offers_tools and sample.task.tools else None


@dataclass(frozen=True, slots=True)
class Disposition:
    """The chances of a simulated model on one sample."""

    seed: int
    chance: float
    """Probability of each of three draws: being right, repeating a failed call, detecting a flaw."""

    def succeeds(self, purpose: str, sample: Sample) -> bool:
        """Draw for one purpose; the result is the same for the same sample."""
        return draw_uniform(self.seed, purpose, sample.sample_id) < self.chance


def intend(plan: ToolPlan, shown: ToolPlan, sample: Sample, disposition: Disposition) -> Intention:
    """Decide the steps of a model that is shown a plan, with or without a flaw; the result depends on (seed, sample) only."""
    is_persistent, seed = disposition.succeeds("persistent", sample), disposition.seed
    if shown != plan and not disposition.succeeds("doubt", sample):
        return Intention(misled_steps(plan, shown), False, is_persistent)
    is_right = disposition.succeeds("right", sample)
    if is_right:
        return Intention(plan.steps, is_right, is_persistent)
    first = int(draw_uniform(seed, "corruption", sample.sample_id) * len(CORRUPTIONS))
    for corruption in CORRUPTIONS[first:-1]:
        try:
            return Intention(damage(plan, corruption, sample.task).steps, is_right, is_persistent)
        except InputError:  # the corruption does not apply to this plan
            continue
    broken = int(draw_uniform(seed, "broken", sample.sample_id) * len(plan.steps))
    return Intention(plan.steps, is_right, is_persistent, broken)


def misled_steps(plan: ToolPlan, shown: ToolPlan) -> Sequence[PlanStep]:
    """Return the steps of a model that follows a flawed plan.

    Those are the shown steps without contradictory ones; for another goal, only the step that the goal mentions.
    """
    if shown.goal != plan.goal:
        return [step for step in shown.steps if step.in_words in shown.goal]
    descriptions = {step.description for step in plan.steps}
    return [step for step in shown.steps if step.description in descriptions]


def standing(intention: Intention, results: Sequence[str]) -> PlanProgress:
    """Compute the progress after the results so far."""
    next_step, has_tried = 0, False
    for content in results:
        if not is_failed(content):
            next_step, has_tried = next_step + 1, False
        elif has_tried or not intention.is_persistent:
            return PlanProgress(next_step, has_given_up=True)
        else:
            has_tried = True
    return PlanProgress(next_step)


def is_failed(content: str) -> bool:
    """Return whether a result is a failure: an error, empty, cut off, or marked as out of date. A plain text is a result."""
    if not content.startswith("{"):
        return False
    try:
        result = orjson.loads(content)
    except orjson.JSONDecodeError:
        return True
    return not result or "error" in result or "warning" in result


def results_so_far(messages: Sequence[Message], task_messages: Sequence[Message]) -> Sequence[str]:
    """List the results of tools in this conversation, without those in the task's own messages."""
    return _results(messages)[len(_results(task_messages)) :]


def _results(messages: Sequence[Message]) -> list[str]:
    results: list[str] = []
    for message in messages:
        text = text_of(message.get("content"))
        if message.get("role") == "tool":
            results.append(text)
        elif message.get("role") == "user":
            results += _RESPONSE.findall(text)
    return results


def next_call(intention: Intention, sample: Sample, request: ChatRequest, seed: int) -> SimulatedAnswer | None:
    """Return the next call, in the request's format for tools; None where the final answer is due."""
    results = results_so_far(request.messages, sample.task.messages)
    now = standing(intention, results)
    if now.has_given_up or now.next_step >= len(intention.steps):
        return None
    step = intention.steps[now.next_step]
    is_broken = now.next_step == intention.broken_step
    if not request.tools:
        body = orjson.dumps({"name": step.tool, "arguments": step.arguments}).decode()
        return SimulatedAnswer(f"<tool_call>\n{_cut(body) if is_broken else body}\n</tool_call>")
    arguments = orjson.dumps(step.arguments).decode()
    name = name_on_the_wire(step.tool, sample.task.tools)
    function = {"name": name, "arguments": _cut(arguments) if is_broken else arguments}
    call_id = "call_" + draw_name(seed, "call", f"{sample.sample_id}/{len(results)}")
    return SimulatedAnswer("", [{"id": call_id, "type": "function", "function": function}])


def has_succeeded(intention: Intention, sample: Sample, request: ChatRequest) -> bool:
    """Return whether the final answer is right: the steps were right, and no failed step was abandoned."""
    now = standing(intention, results_so_far(request.messages, sample.task.messages))
    return intention.is_right and not now.has_given_up


def _cut(json: str) -> str:
    """Remove the last brace, so that the text is not valid JSON."""
    return json[:-1]

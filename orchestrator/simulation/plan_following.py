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
from runners.tools.text_format import TextProtocol
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
_WORD = re.compile(r"[^\W_]+")


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


@dataclass(frozen=True, slots=True)
class Conversation:
    """A sample, its conversation so far, and how its model calls tools in text."""

    sample: Sample
    request: ChatRequest
    protocol: TextProtocol

    def results(self) -> Sequence[str]:
        """List the results of tools in this conversation, without those in the task's own messages."""
        return self._results(self.request.messages)[len(self._results(self.sample.task.messages)) :]

    def _results(self, messages: Sequence[Message]) -> list[str]:
        tag = re.escape(self.protocol.result)
        response = re.compile(rf"<{tag}>\n(.*?)\n</{tag}>", re.DOTALL)
        results: list[str] = []
        for message in messages:
            text = text_of(message.get("content"))
            if message.get("role") == "tool":
                results.append(text)
            elif message.get("role") == "user":
                results += response.findall(text)
        return results

    def must_search(self) -> bool:
        """Return whether the model has to search for tools and has not."""
        opening = f"<{self.protocol.search}>"
        said = (message for message in self.request.messages if message.get("role") == "assistant")
        return self.protocol.search is not None and not any(
            opening in text_of(message.get("content")) for message in said
        )


def plan_to_follow(sample: Sample, request: ChatRequest, protocol: TextProtocol | None = None) -> ToolPlan | None:
    """Return the task's plan; None where it has none, or the request does not offer the tools."""
    offers_tools = (
        bool(request.tools)
        or protocol is not None
        or any("<tools>" in text_of(message.get("content")) for message in request.messages)
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
    return [step for step in shown.steps if not _contradicts(step, plan)]


def _contradicts(step: PlanStep, plan: ToolPlan) -> bool:
    """Return whether a step has a call of the plan and another description, which begins with the right one."""
    same = [own.description for own in plan.steps if (own.tool, own.arguments) == (step.tool, step.arguments)]
    return step.description not in same and any(step.description.startswith(description) for description in same)


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


def next_call(intention: Intention, conversation: Conversation, seed: int) -> SimulatedAnswer | None:
    """Return the next call, in the request's format for tools; None where the final answer is due."""
    sample, request, protocol = conversation.sample, conversation.request, conversation.protocol
    results = conversation.results()
    now = standing(intention, results)
    if now.has_given_up or now.next_step >= len(intention.steps):
        return None
    step = intention.steps[now.next_step]
    is_broken = now.next_step == intention.broken_step
    if not request.tools and conversation.must_search():
        return SimulatedAnswer(f"<{protocol.search}>{' '.join(_WORD.findall(step.tool))}</{protocol.search}>")
    if not request.tools:
        return SimulatedAnswer(protocol.write_call(step.tool, step.arguments, is_broken=is_broken))
    arguments = orjson.dumps(step.arguments).decode()
    name = name_on_the_wire(step.tool, sample.task.tools)
    function = {"name": name, "arguments": _cut(arguments) if is_broken else arguments}
    call_id = "call_" + draw_name(seed, "call", f"{sample.sample_id}/{len(results)}")
    return SimulatedAnswer("", [{"id": call_id, "type": "function", "function": function}])


def has_succeeded(intention: Intention, conversation: Conversation) -> bool:
    """Return whether the final answer is right: the steps were right, and no failed step was abandoned."""
    now = standing(intention, conversation.results())
    return intention.is_right and not now.has_given_up


def _cut(json: str) -> str:
    """Remove the last brace, so that the text is not valid JSON."""
    return json[:-1]
